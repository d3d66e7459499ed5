//! Trees over stored rows: the glue between the port and `p2pds-repo`.
//!
//! The store keeps records and bucket rows; every node is computed when it is asked for. A
//! [`Spine`] is the top of the tree (about 0.6 MB for 2 million records) and worth caching by
//! `(repo, rev)`; everything below it comes from the rows of one or two buckets.

mod ahead;
mod error;
mod export;
mod stage;
mod touched;

use std::future::Future;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{self, Bucket, Plan, Spine};
use p2pds_repo::mst::{Op, Proof};
use p2pds_syntax::RecordPath;

use ahead::Ahead;
pub use error::{ViewError, ViewResult};
pub use export::ExportStream;
pub use stage::{Staged, Stager};
pub use touched::{Touched, warm_up};

use crate::{
    BucketChange, BucketRow, Head, RecordRow, RecordsQuery, Repo, RepoId, RowPage, Store, Unit, commit_of,
};

impl From<BucketRow> for Bucket {
    fn from(row: BucketRow) -> Self {
        Self {
            lo: row.lo,
            lo_cid: row.lo_cid,
            n: row.n,
            layer_root: row.layer_root,
            dirty: row.dirty,
            prefixes: row.prefixes,
        }
    }
}

impl BucketRow {
    /// The row to store for a computed bucket that last changed at `rev`.
    #[must_use]
    pub fn new(bucket: Bucket, rev: p2pds_syntax::Tid) -> Self {
        Self {
            lo: bucket.lo,
            lo_cid: bucket.lo_cid,
            n: bucket.n,
            layer_root: bucket.layer_root,
            dirty: bucket.dirty,
            rev,
            prefixes: bucket.prefixes,
        }
    }
}

/// The stored form of a plan's changes, for [`Unit::ApplyCommit`].
#[must_use]
pub fn stored_changes(changes: Vec<bucket::BucketChange>, rev: p2pds_syntax::Tid) -> Vec<BucketChange> {
    changes
        .into_iter()
        .map(|change| match change {
            bucket::BucketChange::Put(bucket) => BucketChange::Put(BucketRow::new(bucket, rev)),
            bucket::BucketChange::Delete(lo) => BucketChange::Delete(lo),
        })
        .collect()
}

/// The head of a live repo, or why there is none.
fn head(repo: &Repo) -> ViewResult<&Head> {
    repo.head.as_ref().ok_or(ViewError::NotLive(repo.id))
}

/// Rows of one bucket, the one at `lo` included, as of the repo's rev.
async fn rows_between(
    store: &dyn Store,
    repo: &Repo,
    lo: &[u8],
    hi: Option<&[u8]>,
    bodies: bool,
) -> ViewResult<Vec<RecordRow>> {
    let mut rows: Vec<RecordRow> = Vec::new();
    loop {
        let mut query = RecordsQuery::all(repo.id);
        query.bodies = bodies;
        query.max_rows = 4_000;
        query.max_bytes = 8 << 20;
        query.at = repo.head.as_ref().map(|head| head.rev);
        query.until = hi.map(<[u8]>::to_vec);
        match rows.last() {
            Some(last) => {
                query.from = last.key.as_bytes().to_vec();
                query.inclusive = false;
            }
            None => query.from = lo.to_vec(),
        }
        let (page, most_rows, most_bytes) = {
            let (r, b) = (query.max_rows, query.max_bytes);
            (store.records(query).await?, r, b)
        };
        let bytes: usize = page.iter().map(|row| row.body.as_ref().map_or(0, Vec::len)).sum();
        let last = page.len() < most_rows && bytes < most_bytes;
        rows.extend(page);
        if last {
            return Ok(rows);
        }
    }
}

/// Rows of one bucket of a spine, in key order.
///
/// # Errors
/// What the store says.
pub async fn bucket_rows(
    store: &dyn Store,
    repo: &Repo,
    spine: &Spine,
    index: usize,
    bodies: bool,
) -> ViewResult<Vec<RecordRow>> {
    match spine.range(index) {
        Some((lo, hi)) => rows_between(store, repo, lo, hi, bodies).await,
        None => Ok(Vec::new()),
    }
}

/// Keys and CIDs of one bucket in one buffer, as of the repo's rev.
async fn keys_between(store: &dyn Store, repo: &Repo, lo: &[u8], hi: Option<&[u8]>) -> ViewResult<RowPage> {
    let mut query = RecordsQuery::all(repo.id).keys_only();
    // A bucket has 250 records, rarely 2,000, and all of them are needed.
    (query.max_rows, query.max_bytes) = (usize::MAX, usize::MAX);
    query.at = repo.head.as_ref().map(|head| head.rev);
    query.from = lo.to_vec();
    query.until = hi.map(<[u8]>::to_vec);
    Ok(store.record_page(query).await?)
}

/// The rows of a page as the engine takes them.
fn listed(page: &RowPage) -> Vec<(&[u8], Cid)> {
    (0..page.len()).filter_map(|at| page.get(at)).map(|(key, cid, _)| (key, cid)).collect()
}

/// Keys and CIDs of the buckets that `keys` touch, with the buckets' numbers.
async fn load_touched(
    store: &dyn Store,
    repo: &Repo,
    spine: &Spine,
    keys: &[&[u8]],
) -> ViewResult<Vec<(usize, RowPage)>> {
    let mut loaded = Vec::new();
    for index in spine.touched(keys.iter().copied()) {
        if let Some((lo, hi)) = spine.range(index) {
            loaded.push((index, keys_between(store, repo, lo, hi).await?));
        }
    }
    Ok(loaded)
}

/// Computes the dirty buckets of a live repo, checks that the tree has the signed root, and stores
/// them. Answers how many were dirty.
///
/// # Errors
/// [`ViewError::Drift`] when the stored records do not give the root that the head signed: damage,
/// or a commit that was applied wrongly. Nothing is stored then.
pub async fn refresh(store: &dyn Store, repo: &Repo) -> ViewResult<usize> {
    let mut rows = store.buckets(repo.id, false).await?;
    let mut changes = Vec::new();
    let his: Vec<Option<Vec<u8>>> =
        rows.iter().skip(1).map(|row| Some(row.lo.clone())).chain(std::iter::once(None)).collect();
    for (row, hi) in rows.iter_mut().zip(his) {
        if !row.dirty {
            continue;
        }
        let records = keys_between(store, repo, &row.lo, hi.as_deref()).await?;
        let bucket = bucket::rebuild(&row.lo, &listed(&records))?;
        let computed = BucketRow::new(bucket, row.rev);
        *row = BucketRow { prefixes: Vec::new(), ..computed.clone() };
        changes.push(BucketChange::Put(computed));
    }
    let count = changes.len();
    let spine = Spine::from_buckets(rows.into_iter().map(Bucket::from).collect())?;
    check_root(repo, &spine)?;
    let head = head(repo)?;
    if count > 0 {
        let unit = Unit::PutBuckets { did: repo.did.clone(), repo: repo.id, rev: head.rev, changes };
        store.apply(unit).await?;
    }
    Ok(count)
}

fn check_root(repo: &Repo, spine: &Spine) -> ViewResult<()> {
    let head = head(repo)?;
    if spine.root() != head.data {
        return Err(ViewError::Drift { did: repo.did.clone(), computed: spine.root(), signed: head.data });
    }
    Ok(())
}

/// The spine of a live repo, checked against the signed root. Dirty buckets are computed and
/// stored on the way. Costs 0.5 to 1.3 ms at 200,000 records with nothing cached, 5 to 12 ms at
/// 2 million.
///
/// # Errors
/// As [`refresh`]; a head that moved meanwhile is a conflict: read the repo again.
pub async fn load_spine(store: &dyn Store, repo: &Repo) -> ViewResult<Spine> {
    let rows = store.buckets(repo.id, false).await?;
    let rows = if rows.iter().any(|row| row.dirty) {
        refresh(store, repo).await?;
        store.buckets(repo.id, false).await?
    } else {
        rows
    };
    checked_spine(store, repo, rows).await
}

/// The spine of clean rows, checked against the signed root.
async fn checked_spine(store: &dyn Store, repo: &Repo, rows: Vec<BucketRow>) -> ViewResult<Spine> {
    let spine = Spine::from_buckets(rows.into_iter().map(Bucket::from).collect())?;
    match check_root(repo, &spine) {
        Ok(()) => Ok(spine),
        Err(drift) => {
            // Rows and head are two reads: a commit in between is no damage.
            let now = store.live_repo(&repo.did).await?;
            if now.as_ref().is_some_and(|now| now.id == repo.id && now.rev == repo.rev) {
                Err(drift)
            } else {
                Err(ViewError::Moved(repo.did.clone()))
            }
        }
    }
}

/// Plans a write: loads what the operations touch and computes root, bucket changes and proof.
/// The spine takes the plan in; drop it when the plan is not carried out.
///
/// # Errors
/// [`ViewError::Plan`] when an operation does not agree with the stored records.
pub async fn plan_write(store: &dyn Store, repo: &Repo, spine: &mut Spine, ops: &[Op]) -> ViewResult<Plan> {
    let keys: Vec<&[u8]> = ops.iter().map(|op| op.key.as_slice()).collect();
    let pages = load_touched(store, repo, spine, &keys).await?;
    let loaded: Vec<_> = pages.iter().map(|(index, page)| (*index, listed(page))).collect();
    Ok(bucket::plan(spine, &loaded, ops)?)
}

/// As [`load_spine`] and then [`plan_write`], in less time: the records are read while the spine is
/// computed. Also gives the spine, with the plan taken in.
///
/// # Errors
/// As those two.
pub async fn open_write(store: &dyn Store, repo: &Repo, ops: &[Op]) -> ViewResult<(Spine, Plan)> {
    let rows = store.buckets(repo.id, false).await?;
    let keys: Vec<&[u8]> = ops.iter().map(|op| op.key.as_slice()).collect();
    if rows.iter().any(|row| row.dirty) {
        let mut spine = load_spine(store, repo).await?;
        let plan = plan_write(store, repo, &mut spine, ops).await?;
        return Ok((spine, plan));
    }
    let los: Vec<Vec<u8>> = rows.iter().map(|row| row.lo.clone()).collect();
    let touched = bucket::touched(&los, keys.iter().copied());
    let mut reads: Vec<_> = touched
        .into_iter()
        .filter_map(|index| {
            let (lo, hi) = (los.get(index)?, los.get(index.saturating_add(1)));
            Some((index, Ahead::new(Box::pin(keys_between(store, repo, lo, hi.map(Vec::as_slice))))))
        })
        .collect();
    let mut spine = checked_spine(store, repo, rows).await?;
    let mut pages = Vec::with_capacity(reads.len());
    for (index, read) in reads.drain(..) {
        pages.push((index, read.await?));
    }
    let loaded: Vec<_> = pages.iter().map(|(index, page)| (*index, listed(page))).collect();
    let plan = bucket::plan(&mut spine, &loaded, ops)?;
    drop(loaded);
    Ok((spine, plan))
}

/// As [`plan_write`] without touching the spine: what a write would be.
///
/// # Errors
/// As [`plan_write`].
pub async fn preview_write(store: &dyn Store, repo: &Repo, spine: &Spine, ops: &[Op]) -> ViewResult<Plan> {
    let keys: Vec<&[u8]> = ops.iter().map(|op| op.key.as_slice()).collect();
    let pages = load_touched(store, repo, spine, &keys).await?;
    let loaded: Vec<_> = pages.iter().map(|(index, page)| (*index, listed(page))).collect();
    Ok(bucket::preview(spine, &loaded, ops)?)
}

/// Blocks that prove what stands at `key`, or that nothing does; root first.
///
/// # Errors
/// What the store says, or damage.
pub async fn proof(store: &dyn Store, repo: &Repo, spine: &Spine, key: &[u8]) -> ViewResult<Proof> {
    let pages = load_touched(store, repo, spine, &[key]).await?;
    let loaded: Vec<_> = pages.iter().map(|(index, page)| (*index, listed(page))).collect();
    Ok(bucket::proof(spine, &loaded, key)?)
}

/// The nodes of one bucket's run, computed from its records and checked against the spine.
///
/// # Errors
/// What the store says, or damage.
pub async fn run_nodes(
    store: &dyn Store,
    repo: &Repo,
    spine: &Spine,
    index: usize,
) -> ViewResult<bucket::RunNodes> {
    let (lo, hi) = spine.range(index).unwrap_or_default();
    let page = keys_between(store, repo, lo, hi).await?;
    Ok(bucket::RunNodes::load(spine, index, &listed(&page))?)
}

/// The block with this CID, if it belongs to the repo's current state: commit, node or record.
/// 0.2 ms at 200,000 records, 2 ms at 2 million; bound the number of lookups per request.
///
/// # Errors
/// What the store says, or damage.
pub async fn block(store: &dyn Store, repo: &Repo, spine: &Spine, cid: &Cid) -> ViewResult<Option<Vec<u8>>> {
    let head = head(repo)?;
    if head.commit == *cid {
        return Ok(Some(commit_of(&repo.did, head).encode()));
    }
    if let Some(node) = spine.node(cid) {
        return Ok(Some(node.to_vec()));
    }
    if *cid == p2pds_repo::mst::empty_root() && spine.root() == *cid {
        return Ok(Some(p2pds_repo::mst::EMPTY_NODE.to_vec()));
    }
    for lo in store.bucket_candidates(repo.id, cid.prefix4()).await? {
        let Some((lo, hi)) = spine.range(spine.bucket_of(&lo)) else { continue };
        let page = keys_between(store, repo, lo, hi).await?;
        let list = listed(&page);
        if let Some(key) =
            list.iter().find(|(_, c)| c == cid).and_then(|(key, _)| RecordPath::from_bytes(key).ok())
        {
            return Ok(store.record(repo.id, &key).await?.filter(|r| r.cid == *cid).and_then(|r| r.body));
        }
        if let Some((_, node)) = bucket::nodes_of(lo, &list)?.into_iter().find(|(c, _)| c == cid) {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// Repeats a unit until it says that nothing is left, a few at a time so that they share flushes.
async fn until_done(store: &dyn Store, unit: Unit) -> ViewResult<u64> {
    let (mut all, mut finished) = (0_u64, false);
    while !finished {
        let receipts: Vec<_> = (0..8).map(|_| store.submit(unit.clone())).collect();
        for receipt in receipts {
            match receipt.await? {
                crate::Applied::Chunk { rows, done } => {
                    all = all.saturating_add(rows);
                    finished |= done;
                }
                other => return Err(ViewError::Unexpected(format!("{other:?}"))),
            }
        }
    }
    Ok(all)
}

/// Drops a repo that is not live until nothing of it is left. Answers the rows.
///
/// # Errors
/// What the store says; call it again to go on.
pub async fn drop_repo(store: &dyn Store, did: &p2pds_syntax::Did, repo: RepoId) -> ViewResult<u64> {
    until_done(store, Unit::DropRepo { did: did.clone(), repo }).await
}

/// Deletes everything stored for an account and searches the node's files for what is left of
/// it. `basis` is recorded; the caller deletes the blob files before this.
///
/// # Errors
/// What the store says; call it again to go on.
pub async fn purge(
    store: &dyn Store,
    did: &p2pds_syntax::Did,
    basis: &str,
    at: i64,
) -> ViewResult<crate::TraceReport> {
    store.apply(Unit::PurgeBegin { did: did.clone(), basis: basis.to_owned(), at }).await?;
    until_done(store, Unit::PurgeChunk { did: did.clone() }).await?;
    let report = store.erase_traces(did).await?;
    store.apply(Unit::PurgeEnd { did: did.clone(), at, report: report.to_string() }).await?;
    Ok(report)
}

/// Waits for a future on a thread that may block. For adapters' tests, benches and the staging
/// thread; never on an async worker.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
