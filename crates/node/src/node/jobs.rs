//! The kinds of background work, one file each.
//!
//! A job says what an account needs and does it for one account. Everything else is the runner's
//! (`workers.rs`) and the scheduler's (`p2pds_archive::schedule`): order, limits per host, jitter,
//! pauses, back-off, the row in `p2pds workers`.

mod blobs;
mod capacity;
mod hygiene;
mod plc;
mod retention;
mod status;
mod sync;

use std::sync::Arc;

use async_trait::async_trait;
use p2pds_archive::schedule::{Level, Need, Rule};
use p2pds_archive::{ArchiveError, Progress};
use p2pds_net::NetError;
use p2pds_store::{Account, StoreError};

use crate::node::engine::Engine;

/// A kind of background work.
///
/// It takes no input when it is activated: what is to be done is read from the store, and being
/// killed anywhere or run twice is fine.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    /// Name in `p2pds workers`, for pausing, waking, logs and metrics.
    fn name(&self) -> &'static str;

    /// What it does, before the name of whom: `syncing`.
    fn doing(&self) -> &'static str;

    /// How it is scheduled.
    fn rule(&self) -> Rule;

    /// Whether accounts that are hosted here need it as well.
    fn hosted(&self) -> bool {
        false
    }

    /// When an account needs it; `None` when it does not.
    ///
    /// # Errors
    /// The store does not answer.
    async fn account(&self, _engine: &Engine, _account: &Account, _now: i64) -> anyhow::Result<Option<Need>> {
        Ok(None)
    }

    /// What is to be done for things that are no accounts, by name.
    ///
    /// # Errors
    /// The store does not answer.
    async fn others(&self, _engine: &Engine, _now: i64) -> anyhow::Result<Vec<(String, Need)>> {
        Ok(Vec::new())
    }

    /// Does it for one.
    ///
    /// # Errors
    /// It did not work; the trouble says how long to leave it alone.
    async fn act(&self, engine: &Engine, task: &Task, progress: &Progress) -> Result<(), Trouble>;
}

/// One thing to do.
#[derive(Debug, Clone)]
pub enum Task {
    /// For an archived account; whether somebody asked for it, beside the schedule.
    Account(Box<Account>, bool),
    /// For something else, by name.
    Other(String),
}

impl Task {
    /// The key of the task: a DID, or the other thing's name.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Account(account, _) => account.did.as_str(),
            Self::Other(name) => name,
        }
    }

    /// As people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Account(account, _) => account.handle.as_deref().unwrap_or_else(|| account.did.as_str()),
            Self::Other(name) => name,
        }
    }
}

/// Why a task did not work, and what that means for the next try.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// Whose fault it is.
    pub level: Level,
    /// Not again before this time, if the host said so (microseconds since 1970).
    pub until: Option<i64>,
    /// In plain words.
    pub words: String,
    /// Not a fault worth a warning: it is to be tried later, that is all.
    pub quiet: bool,
}

impl Trouble {
    /// A failure of this level.
    #[must_use]
    pub fn new(level: Level, words: impl Into<String>) -> Self {
        Self { level, until: None, words: words.into(), quiet: false }
    }

    /// Not now, and no fault.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }
}

impl From<ArchiveError> for Trouble {
    fn from(error: ArchiveError) -> Self {
        let until = match &error {
            ArchiveError::Host { source: NetError::RateLimited { until_ms, .. }, .. } => {
                i64::try_from(until_ms.saturating_mul(1_000)).ok()
            }
            _ => None,
        };
        // A limit that the operator set is no failure: the finding says it.
        let quiet = matches!(error, ArchiveError::Quota { .. });
        Self { until, quiet, ..Self::new(Level::of(&error), error.to_string()) }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::new(Level::Ours, error.to_string())
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<ArchiveError>() {
            Ok(error) => error.into(),
            Err(error) => Self::new(Level::Ours, format!("{error:#}")),
        }
    }
}

/// The jobs of a node.
#[must_use]
pub fn all(engine: &Engine) -> Vec<Arc<dyn Job>> {
    let (archive, watch) = (&engine.config.archive, &engine.config.watch);
    vec![
        Arc::new(sync::Sync { every: archive.sync_interval }),
        Arc::new(status::Status),
        Arc::new(blobs::Blobs { every: archive.blob_retry_interval }),
        Arc::new(plc::Plc { every: watch.plc_refresh, mirrors: watch.plc_mirrors.clone() }),
        Arc::new(retention::Retention::new(archive.retention_interval)),
        Arc::new(hygiene::Hygiene),
        Arc::new(capacity::Capacity),
    ]
}
