//! What is asked for most, in one look each: an account with its head, one record of it, its newest records.

use async_trait::async_trait;
use p2pds_syntax::{Did, Nsid, RecordPath, Tid};

use crate::{Account, RecordRow, Repo, RepoId, StoreResult};

/// The newest records of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// A live repo.
    pub repo: RepoId,
    /// The rev that it must have.
    pub at: Tid,
    /// The collection.
    pub collection: Nsid,
    /// Only record keys smaller than this one.
    pub before: Option<String>,
    /// Most rows.
    pub limit: usize,
    /// Stop after the row with which the bodies reach this many bytes.
    pub max_bytes: usize,
}

/// Reads of what is served.
#[async_trait]
pub trait ServedStore {
    /// An account that is not being purged, with its live repo.
    async fn served(&self, did: &Did) -> StoreResult<Option<(Account, Option<Repo>)>>;

    /// The same, and one record of the live repo.
    async fn served_record(
        &self,
        did: &Did,
        key: &RecordPath,
    ) -> StoreResult<Option<(Account, Option<Repo>, Option<RecordRow>)>>;

    /// Records of a collection with the greatest keys, greatest first, with bodies; `None` when the repo has another rev.
    async fn newest(&self, query: Newest) -> StoreResult<Option<Vec<RecordRow>>>;
}
