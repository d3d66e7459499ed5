//! Which accounts are hosted here, with their heads: what a host tells those who list it.

use async_trait::async_trait;
use p2pds_ipld::Cid;
use p2pds_syntax::{Did, Tid};

use crate::{AccountStatus, StoreResult};

/// A hosted account and its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedHead {
    /// The account.
    pub did: Did,
    /// How it stands.
    pub status: AccountStatus,
    /// CID of its commit.
    pub commit: Cid,
    /// Its rev.
    pub rev: Tid,
}

/// Lists of hosted accounts.
#[async_trait]
pub trait ListingStore {
    /// At most `limit` hosted accounts that have a repo, by DID, beginning after `after`; with `collection` only those
    /// whose live repo has a record of it now.
    async fn hosted_heads(
        &self,
        after: Option<&Did>,
        collection: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<HostedHead>>;
}
