//! Reading a whole repository from a CAR file, and proving it on the way.
//!
//! What is proved: the header names one root, the commit; every block that is used hashes to its CID, and is hashed
//! once; the commit's `data` is the root of a tree whose every node is canonical, on its layer, trimmed at the top
//! and complete; keys rise strictly over the whole tree. What is **not** proved: the signature, the DID and the rev
//! (the caller does that with the commit it is given first, before any record), that records are strict CBOR, and
//! that blobs exist.
//!
//! Three readers over one tree walk (`walk.rs`):
//!
//! | reader | input | order of blocks | memory |
//! |---|---|---|---|
//! | [`Preorder`] | chunks, or any [`std::io::Read`] | streamable (pre-order) | constant |
//! | [`read_slice`] | bytes in memory | any; quick when pre-order | 8 bytes for each of up to 2.5 slots a block, only when needed |
//! | [`Spool`] | chunks into a [`Scratch`] | any | the same |
//!
//! All tolerate repeated blocks, blocks that nothing refers to, and records that are left out because the same block
//! came before. The last has a limit in constant memory: [`Preorder`] cannot know a block it has seen and let go, so
//! it asks [`Sink::find`], and without an answer reports the record with no body and lists it in
//! [`Summary::missing`]; a caller that kept the file runs one of the other readers over it. A missing record is a
//! finding, a missing node is an error: the tree cannot be proved without it.

mod error;
mod indexed;
mod options;
mod preorder;
mod spool;
mod table;
pub(crate) mod walk;

pub use error::{ReadError, TooMuch};
pub use indexed::read_slice;
pub use options::{Missing, ReadOptions, Sink, Summary};
pub use preorder::{Preorder, read_stream};
pub use spool::{Scratch, Spool};
