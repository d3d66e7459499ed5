//! What can go wrong while giving an account back, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use p2pds_archive::{ArchiveError, size};
use p2pds_reading::Refusal;
use p2pds_store::StoreError;
use p2pds_syntax::{Did, ErrorKind};

use crate::promote::Remark;

/// Result of this crate's operations.
pub type RecoveryResult<T> = Result<T, RecoveryError>;

/// A failed export or drill.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The directory holds something else.
    #[error("{} is not empty and is not an export of {did}: {what}. Nothing was written; name another directory", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// The account.
        did: Did,
        /// What is there.
        what: String,
    },
    /// Not enough room.
    #[error("not enough room at {}: about {} are needed, {} are free. Nothing was written", dir.display(), size(*need), size(*free))]
    NoRoom {
        /// Where.
        dir: PathBuf,
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        free: u64,
    },
    /// There is nothing to export.
    #[error("nothing of {0} is stored yet, so there is nothing to export; run `p2pds archive sync {0}`")]
    Nothing(Did),
    /// The repo is kept as it came, as a file.
    #[error(
        "the repo of {did} is kept exactly as it came, because its tree cannot be reproduced: copy {file}, which is its \
         repo.car; other servers may accept it"
    )]
    Verbatim {
        /// The account.
        did: Did,
        /// Where it lies.
        file: String,
    },
    /// Something stands in the way of a promotion.
    #[error("{did} was not promoted, and nothing was changed:{}", why.iter().map(|line| format!("\n- {line}")).collect::<String>())]
    NotPromoted {
        /// The account.
        did: Did,
        /// All that stands in the way.
        why: Vec<Remark>,
    },
    /// What a part that was asked said.
    #[error("{words}")]
    Said {
        /// The class.
        kind: ErrorKind,
        /// In its words.
        words: String,
    },
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The reading door stayed shut.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `create`, `write`...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A defect of ours.
    #[error("a defect in p2pds, please report it: {0}")]
    Bug(String),
}

impl RecoveryError {
    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Foreign { .. } => ErrorKind::Conflict,
            Self::NoRoom { .. } => ErrorKind::Limited,
            Self::Nothing(_) | Self::Verbatim { .. } => ErrorKind::NotFound,
            Self::NotPromoted { .. } => ErrorKind::Conflict,
            Self::Said { kind, .. } => *kind,
            Self::Archive(error) => error.kind(),
            Self::Refused(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            Self::Io { source, .. } if is_full(source) => ErrorKind::Limited,
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    /// What to do, when the message does not say it already.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::Io { source, .. } if is_full(source) => {
                Some("free some space or name another directory, then run the same command again: it goes on")
            }
            _ => None,
        }
    }

    /// A failed file operation.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
