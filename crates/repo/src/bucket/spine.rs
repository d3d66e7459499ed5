//! The top of the tree, from the stored bucket rows.

use std::collections::HashMap;

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::{Bucket, BucketChange, SPINE_LAYER};
use crate::mst::{Edge, Root, empty_root, height};

/// Why stored rows do not make a spine. All of these mean that the store is damaged, but for `Dirty`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpineError {
    /// A row must be recomputed first.
    #[error("bucket {lo:?} is dirty; recompute it from its records before loading the spine")]
    Dirty {
        /// Its first key.
        lo: String,
    },
    /// No rows, rows out of order, or a row that cannot be.
    #[error("the bucket rows are damaged at {lo:?}: {what}; rebuild them from the records")]
    Damaged {
        /// First key of the row.
        lo: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl SpineError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            SpineError::Dirty { .. } => ErrorKind::Conflict,
            SpineError::Damaged { .. } => ErrorKind::Corrupt,
        }
    }
}

/// All buckets of a repository and the nodes above their runs.
///
/// Memory: about 200 B for each bucket, and the prefixes when they were loaded.
#[derive(Debug, Clone)]
pub struct Spine {
    pub(super) root: Cid,
    /// Nodes above the runs by CID, the empty ones that bridge layers included.
    pub(super) nodes: HashMap<Cid, Vec<u8>>,
    pub(super) buckets: Vec<Bucket>,
    /// The rows were loaded without prefixes.
    lean: bool,
}

impl Spine {
    /// The spine of an empty repository.
    #[must_use]
    pub fn empty() -> Self {
        Self { root: empty_root(), nodes: HashMap::new(), buckets: vec![Bucket::empty()], lean: false }
    }

    /// Computes the spine from all rows, in order of `lo`. `prefixes` may be left empty by a caller who does not
    /// look for CIDs.
    ///
    /// # Errors
    /// [`SpineError`] when a row is dirty or the rows do not fit together.
    pub fn from_buckets(buckets: Vec<Bucket>) -> Result<Self, SpineError> {
        let mut nodes: HashMap<Cid, Vec<u8>> = HashMap::with_capacity(buckets.len() / 2);
        let mut sink = |_, cid: &Cid, bytes: &[u8]| {
            nodes.insert(*cid, bytes.to_vec());
        };
        let mut edge = Edge::default();
        for (at, bucket) in buckets.iter().enumerate() {
            let damaged = |what| SpineError::Damaged { lo: lo_text(bucket), what };
            if bucket.dirty {
                return Err(SpineError::Dirty { lo: lo_text(bucket) });
            }
            match (at, bucket.lo.as_slice(), bucket.lo_cid) {
                (0, [], None) => {}
                (0, ..) => return Err(damaged("the first bucket must begin at the start of the repository")),
                (_, lo, Some(cid)) => {
                    let layer = height(lo);
                    if layer < SPINE_LAYER {
                        return Err(damaged("its first key is not a spine key"));
                    }
                    edge.push(lo, &cid, layer, &mut sink).map_err(|_| damaged("keys do not rise"))?;
                }
                (_, _, None) => return Err(damaged("the record at its first key is missing")),
            }
            if let Some(root) = bucket.layer_root {
                if root.0 >= SPINE_LAYER {
                    return Err(damaged("its run reaches into the spine"));
                }
                edge.hang(root);
            }
        }
        if buckets.is_empty() {
            return Err(SpineError::Damaged { lo: String::new(), what: "there are no rows" });
        }
        let root = edge.take(&mut sink).map_or_else(empty_root, |(_, root)| root);
        let lean = buckets.iter().any(|b| b.n > 0 && b.prefixes.is_empty());
        Ok(Self { root, nodes, buckets, lean })
    }

    /// Root of the whole tree.
    #[must_use]
    pub fn root(&self) -> Cid {
        self.root
    }

    /// All rows, in order.
    #[must_use]
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.buckets.iter().map(|bucket| u64::from(bucket.n)).sum()
    }

    /// Index of the bucket in whose range `key` lies.
    #[must_use]
    pub fn bucket_of(&self, key: &[u8]) -> usize {
        self.buckets.partition_point(|bucket| bucket.lo.as_slice() <= key).saturating_sub(1)
    }

    /// Indexes of the buckets whose records [`super::plan`] or a proof needs when these keys are concerned, rising.
    #[must_use]
    pub fn touched<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) -> Vec<usize> {
        super::touched(&self.buckets, keys)
    }

    /// Range of keys of a bucket: from its `lo` (included) to the next (excluded, `None` at the end).
    #[must_use]
    pub fn range(&self, index: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let lo = self.buckets.get(index)?.lo.as_slice();
        Some((lo, self.buckets.get(index.saturating_add(1)).map(|next| next.lo.as_slice())))
    }

    /// A node above the runs.
    #[must_use]
    pub fn node(&self, cid: &Cid) -> Option<&[u8]> {
        self.nodes.get(cid).map(Vec::as_slice)
    }

    /// CIDs of all nodes above the runs.
    pub fn nodes(&self) -> impl Iterator<Item = &Cid> {
        self.nodes.keys()
    }

    /// Indexes of the buckets that may hold a node or record with this CID. Look at [`Spine::node`] first.
    #[must_use]
    pub fn find(&self, cid: &Cid) -> Vec<usize> {
        self.buckets.iter().enumerate().filter(|(_, b)| b.may_hold(cid)).map(|(at, _)| at).collect()
    }

    /// Replaces rows as a plan says.
    pub(super) fn adopt(&mut self, changes: &[BucketChange]) {
        for change in changes {
            let lo = match change {
                BucketChange::Put(bucket) => &bucket.lo,
                BucketChange::Delete(lo) => lo,
            };
            let at = self.buckets.binary_search_by(|bucket| bucket.lo.as_slice().cmp(lo));
            match (change, at) {
                (BucketChange::Put(bucket), at) => {
                    let mut bucket = bucket.clone();
                    if self.lean {
                        bucket.prefixes = Vec::new();
                    }
                    match at {
                        Ok(at) => self.buckets.splice(at..=at, [bucket]).for_each(drop),
                        Err(at) => self.buckets.insert(at, bucket),
                    }
                }
                (BucketChange::Delete(_), Ok(at)) => {
                    self.buckets.remove(at);
                }
                (BucketChange::Delete(_), Err(_)) => {}
            }
        }
    }

    /// The run's root as the row has it.
    pub(super) fn run_root(&self, index: usize) -> Option<Root> {
        self.buckets.get(index).and_then(|bucket| bucket.layer_root)
    }
}

/// What begins at a first key: a bucket, or the key alone.
pub trait Lo {
    /// The first key.
    fn lo(&self) -> &[u8];
}

impl Lo for Bucket {
    fn lo(&self) -> &[u8] {
        &self.lo
    }
}

impl Lo for Vec<u8> {
    fn lo(&self) -> &[u8] {
        self
    }
}

/// As [`Spine::touched`], of the buckets' first keys alone.
#[must_use]
pub fn touched<'k>(buckets: &[impl Lo], keys: impl IntoIterator<Item = &'k [u8]>) -> Vec<usize> {
    let mut touched = Vec::new();
    for key in keys {
        let at = buckets.partition_point(|bucket| bucket.lo() <= key).saturating_sub(1);
        touched.push(at);
        // A spine key: both runs next to it join when it goes, and prove its neighbours.
        if buckets.get(at).is_some_and(|bucket| at > 0 && bucket.lo() == key) {
            touched.push(at.saturating_sub(1));
        }
    }
    touched.sort_unstable();
    touched.dedup();
    touched
}

pub(super) fn lo_text(bucket: &Bucket) -> String {
    String::from_utf8_lossy(&bucket.lo).into_owned()
}
