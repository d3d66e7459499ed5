//! What the pages ask of the node around them: what is wrong, how full the disk is, what runs.

use async_trait::async_trait;

use crate::words::Sentence;

/// The node, as the pages see it.
#[async_trait]
pub trait NodeSide: Send + Sync {
    /// What is wrong now, the gravest first.
    async fn alerts(&self) -> Result<Vec<AlertNote>, Trouble>;
    /// How much is stored, and how much more may be.
    async fn capacity(&self) -> Result<CapacityNote, Trouble>;
    /// The background workers.
    async fn workers(&self) -> Result<Vec<WorkerNote>, Trouble>;
    /// Stops or resumes a worker.
    async fn pause_worker(&self, name: &str, paused: bool) -> Result<(), Trouble>;
    /// All settings: name, value (secrets hidden), where it came from.
    fn settings(&self) -> Vec<SettingNote>;
    /// What may be asked how often, and what may be how large.
    fn limits(&self) -> LimitsNote;
    /// Looks at everything that a node needs; `network` also at what lies outside.
    async fn doctor(&self, network: bool) -> Result<Vec<CheckNote>, Trouble>;
}

/// Something did not work, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// What happened, in a service's own English.
    pub message: String,
    /// What to do about it, likewise.
    pub hint: Option<String>,
    /// The same in a sentence of the pages, where there is one: it is what people read then.
    pub sentence: Option<Sentence>,
}

impl Trouble {
    /// What a service said, for which the pages have no sentence.
    #[must_use]
    pub fn said(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { message: message.into(), hint, sentence: None }
    }

    /// What the pages say themselves.
    #[must_use]
    pub fn of(sentence: Sentence) -> Self {
        Self { message: String::new(), hint: None, sentence: Some(sentence) }
    }
}

/// Something that is wrong, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertNote {
    /// A stable word for what it is.
    pub kind: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// DID of the account that it is about.
    pub did: Option<String>,
    /// In plain words.
    pub words: String,
    /// Since when, microseconds since 1970.
    pub since: i64,
}

/// What is stored and what may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapacityNote {
    /// Bytes of records and pictures.
    pub stored: u64,
    /// Bytes free on the disk.
    pub free: u64,
    /// Bytes of the disk.
    pub disk: u64,
    /// Bytes that stay free.
    pub keep_free: u64,
    /// Bytes more each month, when that can be told.
    pub monthly: Option<u64>,
    /// When the disk is full at that pace, microseconds since 1970.
    pub full_at: Option<i64>,
}

/// A background worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerNote {
    /// Its name.
    pub name: String,
    /// What it is doing, in words.
    pub state: String,
    /// It was told to stop.
    pub paused: bool,
    /// Why it failed last.
    pub error: Option<String>,
    /// When it runs next, microseconds since 1970.
    pub next_at: Option<i64>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingNote {
    /// `section.key`.
    pub name: String,
    /// Its value, secrets hidden.
    pub value: String,
    /// Where it came from.
    pub origin: String,
}

/// The limits in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitsNote {
    /// Whether requests are counted at all.
    pub counted: bool,
    /// What is counted.
    pub rules: Vec<LimitNote>,
    /// What settings bound: bodies, connections, disk, quotas.
    pub settings: Vec<SettingNote>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitNote {
    /// Its name in metrics.
    pub name: String,
    /// So many, or so many points.
    pub most: u32,
    /// In so many seconds; `None`: at a time.
    pub seconds: Option<u64>,
    /// How often it turned somebody away since the node started.
    pub hits: u64,
}

/// A check of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckNote {
    /// A stable word for what was looked at.
    pub name: String,
    /// `ok`, `warning`, `failed` or `skipped`.
    pub result: String,
    /// What was found.
    pub words: String,
    /// How to mend it.
    pub fix: Option<String>,
}
