//! Where a tree gets its nodes, and what can go wrong with them.

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::fault::NodeError;

/// Where nodes come from.
///
/// The tree trusts that the bytes are those of the CID: a source of foreign blocks hashes them first. It checks
/// everything else that can be seen in a node and its parent.
pub trait Nodes {
    /// The bytes of a node, `None` when the source does not have it.
    fn get(&mut self, cid: &Cid) -> Option<&[u8]>;

    /// True when this engine computed the nodes itself: their keys are not hashed again to check their layer.
    fn trusted(&self) -> bool {
        false
    }
}

/// Nodes that this engine computed; see [`Nodes::trusted`].
#[derive(Debug)]
pub struct Own<'n, N>(pub &'n mut N);

impl<N: Nodes> Nodes for Own<'_, N> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        self.0.get(cid)
    }

    fn trusted(&self) -> bool {
        true
    }
}

impl<T: Nodes + ?Sized> Nodes for &mut T {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        (**self).get(cid)
    }

    fn trusted(&self) -> bool {
        (**self).trusted()
    }
}

impl<B: AsRef<[u8]>, S: std::hash::BuildHasher> Nodes for std::collections::HashMap<Cid, B, S> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        std::collections::HashMap::get(self, cid).map(AsRef::as_ref)
    }
}

/// A source without any node.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNodes;

impl Nodes for NoNodes {
    fn get(&mut self, _: &Cid) -> Option<&[u8]> {
        None
    }
}

/// Why an operation on a tree failed. The tree is unchanged then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A node that is needed was not there.
    #[error("tree node {0} is needed and missing")]
    Missing(Cid),
    /// A node is not canonical.
    #[error("tree node {cid}: {source}")]
    Node {
        /// Which node.
        cid: Cid,
        /// What is wrong with it.
        source: NodeError,
    },
    /// Keys of a node do not lie between the keys around the link to it.
    #[error("tree node {0} has keys outside of the range that its parent gives it")]
    Range(Cid),
    /// A key to insert is there already.
    #[error("a record at {key} exists already")]
    Exists {
        /// The key.
        key: String,
    },
    /// A key to update or delete is not there.
    #[error("there is no record at {key}")]
    Absent {
        /// The key.
        key: String,
    },
    /// A record to insert whose CID is not that of CBOR; nobody could read the tree any more.
    #[error("the record at {key} cannot be put into the tree: by its CID it is not CBOR")]
    BadRecord {
        /// The key.
        key: String,
    },
    /// The tree would become deeper than [`MAX_LAYER`](super::MAX_LAYER), or the key is longer than permitted.
    #[error("the key {key} cannot stand in a tree")]
    BadKey {
        /// The key.
        key: String,
    },
}

impl TreeError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            TreeError::Missing(_) => ErrorKind::Corrupt,
            TreeError::Exists { .. } => ErrorKind::Conflict,
            TreeError::Absent { .. } => ErrorKind::NotFound,
            TreeError::Node { .. }
            | TreeError::Range(_)
            | TreeError::BadRecord { .. }
            | TreeError::BadKey { .. } => ErrorKind::Invalid,
        }
    }
}
