//! Strict DRISL/DAG-CBOR: one canonical form, nothing else is read or written.
//!
//! The rules (AT Protocol data model, DASL DRISL): definite lengths, shortest heads, text keys in order (shorter
//! first, then by bytes) and once each, valid UTF-8, integers of 64 bits with a sign, no floats, tag 42 only, one
//! top-level item.
//!
//! Four ways in, by what the caller needs: [`validate`] (nothing but yes or no), [`scan`] (links and blobs on the
//! way), [`decode`] (an owned tree), [`Reader`] (typed, for codecs written by hand).

mod blob;
mod read;
mod value;
mod walk;
mod write;

pub use blob::BlobRef;
pub use read::Reader;
pub use value::{Value, decode, encode};
pub use walk::{Item, Limits, is_odd_cid, scan, validate};
pub(crate) use walk::{head, odd_cid_len, string};
pub use write::{
    write_array, write_bool, write_bytes, write_head, write_int, write_link, write_map, write_null,
    write_text, write_uint,
};

/// The major types of CBOR as they stand in the top three bits of a head byte.
pub mod major {
    /// Unsigned integer.
    pub const UINT: u8 = 0;
    /// Negative integer, `-1 - n`.
    pub const NINT: u8 = 1;
    /// Byte string.
    pub const BYTES: u8 = 2;
    /// Text.
    pub const TEXT: u8 = 3;
    /// Array.
    pub const ARRAY: u8 = 4;
    /// Map.
    pub const MAP: u8 = 5;
    /// Tag.
    pub const TAG: u8 = 6;
    /// Simple value or float.
    pub const SIMPLE: u8 = 7;
}
