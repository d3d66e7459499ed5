//! What can be wrong with the bytes of a node.

use p2pds_syntax::ErrorKind;

use super::height::MAX_LAYER;
use super::node::{KEY_GROWTH, MAX_ENTRIES};

/// Why the bytes of a node were refused. `entry` counts from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Not the one canonical DRISL form of a node.
    #[error("tree node: expected {expected} at byte {offset}; this is not the canonical form of a node")]
    Form {
        /// What the grammar wants there.
        expected: &'static str,
        /// Byte offset in the node.
        offset: usize,
    },
    /// Bytes after the node.
    #[error("tree node: {count} bytes follow the node")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// More entries than [`MAX_ENTRIES`].
    #[error(
        "tree node: {count} entries, at most {MAX_ENTRIES} are read; keys were probably mined to do this"
    )]
    TooManyEntries {
        /// Announced number of entries.
        count: u64,
    },
    /// `p` is larger than the previous key, or not 0 in the first entry.
    #[error("tree node: entry {entry} shares more bytes with the previous key than that key has")]
    PrefixTooLong {
        /// Which entry.
        entry: usize,
    },
    /// `p` is smaller than it could be.
    #[error("tree node: entry {entry} is compressed less than it must be, so the tree cannot be reproduced")]
    PrefixNotMaximal {
        /// Which entry.
        entry: usize,
    },
    /// Keys do not rise strictly.
    #[error("tree node: the key of entry {entry} does not come after the one before it")]
    KeyOrder {
        /// Which entry.
        entry: usize,
    },
    /// Not `collection/rkey` in the permitted characters, or too long.
    #[error("tree node: the key of entry {entry} is not a valid record path")]
    KeyInvalid {
        /// Which entry.
        entry: usize,
    },
    /// Keys share so much that they would take far more room than the nodes that hold them; see
    /// [`KEY_GROWTH`].
    #[error(
        "tree node: with entry {entry} the keys would take more than {KEY_GROWTH} times the bytes of the nodes; they were probably chosen to do this"
    )]
    KeysTooLarge {
        /// Which entry.
        entry: usize,
    },
    /// The hash of a key puts it on another layer.
    #[error("tree node: entry {entry} belongs to layer {found} but stands on layer {expected}")]
    WrongLayer {
        /// Which entry.
        entry: usize,
        /// Layer of the node.
        expected: u8,
        /// Layer of the key.
        found: u8,
    },
    /// A link to a record that is not CIDv1, dag-cbor, SHA-256.
    #[error("tree node: entry {entry} links its record by an unusual CID, so the tree cannot be reproduced")]
    OddLeaf {
        /// Which entry.
        entry: usize,
    },
    /// A node on layer 0 links to a subtree.
    #[error("tree node: a node on layer 0 has a subtree below it")]
    BelowBottom,
    /// A node without entries and links that is not the root of an empty repository.
    #[error("tree node: an empty node below the root")]
    Empty,
    /// A root without entries above a subtree.
    #[error("tree node: the root has no entries; it should have been trimmed away")]
    Untrimmed,
    /// Deeper than [`MAX_LAYER`].
    #[error("tree node: layer {layer} is deeper than any honest tree ({MAX_LAYER})")]
    TooDeep {
        /// The layer found.
        layer: u8,
    },
}

impl NodeError {
    /// Kind of the error: always [`ErrorKind::Invalid`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    /// True when the node reads as a tree but not as the one that the sorted records give: the repository
    /// may be genuine, it just cannot be rebuilt from its records and must be kept verbatim.
    #[must_use]
    pub fn is_irreproducible(&self) -> bool {
        matches!(
            self,
            NodeError::PrefixNotMaximal { .. }
                | NodeError::OddLeaf { .. }
                | NodeError::WrongLayer { .. }
                | NodeError::Untrimmed
                | NodeError::Empty
        )
    }
}
