//! Blobs of hosted accounts: uploads that wait for a record, blobs that are withheld.
//!
//! What a blob is depends on what records say at the moment it is noted, so the store decides it, inside the unit.

use async_trait::async_trait;
use p2pds_ipld::Cid;
use p2pds_syntax::Did;

use crate::{BlobState, StoreResult};

/// A change of one blob of a hosted account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobsUnit {
    /// A blob was uploaded; its bytes are durable. It is held when a record of the live repo names it, else temporary;
    /// one that is withheld stays so. Answers [`BlobsApplied::Now`].
    Uploaded {
        /// The account.
        did: Did,
        /// The blob.
        cid: Cid,
        /// Its size in bytes.
        size: u64,
        /// Its type.
        mime: String,
        /// When, microseconds since 1970.
        at: i64,
    },
    /// Forgets a temporary blob that was uploaded before this time; any other stays. Answers [`BlobsApplied::Dropped`].
    Expire {
        /// The account.
        did: Did,
        /// The blob.
        cid: Cid,
        /// The time, microseconds since 1970.
        before: i64,
    },
    /// Withholds a blob, whether it is here or not. Answers [`BlobsApplied::Now`].
    Quarantine {
        /// The account.
        did: Did,
        /// The blob.
        cid: Cid,
        /// What the withholding refers to.
        reference: String,
    },
    /// Withholds a blob no longer; one that is not withheld stays as it is. Answers [`BlobsApplied::Now`].
    Release {
        /// The account.
        did: Did,
        /// The blob.
        cid: Cid,
        /// Its size when its bytes are here.
        here: Option<u64>,
        /// The time, microseconds since 1970.
        at: i64,
    },
    /// Changes nothing; refuses with [`crate::StoreError::Mismatch`] when one of these is neither held nor temporary. First in the
    /// batch of a commit, so that none goes between the check and the commit.
    Expect {
        /// The account.
        did: Did,
        /// The blobs.
        cids: Vec<Cid>,
    },
}

impl BlobsUnit {
    /// The account.
    #[must_use]
    pub fn did(&self) -> &Did {
        match self {
            Self::Uploaded { did, .. }
            | Self::Expire { did, .. }
            | Self::Quarantine { did, .. }
            | Self::Release { did, .. }
            | Self::Expect { did, .. } => did,
        }
    }

    /// Whether it frees space, or must be known even on a full disk.
    #[must_use]
    pub fn frees(&self) -> bool {
        matches!(self, Self::Expire { .. } | Self::Quarantine { .. })
    }
}

/// What such a unit has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobsApplied {
    /// What the blob is now; `None` when there is none.
    Now(Option<BlobState>),
    /// Whether it was forgotten: its bytes may go.
    Dropped(bool),
}

/// What an account has of blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlobTotals {
    /// Blobs, temporary ones included.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Reading sums of blobs.
#[async_trait]
pub trait BlobsStore: Send + Sync + 'static {
    /// Blobs that an account has here, held and temporary.
    async fn blob_totals(&self, did: &Did) -> StoreResult<BlobTotals>;
}
