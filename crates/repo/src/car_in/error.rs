//! Why a repository was refused.

use std::io;

use p2pds_ipld::Cid;
use p2pds_ipld::car::CarError;
use p2pds_syntax::ErrorKind;

use crate::commit::CommitError;
use crate::mst::NodeError;

/// Why a CAR file is not one whole, proved repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file itself is broken.
    #[error(transparent)]
    Car(#[from] CarError),
    /// The source or the scratch space failed.
    #[error("reading the CAR file failed: {0}")]
    Io(#[from] io::Error),
    /// The header does not name exactly one root.
    #[error("the CAR file names {0} roots; a repository has one, its commit")]
    Roots(usize),
    /// The block of the root is not in the file.
    #[error("the commit {0} is not in the CAR file")]
    NoCommit(Cid),
    /// The block of the root is no commit.
    #[error("the root {cid} is not a commit: {fault}")]
    Commit {
        /// The root.
        cid: Cid,
        /// What is wrong with it.
        fault: CommitError,
    },
    /// The root's CID says that it is not CBOR.
    #[error("the root {0} is not a commit, which is CBOR; by its CID it is not")]
    CommitCodec(Cid),
    /// Bytes do not hash to the CID that stands before them.
    #[error("the block at byte {offset} does not hash to its CID {cid}; the file was damaged or forged")]
    Hash {
        /// The claimed CID.
        cid: Cid,
        /// Offset of the section.
        offset: u64,
    },
    /// A tree node is not in its one canonical form.
    #[error("the tree node {cid} is not valid: {fault}")]
    Node {
        /// Which node.
        cid: Cid,
        /// What is wrong with it.
        fault: NodeError,
    },
    /// A node's CID says that it is not CBOR.
    #[error("the tree links {0} as a node, which is not CBOR by its CID")]
    NodeCodec(Cid),
    /// Keys do not rise over the whole tree: a subtree hangs in the wrong place, or twice.
    #[error("the key {key:?} does not come after {before:?}: a part of the tree hangs in the wrong place")]
    KeyOrder {
        /// The key that comes too late.
        key: String,
        /// The one before it.
        before: String,
    },
    /// A node that the tree needs is not in the file, or not where the streamable order has it.
    #[error(
        "the tree node {0} is missing; the file is a part of a repository, or its blocks are in another order"
    )]
    MissingNode(Cid),
    /// The second block is not the root node: not streamable order.
    #[error(
        "the blocks are not in streamable order (byte {offset}); they have to be read from a file, not a stream"
    )]
    NotPreorder {
        /// Offset of the section that is in the wrong place.
        offset: u64,
    },
    /// A bound was passed.
    #[error("the CAR file was given up: {0}")]
    TooMuch(TooMuch),
    /// The sink asked for the end.
    #[error("stopped by the caller")]
    Stopped,
}

/// Which bound was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TooMuch {
    /// Blocks that nothing refers to, in a stream.
    #[error("{bytes} bytes belong to nothing in the repository")]
    Unreferenced {
        /// So many so far.
        bytes: u64,
    },
    /// More blocks than the index may hold.
    #[error("more than {limit} blocks")]
    Blocks {
        /// The limit.
        limit: u64,
    },
    /// CIDs made to collide in the index.
    #[error("its CIDs were made to slow the reader down")]
    Collisions,
}

impl ReadError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Car(error) => error.kind(),
            Self::Io(_) => ErrorKind::Unavailable,
            Self::Node { fault, .. } => fault.kind(),
            Self::TooMuch(_) => ErrorKind::Limited,
            Self::Stopped => ErrorKind::Conflict,
            _ => ErrorKind::Invalid,
        }
    }

    /// True when every hash fits and the tree reads as a tree, but it is not the one that its sorted records give:
    /// if the signature is valid, the repository is genuine and has to be kept verbatim.
    #[must_use]
    pub fn is_irreproducible(&self) -> bool {
        matches!(self, Self::Node { fault, .. } if fault.is_irreproducible())
    }

    /// True when another reader, one that may go back in the file, may well read it.
    #[must_use]
    pub fn is_order(&self) -> bool {
        matches!(
            self,
            Self::NotPreorder { .. }
                | Self::MissingNode(_)
                | Self::NoCommit(_)
                | Self::TooMuch(TooMuch::Unreferenced { .. })
        )
    }
}
