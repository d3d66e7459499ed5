//! What can go wrong in a store, and what each case means.
//!
//! Rules: absent is `Ok(None)`, never an error. A caller decides by [`StoreError::kind`]
//! alone. A message says what happened, what it means and what to do. Errors are `Clone`
//! because one failed group commit answers many units.

use p2pds_syntax::{Did, ErrorKind, Tid};

use crate::RepoId;

/// Result of every store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Any failure of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The unit names an account that is not stored.
    #[error("account {0} is not in this store")]
    UnknownAccount(Did),
    /// The unit names a repo id that does not exist (any more).
    #[error("repo {0} does not exist any more; it was flipped, dropped or purged meanwhile")]
    UnknownRepo(RepoId),
    /// The account's head is not the one the unit was made for. Nothing was changed.
    #[error(
        "{did} is at rev {found:?}, this change was made for {expected:?}; read the head again and retry"
    )]
    HeadMoved {
        /// The account.
        did: Did,
        /// The rev that the unit was made for; `None` when it expected no live repo.
        expected: Option<Tid>,
        /// The rev stored now.
        found: Option<Tid>,
    },
    /// A head never moves back: the new rev is not greater than the stored one.
    #[error("{did} is at rev {found}, rev {offered} is not newer; an older head never replaces a newer one")]
    NotNewer {
        /// The account.
        did: Did,
        /// The stored rev.
        found: Tid,
        /// The rev that was offered.
        offered: Tid,
    },
    /// A change does not fit what is stored (an `old` CID differs, a row is out of order...).
    #[error("{did}: {what}; nothing was changed")]
    Mismatch {
        /// The account.
        did: Did,
        /// What does not fit, with the key.
        what: String,
    },
    /// Another hosted account has this handle or address already. Nothing was changed.
    #[error("this {0} belongs to another account of this host already; choose another one")]
    Taken(&'static str),
    /// The unit itself is malformed: too many rows, unsorted rows, bytes that do not hash right.
    #[error("this unit of work is malformed: {0}")]
    InvalidUnit(String),
    /// The account is being purged; only purge units are accepted.
    #[error("{0} is being purged; nothing can be written to it until that is finished")]
    Purging(Did),
    /// Too many units wait, for this account or in all.
    #[error("the store has {waiting} units waiting; try again in {retry_after_ms} ms")]
    Busy {
        /// Units in the queue that is full.
        waiting: usize,
        /// When it is worth trying again, in milliseconds.
        retry_after_ms: u64,
    },
    /// The disk is full. Reads and deletions go on.
    #[error(
        "the disk that holds {path} is full: nothing new can be stored, reading and deleting still work; free some space, writing resumes by itself"
    )]
    DiskFull {
        /// The data directory.
        path: String,
    },
    /// The write-ahead log has reached its hard limit because something keeps it from shrinking.
    #[error(
        "the write-ahead log has grown to {bytes} bytes (limit {limit}): writing waits until it has been folded into the database; reading goes on"
    )]
    LogFull {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A flush to disk failed, so what is on disk is unknown. Writing stays off until a restart.
    #[error(
        "writing has stopped: {0}. What was confirmed before is safe; check the disk, then restart the node"
    )]
    Stopped(String),
    /// The store is closing.
    #[error("the store is closing; the unit was not applied")]
    Closed,
    /// Another process holds the data directory.
    #[error("another p2pds process{} is using {dir}; stop it first, or talk to it through the same command line", match .pid { Some(pid) => format!(" (pid {pid})"), None => String::new() })]
    Locked {
        /// The data directory.
        dir: String,
        /// The process that holds it, when its lock file says so.
        pid: Option<u32>,
    },
    /// The database was written by a newer version.
    #[error(
        "the database in {dir} has schema {found}, this p2pds knows up to {known}; use the newer version again"
    )]
    TooNew {
        /// The data directory.
        dir: String,
        /// Schema number in the file.
        found: u32,
        /// Greatest schema number this binary knows.
        known: u32,
    },
    /// Stored bytes are not what they should be.
    #[error(
        "stored data is damaged: {0}; `p2pds verify --read-data` names what is affected and repairs it from the source"
    )]
    Damaged(String),
    /// The structure of the database file itself is damaged, so that it cannot be mended in place.
    #[error(
        "the database file itself is damaged ({0}); restart the node, or without one run `p2pds doctor --mend`: what can be read is copied into a new file, and what is lost is named and fetched again"
    )]
    DamagedFile(String),
    /// An unexpected failure of the database or the file system.
    #[error("the database could not {doing}: {cause}")]
    Backend {
        /// What was being done.
        doing: &'static str,
        /// The cause in the database's words.
        cause: String,
    },
    /// This adapter cannot do that.
    #[error("this store cannot {0}")]
    Unsupported(&'static str),
    /// A defect of ours.
    #[error("a defect in p2pds, please report it: {0}")]
    Bug(String),
}

impl StoreError {
    /// The class of the failure; the only thing retry logic and HTTP mapping look at.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownAccount(_) | Self::UnknownRepo(_) => ErrorKind::NotFound,
            Self::HeadMoved { .. } | Self::NotNewer { .. } | Self::Mismatch { .. } | Self::Taken(_) => {
                ErrorKind::Conflict
            }
            Self::InvalidUnit(_) => ErrorKind::Invalid,
            Self::Purging(_) | Self::Locked { .. } | Self::TooNew { .. } | Self::Unsupported(_) => {
                ErrorKind::Denied
            }
            Self::DiskFull { .. } => ErrorKind::Limited,
            Self::Busy { .. }
            | Self::LogFull { .. }
            | Self::Stopped(_)
            | Self::Closed
            | Self::Backend { .. } => ErrorKind::Unavailable,
            Self::Damaged(_) | Self::DamagedFile(_) => ErrorKind::Corrupt,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }
}
