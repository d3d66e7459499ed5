//! What a long operation says while it runs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::report::Found;

/// The parts of the archive's work, in the order in which an account goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Handle to DID and back, document, PLC log.
    Resolve,
    /// What the host says about the account.
    Describe,
    /// The repo arrives.
    Fetch,
    /// It is verified and stored.
    Store,
    /// Pictures and videos arrive.
    Blobs,
    /// Stored data is checked.
    Verify,
    /// Damage is mended from the source.
    Repair,
    /// Old rows are folded into the history.
    Tidy,
    /// Files are written out.
    Export,
    /// The export is read back and compared.
    Drill,
    /// Data is erased.
    Remove,
}

impl Phase {
    /// One word for a table or a bar.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Describe => "describe",
            Self::Fetch => "fetch",
            Self::Store => "store",
            Self::Blobs => "blobs",
            Self::Verify => "verify",
            Self::Repair => "repair",
            Self::Tidy => "tidy",
            Self::Export => "export",
            Self::Drill => "drill",
            Self::Remove => "remove",
        }
    }
}

/// What `done` and `total` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Records.
    Records,
    /// Blobs.
    Blobs,
    /// Files.
    Files,
    /// Rows of the store.
    Rows,
    /// Steps.
    Steps,
}

/// Where in its life a phase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It begins.
    Started,
    /// It goes on; `done` has grown.
    Running,
    /// It has ended well.
    Finished,
    /// Something worth a line, without change of phase.
    Note,
    /// Something the user should know.
    Warning,
}

/// One line of progress. Self-contained: a reader may skip any of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgressEvent {
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did: Option<Did>,
    /// What is being done.
    pub phase: Phase,
    /// Where in it.
    pub stage: Stage,
    /// Done so far, in `unit`.
    pub done: u64,
    /// In all, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is counted.
    pub unit: Unit,
    /// In plain words; may be empty while running.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What resolving found, once, before anything is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Box<Found>>,
}

type Sink = dyn Fn(ProgressEvent) + Send + Sync;

/// Where progress goes: cheap to clone, never blocks its caller for long, and may lead nowhere.
#[derive(Clone, Default)]
pub struct Progress {
    sink: Option<Arc<Sink>>,
    did: Option<Did>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("listening", &self.sink.is_some()).field("did", &self.did).finish()
    }
}

impl Progress {
    /// Progress that nobody listens to.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Progress that goes to a function. It is called from any thread and should return at once.
    pub fn to(sink: impl Fn(ProgressEvent) + Send + Sync + 'static) -> Self {
        Self { sink: Some(Arc::new(sink)), did: None }
    }

    /// The same, with this account's DID on every event.
    #[must_use]
    pub fn about(&self, did: &Did) -> Self {
        Self { sink: self.sink.clone(), did: Some(did.clone()) }
    }

    /// Sends one event.
    pub fn send(&self, phase: Phase, stage: Stage, message: impl Into<String>) {
        self.emit(phase, stage, 0, None, Unit::Steps, message.into(), None);
    }

    /// A line worth reading, without change of phase.
    pub fn note(&self, phase: Phase, message: impl Into<String>) {
        self.send(phase, Stage::Note, message);
    }

    /// Something the user should know.
    pub fn warn(&self, phase: Phase, message: impl Into<String>) {
        self.send(phase, Stage::Warning, message);
    }

    /// What resolving found.
    pub fn found(&self, found: &Found) {
        let message = found.to_string();
        self.emit(Phase::Describe, Stage::Note, 0, None, Unit::Steps, message, Some(Box::new(found.clone())));
    }

    /// Begins a phase that counts. Its events are thinned out to ten a second.
    pub fn begin(&self, phase: Phase, unit: Unit, total: Option<u64>, message: impl Into<String>) -> Counter {
        self.emit(phase, Stage::Started, 0, total, unit, message.into(), None);
        Counter {
            progress: self.clone(),
            phase,
            unit,
            done: AtomicU64::new(0),
            total: AtomicU64::new(total.unwrap_or(u64::MAX)),
            last: Mutex::new(Instant::now()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the one constructor of events, private")]
    fn emit(
        &self,
        phase: Phase,
        stage: Stage,
        done: u64,
        total: Option<u64>,
        unit: Unit,
        message: String,
        found: Option<Box<Found>>,
    ) {
        if let Some(sink) = &self.sink {
            sink(ProgressEvent { did: self.did.clone(), phase, stage, done, total, unit, message, found });
        }
    }
}

/// A phase that counts.
#[derive(Debug)]
pub struct Counter {
    progress: Progress,
    phase: Phase,
    unit: Unit,
    done: AtomicU64,
    total: AtomicU64,
    last: Mutex<Instant>,
}

impl Counter {
    /// Least time between two events of one counter.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Adds to what is done.
    pub fn add(&self, n: u64) {
        let done = self.done.fetch_add(n, Ordering::Relaxed).saturating_add(n);
        self.tell(done);
    }

    /// Sets what is done.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.tell(done);
    }

    /// Sets the total once it is known.
    pub fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// Done so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends the phase well.
    pub fn finish(self, message: impl Into<String>) {
        self.progress.emit(
            self.phase,
            Stage::Finished,
            self.done(),
            self.total(),
            self.unit,
            message.into(),
            None,
        );
    }

    fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|&total| total != u64::MAX)
    }

    fn tell(&self, done: u64) {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() < Self::PAUSE {
                return;
            }
            *last = Instant::now();
        }
        self.progress.emit(self.phase, Stage::Running, done, self.total(), self.unit, String::new(), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_survives_json() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&seen);
        let did = Did::parse("did:plc:z72i7hdynmk6r22z27h6tvur").unwrap();
        let progress = Progress::to(move |event| to.lock().unwrap().push(event)).about(&did);
        let counter = progress.begin(Phase::Fetch, Unit::Bytes, Some(10), "fetching");
        counter.add(4);
        counter.add(6);
        counter.finish("fetched");
        let events = seen.lock().unwrap().clone();
        let last = events.last().unwrap();
        assert_eq!((last.stage, last.done, last.total), (Stage::Finished, 10, Some(10)));
        assert_eq!(last.did.as_ref(), Some(&did));
        let line = serde_json::to_string(last).unwrap();
        assert!(line.contains(r#""phase":"fetch""#), "{line}");
        assert_eq!(&serde_json::from_str::<ProgressEvent>(&line).unwrap(), last);
    }
}
