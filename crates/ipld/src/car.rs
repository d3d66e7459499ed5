//! CAR v1: a header with roots, then sections of CID and bytes.
//!
//! ```text
//! varint(header length)  header: DRISL {"roots": [link], "version": 1}
//! varint(section length) CID bytes      (again and again until the end)
//! ```
//!
//! Two readers over one section parser: [`SliceReader`] borrows from bytes in memory, [`Decoder`] takes chunks as
//! they arrive. Neither hashes: that a block's bytes belong to its CID is for the caller to check, once.
//! Errors carry the offset in the file.

use p2pds_syntax::ErrorKind;

mod decoder;
mod section;
mod slice;
mod write;

pub use decoder::Decoder;
pub use section::{Header, Section, SectionCid, SectionParser, Step};
pub use slice::SliceReader;
pub use write::{header_len, write_header, write_section, write_section_head};

/// Bounds for one CAR file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarLimits {
    /// Longest header in bytes.
    pub header: usize,
    /// Longest section in bytes, its CID included.
    pub section: usize,
    /// Longest file in bytes.
    pub total: u64,
}

impl CarLimits {
    /// Header 64 KiB, section 2 MiB, total 1 TiB less one byte: a caller with a quota lowers the last one.
    pub const DEFAULT: Self = Self { header: 64 << 10, section: 2 << 20, total: (1 << 40) - 1 };

    /// The same bounds with another total.
    #[must_use]
    pub const fn with_total(self, total: u64) -> Self {
        Self { total, ..self }
    }
}

impl Default for CarLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why bytes are not a CAR file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CAR file is not valid at byte {offset}: {fault}")]
pub struct CarError {
    /// Offset in the file of the header or section that is wrong.
    pub offset: u64,
    /// What is wrong there.
    pub fault: CarFault,
}

impl CarError {
    /// `Limited` for files beyond a limit, `Invalid` for all others.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self.fault {
            CarFault::HeaderTooLong { .. } | CarFault::SectionTooLong { .. } | CarFault::TooLong { .. } => {
                ErrorKind::Limited
            }
            _ => ErrorKind::Invalid,
        }
    }
}

/// One broken rule of CAR v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarFault {
    /// The file ends inside its header or a section.
    #[error("the file ends in the middle; the download was probably cut off")]
    Truncated,
    /// A length that is not a shortest-form varint of at most nine bytes.
    #[error("a length is not written as it must be")]
    Varint,
    /// The header is longer than the limit.
    #[error("the header claims {length} bytes, the limit is {limit}")]
    HeaderTooLong {
        /// Claimed length.
        length: u64,
        /// The limit.
        limit: usize,
    },
    /// The header is no map of `roots` and `version` 1, or holds other CIDs.
    #[error("the header is not that of a CAR file, version 1: {0}")]
    Header(crate::error::CborError),
    /// A section is longer than the limit.
    #[error("a section claims {length} bytes, the limit is {limit}")]
    SectionTooLong {
        /// Claimed length.
        length: u64,
        /// The limit.
        limit: usize,
    },
    /// The file is longer than the limit.
    #[error("the file is longer than the limit of {limit} bytes")]
    TooLong {
        /// The limit.
        limit: u64,
    },
    /// A section does not begin with a CID of any kind.
    #[error("a section does not begin with a CID")]
    SectionCid,
    /// A section of length zero (padding is not part of CAR v1).
    #[error("an empty section")]
    EmptySection,
}

#[cold]
pub(crate) fn fail<T>(offset: u64, fault: CarFault) -> Result<T, CarError> {
    Err(CarError { offset, fault })
}
