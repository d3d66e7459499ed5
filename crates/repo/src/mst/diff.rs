//! What differs between two trees, reading only what differs.

use p2pds_ipld::Cid;

use super::build::empty_root;
use super::node::{Entries, NodeView};
use super::op::Op;
use super::source::{Nodes, TreeError};

/// The difference of two trees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Changes from the first tree to the second, in key order.
    pub ops: Vec<Op>,
    /// Nodes read from the first and the second tree.
    pub reads: (u64, u64),
    /// False when the walk stopped at the limit.
    pub complete: bool,
}

/// Compares two trees, skipping subtrees that are equal. Stops after `limit` changes.
///
/// Not checked: that the keys next to a skipped subtree lie outside of it. With a stranger's tree the changes are a claim
/// until they were applied to the first tree and gave the second root.
///
/// # Errors
/// A node cannot be read or is not canonical.
pub fn diff(
    old: Cid,
    old_nodes: &mut impl Nodes,
    new: Cid,
    new_nodes: &mut impl Nodes,
    limit: usize,
) -> Result<Diff, TreeError> {
    let (mut a, mut b) = (Side::new(old, old_nodes), Side::new(new, new_nodes));
    let mut ops = Vec::new();
    while ops.len() < limit {
        match (a.peek(), b.peek()) {
            (Next::End, Next::End) => {
                return Ok(Diff { ops, reads: (a.reads, b.reads), complete: true });
            }
            (Next::Subtree(x, _), Next::Subtree(y, _)) if x == y => {
                a.skip();
                b.skip();
            }
            // The higher one may hold the other.
            (Next::Subtree(_, x), Next::Subtree(_, y)) => {
                if x >= y {
                    a.enter()?;
                }
                if y >= x {
                    b.enter()?;
                }
            }
            (Next::Subtree(..), _) => a.enter()?,
            (_, Next::Subtree(..)) => b.enter()?,
            (Next::Record(old), Next::End) => ops.push(Op::delete(a.take()?, old)),
            (Next::End, Next::Record(new)) => ops.push(Op::create(b.take()?, new)),
            (Next::Record(old), Next::Record(new)) => match a.key().cmp(b.key()) {
                std::cmp::Ordering::Less => ops.push(Op::delete(a.take()?, old)),
                std::cmp::Ordering::Greater => ops.push(Op::create(b.take()?, new)),
                std::cmp::Ordering::Equal => {
                    a.take()?;
                    let key = b.take()?;
                    if old != new {
                        ops.push(Op::update(key, old, new));
                    }
                }
            },
        }
    }
    let complete = matches!((a.peek(), b.peek()), (Next::End, Next::End));
    Ok(Diff { ops, reads: (a.reads, b.reads), complete })
}

#[derive(Clone, Copy)]
enum Next {
    End,
    /// A subtree and its layer; the layer of a root is not known yet.
    Subtree(Cid, u8),
    Record(Cid),
}

/// An opened node and the place in it.
struct Frame {
    layer: u8,
    /// Entries of the node, as bytes.
    bytes: Vec<u8>,
    /// Where the next entry begins.
    at: usize,
    /// Subtree before the current entry.
    subtree: Option<Cid>,
    /// Current record and the subtree after it; its key is in `key`.
    record: Option<(Cid, Option<Cid>)>,
    key: Vec<u8>,
}

impl Frame {
    fn load(&mut self) {
        let mut entries = Entries::resume(self.bytes.get(self.at..).unwrap_or_default());
        self.record = entries.next().map(|entry| {
            self.key.truncate(entry.prefix);
            self.key.extend_from_slice(entry.suffix);
            (entry.value, entry.right)
        });
        self.at = self.bytes.len().saturating_sub(entries.rest().len());
    }
}

/// One of the two trees, walked in key order.
struct Side<'n, N> {
    nodes: &'n mut N,
    root: Option<Cid>,
    frames: Vec<Frame>,
    /// Key of the last record taken.
    last: Vec<u8>,
    reads: u64,
}

impl<'n, N: Nodes> Side<'n, N> {
    fn new(root: Cid, nodes: &'n mut N) -> Self {
        let root = (root != empty_root()).then_some(root);
        Self { nodes, root, frames: Vec::with_capacity(16), last: Vec::new(), reads: 0 }
    }

    fn peek(&mut self) -> Next {
        if let Some(root) = self.root {
            return Next::Subtree(root, u8::MAX);
        }
        while let Some(frame) = self.frames.last() {
            if let Some(cid) = frame.subtree {
                return Next::Subtree(cid, frame.layer.saturating_sub(1));
            }
            if let Some((cid, _)) = frame.record {
                return Next::Record(cid);
            }
            self.frames.pop();
        }
        Next::End
    }

    fn key(&self) -> &[u8] {
        self.frames.last().map(|frame| frame.key.as_slice()).unwrap_or_default()
    }

    /// Passes over the current subtree.
    fn skip(&mut self) {
        if self.root.take().is_none()
            && let Some(frame) = self.frames.last_mut()
        {
            frame.subtree = None;
        }
    }

    /// Opens the current subtree.
    fn enter(&mut self) -> Result<(), TreeError> {
        let Next::Subtree(cid, layer) = self.peek() else { return Ok(()) };
        let is_root = self.root.is_some();
        self.skip();
        let bytes = self.nodes.get(&cid).ok_or(TreeError::Missing(cid))?;
        self.reads = self.reads.saturating_add(1);
        let view = if is_root { NodeView::parse_root(bytes) } else { NodeView::parse_child(bytes, layer) };
        let view = view.map_err(|source| TreeError::Node { cid, source })?;
        let mut frame = Frame {
            layer: view.layer().unwrap_or(0),
            bytes: view.entries().rest().to_vec(),
            at: 0,
            subtree: view.left(),
            record: None,
            key: Vec::new(),
        };
        frame.load();
        if frame.record.is_some() && !self.last.is_empty() && frame.key <= self.last {
            return Err(TreeError::Range(cid));
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Passes over the current record and gives its key.
    fn take(&mut self) -> Result<&[u8], TreeError> {
        let Some(frame) = self.frames.last_mut() else { return Ok(&self.last) };
        let Some((value, right)) = frame.record.take() else { return Ok(&self.last) };
        if !self.last.is_empty() && frame.key <= self.last {
            return Err(TreeError::Range(value));
        }
        self.last.clone_from(&frame.key);
        frame.subtree = right;
        frame.load();
        Ok(&self.last)
    }
}
