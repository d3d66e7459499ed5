//! *Owns*: the decision who may read stored bytes, and the reading itself: records, blocks, whole repos, blobs.
//! *Speaks*: (viewer, account, path or CID) in; bytes or a named [`Refusal`] out.
//! *Knows nothing about*: HTTP, sockets, how data got here.
//! *Start reading at*: [`Reading`]; the rules are in `gate.rs`, whole repos in `repo.rs`.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod blob;
mod blocklist;
mod car;
mod gate;
mod history;
mod hosted;
mod index;
mod intent;
mod lexicon;
mod list;
mod plc;
mod refusal;
mod repo;
mod runs;
mod spines;
mod tree;
mod view;
mod walk;

use std::sync::Arc;

use p2pds_blobs::{BlobReader, Blobs};
use p2pds_store::{BlobRow, Head, RecordRow, RecordsQuery, Repo, Store};
use p2pds_syntax::{Did, RecordPath};

pub use blob::BlobStream;
pub use blocklist::BlockedCid;
pub use car::Car;
pub use gate::{Viewer, may_read};
pub use history::Past;
pub use index::Indexed;
pub use intent::Intent;
pub use lexicon::{LexiconStats, Lexicons};
pub use list::{BlobPage, Description, Order, RecordPage};
pub use plc::PlcLog;
pub use refusal::Refusal;
pub use repo::LeftOut;
pub use view::{Proved, View};

/// The only door to stored bytes. Cheap to clone.
#[derive(Clone)]
pub struct Reading {
    store: Arc<dyn Store>,
    blobs: Blobs,
    shared: Arc<Shared>,
}

/// What all clones of one door know.
#[derive(Default)]
struct Shared {
    spines: spines::Spines,
    runs: runs::Runs,
    hashed: blob::Hashed,
    index: index::Index,
    index_wanted: tokio::sync::Notify,
    declared: intent::Declared,
    blocked: tokio::sync::RwLock<Option<blocklist::BlockList>>,
}

/// A page of records, and where the next one begins.
#[derive(Debug, Clone)]
pub struct Page {
    /// The head that the page belongs to.
    pub head: Head,
    /// Records in tree order.
    pub records: Vec<RecordRow>,
    /// The last key, when there may be more after it.
    pub next: Option<RecordPath>,
}

/// A blob that is here.
#[derive(Debug)]
pub struct Blob {
    /// What the record says of it.
    pub row: BlobRow,
    /// Its bytes.
    pub bytes: BlobReader,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("blobs", &self.blobs.root()).finish_non_exhaustive()
    }
}

impl Reading {
    /// A door to this store and these blobs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, blobs: Blobs) -> Self {
        Self { store, blobs, shared: Arc::default() }
    }

    /// The live repo of an account, if this viewer may read it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn repo(&self, viewer: Viewer, did: &Did) -> Result<(Repo, Head), Refusal> {
        self.account(viewer, did).await?;
        let repo = self.store.live_repo(did).await?.ok_or_else(|| Refusal::Nothing(did.clone()))?;
        let head = repo.head.clone().ok_or_else(|| Refusal::Nothing(did.clone()))?;
        Ok((repo, head))
    }

    /// One record with its CID. A record whose bytes the source had lost has no body.
    ///
    /// # Errors
    /// [`Refusal`]; damaged bytes are never given out.
    pub async fn record(&self, viewer: Viewer, did: &Did, path: &RecordPath) -> Result<RecordRow, Refusal> {
        let (repo, _) = self.repo(viewer, did).await?;
        let row = self.store.record(repo.id, path).await?;
        let row = row.ok_or_else(|| Refusal::NoRecord { did: did.clone(), path: path.clone() })?;
        if row.damaged {
            return Err(Refusal::Damaged { did: did.clone(), what: format!("record {path}") });
        }
        Ok(row)
    }

    /// A page of records in tree order after a key: at most `limit` rows and a megabyte of bodies. Damaged rows have
    /// no body and say so.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn records(
        &self,
        viewer: Viewer,
        did: &Did,
        after: Option<&RecordPath>,
        limit: usize,
    ) -> Result<Page, Refusal> {
        let (repo, head) = self.repo(viewer, did).await?;
        let limit = limit.clamp(1, 1_000);
        let mut query = RecordsQuery { max_rows: limit, ..RecordsQuery::all(repo.id) };
        if let Some(after) = after {
            query = query.after(after);
        }
        let mut records = self.store.records(query).await?;
        for row in records.iter_mut().filter(|row| row.damaged) {
            row.body = None;
        }
        // The page may have ended for its bytes: only an empty one is the end for sure.
        let next = records.last().map(|row| row.key.clone());
        Ok(Page { head, records, next })
    }
}
