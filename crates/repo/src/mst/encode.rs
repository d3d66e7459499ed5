//! The canonical bytes of one node.

use p2pds_ipld::Cid;

use super::height::common_prefix;
use super::node::LINK;

/// Room kept before the entries: `a2 61 65` and the longest array head.
const ROOM: usize = 8;

/// Writes one node, entry by entry, into a buffer that is used again for the next.
///
/// The order of calls is [`NodeWriter::start`], then for each entry [`NodeWriter::key`] and
/// [`NodeWriter::links`] with full keys in rising order, then [`NodeWriter::finish`]. Keys are not checked.
#[derive(Debug, Clone)]
pub struct NodeWriter {
    out: Vec<u8>,
    entries: u32,
}

impl Default for NodeWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl NodeWriter {
    /// A writer with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        let mut out = Vec::with_capacity(1024);
        out.resize(ROOM, 0);
        Self { out, entries: 0 }
    }

    /// Begins a node; what was written before is dropped.
    #[inline]
    pub fn start(&mut self) {
        self.out.truncate(ROOM);
        self.entries = 0;
    }

    /// Entries written since [`NodeWriter::start`].
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.entries as usize
    }

    /// True when no entry was written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Writes the first half of an entry. `previous` is the full key of the entry before it, empty for the first.
    #[inline]
    pub fn key(&mut self, previous: &[u8], key: &[u8]) {
        let shared = common_prefix(previous, key);
        let suffix = key.get(shared..).unwrap_or_default();
        self.entries = self.entries.saturating_add(1);
        self.out.extend_from_slice(&[0xa4, 0x61, b'k']);
        head(&mut self.out, 0x40, suffix.len());
        self.out.extend_from_slice(suffix);
        self.out.extend_from_slice(&[0x61, b'p']);
        head(&mut self.out, 0x00, shared);
    }

    /// Writes the second half of an entry: the subtree after it and its record.
    #[inline]
    pub fn links(&mut self, right: Option<&Cid>, value: &Cid) {
        self.out.extend_from_slice(&[0x61, b't']);
        link(&mut self.out, right);
        self.out.extend_from_slice(&[0x61, b'v']);
        link(&mut self.out, Some(value));
    }

    /// Ends the node and gives its bytes.
    #[inline]
    pub fn finish(&mut self, left: Option<&Cid>) -> &[u8] {
        self.out.extend_from_slice(&[0x61, b'l']);
        link(&mut self.out, left);
        let [a, b, c, d] = self.entries.to_be_bytes();
        let (skip, room): (usize, [u8; ROOM]) = match self.entries {
            0..24 => (4, [0, 0, 0, 0, 0xa2, 0x61, b'e', 0x80 | d]),
            24..0x100 => (3, [0, 0, 0, 0xa2, 0x61, b'e', 0x98, d]),
            0x100..0x1_0000 => (2, [0, 0, 0xa2, 0x61, b'e', 0x99, c, d]),
            _ => (0, [0xa2, 0x61, b'e', 0x9a, a, b, c, d]),
        };
        if let Some(start) = self.out.first_chunk_mut::<ROOM>() {
            *start = room;
        }
        self.out.get(skip..).unwrap_or_default()
    }
}

#[inline]
fn link(out: &mut Vec<u8>, cid: Option<&Cid>) {
    let Some(cid) = cid else {
        out.push(0xf6);
        return;
    };
    let mut bytes = [0; 41];
    let (head, digest) = bytes.split_at_mut(LINK.len());
    head.copy_from_slice(&LINK);
    // Only raw and dag-cbor CIDs exist; the codec is byte 6 of a link.
    if let Some(codec) = head.get_mut(6) {
        *codec = cid.codec().code();
    }
    digest.copy_from_slice(cid.digest());
    out.extend_from_slice(&bytes);
}

/// A canonical CBOR head; `major` is already shifted. Lengths in nodes are far below 2^32.
#[inline]
fn head(out: &mut Vec<u8>, major: u8, value: usize) {
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    let [a, b, c, d] = value.to_be_bytes();
    match value {
        0..24 => out.push(major | d),
        24..0x100 => out.extend_from_slice(&[major | 24, d]),
        0x100..0x1_0000 => out.extend_from_slice(&[major | 25, c, d]),
        _ => out.extend_from_slice(&[major | 26, a, b, c, d]),
    }
}
