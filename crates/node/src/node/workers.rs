//! Background work: what is due is found in the store, done, and noted in the store.
//!
//! A worker takes no input when it is activated, and may be killed anywhere or run twice: the
//! operations themselves resume. What it is doing stands in its row, for `p2pds workers`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use p2pds_archive::{Progress, VerifyOptions};
use p2pds_store::{Account, BlobFilter, Origin, Unit, WorkerRow};
use p2pds_syntax::Did;

use crate::config::Config;
use crate::node::engine::Engine;
use crate::node::supervise::Stop;
use crate::words::{self, now_micros};

/// Accounts read from the store at a time.
const PAGE: usize = 500;
/// Time between two notes of a running worker's progress.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// Longest time between two looks at what is due.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// A kind of background work and how often each account needs it.
#[derive(Debug, Clone)]
pub struct Job {
    kind: Kind,
    every: Duration,
    /// Accounts worked on at a time.
    parallel: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sync,
    Blobs,
    Verify,
    Hygiene,
}

impl Job {
    /// Name in `p2pds workers`, logs and the supervisor.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sync => "sync",
            Kind::Blobs => "blobs",
            Kind::Verify => "verify",
            Kind::Hygiene => "hygiene",
        }
    }

    fn doing(&self) -> &'static str {
        match self.kind {
            Kind::Sync => "syncing",
            Kind::Blobs => "fetching missing blobs of",
            Kind::Verify => "verifying",
            Kind::Hygiene => "cleaning",
        }
    }
}

/// The jobs of a node.
#[must_use]
pub fn jobs(config: &Config) -> Vec<Job> {
    let archive = &config.archive;
    vec![
        Job { kind: Kind::Sync, every: archive.sync_interval, parallel: 4 },
        Job { kind: Kind::Blobs, every: archive.blob_retry_interval, parallel: 2 },
        Job { kind: Kind::Verify, every: archive.verify_interval, parallel: 1 },
        Job { kind: Kind::Hygiene, every: Duration::from_secs(24 * 3_600), parallel: 1 },
    ]
}

/// One thing to do.
#[derive(Debug, Clone)]
enum Task {
    /// For an archived account.
    Account(Box<Account>),
    /// An account of the configuration that is not archived yet.
    Add(String),
    /// For the store as a whole.
    Store,
}

impl Task {
    fn name(&self) -> String {
        match self {
            Self::Account(account) => account.handle.clone().unwrap_or_else(|| account.did.to_string()),
            Self::Add(name) => name.clone(),
            Self::Store => "the database".to_owned(),
        }
    }
}

/// What is due now, and when the next thing will be (microseconds since 1970).
#[derive(Debug, Default)]
struct Due {
    now: Vec<Task>,
    next: Option<i64>,
}

/// Runs a job until the node stops.
///
/// # Errors
/// The store does not answer any more.
pub async fn run(job: Job, engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    let worker = Worker { job, engine, tried: Mutex::default() };
    let look =
        worker.job.every.checked_div(10).unwrap_or(LONGEST_LOOK).clamp(Duration::from_secs(1), LONGEST_LOOK);
    let mut last_error = worker.engine.store.worker(worker.job.name()).await?.and_then(|row| row.last_error);
    let mut noted = None;
    loop {
        let due = worker.due(now_micros()).await?;
        if due.now.is_empty() {
            if noted != Some(due.next) {
                worker.note("idle", 0, 0, last_error.as_deref(), due.next).await?;
                noted = Some(due.next);
            }
            tokio::select! {
                () = stop.wait() => return Ok(()),
                () = tokio::time::sleep(look) => continue,
            }
        }
        noted = None;
        tokio::select! {
            // Dropping the work is safe: it resumes at the next start.
            () = stop.wait() => {
                worker.note("stopped with the node, goes on at its next start", 0, 0, last_error.as_deref(), None).await?;
                return Ok(());
            }
            outcome = worker.work(due.now, last_error.clone()) => last_error = outcome?,
        }
    }
}

struct Worker {
    job: Job,
    engine: Arc<Engine>,
    /// When a task was last tried, so that one that fails early is not tried at once again.
    tried: Mutex<HashMap<String, i64>>,
}

impl Worker {
    /// Does everything that is due. Gives the last error, if there was one.
    async fn work(&self, tasks: Vec<Task>, mut last_error: Option<String>) -> anyhow::Result<Option<String>> {
        let total = u64::try_from(tasks.len()).unwrap_or(u64::MAX);
        let mut done: u64 = 0;
        let mut failed = None;
        let current: Arc<Mutex<String>> = Arc::default();
        // Boxed and collected first: a closure in the stream would keep the whole from being `Send`.
        let tasks: Vec<_> =
            tasks.into_iter().map(|task| self.one(task, Arc::clone(&current)).boxed()).collect();
        let mut running = futures::stream::iter(tasks).buffer_unordered(self.job.parallel);
        let mut notes = tokio::time::interval(NOTE_EVERY);
        loop {
            tokio::select! {
                ended = running.next() => match ended {
                    None => break,
                    Some(Ok(())) => done = done.saturating_add(1),
                    Some(Err(error)) => {
                        done = done.saturating_add(1);
                        failed = Some(error.clone());
                        last_error = Some(error);
                    }
                },
                _ = notes.tick() => {
                    let state = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let state = if state.is_empty() { "starting".to_owned() } else { state };
                    self.note(&state, done, total, last_error.as_deref(), None).await?;
                }
            }
        }
        Ok(failed)
    }

    /// Does one task; the error is in plain words.
    async fn one(&self, task: Task, current: Arc<Mutex<String>>) -> Result<(), String> {
        let name = task.name();
        {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            tried.insert(name.clone(), now_micros());
        }
        let doing = format!("{} {name}", self.job.doing());
        *current.lock().unwrap_or_else(PoisonError::into_inner) = doing.clone();
        let progress = Progress::to(move |event| {
            let text = match event.total {
                Some(total) => format!(
                    "{doing}: {} {} of {}",
                    event.phase.as_str(),
                    words::count(event.done),
                    words::count(total)
                ),
                None => format!("{doing}: {}", event.phase.as_str()),
            };
            *current.lock().unwrap_or_else(PoisonError::into_inner) = text;
        });
        let result = self.act(&task, &progress).await;
        result.map_err(|error| {
            let text = format!("{name}: {error:#}");
            tracing::warn!(worker = self.job.name(), error = text, "background work failed");
            text
        })
    }

    async fn act(&self, task: &Task, progress: &Progress) -> anyhow::Result<()> {
        let archive = &self.engine.archive;
        match (self.job.kind, task) {
            (Kind::Sync, Task::Account(account)) => {
                archive.sync_quietly(&account.did, progress).await?;
            }
            (Kind::Sync, Task::Add(name)) => {
                archive.add(name, progress).await?;
            }
            (Kind::Blobs, Task::Account(account)) => {
                archive.sync_quietly(&account.did, progress).await?;
            }
            (Kind::Verify, Task::Account(account)) => {
                let options = VerifyOptions { read_data: true, repair: true };
                let report = archive.verify(&account.did, options, progress).await?;
                if !report.ok {
                    anyhow::bail!("damage was found; `p2pds verify {}` shows it", account.did);
                }
            }
            (Kind::Hygiene, _) => self.engine.store.hygiene(now_micros()).await?,
            (_, Task::Add(_) | Task::Store) => {}
        }
        Ok(())
    }

    async fn due(&self, now: i64) -> anyhow::Result<Due> {
        let mut due = Due::default();
        if self.job.kind == Kind::Hygiene {
            let stats = self.engine.store.stats().await?;
            let at = stats.last_hygiene_at.map_or(0, |at| self.later(at));
            if stats.hygiene_due.is_some() {
                self.sort_in(&mut due, Task::Store, at, now);
            }
            return Ok(due);
        }
        let mut wanted: Vec<&String> = match self.job.kind {
            Kind::Sync => self.engine.config.archive.accounts.iter().collect(),
            _ => Vec::new(),
        };
        let mut after: Option<Did> = None;
        loop {
            let page = self.engine.store.accounts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.did.clone());
            for account in page {
                wanted.retain(|name| *name != account.did.as_str() && Some(*name) != account.handle.as_ref());
                if let Some(at) = self.due_at(&account, now).await? {
                    self.sort_in(&mut due, Task::Account(Box::new(account)), at, now);
                }
            }
        }
        for name in wanted {
            self.sort_in(&mut due, Task::Add(name.clone()), 0, now);
        }
        Ok(due)
    }

    /// When an account needs this job; `None` when it does not.
    async fn due_at(&self, account: &Account, now: i64) -> anyhow::Result<Option<i64>> {
        if account.purging {
            return Ok(None);
        }
        let reachable = account.origin == Origin::Network && !account.paused;
        Ok(match self.job.kind {
            Kind::Sync if reachable => Some(account.last_attempt_at.map_or(0, |at| self.later(at))),
            Kind::Blobs if reachable && account.blobs_missing > 0 => {
                let ready = self.engine.store.blobs(&account.did, BlobFilter::Due(now), None, 1).await?;
                (!ready.is_empty()).then_some(now)
            }
            Kind::Verify if account.rev.is_some() => {
                Some(self.later(account.last_verified_at.unwrap_or(account.added_at)))
            }
            _ => None,
        })
    }

    fn later(&self, at: i64) -> i64 {
        at.saturating_add(i64::try_from(self.job.every.as_micros()).unwrap_or(i64::MAX))
    }

    fn sort_in(&self, due: &mut Due, task: Task, at: i64, now: i64) {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner).get(&task.name()).copied();
        let at = at.max(tried.map_or(0, |at| self.later(at)));
        if at <= now {
            due.now.push(task);
        } else {
            due.next = Some(due.next.map_or(at, |next| next.min(at)));
        }
    }

    async fn note(
        &self,
        state: &str,
        done: u64,
        total: u64,
        last_error: Option<&str>,
        next_run: Option<i64>,
    ) -> anyhow::Result<()> {
        let row = WorkerRow {
            name: self.job.name().to_owned(),
            did: None,
            state: state.to_owned(),
            done,
            total,
            notes: "{}".to_owned(),
            last_error: last_error.map(ToOwned::to_owned),
            next_run,
            updated_at: now_micros(),
        };
        // A full disk must not stop the node: the row is for looking at.
        if let Err(error) = self.engine.store.apply(Unit::PutWorker(row)).await {
            tracing::warn!(worker = self.job.name(), %error, "the worker's state could not be noted");
        }
        Ok(())
    }
}
