//! The Merkle Search Tree.
//!
//! A repository maps keys (`collection/rkey`) to the CIDs of records. The tree over them is a pure
//! function of the sorted list of `(key, cid)`:
//!
//! - each key has a **layer**, taken from its hash ([`height()`]); one in four keys of a layer stands on the next;
//! - a **node** holds neighbouring keys of one layer, with a link to the subtree of all lower keys in each
//!   gap (the first gap's link is `l`, the one after an entry is its `t`);
//! - children stand exactly one layer below; where a gap has keys only further down, **empty intermediate
//!   nodes** (no entries, only `l`) bridge the layers; they are kept;
//! - the root stands on the highest layer that has a key: empty nodes above it are **trimmed**. The empty
//!   repository is one node without entries.
//!
//! Two honest implementations therefore agree on every byte, and a root CID names the whole content.
//!
//! | file | what it does |
//! |---|---|
//! | `height.rs` | layer of a key |
//! | `node.rs`, `fault.rs` | strict, zero-copy reading of one node, and what can be wrong with it |
//! | `encode.rs` | the canonical bytes of one node |
//! | `build.rs` | the whole tree from sorted input, in one pass |
//! | `source.rs` | where a tree gets its nodes |
//! | `tree.rs`, `opened.rs` | partial tree: reading, updating, one hash pass for all changes |
//! | `insert.rs`, `remove.rs` | the two changes that move nodes |
//! | `proof.rs` | proofs of presence and absence, covering proof of a commit |
//! | `invert.rs` | undoing a commit on its proof (Sync 1.1) |
//! | `diff.rs` | difference of two trees |

mod build;
mod diff;
mod encode;
mod fault;
mod height;
mod insert;
mod invert;
mod node;
mod op;
mod opened;
mod proof;
mod remove;
mod source;
mod tree;

pub(crate) use build::Edge;
pub use build::{BuildError, Builder, EMPTY_NODE, Root, empty_root, root_of};
pub use diff::{Diff, diff};
pub use encode::NodeWriter;
pub use fault::NodeError;
pub use height::{MAX_LAYER, common_prefix, height};
pub(crate) use invert::once_each;
pub use invert::{InvertError, apply, invert};
pub use node::{Entries, EntryView, KEY_GROWTH, KEY_ROOM, MAX_ENTRIES, MAX_KEY, NodeView};
pub use op::{Change, Op};
pub use proof::{Blocks, Proof, check_proof};
pub use source::{NoNodes, Nodes, Own, TreeError};
pub use tree::Tree;
