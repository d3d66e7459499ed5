//! A CAR file in memory.

use super::section::{Header, Section, SectionParser, Step};
use super::{CarError, CarFault, CarLimits, fail};

/// Iterates over the sections of a CAR file in memory; blocks are borrowed from it.
///
/// After an error the iteration is over.
#[derive(Clone, Debug)]
pub struct SliceReader<'a> {
    bytes: &'a [u8],
    at: usize,
    header: Header,
    parser: SectionParser,
}

impl<'a> SliceReader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// A file above the total limit, a bad or truncated header.
    pub fn new(bytes: &'a [u8], limits: CarLimits) -> Result<Self, CarError> {
        if bytes.len() as u64 > limits.total {
            return fail(0, CarFault::TooLong { limit: limits.total });
        }
        let parser = SectionParser::new(limits);
        match parser.header(bytes)? {
            Step::Done(header, at) => Ok(Self { bytes, at, header, parser }),
            Step::Need(_) => fail(0, CarFault::Truncated),
        }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Offset of the next section.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The section that begins at `offset`, as [`Section::offset`] gave it.
    ///
    /// # Errors
    /// As for the iteration.
    #[inline]
    pub fn section_at(&self, offset: u64) -> Result<Section<'a>, CarError> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        match self.parser.section(rest, offset)? {
            Step::Done(section, _) => Ok(section),
            Step::Need(_) => fail(offset, CarFault::Truncated),
        }
    }
}

impl<'a> Iterator for SliceReader<'a> {
    type Item = Result<Section<'a>, CarError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return None;
        }
        let offset = self.at as u64;
        let found = match self.parser.section(rest, offset) {
            Ok(Step::Done(section, used)) => {
                self.at = self.at.saturating_add(used);
                return Some(Ok(section));
            }
            Ok(Step::Need(_)) => fail(offset, CarFault::Truncated),
            Err(error) => Err(error),
        };
        self.at = self.bytes.len();
        Some(found)
    }
}
