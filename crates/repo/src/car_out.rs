//! Writing a whole repository as a CAR file in streamable order: commit, root node, then every node before its
//! content, records and subtrees in key order. The same repository gives the same bytes every time.
//!
//! [`CarWriter`] is the machine: it says which block comes next, the caller has it. A block that stands at two keys
//! is written twice, so that a reader in constant memory needs to remember nothing.
//!
//! [`Export`] feeds it from what is stored: the spine, and one bucket of records after the other.

mod export;
mod writer;

pub use export::{Export, ExportError, Row};
pub use writer::{CarWriter, Need, WriteError};
