//! The worker `verify`: reads and checks everything that is stored once a round, at a share of one
//! core, and goes on where it was after a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use p2pds_archive::{Pace, Paced, Scrub};
use p2pds_store::{Unit, WorkerRow};
use serde::{Deserialize, Serialize};

use crate::node::engine::Engine;
use crate::node::supervise::Stop;
use crate::node::workers::pause_setting;
use crate::words;

/// Its name in `p2pds workers`.
pub const NAME: &str = "verify";
/// The condition that says that a round cannot end in time.
pub const BEHIND: &str = "verify-behind";
/// Time between two notes of where it stands.
const NOTE_EVERY: Duration = Duration::from_secs(3);
/// Longest time between two looks at whether a round is due, or the pause is over.
const LOOK: Duration = Duration::from_secs(60);
/// Pause after a failure of the store.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Its notes in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Where the round stands.
    pub scrub: Scrub,
    /// When it is expected to end, microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
}

/// Runs until the node stops.
///
/// # Errors
/// Its row cannot be read.
pub async fn run(engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    let row = engine.store.worker(NAME).await?;
    let mut worker = Worker::new(engine, row.as_ref());
    let bell = worker.engine.archive.wakes().bell(NAME);
    loop {
        let pause = match worker.turn().await {
            Ok(pause) => pause,
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!(event = "worker.failed", worker = NAME, error = why, "background work failed");
                metrics::counter!("p2pds_worker_failures_total", "worker" => NAME).increment(1);
                worker.last_error = Some(format!("{error:#}"));
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.wait() => {
                worker.note("stopped with the node, goes on at its next start", None).await;
                return Ok(());
            }
            () = bell.notified() => worker.heard(),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Worker {
    engine: Arc<Engine>,
    pace: Pace,
    /// Time from the beginning of one round to that of the next.
    every: i64,
    scrub: Scrub,
    ends_at: Option<i64>,
    paused: bool,
    last_error: Option<String>,
    looked: Option<Instant>,
    noted: Option<Instant>,
    behind: Option<bool>,
}

impl Worker {
    fn new(engine: Arc<Engine>, row: Option<&WorkerRow>) -> Self {
        let archive = &engine.config.archive;
        let notes: Notes = row.and_then(|row| serde_json::from_str(&row.notes).ok()).unwrap_or_default();
        let pace = Pace { percent: archive.verify_share, within: archive.verify_deadline };
        let every = i64::try_from(archive.verify_interval.as_micros()).unwrap_or(i64::MAX);
        Self {
            pace,
            every,
            scrub: notes.scrub,
            ends_at: None,
            paused: false,
            last_error: row.and_then(|row| row.last_error.clone()),
            looked: None,
            noted: None,
            behind: None,
            engine,
        }
    }

    fn heard(&mut self) {
        let asked = self.engine.archive.wakes().take(NAME);
        self.looked = None;
        // Asked to check all: a round that is over makes room for the next one now.
        if !asked.accounts.is_empty() && self.scrub.ended_at.is_some() {
            self.scrub.began_at = i64::MIN;
        }
    }

    /// One step, or a look at whether there is one to do; gives the pause until the next.
    async fn turn(&mut self) -> anyhow::Result<Duration> {
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            self.paused = self.engine.store.setting(&pause_setting(NAME)).await?.is_some();
        }
        if self.paused {
            self.note_now_and_then("paused", None).await;
            return Ok(LOOK);
        }
        let now = self.engine.archive.now();
        let first = self.scrub.round == 0;
        if first || self.scrub.ended_at.is_some() {
            let next = self.scrub.began_at.saturating_add(self.every);
            if !first && next > now {
                self.note_now_and_then("idle", Some(next)).await;
                let pause = Duration::from_micros(u64::try_from(next.saturating_sub(now)).unwrap_or(0));
                return Ok(pause.min(LOOK));
            }
            let before = (!first).then_some(&self.scrub);
            self.scrub = self.engine.archive.scrub_begin(before).await?;
            self.noted = None;
        }
        let step = self.engine.archive.scrub_step(&mut self.scrub).await?;
        metrics::counter!("p2pds_scrub_bytes_total").increment(step.bytes);
        let now = self.engine.archive.now();
        let Paced { pause, ends_at, too_late } = self.pace.after(&self.scrub, step.took, now);
        self.ends_at = ends_at;
        self.tell(too_late && !step.ended);
        match &step.account {
            Some((did, false)) => {
                let words = format!("damage is left in {did}; `p2pds verify {did}` shows it");
                tracing::warn!(event = "scrub.damage", %did, "{words}");
                self.last_error = Some(words);
            }
            Some((_, true)) => self.note_now_and_then(&self.words(), None).await,
            None => {}
        }
        if step.ended {
            if self.scrub.damaged == self.scrub.mended {
                self.last_error = None;
            }
            self.ends_at = None;
            self.noted = None;
            let scrub = &self.scrub;
            tracing::info!(
                event = "scrub.round",
                round = scrub.round,
                accounts = scrub.accounts_done,
                records = scrub.records,
                blobs = scrub.blobs,
                bytes = scrub.done_bytes,
                damaged = scrub.damaged,
                mended = scrub.mended,
                "everything that is stored was read and checked"
            );
            self.note("idle", Some(scrub.began_at.saturating_add(self.every))).await;
            return Ok(Duration::ZERO);
        }
        self.note_now_and_then(&self.words(), None).await;
        Ok(pause)
    }

    fn words(&self) -> String {
        let scrub = &self.scrub;
        let whole = scrub.permille() / 10;
        let tenth = scrub.permille() % 10;
        match &scrub.place {
            Some(place) => format!("checking {}, {whole}.{tenth} % of round {}", place.did, scrub.round),
            None => format!("checking, {whole}.{tenth} % of round {}", scrub.round),
        }
    }

    /// Whether the round ends in time is a condition of the node.
    fn tell(&mut self, behind: bool) {
        if self.behind == Some(behind) {
            return;
        }
        self.behind = Some(behind);
        let conditions = self.engine.archive.conditions();
        if behind {
            conditions.raise(
                BEHIND,
                "",
                format!(
                    "checking all that is stored takes longer than {} (archive.verify_deadline), though it takes {} % of \
                     a core: damage may lie unnoticed for longer. Raise archive.verify_share, or store less on this disk",
                    words::duration(self.pace.within),
                    self.pace.percent.saturating_mul(Pace::MOST)
                ),
            );
        } else {
            conditions.clear(BEHIND, "");
        }
    }

    async fn note_now_and_then(&mut self, state: &str, next_run: Option<i64>) {
        if self.noted.is_none_or(|at| at.elapsed() >= NOTE_EVERY) {
            self.note(state, next_run).await;
        }
    }

    async fn note(&mut self, state: &str, next_run: Option<i64>) {
        self.noted = Some(Instant::now());
        #[expect(clippy::cast_precision_loss, reason = "thousandths")]
        metrics::gauge!("p2pds_scrub_progress_ratio").set(self.scrub.permille() as f64 / 1_000.0);
        let notes = Notes { scrub: self.scrub.clone(), ends_at: self.ends_at };
        let row = WorkerRow {
            name: NAME.to_owned(),
            did: None,
            state: state.to_owned(),
            done: if self.scrub.ended_at.is_some() { 0 } else { self.scrub.done_bytes },
            total: if self.scrub.ended_at.is_some() {
                0
            } else {
                self.scrub.total_bytes.max(self.scrub.done_bytes)
            },
            notes: serde_json::to_string(&notes).unwrap_or_default(),
            last_error: self.last_error.clone(),
            next_run,
            updated_at: words::now_micros(),
        };
        // A full disk must not stop the check: the row is read again only after a restart.
        if let Err(error) = self.engine.store.apply(Unit::PutWorker(row)).await {
            tracing::warn!(event = "worker.not-noted", worker = NAME, %error, "the worker's state could not be noted");
        }
    }
}
