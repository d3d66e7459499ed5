//! Sync 1.1 inversion: undo the operations of a commit on its own proof blocks and get the previous root.

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::op::{Change, Op};
use super::source::{Nodes, TreeError};
use super::tree::{Tree, text};

/// Why the operations of a commit could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvertError {
    /// The tree does not hold what an operation claims to have made.
    #[error("the operation on {key} does not agree with the commit's tree")]
    Mismatch {
        /// Key of the operation.
        key: String,
    },
    /// Two operations on one key.
    #[error("more than one operation on {key}")]
    Repeated {
        /// The key.
        key: String,
    },
    /// A block is missing or wrong.
    #[error("the commit's blocks do not prove its operations: {0}")]
    Tree(#[from] TreeError),
}

impl InvertError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Applies operations forward, checking what each says was there before.
///
/// # Errors
/// [`InvertError::Mismatch`] when the tree disagrees, or a node is missing. The tree may hold some of the
/// operations then and should be dropped.
pub fn apply<'o>(
    tree: &mut Tree,
    src: &mut impl Nodes,
    ops: impl IntoIterator<Item = &'o Op>,
) -> Result<(), InvertError> {
    for op in ops {
        change(tree, src, &op.key, op.change)?;
    }
    Ok(())
}

fn change(tree: &mut Tree, src: &mut impl Nodes, key: &[u8], change: Change) -> Result<(), InvertError> {
    let before = match change {
        Change::Create(new) => return tree.insert(src, key, new).map_err(|error| clash(error, key)),
        Change::Update { old, new } => tree.update(src, key, new).map(|was| was == old),
        Change::Delete(old) => tree.delete(src, key).map(|was| was == old),
    };
    match before {
        Ok(true) => Ok(()),
        Ok(false) => Err(InvertError::Mismatch { key: text(key) }),
        Err(error) => Err(clash(error, key)),
    }
}

fn clash(error: TreeError, key: &[u8]) -> InvertError {
    match error {
        TreeError::Exists { .. } | TreeError::Absent { .. } => InvertError::Mismatch { key: text(key) },
        other => InvertError::Tree(other),
    }
}

/// Refuses operations of which two are on one key.
pub(crate) fn once_each(mut keys: Vec<&[u8]>) -> Result<(), InvertError> {
    keys.sort_unstable();
    match keys.iter().zip(keys.iter().skip(1)).find(|(a, b)| a == b) {
        Some((key, _)) => Err(InvertError::Repeated { key: text(key) }),
        None => Ok(()),
    }
}

/// The root before a commit, computed from the root after it, its operations and its proof blocks.
///
/// Deletions are undone first: a record put back only cuts nodes that are there, and creates those that later
/// removals join.
///
/// # Errors
/// [`InvertError`] when an operation does not agree with the tree or a block is missing.
pub fn invert(root: Cid, blocks: &mut impl Nodes, ops: &[Op]) -> Result<Cid, InvertError> {
    once_each(ops.iter().map(|op| op.key.as_slice()).collect())?;
    let mut tree = Tree::open(root);
    let (deletions, others): (Vec<&Op>, Vec<&Op>) =
        ops.iter().partition(|op| matches!(op.change, Change::Delete(_)));
    for op in deletions.into_iter().chain(others) {
        let undo = match op.change {
            Change::Create(cid) => Change::Delete(cid),
            Change::Update { old, new } => Change::Update { old: new, new: old },
            Change::Delete(cid) => Change::Create(cid),
        };
        change(&mut tree, blocks, &op.key, undo)?;
    }
    Ok(tree.rehash())
}
