//! The errors of the three codecs. Every one names the byte offset at which the trouble begins, so that a
//! damaged file can be looked at.

use p2pds_syntax::ErrorKind;

use crate::cid::CidError;

/// Why bytes are not strict DRISL/DAG-CBOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CBOR is not valid at byte {offset}: {fault}")]
pub struct CborError {
    /// Offset of the item that is wrong, from the first byte of the block.
    pub offset: usize,
    /// What is wrong there.
    pub fault: CborFault,
}

impl CborError {
    /// `Limited` for blocks beyond a limit, `Invalid` for all others.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self.fault {
            CborFault::TooLong(_)
            | CborFault::TooDeep(_)
            | CborFault::TooMany(_)
            | CborFault::KeyTooLong(_) => ErrorKind::Limited,
            _ => ErrorKind::Invalid,
        }
    }
}

/// One broken rule of strict DRISL/DAG-CBOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborFault {
    /// The bytes end inside an item.
    #[error("the data ends in the middle of an item")]
    Truncated,
    /// Bytes after the one top-level item.
    #[error("bytes follow after the end of the data")]
    Trailing,
    /// A length or integer written in more bytes than needed.
    #[error("a number is not written in its shortest form")]
    NotShortest,
    /// Indefinite lengths and the break code.
    #[error("indefinite lengths are not allowed")]
    Indefinite,
    /// A reserved additional-information value (28 to 30).
    #[error("reserved head byte 0x{0:02x}")]
    Reserved(u8),
    /// Any float: the data model has none.
    #[error("floating point numbers are not part of the data model")]
    Float,
    /// A simple value other than false, true and null.
    #[error("simple value {0} is not part of the data model")]
    Simple(u8),
    /// An integer outside of 64 bits signed.
    #[error("the integer does not fit into 64 bits with a sign")]
    IntegerRange,
    /// A tag other than 42.
    #[error("tag {0} is not allowed: 42 (link) is the only one")]
    Tag(u64),
    /// A link that is not bytes `00` followed by a DASL CID.
    #[error("a link does not hold a CID of this network: {0}")]
    Link(CidError),
    /// Tag 42 on something else than bytes that start with a zero.
    #[error("a link is a byte string that starts with a zero byte")]
    LinkShape,
    /// Text that is not UTF-8.
    #[error("the text is not valid UTF-8")]
    Utf8,
    /// A map key that is not text.
    #[error("a map key is not text")]
    KeyType,
    /// Map keys out of order (shorter first, then by bytes).
    #[error("map keys are not in their order (shorter first, then by bytes)")]
    KeyOrder,
    /// The same map key twice.
    #[error("the same map key stands there twice")]
    KeyTwice,
    /// Longer than `Limits::max_len`.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// Nested deeper than `Limits::max_depth`.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// More items in an array or map than `Limits::max_container`.
    #[error("more than {0} items in one array or map")]
    TooMany(usize),
    /// A map key longer than `Limits::max_key`.
    #[error("a map key is longer than {0} bytes")]
    KeyTooLong(usize),
    /// A typed reader found another type than it expects there.
    #[error("expected {0}")]
    Expected(&'static str),
}
