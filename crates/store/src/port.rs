//! The port: what every store adapter offers.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use p2pds_ipld::Cid;
use p2pds_syntax::{Did, RecordPath, Tid};

use crate::{
    Account, Applied, BlobRow, BucketRow, CollectionCount, CommitRow, Evidence, Finding, IdentityRow,
    LexiconRow, PlcRow, PurgeRow, RecordRow, Repo, RepoId, RowPage, Stats, StoreError, StoreResult, Unit,
    WorkerRow,
};

/// The pending answer to a submitted unit. Dropping it does not take the unit back.
pub type Receipt = Pin<Box<dyn Future<Output = StoreResult<Applied>> + Send + 'static>>;

/// A page of records in tree order (bytes of `collection/rkey`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordsQuery {
    /// The repo.
    pub repo: RepoId,
    /// First key wanted, as bytes; empty for the beginning. Need not be a valid key.
    pub from: Vec<u8>,
    /// Whether a record at exactly `from` is wanted.
    pub inclusive: bool,
    /// First key not wanted any more; `None` for the end.
    pub until: Option<Vec<u8>>,
    /// Most rows.
    pub max_rows: usize,
    /// Stop after the row with which the bodies reach this many bytes.
    pub max_bytes: usize,
    /// Read bodies (and check them against their CIDs).
    pub bodies: bool,
    /// The state at this rev instead of the current one. Only for a live repo, or one kept as
    /// evidence.
    pub at: Option<Tid>,
}

impl RecordsQuery {
    /// Everything from the beginning, 1,000 rows or 1 MiB a page, with bodies.
    #[must_use]
    pub fn all(repo: RepoId) -> Self {
        Self {
            repo,
            from: Vec::new(),
            inclusive: true,
            until: None,
            max_rows: 1_000,
            max_bytes: 1 << 20,
            bodies: true,
            at: None,
        }
    }

    /// The same page size, beginning after `key`.
    #[must_use]
    pub fn after(mut self, key: &RecordPath) -> Self {
        self.from = key.as_bytes().to_vec();
        self.inclusive = false;
        self
    }

    /// Without bodies.
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.bodies = false;
        self
    }
}

/// Which blobs a page should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobFilter {
    /// All of them.
    All,
    /// Those held.
    Held,
    /// Those missing.
    Missing,
    /// Those missing whose next try is due at this time (microseconds since 1970).
    Due(i64),
    /// Those the source does not have.
    Gone,
    /// Those that no stored record names any more; temporary ones are not among them.
    Unreferenced,
    /// Those uploaded that no record names yet.
    Temporary,
    /// Those withheld.
    Quarantined,
}

/// What the search for traces of a purge found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceReport {
    /// Rows whose stored bytes were searched for.
    pub rows: u64,
    /// Bytes of files searched.
    pub searched_bytes: u64,
    /// Files in which traces were found by the first search.
    pub found_in: Vec<String>,
    /// Whether the database was rewritten (VACUUM) because of it.
    pub vacuumed: bool,
    /// The rewrite is too large to be done at once; when and why it will be done.
    pub scheduled: Option<String>,
    /// Traces left after all that was done now. 0 is what a purge promises.
    pub left: u64,
    /// What lies outside the node's files and cannot be searched, for the user to read.
    pub outside: Vec<String>,
}

impl std::fmt::Display for TraceReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows deleted, {} bytes of files searched for them", self.rows, self.searched_bytes)?;
        if !self.found_in.is_empty() {
            write!(f, "; traces were found in {}", self.found_in.join(", "))?;
        }
        if self.vacuumed {
            write!(f, "; the database was rewritten")?;
        }
        if let Some(scheduled) = &self.scheduled {
            write!(f, "; {scheduled}")?;
        }
        match self.left {
            0 => write!(f, "; no trace is left in the node's files"),
            left => write!(f, "; {left} traces are left"),
        }
    }
}

/// A store. Reads see only what is durable; a unit is answered only after it is.
#[async_trait]
pub trait Store: crate::HostingStore + Send + Sync + 'static {
    /// Queues a unit at once and answers when it is durable. Units of one account are applied
    /// in the order in which they were submitted; several may wait at a time, which is how
    /// large work shares flushes.
    fn submit(&self, unit: Unit) -> Receipt;

    /// [`submit`](Self::submit) and wait.
    ///
    /// # Errors
    /// Whatever the unit met; nothing of it was applied then.
    async fn apply(&self, unit: Unit) -> StoreResult<Applied> {
        self.submit(unit).await
    }

    /// An account that is not being purged.
    async fn account(&self, did: &Did) -> StoreResult<Option<Account>>;
    /// Accounts in order of their DIDs, beginning after `after`; those being purged included.
    async fn accounts(&self, after: Option<&Did>, limit: usize) -> StoreResult<Vec<Account>>;
    /// The live repo of an account, with its head.
    async fn live_repo(&self, did: &Did) -> StoreResult<Option<Repo>>;
    /// All repos of an account (`None`: of all accounts), whatever their role.
    async fn repos(&self, did: Option<&Did>) -> StoreResult<Vec<Repo>>;
    /// One record with its body, checked against its CID.
    async fn record(&self, repo: RepoId, key: &RecordPath) -> StoreResult<Option<RecordRow>>;
    /// A page of records in tree order.
    async fn records(&self, query: RecordsQuery) -> StoreResult<Vec<RecordRow>>;
    /// The same in two buffers, for exports: no allocation for each row, and **bodies are not
    /// checked against their CIDs**, because an export checks every block that it writes.
    ///
    /// # Errors
    /// A body that cannot even be unpacked.
    async fn record_page(&self, query: RecordsQuery) -> StoreResult<RowPage> {
        let mut page = RowPage::default();
        for row in self.records(query).await? {
            if row.damaged {
                return Err(StoreError::Damaged(format!("the record {}", row.key)));
            }
            page.push_with([row.key.as_str(), ""], row.cid, |out| {
                Ok::<_, StoreError>(row.body.as_ref().map(|body| out.extend_from_slice(body)))
            })?;
        }
        Ok(page)
    }
    /// All versions of one record that are stored, oldest first; the `Option` is the rev at
    /// which it was superseded.
    async fn versions(&self, did: &Did, key: &RecordPath) -> StoreResult<Vec<(RecordRow, Option<Tid>)>>;
    /// Records by collection, in name order.
    async fn collections(&self, repo: RepoId) -> StoreResult<Vec<CollectionCount>>;
    /// Collections that the live repos of these accounts use or used, in name order: the index of lexicons, kept by
    /// the units that change records. Accounts that are unknown or being purged count for nothing.
    async fn lexicons(&self, accounts: &[Did]) -> StoreResult<Vec<LexiconRow>>;
    /// All buckets of a repo in order; `prefixes` is left empty unless it is asked for, because
    /// planning does not need it and it is 20 times as large as the rest.
    async fn buckets(&self, repo: RepoId, prefixes: bool) -> StoreResult<Vec<BucketRow>>;
    /// At most `limit` buckets with their prefixes, beginning with the one at `from`.
    async fn bucket_page(&self, repo: RepoId, from: &[u8], limit: usize) -> StoreResult<Vec<BucketRow>>;
    /// First keys of the buckets that may hold the block with this digest prefix (a node of the
    /// bucket, or a record in it), those that are dirty included.
    async fn bucket_candidates(&self, repo: RepoId, prefix: [u8; 4]) -> StoreResult<Vec<Vec<u8>>>;
    /// Heads of an account in rev order, beginning after `after`.
    async fn commits(&self, did: &Did, after: Option<Tid>, limit: usize) -> StoreResult<Vec<CommitRow>>;
    /// Heads of an account from the newest to the oldest, beginning before `before`.
    async fn history(&self, did: &Did, before: Option<Tid>, limit: usize) -> StoreResult<Vec<CommitRow>>;
    /// One blob.
    async fn blob(&self, did: &Did, cid: &Cid) -> StoreResult<Option<BlobRow>>;
    /// Blobs in CID order, beginning after `after`.
    async fn blobs(
        &self,
        did: &Did,
        filter: BlobFilter,
        after: Option<&Cid>,
        limit: usize,
    ) -> StoreResult<Vec<BlobRow>>;
    /// Records of the live repo that name a blob.
    async fn blob_referers(&self, did: &Did, cid: &Cid) -> StoreResult<Vec<RecordPath>>;
    /// Whether a record of the live repo names a blob.
    async fn blob_named(&self, did: &Did, cid: &Cid) -> StoreResult<bool> {
        Ok(!self.blob_referers(did, cid).await?.is_empty())
    }
    /// The mirrored PLC log of a DID in order; empty when there is none.
    async fn plc_log(&self, did: &Did) -> StoreResult<Vec<PlcRow>>;
    /// When the mirrored PLC log was last fetched.
    async fn plc_fetched_at(&self, did: &Did) -> StoreResult<Option<i64>>;
    /// The last DID document seen.
    async fn identity(&self, did: &Did) -> StoreResult<Option<IdentityRow>>;
    /// Evidence about an account, newest first.
    async fn evidence(&self, did: &Did, limit: usize) -> StoreResult<Vec<Evidence>>;
    /// Evidence of one kind about an account, newest first.
    async fn evidence_of(&self, did: &Did, kind: &str, limit: usize) -> StoreResult<Vec<Evidence>>;
    /// Findings about an account, by kind and subject.
    async fn findings(&self, did: &Did, limit: usize) -> StoreResult<Vec<Finding>>;
    /// Findings of all accounts by account, kind and subject, beginning after `after`.
    async fn all_findings(
        &self,
        after: Option<&crate::AfterFinding>,
        limit: usize,
    ) -> StoreResult<Vec<Finding>>;
    /// Alerts, newest first: those that last, or all that are not forgotten.
    async fn alerts(&self, open_only: bool, limit: usize) -> StoreResult<Vec<crate::AlertRow>>;
    /// Samples since a time (microseconds since 1970), oldest first: of an account, or of the node.
    async fn samples(&self, did: Option<&Did>, since: i64) -> StoreResult<Vec<crate::SampleRow>>;
    /// The oldest sample since a time of each account that has one.
    async fn first_samples(&self, since: i64) -> StoreResult<Vec<crate::SampleRow>>;
    /// One worker.
    async fn worker(&self, name: &str) -> StoreResult<Option<WorkerRow>>;
    /// All workers by name.
    async fn workers(&self) -> StoreResult<Vec<WorkerRow>>;
    /// One setting.
    async fn setting(&self, name: &str) -> StoreResult<Option<String>>;
    /// Purges, newest first.
    async fn purges(&self, limit: usize) -> StoreResult<Vec<PurgeRow>>;
    /// Sizes and state.
    async fn stats(&self) -> StoreResult<Stats>;

    /// After the last [`Unit::PurgeChunk`]: folds the log away, searches all files of the node
    /// for the stored bytes of the purged rows, and rewrites the database if any are left.
    async fn erase_traces(&self, did: &Did) -> StoreResult<TraceReport>;
    /// One hygiene pass: gives freed space back and rewrites the database, so that nothing
    /// deleted before is left in it. `now` is recorded (microseconds since 1970).
    async fn hygiene(&self, now: i64) -> StoreResult<()>;
    /// Reads every page of the database and checks its structure; the answer lists what is
    /// wrong, and is empty when all is well.
    async fn check_structure(&self) -> StoreResult<Vec<String>>;
    /// Finishes what is queued, folds the log away and lets go of the files.
    async fn close(&self) -> StoreResult<()>;
}
