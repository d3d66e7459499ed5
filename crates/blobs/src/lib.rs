//! Owns: the blob files on disk, one directory per account.
//! Speaks: CIDs and DIDs; bytes in, verified bytes on disk, bytes out.
//! Knows nothing about: records, the database, HTTP, who may read what.
//! Start reading at: [`Blobs`], then `upload.rs` (how a blob becomes durable).
//!
//! ```text
//! blobs/
//!   tmp/                      uploads under way; emptied when the store is opened
//!   did:plc:abc…/             one directory per account (see `layout.rs` for odd DIDs)
//!     bafkrei…                one file per blob, named by its CID
//! ```
//!
//! The order that keeps files and rows together is the caller's: the file is
//! durable before its row is written ([`Upload::finish`] returns after both
//! fsyncs), and the row is gone before the file is deleted. A crash in between
//! leaves at most a file without a row, which [`Blobs::list`] finds.
//!
//! Only one process may have a directory open; the lock of the data directory sees to that.
//! Files are checked when they are written and by [`Blobs::verify`], not on every read.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod error;
mod layout;
mod read;
mod remote;
mod space;
mod store;
mod upload;

pub use error::BlobError;
pub use layout::account_dir_name;
pub use read::BlobReader;
pub use remote::Bucket;
pub use space::{Space, space};
pub use store::{Blobs, Check, Entry, Options};
pub use upload::{PutOptions, Quota, Sealed, Stored, Upload};
