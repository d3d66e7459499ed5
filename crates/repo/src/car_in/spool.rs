//! Any order of blocks from a stream: kept in scratch space, so that the reader can go back.

use std::io;

use p2pds_ipld::car::{CarError, CarFault, Decoder, Section, SectionParser, Step};

use super::error::ReadError;
use super::indexed::{Indexed, Sections};
use super::options::{ReadOptions, Sink, Summary};

/// Space that a stream is kept in while it is read: a temporary file, or memory.
pub trait Scratch {
    /// Puts bytes behind what is there.
    ///
    /// # Errors
    /// What the file says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Fills the buffer with the bytes at this offset; all of it.
    ///
    /// # Errors
    /// What the file says; [`io::ErrorKind::UnexpectedEof`] beyond the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Bytes that are there.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Scratch for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        match self.get(from..).and_then(|rest| rest.get(..buffer.len())) {
            Some(found) => {
                buffer.copy_from_slice(found);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }
}

/// Reads a repository from chunks in any order of blocks.
///
/// As long as the blocks are in streamable order, records reach the sink as they come. From the first block that is
/// not the next one, the rest waits for [`Spool::finish`], which reads the scratch space through an index.
#[derive(Debug)]
pub struct Spool<S> {
    scratch: S,
    decoder: Decoder,
    machine: Indexed,
    options: ReadOptions,
}

impl<S: Scratch> Spool<S> {
    /// Over empty scratch space.
    #[must_use]
    pub const fn new(scratch: S, options: ReadOptions) -> Self {
        Self { scratch, decoder: Decoder::new(options.limits), machine: Indexed::new(options), options }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// The first thing wrong in the file so far; what the scratch space says. The reader is of no use afterwards.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), ReadError> {
        self.scratch.append(chunk)?;
        self.parse(chunk, sink)
    }

    fn parse(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), ReadError> {
        self.decoder.feed(chunk)?;
        if !self.machine.is_open() {
            match self.decoder.header()? {
                None => return Ok(()),
                Some(header) => self.machine.open(&header.roots)?,
            }
        }
        while let Some(section) = self.decoder.section()? {
            if self.machine.is_sequential() {
                self.machine.section(&section, sink)?;
            }
        }
        Ok(())
    }

    /// Says that no more chunks come, and reads what is left. Gives the scratch space back, so that the file can be
    /// kept.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn finish(self, sink: &mut impl Sink) -> Result<(Summary, S), ReadError> {
        self.decoder.finish()?;
        self.by_index(sink)
    }

    /// Reads a repository that lies in the scratch space already.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn read(scratch: S, options: ReadOptions, sink: &mut impl Sink) -> Result<(Summary, S), ReadError> {
        let mut spool = Self::new(scratch, options);
        let (mut at, len) = (0, spool.scratch.len());
        let mut chunk = vec![0; chunk_len(len)];
        while at < len && spool.machine.is_sequential() {
            let count = chunk_len(len.saturating_sub(at));
            let room = chunk.get_mut(..count).unwrap_or_default();
            spool.scratch.read_at(at, room)?;
            at = at.saturating_add(count as u64);
            let filled = chunk.get(..count).unwrap_or_default();
            spool.parse(filled, sink)?;
        }
        if spool.machine.is_sequential() {
            spool.decoder.finish()?;
        }
        // Otherwise the index walks over the whole file again, and sees how it ends.
        spool.by_index(sink)
    }

    fn by_index(self, sink: &mut impl Sink) -> Result<(Summary, S), ReadError> {
        let mut file = Spooled {
            decoder: Decoder::new(self.options.limits),
            read: 0,
            parser: SectionParser::new(self.options.limits),
            chunk: Vec::new(),
            block: Vec::new(),
            block_at: 0,
            options: self.options,
            scratch: self.scratch,
        };
        let summary = self.machine.finish(&mut file, sink)?;
        Ok((summary, file.scratch))
    }
}

/// How much is read from scratch space at once.
fn chunk_len(left: u64) -> usize {
    const CHUNK: u64 = 256 << 10;
    usize::try_from(left.min(CHUNK)).unwrap_or_default()
}

/// Scratch space as a CAR file.
struct Spooled<S> {
    scratch: S,
    options: ReadOptions,
    parser: SectionParser,
    /// For the order of the file.
    decoder: Decoder,
    read: u64,
    chunk: Vec<u8>,
    /// A single section, and where it lies; 0 when there is none.
    block: Vec<u8>,
    block_at: u64,
}

impl<S: Scratch> Sections for Spooled<S> {
    const CHEAP: bool = false;

    fn len(&self) -> u64 {
        self.scratch.len()
    }

    fn next(&mut self) -> Result<Option<Section<'_>>, ReadError> {
        loop {
            // Asked twice, because the borrow of a section that is returned lasts; the second time is cheap.
            if self.decoder.has_section()? {
                return Ok(self.decoder.section()?);
            }
            let count = chunk_len(self.scratch.len().saturating_sub(self.read));
            if count == 0 {
                self.decoder.finish()?;
                return Ok(None);
            }
            self.chunk.resize(count, 0);
            self.scratch.read_at(self.read, &mut self.chunk)?;
            self.read = self.read.saturating_add(count as u64);
            self.decoder.feed(&self.chunk)?;
        }
    }

    fn rewind(&mut self) -> Result<(), ReadError> {
        self.decoder = Decoder::new(self.options.limits);
        self.read = 0;
        Ok(())
    }

    fn at(&mut self, offset: u64) -> Result<Section<'_>, ReadError> {
        /// Enough for the most sections.
        const GUESS: usize = 640;
        let left = self.scratch.len().saturating_sub(offset);
        let mut want = GUESS;
        // Twice at most: the first bytes say how long the section is. Not at all when it was asked for just now.
        for _ in 0..if self.block_at == offset { 0 } else { 2 } {
            self.block_at = 0;
            let count = usize::try_from(left).map_or(want, |left| want.min(left));
            self.block.resize(count, 0);
            self.scratch.read_at(offset, &mut self.block)?;
            match self.parser.section(&self.block, offset)? {
                Step::Done(..) => break,
                Step::Need(more) => want = more,
            }
        }
        self.block_at = offset;
        match self.parser.section(&self.block, offset)? {
            Step::Done(section, _) => Ok(section),
            Step::Need(_) => Err(CarError { offset, fault: CarFault::Truncated }.into()),
        }
    }

    fn read_ahead(&self) -> u8 {
        0
    }

    fn touch(&self, _: u64) -> u8 {
        0
    }
}
