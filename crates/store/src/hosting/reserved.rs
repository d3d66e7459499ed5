//! Signing keys that were promised to accounts that are about to move here.

use std::fmt;

use async_trait::async_trait;
use p2pds_syntax::Did;

use crate::StoreResult;

/// A promised key. The key itself is wrapped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ReservedKey {
    /// Its public half as did:key.
    pub did_key: String,
    /// The account it is kept for; an account has one at most.
    pub did: Option<Did>,
    /// The key, wrapped for its own name.
    pub signing_key: Vec<u8>,
    /// When it was promised, microseconds since 1970.
    pub created_at: i64,
}

impl fmt::Debug for ReservedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReservedKey")
            .field("did_key", &self.did_key)
            .field("did", &self.did)
            .finish_non_exhaustive()
    }
}

/// What happens to promised keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservedUnit {
    /// Keeps a key, unless one is kept for the same account already, or `most` are kept in all.
    Put {
        /// The key.
        row: ReservedKey,
        /// Most keys kept.
        most: u64,
    },
    /// Forgets a key: its account has it now.
    Take {
        /// The account.
        did: Did,
        /// The key.
        did_key: String,
    },
    /// Forgets keys that were promised before a time.
    Prune {
        /// Microseconds since 1970.
        before: i64,
    },
}

impl ReservedUnit {
    /// The account whose queue the unit waits in.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::Put { row, .. } => row.did.as_ref(),
            Self::Take { did, .. } => Some(did),
            Self::Prune { .. } => None,
        }
    }

    /// Whether it frees space.
    #[must_use]
    pub fn frees(&self) -> bool {
        !matches!(self, Self::Put { .. })
    }
}

/// Reading promised keys.
#[async_trait]
pub trait ReservedStore: Send + Sync + 'static {
    /// The key with this name.
    async fn reserved_key(&self, did_key: &str) -> StoreResult<Option<ReservedKey>>;
    /// The key kept for an account.
    async fn reserved_key_for(&self, did: &Did) -> StoreResult<Option<ReservedKey>>;
}
