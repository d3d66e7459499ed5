//! Why something is not given out.

use p2pds_blobs::BlobError;
use p2pds_ipld::Cid;
use p2pds_store::StoreError;
use p2pds_syntax::{Did, ErrorKind, RecordPath};

/// Every way in which the door stays shut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The account is not here.
    #[error("{0} is not in this archive")]
    NoAccount(Did),
    /// The account is here, and nothing of its repo yet.
    #[error("nothing of {0} is stored yet; run `p2pds archive sync {0}`")]
    Nothing(Did),
    /// This viewer was not given access.
    #[error("{0} is not served to you: its operator has not chosen to")]
    NotServed(Did),
    /// Its owner declared that public archives may not show it.
    #[error(
        "{0} is not served to the public: its owner declared so (org.user-intents.declaration, publicAccessArchive)"
    )]
    OwnerRefuses(Did),
    /// The operator blocked this CID.
    #[error("{0} is blocked by the operator of this node")]
    Blocked(Cid),
    /// Its owner or its host has withdrawn it.
    #[error("{did} is not served: it is {status} at its host")]
    Withdrawn {
        /// The account.
        did: Did,
        /// The protocol's word.
        status: &'static str,
    },
    /// It is not proved, so it is not passed on.
    #[error("{0} is not served: nothing vouches for what is stored of it")]
    NotVerified(Did),
    /// There is no such record.
    #[error("{did} has no record {path} here: it does not exist, or was deleted")]
    NoRecord {
        /// The account.
        did: Did,
        /// The record.
        path: RecordPath,
    },
    /// No block of the current repo has this CID.
    #[error("{did} has no block {cid} in its current repo")]
    NoBlock {
        /// The account.
        did: Did,
        /// The block.
        cid: Cid,
    },
    /// No record names this blob.
    #[error("no record of {did} names the blob {cid}")]
    NoBlob {
        /// The account.
        did: Did,
        /// The blob.
        cid: Cid,
    },
    /// A record names it, and it is not here.
    #[error(
        "the blob {cid} of {did} is not here: it is missing or gone at its source (`p2pds archive show {did}`)"
    )]
    BlobNotHeld {
        /// The account.
        did: Did,
        /// The blob.
        cid: Cid,
    },
    /// Stored bytes are not what they were.
    #[error(
        "stored data of {did} is damaged: {what}. `p2pds verify {did} --read-data` names all that is affected and \
         mends it from the source"
    )]
    Damaged {
        /// The account.
        did: Did,
        /// What is damaged.
        what: String,
    },
    /// The state of before is not kept any more.
    #[error(
        "revision {rev} of {did} was seen, and has been forgotten since: only the current state and what it replaced \
         recently are kept (`p2pds archive keep {did} all` keeps everything from now on)"
    )]
    Pruned {
        /// The account.
        did: Did,
        /// The revision.
        rev: p2pds_syntax::Tid,
    },
    /// A replaced repo is being folded into the history.
    #[error("the history of {0} is being put in order after a fetch; ask again in a moment")]
    Folding(Did),
    /// The head moved while it was read.
    #[error("{0} was updated while it was being read; read it again")]
    Moved(Did),
    /// The block list has no room.
    #[error("the block list has its limit of {0} entries; take some off with `p2pds archive unblock CID`")]
    Full(usize),
    /// Whoever asked for it stopped listening.
    #[error("the reader went away")]
    Gone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob directory failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

impl Refusal {
    /// The class of the refusal.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAccount(_)
            | Self::Nothing(_)
            | Self::NoRecord { .. }
            | Self::NoBlock { .. }
            | Self::NoBlob { .. }
            | Self::Pruned { .. }
            | Self::BlobNotHeld { .. } => ErrorKind::NotFound,
            Self::NotServed(_)
            | Self::OwnerRefuses(_)
            | Self::Blocked(_)
            | Self::Withdrawn { .. }
            | Self::NotVerified(_) => ErrorKind::Denied,
            Self::Full(_) => ErrorKind::Limited,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Moved(_) | Self::Folding(_) => ErrorKind::Conflict,
            Self::Gone => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Blobs(error) => error.kind(),
        }
    }
}
