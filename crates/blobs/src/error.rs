//! Why a blob could not be stored or read. Absent blobs are `Ok(None)`, not errors.

use std::io;
use std::path::{Path, PathBuf};

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

/// A failed operation on blob files.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not those of the CID.
    #[error("the bytes received for blob {expected} hash to {actual}; they were thrown away")]
    WrongHash {
        /// The CID asked for.
        expected: Cid,
        /// The CID of what came.
        actual: Cid,
    },
    /// The blob is larger than allowed.
    #[error("the blob is larger than the {limit} bytes allowed; it was not stored")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The account's quota is used up.
    #[error("the blob was not stored: {reason}")]
    Quota {
        /// What the quota says.
        reason: String,
    },
    /// Not enough room on the disk.
    #[error("the disk with {} is full ({free} bytes are free, {floor} have to stay free); free some space, then the work goes on", path.display())]
    DiskFull {
        /// The directory in question.
        path: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes that have to stay free.
        floor: u64,
    },
    /// A range outside the blob.
    #[error("the range {start}..{end} lies outside the blob of {size} bytes")]
    Range {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Size of the blob.
        size: u64,
    },
    /// The operating system could not make data durable. Nothing more is written until the store is opened anew.
    #[error("the disk did not confirm a write to {} ({source}); nothing more is written there until a restart, check the disk", path.display())]
    NotDurable {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An earlier write was not confirmed; see [`BlobError::NotDurable`].
    #[error(
        "writing blobs has stopped because the disk did not confirm an earlier write; check the disk and restart"
    )]
    Stopped,
    /// The S3 service did not do what it was asked.
    #[error("could not {action} the bucket {bucket}: {what}")]
    Remote {
        /// `read from`, `write to`, ...
        action: &'static str,
        /// The bucket.
        bucket: String,
        /// What the service or the connection said.
        what: String,
    },
    /// Any other failure of a file operation.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// `open`, `write`, `rename`, ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A blocking task was cancelled or panicked.
    #[error("a file task ended unexpectedly: {0}")]
    Task(String),
}

impl BlobError {
    /// The kind that retry and reporting go by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongHash { .. } => ErrorKind::Corrupt,
            Self::TooLarge { .. } | Self::Quota { .. } | Self::DiskFull { .. } => ErrorKind::Limited,
            Self::Range { .. } => ErrorKind::Invalid,
            Self::NotDurable { .. } | Self::Stopped | Self::Io { .. } | Self::Remote { .. } => {
                ErrorKind::Unavailable
            }
            Self::Task(_) => ErrorKind::Bug,
        }
    }

    /// The service sent another number of bytes than it said.
    pub(crate) fn cut_short() -> Self {
        let what = "it sent another number of bytes than it said".to_owned();
        Self::Remote { action: "read from", bucket: "of the blobs".to_owned(), what }
    }

    /// Names the file operation that failed; a full disk is recognised.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let free = path.parent().and_then(|dir| crate::space::space(dir).ok()).map_or(0, |s| s.free);
                Self::DiskFull { path: path.to_owned(), free, floor: 0 }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }
}
