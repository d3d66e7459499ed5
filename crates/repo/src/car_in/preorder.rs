//! Streamable order: each block is used when it comes by, and let go.

use std::io::Read;
use std::ops::ControlFlow;

use p2pds_ipld::car::{CarError, CarFault, Decoder, Section, SectionCid};
use p2pds_ipld::{Cid, Codec};

use super::error::{ReadError, TooMuch};
use super::options::{Missing, ReadOptions, Sink, Summary};
use super::walk::{Pending, Walk, What};
use crate::commit::Commit;

/// How far ahead a block is looked for that is not the next one: records in between were left out.
const AHEAD: usize = 256;

/// Reads a repository from chunks as they arrive, in constant memory: one section, one chunk, and one path of the
/// tree.
///
/// The order of blocks must be the streamable one: commit, root node, then every node before its content, records
/// and subtrees in key order. Anything else ends with an error for which [`ReadError::is_order`] is true.
#[derive(Debug)]
pub struct Preorder {
    decoder: Decoder,
    machine: Machine,
}

impl Preorder {
    /// An empty one.
    #[must_use]
    pub fn new(options: ReadOptions) -> Self {
        Self { decoder: Decoder::new(options.limits), machine: Machine::new(options) }
    }

    /// Takes the next chunk, and gives the sink what it proves.
    ///
    /// # Errors
    /// The first thing wrong; the reader is of no use afterwards.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), ReadError> {
        self.decoder.feed(chunk)?;
        self.drain(sink)
    }

    /// Reads once from a stream; false at its end.
    ///
    /// # Errors
    /// As [`Preorder::feed`], or what the stream says.
    pub fn fill_from(&mut self, source: &mut impl Read, sink: &mut impl Sink) -> Result<bool, ReadError> {
        if self.decoder.fill_from(source)? == 0 {
            return Ok(false);
        }
        self.drain(sink)?;
        Ok(true)
    }

    fn drain(&mut self, sink: &mut impl Sink) -> Result<(), ReadError> {
        if self.machine.root.is_none() {
            match self.decoder.header()? {
                None => return Ok(()),
                Some(header) => self.machine.open(&header.roots)?,
            }
        }
        while let Some(section) = self.decoder.section()? {
            self.machine.section(&section, sink)?;
        }
        Ok(())
    }

    /// Says that no more chunks come.
    ///
    /// # Errors
    /// A file that ends in the middle, or without a node that the tree needs.
    pub fn finish(self, sink: &mut impl Sink) -> Result<Summary, ReadError> {
        self.decoder.finish()?;
        self.machine.finish(self.decoder.position(), sink)
    }
}

/// Reads a repository in streamable order from a blocking source.
///
/// # Errors
/// As [`Preorder`].
pub fn read_stream(
    source: &mut impl Read,
    options: ReadOptions,
    sink: &mut impl Sink,
) -> Result<Summary, ReadError> {
    let mut reader = Preorder::new(options);
    while reader.fill_from(source, sink)? {}
    reader.finish(sink)
}

/// Reads the commit and shows it to the sink.
pub(super) fn open_commit(cid: Cid, bytes: &[u8], sink: &mut impl Sink) -> Result<Commit, ReadError> {
    if cid.codec() != Codec::DagCbor {
        return Err(ReadError::CommitCodec(cid));
    }
    let commit = Commit::decode(bytes).map_err(|fault| ReadError::Commit { cid, fault })?;
    go_on(sink.commit(&cid, &commit))?;
    Ok(commit)
}

/// The one root of the header.
pub(super) fn one_root(roots: &[Cid]) -> Result<Cid, ReadError> {
    match roots {
        [root] => Ok(*root),
        _ => Err(ReadError::Roots(roots.len())),
    }
}

#[inline]
pub(super) fn go_on(flow: ControlFlow<()>) -> Result<(), ReadError> {
    if flow.is_break() { Err(ReadError::Stopped) } else { Ok(()) }
}

/// Notes a record without a body.
pub(super) fn note_missing(list: &mut Vec<Missing>, limit: usize, key: &[u8], cid: Cid) {
    if list.len() < limit {
        list.push(Missing { key: key.to_vec(), cid });
    }
}

/// What happens with each section, whatever it comes from.
#[derive(Debug)]
struct Machine {
    options: ReadOptions,
    root: Option<Cid>,
    commit: Option<Commit>,
    walk: Option<Walk>,
    sections: u64,
    extra: u64,
    extra_bytes: u64,
    missing: Vec<Missing>,
    missing_count: u64,
}

impl Machine {
    const fn new(options: ReadOptions) -> Self {
        Self {
            options,
            root: None,
            commit: None,
            walk: None,
            sections: 0,
            extra: 0,
            extra_bytes: 0,
            missing: Vec::new(),
            missing_count: 0,
        }
    }

    fn open(&mut self, roots: &[Cid]) -> Result<(), ReadError> {
        self.root = Some(one_root(roots)?);
        Ok(())
    }

    fn section(&mut self, section: &Section<'_>, sink: &mut impl Sink) -> Result<(), ReadError> {
        self.sections = self.sections.saturating_add(1);
        let SectionCid::Plain(cid) = section.cid else {
            return self.unneeded(section);
        };
        if Cid::of(cid.codec(), section.bytes) != cid {
            return Err(ReadError::Hash { cid, offset: section.offset });
        }
        let Some(walk) = &mut self.walk else {
            if Some(cid) != self.root {
                return Err(ReadError::NotPreorder { offset: section.offset });
            }
            let commit = open_commit(cid, section.bytes, sink)?;
            self.walk = Some(Walk::new(commit.data));
            self.commit = Some(commit);
            return Ok(());
        };
        match walk.next() {
            Some(next) if next.cid == cid => {}
            _ => {
                if walk.nodes == 0 {
                    return Err(ReadError::NotPreorder { offset: section.offset });
                }
                if !self.skip_to(cid, sink)? {
                    return self.unneeded(section);
                }
            }
        }
        let Some(walk) = &mut self.walk else { return Ok(()) };
        match walk.next() {
            Some(Pending { what: What::Node { .. }, .. }) => walk.enter(section.bytes).map(drop),
            Some(Pending { what: What::Record { .. }, .. }) => {
                let (key, cid) = walk.record()?;
                go_on(sink.record(key, &cid, Some(section.bytes)))
            }
            None => Ok(()),
        }
    }

    /// Passes records that the file leaves out here, when `cid` is needed soon after them; says whether it is.
    #[cold]
    fn skip_to(&mut self, cid: Cid, sink: &mut impl Sink) -> Result<bool, ReadError> {
        let Some(omitted) = self.walk.as_ref().and_then(|walk| omitted_before(walk, cid)) else {
            return Ok(false);
        };
        for _ in 0..omitted {
            self.without_body(sink)?;
        }
        Ok(true)
    }

    /// Passes the next record, with a body from the sink or none.
    fn without_body(&mut self, sink: &mut impl Sink) -> Result<(), ReadError> {
        let Some(walk) = &mut self.walk else { return Ok(()) };
        let (key, cid) = walk.record()?;
        let body = sink.find(&cid).filter(|bytes| cid.matches(bytes));
        if body.is_none() {
            self.missing_count = self.missing_count.saturating_add(1);
            note_missing(&mut self.missing, self.options.missing, key, cid);
        }
        go_on(sink.record(key, &cid, body.as_deref()))
    }

    /// A section that nothing needs.
    fn unneeded(&mut self, section: &Section<'_>) -> Result<(), ReadError> {
        self.extra = self.extra.saturating_add(1);
        self.extra_bytes = self.extra_bytes.saturating_add(section.bytes.len() as u64).saturating_add(36);
        let bound = self.options.unreferenced.saturating_add(section.offset / 10);
        if self.extra_bytes > bound {
            return Err(ReadError::TooMuch(TooMuch::Unreferenced { bytes: self.extra_bytes }));
        }
        Ok(())
    }

    fn finish(mut self, bytes: u64, sink: &mut impl Sink) -> Result<Summary, ReadError> {
        let root = self.root.ok_or(CarError { offset: 0, fault: CarFault::Truncated })?;
        while let Some(next) = self.walk.as_ref().and_then(Walk::next) {
            match next.what {
                What::Node { .. } => return Err(ReadError::MissingNode(next.cid)),
                What::Record { .. } => self.without_body(sink)?,
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
            bytes,
            sections: self.sections,
            extra: self.extra,
            missing_count: self.missing_count,
            missing: self.missing,
            preorder: true,
        })
    }
}

/// How many records are needed before the block `cid`; `None` when it is not needed soon. Nodes cannot be left out,
/// as what follows hangs below them.
fn omitted_before(walk: &Walk, cid: Cid) -> Option<usize> {
    for (omitted, pending) in walk.ahead().take(AHEAD).enumerate() {
        if pending.cid == cid {
            return Some(omitted);
        }
        if matches!(pending.what, What::Node { .. }) {
            return None;
        }
    }
    None
}
