//! The nodes of a loaded bucket's run, and which of its subtrees a write leaves alone.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use p2pds_ipld::Cid;

use super::build::prefix;
use super::plan::PlanError;
use super::spine::lo_text;
use super::{Bucket, SPINE_LAYER};
use crate::mst::{BuildError, Edge, Op, Root, height};

/// A record with the layer of its key.
pub(super) type Record<'r> = (&'r [u8], Cid, u8);

/// The same with a key of its own.
pub(super) type Shared = (Arc<[u8]>, Cid, u8);

/// Nodes that were hashed here, so their digests are as good as a hash of them.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    at: HashMap<Cid, Range<usize>, ByDigest>,
    bytes: Vec<u8>,
}

/// Hashes a CID by its digest, which is a hash already.
pub(super) type ByDigest = BuildHasherDefault<Digest>;

impl Hashed {
    /// Room for the nodes of so many records.
    pub(super) fn for_records(records: usize) -> Self {
        let mut nodes = Self::default();
        nodes.at.reserve(records / 2);
        nodes.bytes.reserve(records.saturating_mul(120));
        nodes
    }

    pub(crate) fn get(&self, cid: &Cid) -> Option<&[u8]> {
        self.at.get(cid).and_then(|range| self.bytes.get(range.clone()))
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.capacity().saturating_add(self.at.capacity().saturating_mul(72))
    }

    /// All nodes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Cid, &[u8])> {
        self.at.iter().filter_map(|(cid, range)| Some((cid, self.bytes.get(range.clone())?)))
    }

    pub(super) fn push(&mut self, cid: &Cid, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.at.insert(*cid, start..self.bytes.len());
    }
}

/// Takes the first eight bytes of a digest for its hash.
#[derive(Debug, Default)]
pub(super) struct Digest(u64);

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk::<8>().map_or(0, |front| u64::from_le_bytes(*front));
    }
}

/// One node of a run as the root of a subtree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subtree {
    pub(super) root: Root,
    /// Its records, as positions in the bucket.
    start: usize,
    end: usize,
    /// Position of the first node below it; nodes come children first, so all from there to it.
    first: usize,
}

/// A bucket's records and the nodes of its run.
#[derive(Debug)]
pub(super) struct Run<'r> {
    pub(super) records: Vec<Record<'r>>,
    pub(super) subtrees: Vec<Subtree>,
    /// The same records with keys that can be shared, when they are kept from an earlier plan.
    pub(super) shared: Option<&'r [Shared]>,
}

/// A stretch of a run after a write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'p, 'r> {
    /// One record.
    Record(Record<'r>),
    /// A subtree that is as it was: of this run, the one with this number.
    Subtree(&'p Run<'r>, usize),
}

/// What a run turned out to be: its root and the record at `lo`.
type Shape = (Option<Root>, Option<Cid>);

impl<'r> Run<'r> {
    /// Computes the nodes of a bucket from its records (the one at `lo` first).
    pub(super) fn load<K: AsRef<[u8]>>(
        bucket: &Bucket,
        records: &'r [(K, Cid)],
        nodes: &mut Hashed,
    ) -> Result<(Self, Shape), PlanError> {
        let mut run = Self {
            records: Vec::with_capacity(records.len()),
            subtrees: Vec::with_capacity(records.len() / 2),
            shared: None,
        };
        nodes.at.reserve(records.len() / 2);
        nodes.bytes.reserve(records.len().saturating_mul(120));
        let mut edge = Edge::default();
        // Where the open node of each layer begins: its first record and its first node.
        let mut open = [(0, 0); SPINE_LAYER as usize];
        let mut lo_cid = None;
        for (at, (key, cid)) in records.iter().enumerate() {
            let key = key.as_ref();
            let next = at.saturating_add(1);
            if key == bucket.lo.as_slice() {
                lo_cid = Some(*cid);
                run.records.push((key, *cid, height(key)));
                open = [(next, 0); SPINE_LAYER as usize];
                continue;
            }
            let fail = |source| PlanError::Records { lo: lo_text(bucket), source };
            let layer = height(key);
            if layer >= SPINE_LAYER || key < bucket.lo.as_slice() {
                return Err(fail(BuildError::out_of_order(key)));
            }
            edge.push(key, cid, layer, &mut sink(&mut run.subtrees, nodes, &open, at)).map_err(fail)?;
            run.records.push((key, *cid, layer));
            let begin = (next, run.subtrees.len());
            open.iter_mut().take(usize::from(layer)).for_each(|open| *open = begin);
        }
        let end = run.records.len();
        let root = edge.take(&mut sink(&mut run.subtrees, nodes, &open, end));
        Ok((run, (root, lo_cid)))
    }

    /// The bucket's records after `ops` (those of its range), with what they leave alone in whole subtrees.
    /// `joins`: the record after the last one goes, so that the run goes on in the next bucket.
    pub(super) fn after<'p>(
        &'p self,
        ops: impl Iterator<Item = (&'r [u8], &'r Op)> + Clone,
        joins: bool,
        mut each: impl FnMut(Piece<'p, 'r>),
    ) {
        let mut gaps: Vec<usize> =
            ops.clone().map(|(key, _)| self.records.partition_point(|record| record.0 < key)).collect();
        gaps.extend(joins.then_some(self.records.len()));
        let kept = self.kept(&gaps);
        let (mut ops, mut kept) = (ops.peekable(), kept.into_iter().rev().peekable());
        let mut at = 0;
        while let Some(record) = self.records.get(at) {
            if let Some(piece) = kept.next_if(|kept| self.subtrees.get(*kept).is_some_and(|s| s.start == at))
                && let Some(subtree) = self.subtrees.get(piece)
            {
                each(Piece::Subtree(self, piece));
                at = subtree.end;
                continue;
            }
            while let Some((key, op)) = ops.next_if(|(key, _)| *key < record.0) {
                insert(key, op, &mut each);
            }
            match ops.next_if(|(key, _)| *key == record.0) {
                Some((key, op)) => {
                    op.new().into_iter().for_each(|new| each(Piece::Record((key, new, record.2))))
                }
                None => each(Piece::Record(*record)),
            }
            at = at.saturating_add(1);
        }
        ops.for_each(|(key, op)| insert(key, op, &mut each));
    }

    /// The largest subtrees that no gap touches, last first. A gap is a position in the records at (or
    /// before) which something changes: what stands beside it may become part of another node.
    fn kept(&self, gaps: &[usize]) -> Vec<usize> {
        let mut kept = Vec::new();
        let mut left = self.subtrees.get(..).unwrap_or_default();
        while let Some((last, rest)) = left.split_last() {
            left = rest;
            let from = gaps.partition_point(|gap| gap.saturating_add(1) < last.start);
            if last.start < last.end && gaps.get(from).is_none_or(|gap| *gap > last.end) {
                kept.push(rest.len());
                left = rest.get(..last.first).unwrap_or_default();
            }
        }
        kept
    }
}

/// A run that is put together after a write: loose records are hashed into nodes, subtrees that were left alone are
/// taken as they are.
#[derive(Debug, Default)]
pub(super) struct Growing<'r> {
    edge: Edge,
    records: Vec<Record<'r>>,
    subtrees: Vec<Subtree>,
    /// Where the open node of each layer begins: its first record and its first node.
    open: [(usize, usize); SPINE_LAYER as usize],
}

impl<'r> Growing<'r> {
    /// The run behind a spine key, which stands before it.
    pub(super) fn behind(lo: Record<'r>) -> Self {
        Self { records: vec![lo], open: [(1, 0); SPINE_LAYER as usize], ..Self::default() }
    }

    pub(super) fn push(&mut self, record: Record<'r>) -> Result<(), BuildError> {
        let (key, cid, layer) = record;
        let end = self.records.len();
        let mut note = keep(&mut self.subtrees, &self.open, end);
        let pushed = self.edge.push(key, &cid, layer, &mut |layer, cid: &Cid, _: &[u8]| note(layer, cid));
        drop(note);
        pushed?;
        self.records.push(record);
        let begin = (self.records.len(), self.subtrees.len());
        self.open.iter_mut().take(usize::from(layer)).for_each(|open| *open = begin);
        Ok(())
    }

    /// Takes over a subtree of another run.
    pub(super) fn hang(&mut self, run: &Run<'r>, at: usize) {
        let Some(subtree) = run.subtrees.get(at) else { return };
        let (record, node) = (self.records.len(), self.subtrees.len());
        self.records.extend_from_slice(run.records.get(subtree.start..subtree.end).unwrap_or_default());
        let below = run.subtrees.get(subtree.first..=at).unwrap_or_default();
        self.subtrees.extend(below.iter().map(|below| Subtree {
            root: below.root,
            start: below.start.saturating_sub(subtree.start).saturating_add(record),
            end: below.end.saturating_sub(subtree.start).saturating_add(record),
            first: below.first.saturating_sub(subtree.first).saturating_add(node),
        }));
        self.edge.hang(subtree.root);
    }

    /// The run, and its natural root.
    pub(super) fn finish(mut self) -> (Run<'r>, Option<Root>) {
        let end = self.records.len();
        let mut note = keep(&mut self.subtrees, &self.open, end);
        let root = self.edge.take(&mut |layer, cid: &Cid, _: &[u8]| note(layer, cid));
        drop(note);
        (Run { records: self.records, subtrees: self.subtrees, shared: None }, root)
    }
}

impl Run<'_> {
    /// The row of the bucket that this run is in; the record at `lo` is the first.
    pub(super) fn bucket(&self, lo: &[u8], lo_cid: Option<Cid>, layer_root: Option<Root>) -> Bucket {
        let mut nodes: Vec<u32> = self.subtrees.iter().map(|node| prefix(&node.root.1)).collect();
        let mut cids: Vec<u32> = self.records.iter().map(|record| prefix(&record.1)).collect();
        nodes.sort_unstable();
        cids.sort_unstable();
        let mut prefixes = Vec::with_capacity(nodes.len().saturating_add(cids.len()).saturating_mul(4));
        nodes.iter().chain(&cids).for_each(|prefix| prefixes.extend_from_slice(&prefix.to_be_bytes()));
        let n = u32::try_from(cids.len()).unwrap_or(u32::MAX);
        Bucket { lo: lo.to_vec(), lo_cid, n, layer_root, dirty: false, prefixes }
    }
}

fn insert<'p, 'r: 'p>(key: &'r [u8], op: &'r Op, each: &mut impl FnMut(Piece<'p, 'r>)) {
    if let Some(new) = op.new() {
        each(Piece::Record((key, new, height(key))));
    }
}

/// Keeps finished nodes that end before record `end`.
fn sink<'s>(
    subtrees: &'s mut Vec<Subtree>,
    nodes: &'s mut Hashed,
    open: &'s [(usize, usize)],
    end: usize,
) -> impl FnMut(u8, &Cid, &[u8]) + 's {
    let mut keep = keep(subtrees, open, end);
    move |layer, cid, bytes| {
        nodes.push(cid, bytes);
        keep(layer, cid);
    }
}

/// Notes finished nodes that end before record `end`.
fn keep<'s>(
    subtrees: &'s mut Vec<Subtree>,
    open: &'s [(usize, usize)],
    end: usize,
) -> impl FnMut(u8, &Cid) + 's {
    move |layer, cid| {
        let (start, first) = open.get(usize::from(layer)).copied().unwrap_or_default();
        subtrees.push(Subtree { root: (layer, *cid), start, end, first });
    }
}

/// Runs by index of their bucket.
pub(super) type Runs<'s> = BTreeMap<usize, Run<'s>>;
