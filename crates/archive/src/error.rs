//! What can go wrong while archiving, and what to do about each.
//!
//! A host that withholds an account, an older head, a repo that cannot be reproduced are *outcomes*
//! ([`Outcome`](crate::Outcome)), not errors: the operation did what it should. Errors are what keeps it from that.

use std::io;
use std::path::{Path, PathBuf};

use p2pds_blobs::BlobError;
use p2pds_net::NetError;
use p2pds_store::StoreError;
use p2pds_syntax::{Did, ErrorKind};

use crate::words::size;

/// Result of the archive's operations.
pub type ArchiveResult<T> = Result<T, ArchiveError>;

/// Any failure of the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The name given is neither a handle nor a DID.
    #[error("{0:?} is neither a handle (such as alice.example.com) nor a DID (such as did:plc:...)")]
    BadName(String),
    /// The address names an account or a collection and no record.
    #[error("{0} is not the address of one record; that has three parts: at://HANDLE-OR-DID/COLLECTION/KEY")]
    NotOneRecord(String),
    /// The address names no list of accounts.
    #[error(
        "{0} is not the address of a list of accounts; that is at://HANDLE-OR-DID/app.bsky.graph.list/KEY, or \
         https://bsky.app/profile/HANDLE-OR-DID/lists/KEY"
    )]
    NotAList(String),
    /// The account is not in the archive.
    #[error("{0} is not in this archive; add it with `p2pds archive add {0}`")]
    NotArchived(String),
    /// The account is hosted here, so that nothing is fetched, imported or removed by the archive.
    #[error(
        "{0} is hosted by this node: its data is made here, and there is nobody to fetch it from; \
         `p2pds account show {0}` says more"
    )]
    HostedHere(Did),
    /// There is no such record.
    #[error("{0} is not in this archive: it does not exist, or has been deleted since")]
    NoRecord(String),
    /// There is no such operation in the log of the account.
    #[error("{cid} is no operation in the stored log of {did}; `p2pds plc log {did}` lists them")]
    NoOperation {
        /// The account.
        did: Did,
        /// As it was asked for.
        cid: String,
    },
    /// A point in the history that cannot be read.
    #[error(
        "`{0}` is no point in a history: give a revision (3l6ovsmcvkk2y), a time (2026-11-20T18:30:00Z), a date \
         (2026-11-20: the end of that day, UTC) or `now`"
    )]
    BadMoment(String),
    /// A point of the history that this archive has not seen.
    #[error("{asked} of {did} was not seen by this archive; {known} (`p2pds history {did}` lists all)")]
    NeverSeen {
        /// The account.
        did: Did,
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// There was no such record then.
    #[error("{uri} did not exist at revision {rev}")]
    NotThen {
        /// Its address.
        uri: String,
        /// The revision.
        rev: p2pds_syntax::Tid,
    },
    /// The record has no other version here.
    #[error("of {0} no other version than the current one is kept; name a point in time with --at")]
    NoOtherVersion(String),
    /// An announcement for longer than one may hold.
    #[error(
        "an announcement holds for 30 days at most, because no alarm is raised meanwhile: announce the change for the \
         time that it takes"
    )]
    AnnouncedTooLong,
    /// A reason is asked for and none was given.
    #[error("a reason is needed: it is recorded, and is what others will read later")]
    NoReason,
    /// An account cannot be served so.
    #[error("{did} is not served so: {why}. Nothing was changed")]
    Serving {
        /// The account.
        did: Did,
        /// Why not.
        why: String,
    },
    /// There is no older head to accept.
    #[error("there is no older head of {did} to accept: {why}")]
    NothingToAccept {
        /// The account.
        did: Did,
        /// Why not.
        why: String,
    },
    /// A record whose bytes are no record.
    #[error(
        "{0} cannot be written as a record: its bytes are kept as they came, and no host would take them"
    )]
    NotWritable(String),
    /// A blob that neither the host nor the archive has.
    #[error(
        "{uri} names the blob {cid}, which {host} does not have any more and which is not held here either; without it \
         the record cannot be put back. Nothing was written"
    )]
    BlobLost {
        /// The record.
        uri: String,
        /// The blob.
        cid: p2pds_ipld::Cid,
        /// The host.
        host: String,
    },
    /// Acting for the account at its host failed.
    #[error(transparent)]
    Agent(Box<p2pds_agent::AgentError>),
    /// The identity could not be resolved.
    #[error("{name} could not be resolved: {cause}")]
    Identity {
        /// As it was asked for.
        name: String,
        /// Why not.
        cause: String,
        /// Class of the cause.
        kind: ErrorKind,
    },
    /// The identity names no host.
    #[error("{did} names no server that hosts it{why}; there is nothing to fetch from")]
    NoHost {
        /// The account.
        did: Did,
        /// More about it, beginning with a comma or empty.
        why: &'static str,
    },
    /// The host did not do what was asked.
    #[error(
        "{doing} failed: {source}. What is stored stays; run the same command again later, it goes on where it was"
    )]
    Host {
        /// What was being done.
        doing: String,
        /// What happened.
        source: NetError,
    },
    /// What the host or the file gave is not a valid repo of this account. It is not stored.
    #[error(
        "{from} gave something that is not a valid repo of {did}: {what}. It was not stored; what is stored stays"
    )]
    Rejected {
        /// Host or file.
        from: String,
        /// The account.
        did: String,
        /// What is wrong, and where.
        what: String,
    },
    /// Not enough room.
    #[error(
        "not enough room on the disk that holds {}: {what} needs about {}, {} are free and {} stay free (setting \
         archive.keep_free). Free some space or use another data directory, then run the same command again", path.display(), size(*need), size(*free), size(*keep)
    )]
    NoRoom {
        /// The data directory.
        path: PathBuf,
        /// What needs it.
        what: String,
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        free: u64,
        /// Bytes that stay free.
        keep: u64,
    },
    /// What may be stored is stored.
    #[error("{did}: {full}")]
    Quota {
        /// The account.
        did: Did,
        /// Which limit is reached.
        full: crate::quota::Full,
    },
    /// Another operation works on the account.
    #[error("{0} is being worked on by another command; wait until it has ended (`p2pds workers` shows it)")]
    Busy(Did),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob directory failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// A file failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `open`, `write`...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file given by the user is not what it should be.
    #[error("{} cannot be used: {what}. Nothing was changed", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The account's operation was cancelled by a shutdown.
    #[error("stopped: the node is shutting down. The work goes on when it starts again")]
    Stopping,
    /// A defect of ours.
    #[error("a defect in p2pds, please report it: {0}")]
    Bug(String),
}

impl ArchiveError {
    /// The class of the failure; the only thing retry logic looks at.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadMoment(_) | Self::AnnouncedTooLong | Self::NoReason | Self::Serving { .. } => {
                ErrorKind::Invalid
            }
            Self::NeverSeen { .. } | Self::NotThen { .. } | Self::NoOtherVersion(_) => ErrorKind::NotFound,
            Self::NothingToAccept { .. } | Self::HostedHere(_) => ErrorKind::Conflict,
            Self::NotWritable(_) => ErrorKind::Invalid,
            Self::BlobLost { .. } => ErrorKind::NotFound,
            Self::Agent(error) => error.kind(),
            Self::BadName(_)
            | Self::NotOneRecord(_)
            | Self::NotAList(_)
            | Self::BadFile { .. }
            | Self::Rejected { .. } => ErrorKind::Invalid,
            Self::NotArchived(_) | Self::NoOperation { .. } | Self::NoRecord(_) | Self::NoHost { .. } => {
                ErrorKind::NotFound
            }
            Self::Identity { kind, .. } => *kind,
            Self::Host { source, .. } => source.kind(),
            Self::NoRoom { .. } | Self::Quota { .. } => ErrorKind::Limited,
            Self::Busy(_) => ErrorKind::Conflict,
            Self::Store(error) => error.kind(),
            Self::Blobs(error) => error.kind(),
            Self::Io { source, .. } if is_full(source) => ErrorKind::Limited,
            Self::Io { .. } | Self::Stopping => ErrorKind::Unavailable,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    /// What to do, when the message does not say it already.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Identity { kind: ErrorKind::NotFound, .. } => Some("check the spelling, or use the DID"),
            Self::Identity { kind: ErrorKind::Unavailable, .. } => {
                Some("check this machine's connection and DNS (`p2pds doctor`), then try again")
            }
            Self::Rejected { .. } => Some(
                "a download that was cut off is fetched anew by the same command, a damaged file has to be got again from \
                 where it came; if it stays so, the host serves a damaged repo: tell its operator",
            ),
            Self::Io { source, .. } if is_full(source) => {
                Some("free some space, then run the same command again")
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
