//! Any order of blocks: as they come while each is the next one, then by an index of the whole file.

use std::hint::black_box;

use p2pds_ipld::car::{CarError, CarFault, Section, SectionCid, SliceReader};
use p2pds_ipld::{CID_LEN, Cid, Codec};

use super::error::{ReadError, TooMuch};
use super::options::{Missing, ReadOptions, Sink, Summary};
use super::preorder::{go_on, note_missing, one_root, open_commit};
use super::table::{MAX_OFFSET, Put, Table};
use super::walk::{ABSENT, Pending, Place, UNKNOWN, Walk, What};
use crate::commit::Commit;

/// Mean length of a section for the first guess at the size of the index; real repositories have more.
const MEAN_SECTION: u64 = 224;

/// How many lookups are fetched ahead at once.
const BATCH: usize = 16;

/// About what a batch of sections takes, in bytes.
const PAGE: usize = 4096;

/// Bytes in a cache line, for fetching ahead; a wrong guess costs time only.
const LINE: usize = 64;

/// A CAR file of which any section can be had again.
pub(super) trait Sections {
    /// Whether comparing CIDs is so cheap that all links of a node are looked up at once, which lets the processor
    /// wait for memory once instead of for each.
    const CHEAP: bool;
    /// Length of the file.
    fn len(&self) -> u64;
    /// The next section in the order of the file; `None` at its end.
    fn next(&mut self) -> Result<Option<Section<'_>>, ReadError>;
    /// `next` begins again at the first section.
    fn rewind(&mut self) -> Result<(), ReadError>;
    /// The section at this offset. Leaves `next` alone.
    fn at(&mut self, offset: u64) -> Result<Section<'_>, ReadError>;
    /// Whether the section at this offset has this CID.
    fn is_at(&mut self, offset: u64, cid: &Cid) -> Result<bool, ReadError> {
        Ok(self.at(offset)?.cid == SectionCid::Plain(*cid))
    }
    /// Reads a little of what `next` will give soon, if that makes it quicker.
    fn read_ahead(&self) -> u8;
    /// Reads a little at this offset, if that makes `at` quicker.
    fn touch(&self, offset: u64) -> u8;
}

/// A file in memory.
struct Slice<'a> {
    now: SliceReader<'a>,
    first: SliceReader<'a>,
    bytes: &'a [u8],
}

impl Sections for Slice<'_> {
    const CHEAP: bool = true;

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Section<'_>>, ReadError> {
        Ok(self.now.next().transpose()?)
    }

    fn rewind(&mut self) -> Result<(), ReadError> {
        self.now = self.first.clone();
        Ok(())
    }

    #[inline]
    fn at(&mut self, offset: u64) -> Result<Section<'_>, ReadError> {
        Ok(self.first.section_at(offset)?)
    }

    /// The section was parsed when it was put into the index: behind its length of one to nine bytes stands a CID.
    #[inline]
    fn is_at(&mut self, offset: u64, cid: &Cid) -> Result<bool, ReadError> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        let prefix = rest.iter().take(9).take_while(|byte| **byte >= 0x80).count().saturating_add(1);
        let found = rest.get(prefix..).and_then(|rest| rest.first_chunk::<CID_LEN>());
        Ok(found.is_some_and(|found| *found == cid.to_bytes()))
    }

    /// One byte in each cache line of the page after the next.
    #[inline]
    fn read_ahead(&self) -> u8 {
        let at = self.now.position();
        let page = self.bytes.get(at.saturating_add(PAGE)..).unwrap_or_default();
        page.iter().take(PAGE).step_by(LINE).fold(0, |seen, byte| seen ^ byte)
    }

    /// One byte in each of the first cache lines.
    #[inline]
    fn touch(&self, offset: u64) -> u8 {
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        rest.iter().step_by(LINE).take(6).fold(0, |seen, byte| seen ^ byte)
    }
}

/// Reads a repository from a CAR file in memory, whatever the order of its blocks.
///
/// # Errors
/// The first thing wrong.
pub fn read_slice(bytes: &[u8], options: ReadOptions, sink: &mut impl Sink) -> Result<Summary, ReadError> {
    let first = SliceReader::new(bytes, options.limits)?;
    let mut machine = Indexed::new(options);
    machine.open(&first.header().roots)?;
    let mut file = Slice { now: first.clone(), first, bytes };
    while machine.is_sequential() {
        match file.now.next() {
            Some(section) => machine.section(&section?, sink)?,
            None => break,
        }
    }
    machine.finish(&mut file, sink)
}

/// State of a reader: a walk, and how far it went without an index.
#[derive(Debug)]
pub(super) struct Indexed {
    options: ReadOptions,
    root: Option<Cid>,
    commit: Option<Commit>,
    walk: Option<Walk>,
    /// Offset of the first section that was not the next one; all before it are used or known to be extra.
    turned: Option<u64>,
    sections: u64,
    extra: u64,
    missing: Vec<Missing>,
    missing_count: u64,
}

impl Indexed {
    pub(super) const fn new(options: ReadOptions) -> Self {
        Self {
            options,
            root: None,
            commit: None,
            walk: None,
            turned: None,
            sections: 0,
            extra: 0,
            missing: Vec::new(),
            missing_count: 0,
        }
    }

    pub(super) fn open(&mut self, roots: &[Cid]) -> Result<(), ReadError> {
        self.root = Some(one_root(roots)?);
        Ok(())
    }

    /// Whether sections are still used as they come.
    pub(super) const fn is_sequential(&self) -> bool {
        self.turned.is_none()
    }

    /// Whether the header was read.
    pub(super) const fn is_open(&self) -> bool {
        self.root.is_some()
    }

    /// Uses the next section of the file if it is the next one of the tree; turns to the index if not.
    #[inline]
    pub(super) fn section(&mut self, section: &Section<'_>, sink: &mut impl Sink) -> Result<(), ReadError> {
        let next = match &self.walk {
            None => self.root,
            Some(walk) => walk.next().map(|next| next.cid),
        };
        match (section.cid, next) {
            (SectionCid::Plain(cid), Some(next)) if cid == next => {
                self.sections = self.sections.saturating_add(1);
                self.take(cid, section, sink).map(drop)
            }
            (cid, None) => {
                // The tree is complete: whatever still comes is extra.
                if let SectionCid::Plain(cid) = cid {
                    check(cid, section)?;
                }
                self.sections = self.sections.saturating_add(1);
                self.extra = self.extra.saturating_add(1);
                Ok(())
            }
            _ => {
                self.turned = Some(section.offset);
                Ok(())
            }
        }
    }

    /// Uses the block that is next: the commit, a node, a record. How many links came with it.
    #[inline]
    fn take(&mut self, cid: Cid, section: &Section<'_>, sink: &mut impl Sink) -> Result<usize, ReadError> {
        check(cid, section)?;
        let Some(walk) = &mut self.walk else {
            let commit = open_commit(cid, section.bytes, sink)?;
            self.walk = Some(Walk::new(commit.data));
            self.commit = Some(commit);
            return Ok(0);
        };
        if let Some(Pending { what: What::Record { .. }, .. }) = walk.next() {
            let (key, cid) = walk.record()?;
            go_on(sink.record(key, &cid, Some(section.bytes)))?;
            return Ok(0);
        }
        walk.enter(section.bytes)
    }

    /// Reads the rest through an index, and checks that all blocks are what they claim to be.
    pub(super) fn finish(
        mut self,
        file: &mut impl Sections,
        sink: &mut impl Sink,
    ) -> Result<Summary, ReadError> {
        let Some(root) = self.root else {
            return Err(CarError { offset: 0, fault: CarFault::Truncated }.into());
        };
        let done = self.walk.as_ref().is_some_and(|walk| walk.next().is_none());
        let preorder = self.turned.is_none() && done;
        if !preorder {
            let mut table = self.index(file)?;
            self.by_index(root, &mut table, file, sink)?;
            for offset in table.unused() {
                self.extra = self.extra.saturating_add(1);
                let section = file.at(offset)?;
                if let SectionCid::Plain(cid) = section.cid {
                    check(cid, &section)?;
                }
            }
        }
        let (Some(walk), Some(commit)) = (self.walk, self.commit) else {
            return Err(ReadError::NoCommit(root));
        };
        Ok(Summary {
            cid: root,
            commit,
            records: walk.records,
            nodes: walk.nodes,
            bytes: file.len(),
            sections: self.sections,
            extra: self.extra,
            missing_count: self.missing_count,
            missing: self.missing,
            preorder,
        })
    }

    /// An index of all sections; makes a larger one and begins again when the first guess was too small.
    fn index(&mut self, file: &mut impl Sections) -> Result<Table, ReadError> {
        if file.len() > MAX_OFFSET {
            return Err(CarError { offset: 0, fault: CarFault::TooLong { limit: MAX_OFFSET } }.into());
        }
        let guess = (file.len() / MEAN_SECTION).max(self.sections);
        let mut table = Table::new(guess.min(self.options.blocks));
        loop {
            file.rewind()?;
            if self.fill(&mut table, file)? {
                return Ok(table);
            }
            let room = table.room() as u64;
            if room >= self.options.blocks {
                return Err(ReadError::TooMuch(TooMuch::Blocks { limit: self.options.blocks }));
            }
            table = Table::new(room.saturating_mul(4));
        }
    }

    /// Puts every section into the table; false when it is full.
    fn fill(&mut self, table: &mut Table, file: &mut impl Sections) -> Result<bool, ReadError> {
        (self.sections, self.extra) = (0, 0);
        let mut batch = [(Cid::new(Codec::Raw, [0; 32]), 0); BATCH];
        loop {
            let mut filled = 0usize;
            black_box(file.read_ahead());
            while let Some(free) = batch.get_mut(filled) {
                let Some(section) = file.next()? else { break };
                self.sections = self.sections.saturating_add(1);
                if let SectionCid::Plain(cid) = section.cid {
                    *free = (cid, section.offset);
                    filled = filled.saturating_add(1);
                } else {
                    self.extra = self.extra.saturating_add(1);
                }
            }
            let batch = batch.get(..filled).unwrap_or_default();
            black_box(batch.iter().fold(0, |seen, (cid, _)| seen ^ table.peek(cid)));
            for (cid, offset) in batch {
                if !self.put(*cid, *offset, table, file)? {
                    return Ok(false);
                }
            }
            if filled == 0 {
                return Ok(true);
            }
        }
    }

    #[inline]
    fn put(
        &mut self,
        cid: Cid,
        offset: u64,
        table: &mut Table,
        file: &mut impl Sections,
    ) -> Result<bool, ReadError> {
        let used = offset < self.turned.unwrap_or(u64::MAX);
        match table.put(&cid, offset, used, |at| file.is_at(at, &cid))? {
            Put::New => {}
            Put::Full => return Ok(false),
            Put::Twice => {
                // The walk uses the first of them; this one is hashed here.
                check(cid, &file.at(offset)?)?;
                self.extra = self.extra.saturating_add(1);
            }
        }
        Ok(true)
    }

    fn by_index(
        &mut self,
        root: Cid,
        table: &mut Table,
        file: &mut impl Sections,
        sink: &mut impl Sink,
    ) -> Result<(), ReadError> {
        if self.walk.is_none() {
            let offset = look(root, table, file)?;
            if offset == ABSENT {
                return Err(ReadError::NoCommit(root));
            }
            self.take(root, &file.at(offset)?, sink)?;
        }
        while let Some(next) = self.walk.as_ref().and_then(Walk::next) {
            let (cid, is_node) = (next.cid, matches!(next.what, What::Node { .. }));
            let place = if next.place == UNKNOWN { look(cid, table, file)? } else { next.place };
            if place != ABSENT {
                let links = self.take(cid, &file.at(place)?, sink)?;
                self.look_ahead(links, table, file)?;
            } else if is_node {
                return Err(ReadError::MissingNode(cid));
            } else if let Some(walk) = &mut self.walk {
                let (key, cid) = walk.record()?;
                self.missing_count = self.missing_count.saturating_add(1);
                note_missing(&mut self.missing, self.options.missing, key, cid);
                go_on(sink.record(key, &cid, None))?;
            }
        }
        Ok(())
    }

    /// Looks up the links of the node that was just entered: first all slots, then all blocks, so that the waits
    /// for memory fall together.
    #[inline]
    fn look_ahead<S: Sections>(
        &mut self,
        links: usize,
        table: &mut Table,
        file: &mut S,
    ) -> Result<(), ReadError> {
        let Some(walk) = self.walk.as_mut().filter(|_| S::CHEAP) else { return Ok(()) };
        black_box(walk.fresh(links.min(BATCH)).fold(0, |seen, next| seen ^ table.peek(&next.cid)));
        black_box(
            walk.fresh(links.min(BATCH)).fold(0, |seen, next| seen ^ file.touch(table.hint(&next.cid))),
        );
        for pending in walk.fresh(links) {
            pending.place = look(pending.cid, table, file)?;
        }
        Ok(())
    }
}

/// Offset of a block, or [`ABSENT`].
#[inline]
fn look(cid: Cid, table: &mut Table, file: &mut impl Sections) -> Result<Place, ReadError> {
    let found = table.find(&cid, |at| file.is_at(at, &cid))?;
    Ok(found.unwrap_or(ABSENT))
}

/// That the bytes belong to the CID.
#[inline]
fn check(cid: Cid, section: &Section<'_>) -> Result<(), ReadError> {
    if cid.matches(section.bytes) { Ok(()) } else { Err(ReadError::Hash { cid, offset: section.offset }) }
}
