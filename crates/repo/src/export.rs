//! A whole repository as blocks in streamable order: commit, then each node, its left subtree, and for each
//! entry the record and the subtree after it.
//!
//! The spine is known, each bucket is computed as its records come by: memory is one bucket. The caller feeds
//! the records of every bucket in order and writes the blocks where it likes.

use std::collections::HashMap;

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use crate::bucket::{Spine, nodes_of};
use crate::mst::{BuildError, NodeError, NodeView, empty_root, EMPTY_NODE};

/// Why an export stopped. Nothing written so far can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Records of a bucket are not sorted or not of this bucket.
    #[error("records of bucket {lo:?}: {source}")]
    Records {
        /// First key of the bucket.
        lo: String,
        /// What is wrong.
        source: BuildError,
    },
    /// Records do not give the stored root.
    #[error("the records of bucket {lo:?} do not match its stored root; verify and rebuild this account")]
    Drift {
        /// First key of the bucket.
        lo: String,
    },
    /// A computed node could not be read again.
    #[error("a computed tree node is not canonical: {0}")]
    Node(#[from] NodeError),
    /// Buckets were fed out of order, too many or too few.
    #[error("buckets were not fed in order to the export")]
    Order,
}

impl ExportError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            ExportError::Records { .. } | ExportError::Drift { .. } => ErrorKind::Corrupt,
            ExportError::Node(_) | ExportError::Order => ErrorKind::Bug,
        }
    }
}

/// A record to export.
#[derive(Debug, Clone)]
pub struct ExportRecord<K, B> {
    /// Its key.
    pub key: K,
    /// Its CID.
    pub cid: Cid,
    /// Its bytes; `None` when they were never received, then the block is left out.
    pub body: Option<B>,
}

/// The machine; see the module text.
#[derive(Debug)]
pub struct Export<'s> {
    spine: &'s Spine,
    /// What is still to be written above the runs, last first.
    stack: Vec<Todo>,
    /// Next bucket.
    next: usize,
}

#[derive(Debug, Clone, Copy)]
enum Todo {
    /// A subtree that stands on this layer (unknown for the root).
    Subtree(Cid),
    /// The record at the first key of the next bucket.
    Lo,
}

impl<'s> Export<'s> {
    /// Begins with the commit block.
    pub fn begin(spine: &'s Spine, commit: (&Cid, &[u8]), sink: &mut impl FnMut(&Cid, &[u8])) -> Self {
        sink(commit.0, commit.1);
        let root = spine.root();
        let mut stack = Vec::new();
        if root == empty_root() {
            sink(&root, &EMPTY_NODE);
        } else {
            stack.push(Todo::Subtree(root));
        }
        Self { spine, stack, next: 0 }
    }

    /// Index of the bucket whose records come next; `None` when all were fed.
    #[must_use]
    pub fn wants(&self) -> Option<usize> {
        (self.next < self.spine.buckets().len()).then_some(self.next)
    }

    /// Takes the records of the next bucket (the one at `lo` first) and writes all blocks that come with them.
    ///
    /// # Errors
    /// [`ExportError`]: the records are not those that the spine was computed from.
    pub fn bucket<K: AsRef<[u8]>, B: AsRef<[u8]>>(
        &mut self,
        records: &[ExportRecord<K, B>],
        sink: &mut impl FnMut(&Cid, &[u8]),
    ) -> Result<(), ExportError> {
        let bucket = self.spine.buckets().get(self.next).ok_or(ExportError::Order)?;
        let lo = || String::from_utf8_lossy(&bucket.lo).into_owned();
        let list: Vec<(&[u8], Cid)> = records.iter().map(|r| (r.key.as_ref(), r.cid)).collect();
        let nodes = nodes_of(&bucket.lo, &list).map_err(|source| ExportError::Records { lo: lo(), source })?;
        let root = nodes.last().map(|(cid, _)| *cid);
        if root != bucket.layer_root.map(|(_, cid)| cid) {
            return Err(ExportError::Drift { lo: lo() });
        }
        let (first, run) = match (bucket.lo_cid, records.split_first()) {
            (None, _) => (None, records),
            (Some(cid), Some((first, run))) if first.cid == cid => (Some(first), run),
            _ => return Err(ExportError::Drift { lo: lo() }),
        };
        self.next = self.next.saturating_add(1);
        self.above(first, root, sink)?;
        let nodes: HashMap<Cid, Vec<u8>> = nodes.into_iter().collect();
        let mut records = run.iter();
        match root {
            Some(root) => write_run(root, &nodes, &mut records, sink),
            None => Ok(()),
        }
    }

    /// Writes what stands before the next run: the record at `lo` and the spine nodes above the run.
    fn above<K, B: AsRef<[u8]>>(
        &mut self,
        mut first: Option<&ExportRecord<K, B>>,
        run: Option<Cid>,
        sink: &mut impl FnMut(&Cid, &[u8]),
    ) -> Result<(), ExportError> {
        while let Some(todo) = self.stack.last().copied() {
            match todo {
                // The next bucket begins here: this one has no run.
                Todo::Lo if first.is_none() => return if run.is_none() { Ok(()) } else { Err(ExportError::Order) },
                Todo::Lo => {
                    if let Some((cid, body)) = first.take().and_then(|r| Some((r.cid, r.body.as_ref()?))) {
                        sink(&cid, body.as_ref());
                    }
                    self.stack.pop();
                }
                Todo::Subtree(cid) if Some(cid) == run => {
                    self.stack.pop();
                    return if first.is_none() { Ok(()) } else { Err(ExportError::Order) };
                }
                Todo::Subtree(cid) => {
                    let bytes = self.spine.node(&cid).ok_or(ExportError::Order)?;
                    sink(&cid, bytes);
                    self.stack.pop();
                    let view = NodeView::parse_any(bytes)?;
                    let from = self.stack.len();
                    self.stack.extend(view.left().map(Todo::Subtree));
                    for entry in view.entries() {
                        self.stack.push(Todo::Lo);
                        self.stack.extend(entry.right.map(Todo::Subtree));
                    }
                    if let Some(new) = self.stack.get_mut(from..) {
                        new.reverse();
                    }
                }
            }
        }
        if first.is_some() || run.is_some() { Err(ExportError::Order) } else { Ok(()) }
    }

    /// Ends the export.
    ///
    /// # Errors
    /// [`ExportError::Order`] when buckets are missing.
    pub fn finish(self) -> Result<(), ExportError> {
        if self.wants().is_none() && self.stack.is_empty() { Ok(()) } else { Err(ExportError::Order) }
    }
}

/// Writes a run in pre-order; recursion is as deep as the run has layers (at most four).
fn write_run<'r, K: 'r, B: AsRef<[u8]> + 'r>(
    root: Cid,
    nodes: &HashMap<Cid, Vec<u8>>,
    records: &mut impl Iterator<Item = &'r ExportRecord<K, B>>,
    sink: &mut impl FnMut(&Cid, &[u8]),
) -> Result<(), ExportError> {
    let bytes = nodes.get(&root).ok_or(ExportError::Order)?;
    sink(&root, bytes);
    let view = NodeView::parse_any(bytes)?;
    if let Some(left) = view.left() {
        write_run(left, nodes, records, sink)?;
    }
    for entry in view.entries() {
        let record = records.next().ok_or(ExportError::Order)?;
        if let Some(body) = &record.body {
            sink(&record.cid, body.as_ref());
        }
        if let Some(right) = entry.right {
            write_run(right, nodes, records, sink)?;
        }
    }
    Ok(())
}
