//! A CAR file that arrives in chunks.

use std::io::{self, Read};

use super::section::{Header, Section, SectionParser, Step};
use super::{CarError, CarFault, CarLimits, fail};

/// How much is read from a stream at once: little at first, as most repositories are small.
const CHUNK: std::ops::RangeInclusive<u64> = 16 << 10..=256 << 10;

/// Takes chunks, gives sections; keeps one reusable buffer, which grows to the longest section and one chunk.
///
/// Feed, then ask for sections until there is none, and so on; at the end [`Decoder::finish`].
#[derive(Debug)]
pub struct Decoder {
    parser: SectionParser,
    header: Option<Header>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are filled: `start..end` is not parsed yet.
    start: usize,
    end: usize,
    /// Offset in the file of `buffer[start]`.
    offset: u64,
    /// Bytes that must be at hand before it is worth looking again.
    need: usize,
}

impl Decoder {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: CarLimits) -> Self {
        let parser = SectionParser::new(limits);
        Self { parser, header: None, buffer: Vec::new(), start: 0, end: 0, offset: 0, need: 1 }
    }

    /// Offset in the file of the next section.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.offset
    }

    /// Bytes at hand that are not parsed yet.
    const fn pending(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// When the file grows beyond the total limit.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), CarError> {
        let space = self.space(chunk.len());
        if let Some(space) = space.get_mut(..chunk.len()) {
            space.copy_from_slice(chunk);
        }
        self.filled(chunk.len())
    }

    /// Reads once from a stream; zero means its end.
    ///
    /// # Errors
    /// What the stream says; [`io::ErrorKind::InvalidData`] around a [`CarError`] beyond the total limit.
    pub fn fill_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        // A length that the file claims reserves nothing: room grows with what has arrived.
        let arrived = self.offset.saturating_add(self.pending() as u64);
        let want = usize::try_from(arrived.clamp(*CHUNK.start(), *CHUNK.end())).unwrap_or_default();
        let count = loop {
            match source.read(self.space(want)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.filled(count).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(count)
    }

    /// Room for so many more bytes, behind what is there.
    fn space(&mut self, length: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len().saturating_sub(self.end) < length {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.pending());
            let wanted = self.end.saturating_add(length);
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    fn filled(&mut self, count: usize) -> Result<(), CarError> {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
        let limit = self.parser.limits().total;
        if self.offset.saturating_add(self.pending() as u64) > limit {
            return fail(self.offset, CarFault::TooLong { limit });
        }
        Ok(())
    }

    fn consumed(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        self.offset = self.offset.saturating_add(count as u64);
        self.need = 1;
    }

    /// The header, once it has arrived.
    ///
    /// # Errors
    /// A header that is too long or of another form.
    pub fn header(&mut self) -> Result<Option<&Header>, CarError> {
        if self.header.is_none() {
            if self.pending() < self.need {
                return Ok(None);
            }
            match self.parser.header(self.buffer.get(self.start..self.end).unwrap_or_default())? {
                Step::Need(count) => self.need = count,
                Step::Done(header, used) => {
                    self.header = Some(header);
                    self.consumed(used);
                }
            }
        }
        Ok(self.header.as_ref())
    }

    /// Whether [`Decoder::section`] would give one.
    ///
    /// # Errors
    /// As [`Decoder::section`].
    pub fn has_section(&mut self) -> Result<bool, CarError> {
        if self.header()?.is_none() || self.pending() < self.need {
            return Ok(false);
        }
        match self.parser.section(self.buffer.get(self.start..self.end).unwrap_or_default(), self.offset)? {
            Step::Done(..) => Ok(true),
            Step::Need(count) => {
                self.need = count;
                Ok(false)
            }
        }
    }

    /// The next section, when all of it is at hand. The header is read on the way.
    ///
    /// # Errors
    /// The first broken rule; after it the file is not to be read further.
    #[inline]
    pub fn section(&mut self) -> Result<Option<Section<'_>>, CarError> {
        if self.header.is_none() && self.header()?.is_none() {
            return Ok(None);
        }
        if self.pending() < self.need {
            return Ok(None);
        }
        let (start, end, offset) = (self.start, self.end, self.offset);
        match self.parser.section(self.buffer.get(start..end).unwrap_or_default(), offset)? {
            Step::Need(count) => {
                self.need = count;
                Ok(None)
            }
            Step::Done(_, used) => {
                self.consumed(used);
                // Parsed again because the borrow of the first time may not outlive the change of position.
                match self.parser.section(self.buffer.get(start..end).unwrap_or_default(), offset)? {
                    Step::Done(section, _) => Ok(Some(section)),
                    Step::Need(_) => Ok(None),
                }
            }
        }
    }

    /// Says that no more chunks come.
    ///
    /// # Errors
    /// When the file ends inside its header or a section.
    pub fn finish(&self) -> Result<(), CarError> {
        if self.header.is_none() || self.pending() > 0 {
            return fail(self.offset, CarFault::Truncated);
        }
        Ok(())
    }
}
