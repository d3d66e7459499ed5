//! Header and sections, from bytes that are at hand.

use super::{CarFault, CarLimits, fail};
use crate::car::CarError;
use crate::cbor::{self, Reader};
use crate::cid::{CID_LEN, Cid};
use crate::error::CborError;
use crate::varint::{self, VarintFault};

/// The header of a CAR file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The roots. In a repository export the first one is the commit.
    pub roots: Vec<Cid>,
}

impl Header {
    /// Reads the bytes of a header (without its length): a map of exactly `roots` and `version` 1.
    ///
    /// # Errors
    /// Any other form, or a root that is no DASL CID.
    pub fn parse(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        if reader.map()? != 2 {
            return Reader::new(bytes).expected("a map of roots and version");
        }
        reader.key("roots")?;
        let count = reader.array()?;
        // `array` bounds the count by the bytes that are left; a link takes 41 of them.
        let mut roots = Vec::with_capacity(count.min(bytes.len() / 41));
        for _ in 0..count {
            roots.push(reader.link()?);
        }
        reader.key("version")?;
        let version = reader.clone();
        if reader.uint()? != 1 {
            return version.expected("version 1");
        }
        reader.finish()?;
        Ok(Self { roots })
    }
}

/// The CID of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionCid<'a> {
    /// A DASL CID.
    Plain(Cid),
    /// Another well-formed CID. Nothing in a repository's tree can refer to it; whether such a block is tolerated
    /// is for the caller to say.
    Odd(&'a [u8]),
}

/// One block of a CAR file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// The CID that the file gives for the bytes. Not checked here.
    pub cid: SectionCid<'a>,
    /// The bytes of the block.
    pub bytes: &'a [u8],
    /// Offset in the file at which the section's length begins.
    pub offset: u64,
}

/// What a parser finds at the start of the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// The item, and how many bytes it took.
    Done(T, usize),
    /// At least so many bytes are needed at hand.
    Need(usize),
}

/// Parses header and sections one by one; the caller keeps bytes and position.
#[derive(Clone, Copy, Debug)]
pub struct SectionParser {
    limits: CarLimits,
}

impl SectionParser {
    /// With these limits. The total is for the caller to watch.
    #[must_use]
    pub const fn new(limits: CarLimits) -> Self {
        Self { limits }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &CarLimits {
        &self.limits
    }

    /// The header at the start of `bytes`.
    ///
    /// # Errors
    /// A header that is too long or of another form.
    pub fn header(&self, bytes: &[u8]) -> Result<Step<Header>, CarError> {
        let (length, prefix) = match varint::read(bytes) {
            Ok(found) => found,
            Err(VarintFault::Short) => return Ok(Step::Need(bytes.len().saturating_add(1))),
            Err(VarintFault::Bad) => return fail(0, CarFault::Varint),
        };
        let limit = self.limits.header;
        let end = match usize::try_from(length) {
            Ok(length) if length <= limit => prefix.saturating_add(length),
            _ => return fail(0, CarFault::HeaderTooLong { length, limit }),
        };
        match bytes.get(prefix..end) {
            None => Ok(Step::Need(end)),
            Some(found) => match Header::parse(found) {
                Ok(header) => Ok(Step::Done(header, end)),
                Err(error) => fail(0, CarFault::Header(error)),
            },
        }
    }

    /// The section at the start of `bytes`, which stand at `offset` in the file.
    ///
    /// # Errors
    /// A section that is too long, empty, or without a CID.
    #[inline]
    pub fn section<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<Step<Section<'a>>, CarError> {
        let (length, prefix) = match varint::read(bytes) {
            Ok(found) => found,
            Err(VarintFault::Short) => return Ok(Step::Need(bytes.len().saturating_add(1))),
            Err(VarintFault::Bad) => return fail(offset, CarFault::Varint),
        };
        let end = match usize::try_from(length) {
            Ok(length) if length <= self.limits.section => prefix.saturating_add(length),
            _ => return fail(offset, CarFault::SectionTooLong { length, limit: self.limits.section }),
        };
        let Some(section) = bytes.get(prefix..end) else {
            return Ok(Step::Need(end));
        };
        if let Some((head, body)) = section.split_first_chunk::<CID_LEN>()
            && let Ok(cid) = Cid::from_bytes(head)
        {
            return Ok(Step::Done(Section { cid: SectionCid::Plain(cid), bytes: body, offset }, end));
        }
        odd(section, offset).map(|section| Step::Done(section, end))
    }
}

/// A section whose CID is no DASL CID.
#[cold]
fn odd(section: &[u8], offset: u64) -> Result<Section<'_>, CarError> {
    if section.is_empty() {
        return fail(offset, CarFault::EmptySection);
    }
    match cbor::odd_cid_len(section).and_then(|length| section.split_at_checked(length)) {
        Some((cid, bytes)) if Cid::from_bytes(cid).is_err() => {
            Ok(Section { cid: SectionCid::Odd(cid), bytes, offset })
        }
        _ => fail(offset, CarFault::SectionCid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_forms() {
        let cid = Cid::of_cbor(b"");
        let mut good = Vec::new();
        super::super::write_header(&mut good, &[cid]);
        let parser = SectionParser::new(CarLimits::DEFAULT);
        assert_eq!(parser.header(&good), Ok(Step::Done(Header { roots: vec![cid] }, good.len())));
        for cut in 0..good.len() {
            assert!(
                matches!(parser.header(&good[..cut]), Ok(Step::Need(n)) if n > cut && n <= good.len()),
                "{cut}"
            );
        }
        let small = SectionParser::new(CarLimits { header: good.len() - 2, ..CarLimits::DEFAULT });
        assert!(small.header(&good).is_err());
        assert!(cbor::validate(&good[1..], &cbor::Limits::STRICT).is_ok());
    }
}
