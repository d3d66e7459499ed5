//! Staging a whole repo from records in key order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Bucket, BucketBuilder, Built};
use p2pds_syntax::{Did, Tid};

use super::{ViewError, ViewResult, block_on};
use crate::{Applied, BucketRow, CHUNK_BYTES, CHUNK_ROWS, Kind, Receipt, RepoId, StagedRow, Store, Unit};

/// Units on their way to the disk at a time.
const IN_FLIGHT: usize = 8;
/// Records of one unit: fewer than may be, because what others write waits for the unit before it.
const ROWS: usize = CHUNK_ROWS / 2;

type Sink = Box<dyn FnMut(Bucket) + Send>;

/// Fills a staging repo while computing its buckets, in constant memory; blocks while the store is
/// behind, so it belongs on a thread that may block.
///
/// ```text
/// let mut stager = Stager::begin(store, did, rev)?;
/// for row in rows { stager.push(row)?; }
/// let staged = stager.finish()?;          // everything durable, root computed
/// assert_eq!(staged.root, signed.data);   // the caller's check, then Unit::Flip
/// ```
pub struct Stager {
    store: Arc<dyn Store>,
    did: Did,
    repo: RepoId,
    rev: Tid,
    rows: Vec<StagedRow>,
    bytes: usize,
    builder: BucketBuilder<Sink>,
    built: Receiver<Bucket>,
    /// Kept until the end, so that they lie side by side in the store: 1.4 kB for 250 records.
    buckets: Vec<BucketRow>,
    receipts: VecDeque<Receipt>,
}

/// A staged repo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staged {
    /// Where it is staged.
    pub repo: RepoId,
    /// Root of its tree.
    pub root: Cid,
    /// Records in it.
    pub records: u64,
}

impl Stager {
    /// Opens a staging repo for the head with this rev.
    ///
    /// # Errors
    /// What the store says.
    pub fn begin(store: Arc<dyn Store>, did: Did, rev: Tid) -> ViewResult<Self> {
        let unit = Unit::BeginStaging { did: did.clone(), kind: Kind::Mst, rev };
        let repo = match block_on(store.apply(unit))? {
            Applied::Staging(repo) => repo,
            other => return Err(ViewError::Unexpected(format!("{other:?}"))),
        };
        let (sender, built): (Sender<Bucket>, _) = channel();
        let sink: Sink = Box::new(move |bucket| {
            // The receiver lives as long as the builder.
            let _ = sender.send(bucket);
        });
        Ok(Self {
            store,
            did,
            repo,
            rev,
            rows: Vec::with_capacity(ROWS),
            bytes: 0,
            builder: BucketBuilder::new(sink),
            built,
            buckets: Vec::new(),
            receipts: VecDeque::new(),
        })
    }

    /// The staging repo, for dropping it when the caller gives up.
    #[must_use]
    pub fn repo(&self) -> RepoId {
        self.repo
    }

    /// Adds the next record.
    ///
    /// # Errors
    /// A key that does not ascend, or what the store says of earlier rows.
    pub fn push(&mut self, row: StagedRow) -> ViewResult<()> {
        self.builder.push(row.key.as_bytes(), &row.cid)?;
        let size = row.body.as_ref().map_or(0, Vec::len);
        if self.rows.len() >= ROWS || self.bytes.saturating_add(size) > CHUNK_BYTES {
            self.flush()?;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.rows.push(row);
        Ok(())
    }

    /// Hands the collected rows and the finished buckets over.
    fn flush(&mut self) -> ViewResult<()> {
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(ROWS));
        self.bytes = 0;
        if !rows.is_empty() {
            self.submit(Unit::StageRecords { did: self.did.clone(), repo: self.repo, rows })?;
        }
        self.buckets.extend(self.built.try_iter().map(|b| BucketRow::new(b, self.rev)));
        Ok(())
    }

    fn submit(&mut self, unit: Unit) -> ViewResult<()> {
        while self.receipts.len() >= IN_FLIGHT {
            self.wait_one()?;
        }
        self.receipts.push_back(self.store.submit(unit));
        Ok(())
    }

    fn wait_one(&mut self) -> ViewResult<()> {
        if let Some(receipt) = self.receipts.pop_front() {
            block_on(receipt)?;
        }
        Ok(())
    }

    /// Waits until everything is durable and gives the root.
    ///
    /// # Errors
    /// What the store says.
    pub fn finish(mut self) -> ViewResult<Staged> {
        self.flush()?;
        let (sender, _): (Sender<Bucket>, _) = channel();
        let empty: Sink = Box::new(move |bucket| {
            let _ = sender.send(bucket);
        });
        let builder = std::mem::replace(&mut self.builder, BucketBuilder::new(empty));
        let Built { root, records, .. } = builder.finish();
        let rev = self.rev;
        self.buckets.extend(self.built.try_iter().map(|b| BucketRow::new(b, rev)));
        let mut buckets = std::mem::take(&mut self.buckets).into_iter();
        loop {
            let rows: Vec<_> = buckets.by_ref().take(CHUNK_ROWS).collect();
            if rows.is_empty() {
                break;
            }
            self.submit(Unit::StageBuckets { did: self.did.clone(), repo: self.repo, rows })?;
        }
        while !self.receipts.is_empty() {
            self.wait_one()?;
        }
        Ok(Staged { repo: self.repo, root, records })
    }
}
