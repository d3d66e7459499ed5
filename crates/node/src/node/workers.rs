//! Background work: what is due is found in the store, done, and noted in the store.
//!
//! The jobs say what accounts need (`jobs.rs`), the scheduler makes a list of it
//! (`p2pds_archive::schedule`), and the runner here carries the list out. A worker takes no input
//! when it is activated and may be killed anywhere: the operations themselves resume. What it is
//! doing, what failed and until when it leaves that alone stand in rows of the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use p2pds_archive::schedule::{self, Busy, Need, Plan, Rule, Setback, Subject};
use p2pds_archive::{Asked, Progress};
use p2pds_store::{Account, Unit, WorkerRow};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::node::engine::Engine;
use crate::node::jobs::{Job, Task, Trouble};
use crate::node::supervise::Stop;
use crate::words::{self, now_micros};

/// Accounts read from the store at a time.
const PAGE: usize = 500;
/// Time between two notes of a running worker's progress.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// Longest time between two looks at what is due.
const LONGEST_LOOK: Duration = Duration::from_secs(60);
/// Begins the names of rows that hold what failed: `retry:sync:did:plc:...`.
pub const RETRY: &str = "retry:";

/// The setting that says that the operator paused a worker.
#[must_use]
pub fn pause_setting(worker: &str) -> String {
    format!("worker.{worker}.paused")
}

/// What a worker's row says beside its state, for `p2pds workers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Due, and waiting for a free place or for its host.
    #[serde(skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// Left alone for a while after failures.
    #[serde(skip_serializing_if = "is_zero")]
    pub retrying: u64,
    /// Why the next run is when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Runs a job until the node stops.
///
/// # Errors
/// The store does not answer any more.
pub async fn run(job: Arc<dyn Job>, engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    let bell = engine.archive.wakes().bell(job.name());
    let mut runner = Runner::new(job, engine).await?;
    // Tasks of their own, so that they go on while the store is looked at.
    let mut running: JoinSet<Ended> = JoinSet::new();
    let mut notes = tokio::time::interval(NOTE_EVERY);
    notes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let plan = runner.look(now_micros()).await?;
        for turn in &plan.start {
            if let Some(task) = runner.start(turn, now_micros()) {
                running.spawn(task);
            }
        }
        runner.note(&plan, false).await;
        let pause = runner.pause(&plan, now_micros());
        tokio::select! {
            // Dropping the work is safe: it resumes at the next start.
            () = stop.wait() => {
                running.shutdown().await;
                runner.stopped().await;
                return Ok(());
            }
            Some(ended) = running.join_next() => match ended {
                Ok(ended) => runner.ended(ended).await?,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => return Err(error.into()),
            },
            () = bell.notified() => runner.hear().await?,
            _ = notes.tick(), if !running.is_empty() => runner.note(&plan, true).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How a task ended.
struct Ended {
    task: Task,
    outcome: Result<(), Trouble>,
}

struct Runner {
    job: Arc<dyn Job>,
    rule: Rule,
    engine: Arc<Engine>,
    paused: bool,
    busy: Busy,
    /// What there is to do, and what of it the scheduler sees.
    tasks: Vec<Task>,
    subjects: Vec<Subject>,
    /// When the store was last looked at.
    looked: Option<i64>,
    setbacks: HashMap<String, Setback>,
    /// When a thing that names its own time was last done: it is left alone for an interval.
    ran: HashMap<String, i64>,
    /// In words, what each running task is doing.
    doing: Arc<Mutex<HashMap<String, String>>>,
    /// Since something was last due.
    done: u64,
    last_error: Option<String>,
    written: Option<WorkerRow>,
}

impl Runner {
    async fn new(job: Arc<dyn Job>, engine: Arc<Engine>) -> anyhow::Result<Self> {
        let last_error = engine.store.worker(job.name()).await?.and_then(|row| row.last_error);
        let prefix = format!("{RETRY}{}:", job.name());
        let mut setbacks = HashMap::new();
        for row in engine.store.workers().await? {
            if let Some(key) = row.name.strip_prefix(&prefix)
                && let Ok(setback) = serde_json::from_str::<Setback>(&row.notes)
            {
                setbacks.insert(key.to_owned(), setback);
            }
        }
        let rule = job.rule();
        Ok(Self {
            job,
            rule,
            engine,
            paused: false,
            busy: Busy::default(),
            tasks: Vec::new(),
            subjects: Vec::new(),
            looked: None,
            setbacks,
            ran: HashMap::new(),
            doing: Arc::default(),
            done: 0,
            last_error,
            written: None,
        })
    }

    /// Reads from the store what there is to do, when it is time for that, and plans.
    async fn look(&mut self, now: i64) -> anyhow::Result<Plan> {
        let pause = self.look_pause();
        // A clock that was set back must not keep the worker from looking.
        let fresh = self.looked.is_some_and(|at| at <= now && at.saturating_add(pause) > now);
        if !fresh {
            self.looked = Some(now);
            let setting = pause_setting(self.job.name());
            self.paused = self.engine.store.setting(&setting).await?.is_some();
            self.read_all(now).await?;
        }
        if self.paused {
            return Ok(Plan::default());
        }
        self.busy.forget(&self.rule, now);
        Ok(schedule::plan(&self.rule, &self.subjects, &self.busy, now))
    }

    /// Time between two looks, in microseconds.
    fn look_pause(&self) -> i64 {
        let tenth = self.rule.every.checked_div(10).unwrap_or(LONGEST_LOOK);
        micros(tenth.clamp(Duration::from_secs(1), LONGEST_LOOK))
    }

    async fn read_all(&mut self, now: i64) -> anyhow::Result<()> {
        let asked: std::collections::HashSet<String> =
            self.subjects.iter().filter(|s| s.asked).map(|s| s.name.clone()).collect();
        (self.tasks, self.subjects) = (Vec::new(), Vec::new());
        let mut after: Option<Did> = None;
        loop {
            let page = self.engine.store.accounts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.did.clone());
            for account in page {
                let asked = asked.contains(account.did.as_str());
                self.put_account(account, asked, now).await?;
            }
        }
        for (name, need) in self.job.others(&self.engine, now).await? {
            self.put(Task::Other(name), None, 0, need, false);
        }
        Ok(())
    }

    async fn put_account(&mut self, account: Account, asked: bool, now: i64) -> anyhow::Result<()> {
        if account.purging || (account.hosted && !self.job.hosted()) {
            return Ok(());
        }
        let need = self.job.account(&self.engine, &account, now).await?;
        // What is asked for is done although nothing seems to be needed; what is paused is not.
        let need = match need {
            Some(need) => need,
            None if asked && !account.paused => Need::at(now, "asked for"),
            None => return Ok(()),
        };
        let host = account.pds.as_deref().map(schedule::host_of);
        let priority = account.priority;
        self.put(Task::Account(Box::new(account), asked), host, priority, need, asked);
        Ok(())
    }

    fn put(&mut self, task: Task, host: Option<String>, priority: i32, need: Need, asked: bool) {
        let key = task.key();
        let setback = self.setbacks.get(key).copied();
        let need = match (need, self.ran.get(key)) {
            (Need::At(at, why), Some(ran)) => {
                Need::At(at.max(ran.saturating_add(micros(self.rule.every))), why)
            }
            (need, _) => need,
        };
        self.subjects.push(Subject { name: key.to_owned(), host, priority, need, setback, asked });
        self.tasks.push(task);
    }

    /// Hears what was asked for.
    async fn hear(&mut self) -> anyhow::Result<()> {
        let Asked { accounts, all } = self.engine.archive.wakes().take(self.job.name());
        if all {
            self.looked = None;
        }
        for did in accounts {
            self.forget(did.as_str());
            if let Some(account) = self.engine.store.account(&did).await? {
                self.put_account(account, true, now_micros()).await?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, key: &str) {
        if let Some(at) = self.subjects.iter().position(|subject| subject.name == key) {
            self.subjects.swap_remove(at);
            self.tasks.swap_remove(at);
        }
    }

    /// Begins a task.
    fn start(&mut self, turn: &schedule::Turn, now: i64) -> Option<BoxFuture<'static, Ended>> {
        let subject = self.subjects.get_mut(turn.index)?;
        let task = self.tasks.get(turn.index)?.clone();
        self.busy.begin(subject, now);
        subject.asked = false;
        let (job, engine) = (Arc::clone(&self.job), Arc::clone(&self.engine));
        let (doing, key) = (Arc::clone(&self.doing), task.key().to_owned());
        let words = format!("{} {} ({})", job.doing(), task.name(), turn.why);
        put_words(&doing, &key, words.clone());
        let progress = Progress::to(move |event| {
            let text = match event.total {
                Some(total) => format!(
                    "{words}: {} {} of {}",
                    event.phase.as_str(),
                    words::count(event.done),
                    words::count(total)
                ),
                None => format!("{words}: {}", event.phase.as_str()),
            };
            put_words(&doing, &key, text);
        });
        Some(
            async move {
                let outcome = job.act(&engine, &task, &progress).await;
                Ended { task, outcome }
            }
            .boxed(),
        )
    }

    /// Notes how a task ended.
    async fn ended(&mut self, ended: Ended) -> anyhow::Result<()> {
        let Ended { task, outcome } = ended;
        let key = task.key().to_owned();
        self.busy.end(&key);
        self.done = self.done.saturating_add(1);
        self.doing.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let now = now_micros();
        self.ran.insert(key.clone(), now);
        let name = self.job.name();
        match outcome {
            Ok(()) => {
                let now_s = Duration::from_micros(u64::try_from(now).unwrap_or(0)).as_secs_f64();
                metrics::gauge!("p2pds_worker_last_success_seconds", "worker" => name).set(now_s);
                if self.setbacks.remove(&key).is_some() {
                    self.keep(Unit::DropWorker { name: self.retry_name(&key) }).await;
                }
                if self.setbacks.is_empty() {
                    self.last_error = None;
                }
            }
            Err(trouble) => {
                let words = format!("{}: {}", task.name(), trouble.words);
                if !trouble.quiet {
                    tracing::warn!(
                        event = "worker.failed",
                        worker = name,
                        error = words,
                        "background work failed"
                    );
                }
                self.set_back(&task, &trouble, now).await;
                self.last_error = Some(words);
                metrics::counter!("p2pds_worker_failures_total", "worker" => name).increment(1);
            }
        }
        self.forget(&key);
        match task {
            Task::Account(account, _) => {
                if let Some(account) = self.engine.store.account(&account.did).await? {
                    self.put_account(account, false, now).await?;
                } else {
                    self.ran.remove(&key);
                }
            }
            // Looked for again with the next look.
            Task::Other(_) => {}
        }
        Ok(())
    }

    fn retry_name(&self, key: &str) -> String {
        format!("{RETRY}{}:{key}", self.job.name())
    }

    async fn set_back(&mut self, task: &Task, trouble: &Trouble, now: i64) {
        let key = task.key();
        let setback = Setback::after(self.setbacks.get(key).copied(), trouble.level, now, trouble.until);
        self.setbacks.insert(key.to_owned(), setback);
        let row = WorkerRow {
            name: self.retry_name(key),
            did: match task {
                Task::Account(account, _) => Some(account.did.clone()),
                Task::Other(_) => None,
            },
            state: format!(
                "left alone after {}",
                words::plural(setback.failures.into(), "failure", "failures")
            ),
            done: 0,
            total: 0,
            notes: serde_json::to_string(&setback).unwrap_or_default(),
            last_error: Some(trouble.words.clone()),
            next_run: Some(setback.next(key)),
            updated_at: now,
        };
        self.keep(Unit::PutWorker(row)).await;
    }

    /// How long to wait if nothing happens.
    fn pause(&self, plan: &Plan, now: i64) -> Duration {
        let look = self.looked.unwrap_or(now).saturating_add(self.look_pause());
        let next = if self.paused { look } else { plan.next.map_or(look, |next| next.min(look)) };
        let micros = next.saturating_sub(now).max(1_000);
        Duration::from_micros(u64::try_from(micros).unwrap_or(1_000))
    }

    /// Writes the worker's row when it has changed in more than its progress, or when `anyway`.
    async fn note(&mut self, plan: &Plan, anyway: bool) {
        let name = self.job.name();
        let running = u64::try_from(self.busy.len()).unwrap_or(u64::MAX);
        let waiting = u64::try_from(plan.waiting).unwrap_or(u64::MAX);
        let retrying = u64::try_from(self.setbacks.len()).unwrap_or(u64::MAX);
        metrics::gauge!("p2pds_worker_due", "worker" => name).set(waiting as f64);
        metrics::gauge!("p2pds_worker_waiting", "worker" => name).set(retrying as f64);
        let idle = running == 0 && waiting == 0;
        if idle {
            self.done = 0;
        }
        let state = match (self.paused, idle) {
            (true, true) => "paused".to_owned(),
            (true, false) => format!("pausing after {}", self.words()),
            (false, true) => "idle".to_owned(),
            (false, false) => self.words(),
        };
        let total = if idle { 0 } else { self.done.saturating_add(running).saturating_add(waiting) };
        let next_run = plan.next.filter(|_| idle && !self.paused);
        let reason = next_run.and_then(|at| self.reason(at));
        let notes = Notes { waiting, retrying, reason };
        let row = WorkerRow {
            name: name.to_owned(),
            did: None,
            state,
            done: self.done,
            total,
            notes: serde_json::to_string(&notes).unwrap_or_default(),
            last_error: self.last_error.clone(),
            next_run,
            updated_at: now_micros(),
        };
        let changed = self.written.as_ref().is_none_or(|old| {
            (old.total == 0) != (row.total == 0)
                || (idle && (&old.state, old.next_run, &old.notes) != (&row.state, row.next_run, &row.notes))
                || old.last_error != row.last_error
        });
        if changed || anyway {
            self.keep(Unit::PutWorker(row.clone())).await;
            self.written = Some(row);
        }
    }

    /// What runs, in words.
    fn words(&self) -> String {
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        match doing.values().min() {
            None => "waiting for a host's turn".to_owned(),
            Some(one) if doing.len() == 1 => one.clone(),
            Some(one) => format!("{one}; and {} more", doing.len().saturating_sub(1)),
        }
    }

    /// Why the next run is at this time.
    fn reason(&self, at: i64) -> Option<String> {
        let due = |subject: &&Subject| subject.due(&self.rule).0 == at;
        let (index, subject) = self.subjects.iter().enumerate().find(|(_, subject)| due(subject))?;
        let name = self.tasks.get(index)?.name();
        Some(format!("{name}, {}", subject.due(&self.rule).1))
    }

    async fn stopped(&mut self) {
        let state = if self.busy.is_empty() {
            "stopped with the node"
        } else {
            "stopped with the node, goes on at its next start"
        };
        let row = WorkerRow {
            name: self.job.name().to_owned(),
            did: None,
            state: state.to_owned(),
            done: 0,
            total: 0,
            notes: "{}".to_owned(),
            last_error: self.last_error.clone(),
            next_run: None,
            updated_at: now_micros(),
        };
        self.keep(Unit::PutWorker(row)).await;
    }

    /// Writes a row that is for looking at: a full disk must not stop the node.
    async fn keep(&self, unit: Unit) {
        if let Err(error) = self.engine.store.apply(unit).await {
            tracing::warn!(event = "worker.not-noted", worker = self.job.name(), %error, "the worker's state could not be noted");
        }
    }
}

fn put_words(doing: &Mutex<HashMap<String, String>>, key: &str, words: String) {
    doing.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), words);
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
