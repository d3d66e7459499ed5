//! Proofs: the blocks that let a stranger check one key, or undo one commit.

use std::collections::HashSet;

use p2pds_ipld::Cid;

use super::build::{EMPTY_NODE, empty_root};
use super::encode::NodeWriter;
use super::opened::{Link, NodeId};
use super::source::{Nodes, TreeError};
use super::tree::{Bound, Step, Tree};

/// The nodes from the root to a key, or to the gap where it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The record at the key; `None` proves that there is none.
    pub value: Option<Cid>,
    /// The nodes, root first.
    pub nodes: Vec<(Cid, Vec<u8>)>,
}

impl Tree {
    /// Proof of what is at `key`. The tree must have been flushed.
    ///
    /// # Errors
    /// A node on the way cannot be read.
    pub fn proof(&mut self, src: &mut impl Nodes, key: &[u8]) -> Result<Proof, TreeError> {
        let value = self.get(src, key)?;
        let ids: Vec<NodeId> = self.path.iter().map(|(id, _)| *id).collect();
        Ok(Proof { value, nodes: self.blocks(ids) })
    }

    /// The covering proof of a commit that changed `keys`: from these nodes the changes can be undone and the
    /// previous root computed. For each key: the way to it, and when it is there the right edge of the subtree
    /// before it and the left edge of the one after it. Same set as the reference's. The tree must have been flushed.
    ///
    /// # Errors
    /// A node on the way cannot be read.
    pub fn covering_proof<'k>(
        &mut self,
        src: &mut impl Nodes,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> Result<Vec<(Cid, Vec<u8>)>, TreeError> {
        let mut seen: HashSet<NodeId> = HashSet::new();
        let mut order: Vec<NodeId> = Vec::with_capacity(16);
        for key in keys {
            let found = self.search(src, key)?;
            for (id, _) in &self.path {
                if seen.insert(*id) {
                    order.push(*id);
                }
            }
            let Some(step) = self.path.last().copied().filter(|_| found) else { continue };
            self.edges(src, step, key, |id| {
                if seen.insert(id) {
                    order.push(id);
                }
            })?;
        }
        if self.root == Link::None {
            return Ok(vec![(empty_root(), EMPTY_NODE.to_vec())]);
        }
        Ok(self.blocks(order))
    }

    /// Walks down both edges next to a found entry.
    fn edges(
        &mut self,
        src: &mut impl Nodes,
        (id, at): Step,
        key: &[u8],
        mut visit: impl FnMut(NodeId),
    ) -> Result<(), TreeError> {
        let mut step = (id, at);
        let mut lo = at.checked_sub(1).map_or(Bound::Open, |before| Bound::At(id, before));
        while let Some(child) = self.open_gap(src, step, lo, Bound::Key(key))? {
            visit(child);
            let len = self.node(child).entries.len();
            step = (child, len);
            if let Some(last) = len.checked_sub(1) {
                lo = Bound::At(child, last);
            }
        }
        let next = at.saturating_add(1);
        let mut step = (id, next);
        let mut hi = if next < self.node(id).entries.len() { Bound::At(id, next) } else { Bound::Open };
        while let Some(child) = self.open_gap(src, step, Bound::Key(key), hi)? {
            visit(child);
            step = (child, 0);
            if !self.node(child).entries.is_empty() {
                hi = Bound::At(child, 0);
            }
        }
        Ok(())
    }

    fn blocks(&self, ids: Vec<NodeId>) -> Vec<(Cid, Vec<u8>)> {
        let mut writer = NodeWriter::new();
        let block = |id: NodeId| {
            let bytes = self.encode(id, &mut writer).to_vec();
            let cid = self.node(id).cid.unwrap_or_else(|| Cid::of_cbor(&bytes));
            (cid, bytes)
        };
        if ids.is_empty() && self.root == Link::None {
            return vec![(empty_root(), EMPTY_NODE.to_vec())];
        }
        ids.into_iter().map(block).collect()
    }
}

/// Foreign blocks, each hashed when it is added; borrowed from a CAR in memory.
#[derive(Debug, Clone, Default)]
pub struct Blocks<'a> {
    /// The first eight bytes of the digest stand in front: nearly always they decide a comparison.
    list: Vec<(u64, Cid, &'a [u8])>,
    sorted: bool,
}

/// So few blocks are looked through rather than sorted.
const FEW: usize = 32;

fn front(cid: &Cid) -> u64 {
    cid.digest().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl<'a> Blocks<'a> {
    /// No blocks, with room for `count`.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self { list: Vec::with_capacity(count), sorted: false }
    }

    /// Adds a block if its bytes hash to the CID; says whether they do.
    #[inline]
    pub fn add(&mut self, cid: Cid, bytes: &'a [u8]) -> bool {
        let good = cid.matches(bytes);
        if good {
            self.sorted = false;
            self.list.push((front(&cid), cid, bytes));
        }
        good
    }

    /// The bytes of a block.
    pub fn find(&mut self, cid: &Cid) -> Option<&'a [u8]> {
        let key = front(cid);
        let mut from = 0;
        if self.list.len() > FEW {
            if !self.sorted {
                self.list.sort_unstable_by_key(|(front, ..)| *front);
                self.sorted = true;
            }
            from = self.list.partition_point(|(front, ..)| *front < key);
        }
        let rest = self.list.get(from..).unwrap_or_default();
        let mut near = rest.iter().take_while(|(front, ..)| !self.sorted || *front == key);
        near.find(|(front, known, _)| *front == key && known == cid).map(|(.., bytes)| *bytes)
    }

    /// Number of blocks, repeats included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// No blocks at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Nodes for Blocks<'_> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        self.find(cid)
    }
}

/// Checks a proof from a stranger: what is at `key` in the tree with this root, as the blocks show.
///
/// # Errors
/// A block is missing or not canonical.
pub fn check_proof(root: Cid, blocks: &mut impl Nodes, key: &[u8]) -> Result<Option<Cid>, TreeError> {
    Tree::open(root).get(blocks, key)
}
