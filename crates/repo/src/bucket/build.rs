//! From records to buckets: all of a repository in one pass, or one bucket.

use p2pds_ipld::Cid;

use super::run::Hashed;
use super::{Bucket, SPINE_LAYER};
use crate::mst::{BuildError, Edge, Root, empty_root, height};

/// Builds all buckets of a repository from its strictly rising records, in one pass, and its root.
///
/// Buckets go to `sink` as they are finished, in order of `lo`. Memory: the right edge of the tree and the
/// 4-byte prefixes of one bucket.
#[derive(Debug)]
pub struct BucketBuilder<F> {
    sink: F,
    run: RunBuilder,
    lo: Vec<u8>,
    lo_cid: Option<Cid>,
    spine: Edge,
    built: Built,
}

/// What [`BucketBuilder::finish`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// Root of the tree over all records.
    pub root: Cid,
    /// Number of records.
    pub records: u64,
    /// Number of buckets given to the sink; at least 1.
    pub buckets: u64,
    /// Records in the largest bucket; see [`super::DENSE`].
    pub widest: u32,
}

impl<F: FnMut(Bucket)> BucketBuilder<F> {
    /// A builder that gives finished buckets to `sink`.
    pub fn new(sink: F) -> Self {
        Self {
            sink,
            run: RunBuilder::default(),
            lo: Vec::new(),
            lo_cid: None,
            spine: Edge::default(),
            built: Built { root: empty_root(), records: 0, buckets: 0, widest: 0 },
        }
    }

    /// Adds the next record.
    ///
    /// # Errors
    /// [`BuildError::OutOfOrder`] when `key` is not greater than the one before it.
    #[inline]
    pub fn push(&mut self, key: &[u8], cid: &Cid) -> Result<(), BuildError> {
        let layer = height(key);
        if key <= self.run.last.as_slice() && self.built.records > 0 {
            return Err(BuildError::out_of_order(key));
        }
        self.built.records = self.built.records.saturating_add(1);
        if layer < SPINE_LAYER {
            return self.run.push(key, cid, layer);
        }
        self.end_bucket();
        self.spine.push(key, cid, layer, &mut |_, _: &Cid, _: &[u8]| {})?;
        self.lo.extend_from_slice(key);
        self.lo_cid = Some(*cid);
        self.run.start_after(key);
        Ok(())
    }

    fn end_bucket(&mut self) {
        let run = self.run.take();
        if let Some(root) = run.layer_root {
            self.spine.hang(root);
        }
        let bucket = run.into_bucket(std::mem::take(&mut self.lo), self.lo_cid.take());
        self.built.widest = self.built.widest.max(bucket.n);
        self.built.buckets = self.built.buckets.saturating_add(1);
        (self.sink)(bucket);
    }

    /// Ends the repository.
    pub fn finish(mut self) -> Built {
        self.end_bucket();
        if let Some((_, root)) = self.spine.take(&mut |_, _: &Cid, _: &[u8]| {}) {
            self.built.root = root;
        }
        self.built
    }
}

/// What is derived from the records of one bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    layer_root: Option<Root>,
    /// Prefixes of the nodes, in any order.
    nodes: Vec<u32>,
    /// Prefixes of the records of the run, in key order.
    cids: Vec<u32>,
}

/// Four bytes of a CID as a number with the same order.
#[inline]
pub(super) fn prefix(cid: &Cid) -> u32 {
    u32::from_be_bytes(cid.prefix4())
}

impl Run {
    pub(super) fn into_bucket(mut self, lo: Vec<u8>, lo_cid: Option<Cid>) -> Bucket {
        self.cids.extend(lo_cid.as_ref().map(prefix));
        self.cids.sort_unstable();
        self.nodes.sort_unstable();
        let prefixes = self.nodes.iter().chain(&self.cids).flat_map(|p| p.to_be_bytes()).collect();
        Bucket {
            lo,
            lo_cid,
            n: u32::try_from(self.cids.len()).unwrap_or(u32::MAX),
            layer_root: self.layer_root,
            dirty: false,
            prefixes,
        }
    }
}

/// Collects one run; used again for the next.
#[derive(Debug, Default)]
pub(super) struct RunBuilder {
    edge: Edge,
    run: Run,
    last: Vec<u8>,
}

impl RunBuilder {
    #[inline]
    pub(super) fn push(&mut self, key: &[u8], cid: &Cid, layer: u8) -> Result<(), BuildError> {
        self.start_after(key);
        self.run.cids.push(prefix(cid));
        let nodes = &mut self.run.nodes;
        self.edge.push(key, cid, layer, &mut |_, cid: &Cid, _: &[u8]| nodes.push(prefix(cid)))
    }

    fn start_after(&mut self, key: &[u8]) {
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    pub(super) fn take(&mut self) -> Run {
        let nodes = &mut self.run.nodes;
        self.run.layer_root = self.edge.take(&mut |_, cid: &Cid, _: &[u8]| nodes.push(prefix(cid)));
        std::mem::take(&mut self.run)
    }
}

/// Computes the row of one bucket from its records: `lo` first (unless it is the first bucket), then the run.
///
/// # Errors
/// [`BuildError::OutOfOrder`] when the records do not rise or are not those of one bucket.
pub fn rebuild<K: AsRef<[u8]>>(lo: &[u8], records: &[(K, Cid)]) -> Result<Bucket, BuildError> {
    let (lo_cid, run) = split_lo(lo, records)?;
    let mut builder = RunBuilder::default();
    for (key, cid) in run {
        let layer = height(key.as_ref());
        if layer >= SPINE_LAYER {
            return Err(BuildError::out_of_order(key.as_ref()));
        }
        builder.push(key.as_ref(), cid, layer)?;
    }
    Ok(builder.take().into_bucket(lo.to_vec(), lo_cid))
}

/// Computes the nodes of a bucket's run from the bucket's records (`lo` first, unless it is the first bucket),
/// children before parents. The last one is the natural root.
///
/// # Errors
/// As [`rebuild`].
pub fn nodes_of<K: AsRef<[u8]>>(lo: &[u8], records: &[(K, Cid)]) -> Result<Vec<(Cid, Vec<u8>)>, BuildError> {
    let mut nodes = Vec::with_capacity(records.len() / 3);
    each_node(lo, records, |cid, bytes| nodes.push((*cid, bytes.to_vec())))?;
    Ok(nodes)
}

/// As [`nodes_of`], all in one piece of memory.
pub(crate) fn hashed_nodes<K: AsRef<[u8]>>(lo: &[u8], records: &[(K, Cid)]) -> Result<Hashed, BuildError> {
    let mut nodes = Hashed::for_records(records.len());
    each_node(lo, records, |cid, bytes| nodes.push(cid, bytes))?;
    Ok(nodes)
}

fn each_node<K: AsRef<[u8]>>(
    lo: &[u8],
    records: &[(K, Cid)],
    mut each: impl FnMut(&Cid, &[u8]),
) -> Result<(), BuildError> {
    let (_, run) = split_lo(lo, records)?;
    let mut edge = Edge::default();
    let mut sink = |_, cid: &Cid, bytes: &[u8]| each(cid, bytes);
    for (key, cid) in run {
        let layer = height(key.as_ref());
        if layer >= SPINE_LAYER {
            return Err(BuildError::out_of_order(key.as_ref()));
        }
        edge.push(key.as_ref(), cid, layer, &mut sink)?;
    }
    edge.take(&mut sink);
    Ok(())
}

/// The record at `lo`, and the run after it.
type Split<'r, K> = (Option<Cid>, &'r [(K, Cid)]);

fn split_lo<'r, K: AsRef<[u8]>>(lo: &[u8], records: &'r [(K, Cid)]) -> Result<Split<'r, K>, BuildError> {
    if lo.is_empty() {
        return Ok((None, records));
    }
    match records.split_first() {
        Some(((key, cid), run)) if key.as_ref() == lo => match run.first() {
            Some((next, _)) if next.as_ref() <= lo => Err(BuildError::out_of_order(next.as_ref())),
            _ => Ok((Some(*cid), run)),
        },
        _ => Err(BuildError::out_of_order(lo)),
    }
}
