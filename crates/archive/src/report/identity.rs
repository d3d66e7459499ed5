//! Identities as they are watched: their history, announcements, verdicts.

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

/// What a look at an identity brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watched {
    /// Something is new.
    pub changed: bool,
    /// Changes that nobody announced or acknowledged.
    pub unexpected: usize,
}

/// A change that the owner said would come. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Whose identity.
    pub did: Did,
    /// When it was said.
    pub at: i64,
    /// Until when it holds.
    pub until: i64,
    /// Why.
    pub reason: String,
}

/// What is held of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It was there before this archive began to watch.
    Before,
    /// The owner had announced it.
    Announced {
        /// The reason given.
        reason: String,
    },
    /// The operator knows of it.
    Acknowledged {
        /// The reason given.
        reason: String,
    },
    /// Nobody said anything about it.
    Unexpected,
}

impl Verdict {
    /// The stored word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Announced { .. } => "announced",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Unexpected => "unexpected",
        }
    }

    /// The reason, if one was given.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Announced { reason } | Self::Acknowledged { reason } => Some(reason),
            Self::Before | Self::Unexpected => None,
        }
    }

    /// From what is stored. A word that is not known is taken for the worst.
    pub(crate) fn from_parts(word: &str, reason: Option<String>) -> Self {
        let reason = reason.unwrap_or_default();
        match word {
            "before" => Self::Before,
            "announced" => Self::Announced { reason },
            "acknowledged" => Self::Acknowledged { reason },
            _ => Self::Unexpected,
        }
    }
}

/// One operation of a PLC log in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationLine {
    /// Its place in the log, from 1.
    pub number: u64,
    /// Its CID.
    pub cid: String,
    /// When the directory took it, microseconds since 1970.
    pub at: i64,
    /// Whether a recovery made it void.
    pub nullified: bool,
    /// What it changed, in words.
    pub changes: Vec<String>,
    /// Whether it moved who controls the account, or where it is.
    pub grave: bool,
    /// The rotation key that signed it.
    pub signer: Option<String>,
    /// That key's place in the order of authority, from 1.
    pub signer_position: Option<u64>,
    /// How many rotation keys were in force.
    pub signer_of: Option<u64>,
    /// Operations that it made void, by their numbers.
    pub undid: Vec<u64>,
    /// The rotation keys from then on, highest authority first.
    pub rotation_keys: Vec<String>,
    /// How it can still be undone; `None` when it cannot any more.
    pub undo: Option<UndoLine>,
    /// What is held of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// A way to undo an operation that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoLine {
    /// Until when, microseconds since 1970.
    pub until: i64,
    /// The `prev` of the operation that would undo it.
    pub continue_from: String,
    /// The keys that can, highest authority first.
    pub keys: Vec<String>,
}

/// A did:web document as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebVersion {
    /// Since when, microseconds since 1970.
    pub at: i64,
    /// CID of the document's bytes; what `plc ack` takes.
    pub cid: String,
    /// The key that signs the repository.
    pub signing_key: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The handle that it claims.
    pub handle: Option<String>,
}

impl WebVersion {
    pub(crate) fn same(&self, other: &Self) -> bool {
        (&self.signing_key, &self.host, &self.handle) == (&other.signing_key, &other.host, &other.handle)
    }

    pub(crate) fn changes_since(&self, before: &Self) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let parts = [
            ("signing key", &before.signing_key, &self.signing_key),
            ("host", &before.host, &self.host),
            ("handle", &before.handle, &self.handle),
        ];
        let changed = parts.iter().filter(|(_, from, to)| from != to);
        let words = changed
            .map(|(what, from, to)| format!("{what} changed from {} to {}", or_none(from), or_none(to)));
        words.collect::<Vec<_>>().join("; ")
    }
}

/// The history of one identity: the answer of `plc log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityHistory {
    /// Whose.
    pub did: Did,
    /// `plc` or `web`.
    pub method: String,
    /// The directory that is asked.
    pub directory: String,
    /// When it was last fetched, microseconds since 1970.
    pub fetched_at: Option<i64>,
    /// `active`, `tombstoned`, or `unknown` without a log.
    pub state: String,
    /// The operations of a did:plc, oldest first.
    pub operations: Vec<OperationLine>,
    /// The documents of a did:web that differed, newest first, since it is archived here. Nobody keeps earlier ones.
    pub documents: Vec<WebVersion>,
    /// An announced change that is still awaited.
    pub announced: Option<Announcement>,
}
