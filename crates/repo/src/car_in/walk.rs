//! The walk over a tree of which one block after the other comes in.
//!
//! A stack of what is expected, next on top; a node that comes in is replaced by its left subtree, its records and
//! their right subtrees. Nothing recurses, and a node's bytes are let go at once: of its keys only the suffixes are
//! kept, and one whole key for each level.
//!
//! Why it ends: a child stands exactly one layer below its parent and nothing stands below layer 0, so there are
//! neither cycles nor chains; a node below the root is never without both keys and links, so every subtree has a key;
//! keys rise over the whole walk, so no subtree is walked twice.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "hot loop: depths and ranges were made by `enter` from a node of at most 2 MiB, and only shrink"
)]

use p2pds_ipld::{Cid, Codec};

use super::error::ReadError;
use crate::mst::{MAX_LAYER, NodeError, NodeView};

/// Where a block lies, as far as the reader knows.
pub(crate) type Place = u64;

/// Not looked for yet.
pub(crate) const UNKNOWN: Place = 0;
/// Looked for, and not in the file.
pub(crate) const ABSENT: Place = u64::MAX;

/// One block that the tree needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub cid: Cid,
    pub place: Place,
    pub what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// `layer`: `None` for the root. `depth`: levels above it. `suffixes`: length of the arena when it was found.
    Node { layer: Option<u8>, depth: u8, suffixes: u32 },
    /// A record, with its key as prefix of the level's key before it and a range of the arena.
    Record { depth: u8, prefix: u16, start: u32, len: u16 },
}

/// State of a walk.
#[derive(Debug)]
pub(crate) struct Walk {
    pending: Vec<Pending>,
    suffixes: Vec<u8>,
    /// The last key of each level.
    keys: Vec<Vec<u8>>,
    /// Level of the record before.
    last: Option<u8>,
    pub nodes: u64,
    pub records: u64,
}

impl Walk {
    pub fn new(data: Cid) -> Self {
        let what = What::Node { layer: None, depth: 0, suffixes: 0 };
        Self {
            pending: vec![Pending { cid: data, place: UNKNOWN, what }],
            suffixes: Vec::new(),
            keys: Vec::new(),
            last: None,
            nodes: 0,
            records: 0,
        }
    }

    /// What is needed next.
    #[inline]
    pub fn next(&self) -> Option<&Pending> {
        self.pending.last()
    }

    /// What is needed from now on, in order.
    pub fn ahead(&self) -> impl Iterator<Item = &Pending> {
        self.pending.iter().rev()
    }

    /// Takes the node that is next, and says how many links came with it.
    ///
    /// The caller has hashed the bytes, and seen that the next is a node.
    pub fn enter(&mut self, bytes: &[u8]) -> Result<usize, ReadError> {
        self.take(bytes, NodeView::parse_child)
    }

    /// The same with bytes that were built from keys in this program: their keys are not checked again.
    pub fn enter_built(&mut self, bytes: &[u8]) -> Result<usize, ReadError> {
        self.take(bytes, NodeView::parse_built)
    }

    #[inline]
    fn take<'b>(
        &mut self,
        bytes: &'b [u8],
        child: impl FnOnce(&'b [u8], u8) -> Result<NodeView<'b>, NodeError>,
    ) -> Result<usize, ReadError> {
        let Some(Pending { cid, what: What::Node { layer, depth, suffixes }, .. }) =
            self.pending.last().copied()
        else {
            return Ok(0);
        };
        if cid.codec() != Codec::DagCbor {
            return Err(ReadError::NodeCodec(cid));
        }
        let view = match layer {
            None => NodeView::parse_root(bytes),
            Some(layer) => child(bytes, layer),
        }
        .map_err(|fault| ReadError::Node { cid, fault })?;
        self.pending.pop();
        self.nodes += 1;
        // Suffixes of subtrees that are done lie above those of their parent.
        self.suffixes.truncate(suffixes as usize);
        let from = self.pending.len();
        let below = view.layer().and_then(|layer| layer.checked_sub(1));
        if let Some(left) = view.left() {
            self.pending.push(node(left, below, depth));
        }
        for entry in view.entries() {
            let start = self.suffixes.len() as u32;
            self.suffixes.extend_from_slice(entry.suffix);
            let (prefix, len) = (entry.prefix as u16, entry.suffix.len() as u16);
            let what = What::Record { depth, prefix, start, len };
            self.pending.push(Pending { cid: entry.value, place: UNKNOWN, what });
            if let Some(right) = entry.right {
                self.pending.push(node(right, below, depth));
            }
        }
        let end = self.suffixes.len() as u32;
        self.pending[from..].reverse();
        for pending in &mut self.pending[from..] {
            if let What::Node { suffixes, .. } = &mut pending.what {
                *suffixes = end;
            }
        }
        let depth = usize::from(depth);
        if self.keys.len() <= depth {
            self.keys.resize_with(depth + 1, Vec::new);
        }
        self.keys[depth].clear();
        Ok(self.pending.len() - from)
    }

    /// What the last node brought: its `links` newest ones.
    #[inline]
    pub fn fresh(&mut self, links: usize) -> impl Iterator<Item = &mut Pending> {
        self.pending.iter_mut().rev().take(links)
    }

    /// Passes the record that is next: its key and CID. The caller has seen that the next is a record.
    #[inline]
    pub fn record(&mut self) -> Result<(&[u8], Cid), ReadError> {
        let Some(Pending { cid, what: What::Record { depth, prefix, start, len }, .. }) = self.pending.pop()
        else {
            return Ok((&[], Cid::new(Codec::Raw, [0; 32])));
        };
        let suffix = &self.suffixes[start as usize..start as usize + usize::from(len)];
        let level = usize::from(depth);
        let key = &mut self.keys[level];
        key.truncate(usize::from(prefix));
        key.extend_from_slice(suffix);
        // Two keys of one level in a row are of one node, which has them in order: between two nodes of a level
        // there is a key of a level above. Any other pair is compared here.
        if let Some(last) = self.last
            && last != depth
            && self.keys[usize::from(last)] >= self.keys[level]
        {
            return Err(key_order(&self.keys[level], &self.keys[usize::from(last)]));
        }
        self.last = Some(depth);
        self.records += 1;
        Ok((&self.keys[level], cid))
    }
}

#[cold]
fn key_order(key: &[u8], before: &[u8]) -> ReadError {
    let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    ReadError::KeyOrder { key: text(key), before: text(before) }
}

/// A child of a node at `depth`; the node codec has made sure that there is a layer for it to stand on.
fn node(cid: Cid, layer: Option<u8>, depth: u8) -> Pending {
    let layer = Some(layer.unwrap_or(MAX_LAYER));
    Pending { cid, place: UNKNOWN, what: What::Node { layer, depth: depth.saturating_add(1), suffixes: 0 } }
}
