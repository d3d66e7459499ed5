//! Any order of blocks: sequential as long as each block is the next one, then by an index.

use p2pds_ipld::Cid;
use p2pds_ipld::car::{Section, SectionCid, SliceReader};

use super::error::{ReadError, TooMuch};
use super::options::{Missing, ReadOptions, Sink, Summary};
use super::preorder::{go_on, note_missing, one_root, open_commit};
use super::table::{Put, Table};
use super::walk::{ABSENT, Pending, Place, UNKNOWN, Walk, What};

/// A CAR file of which any section can be had again.
///
/// Sections are borrowed from the file (`'a`) or from a buffer inside.
pub(super) trait Sections {
    /// Length of the file.
    fn len(&self) -> u64;
    /// The next section in the order of the file; `None` at its end.
    fn next(&mut self) -> Result<Option<Section<'_>>, ReadError>;
    /// Begins again at this offset.
    fn seek(&mut self, offset: u64);
    /// The section at this offset.
    fn at(&mut self, offset: u64) -> Result<Section<'_>, ReadError>;
    /// The CIDs in a node are looked for when the node is read, all at once, if comparing them is cheap.
    fn is_at(&mut self, offset: u64, cid: &Cid) -> Result<bool, ReadError> {
        Ok(self.at(offset)?.cid == SectionCid::Plain(*cid))
    }
}

/// A file in memory.
struct Slice<'a>(SliceReader<'a>, &'a [u8], p2pds_ipld::car::CarLimits);

/// Reads a repository from a CAR file in memory, whatever the order of its blocks.
///
/// # Errors
/// The first thing wrong.
pub fn read_slice(bytes: &[u8], options: ReadOptions, sink: &mut impl Sink) -> Result<Summary, ReadError> {
    let reader = SliceReader::new(bytes, options.limits)?;
    let root = one_root(&reader.header().roots)?;
    read(&mut reader, root, options, sink)
}
