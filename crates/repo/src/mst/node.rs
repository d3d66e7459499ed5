//! The strict node codec: one canonical byte form for each node, everything else refused by name.
//!
//! ```text
//! node  = a2 61'e' array(n) entry*n  61'l' (null | link)
//! entry = a4 61'k' bytes  61'p' uint  61't' (null | link)  61'v' link
//! link  = d8 2a 58 25 00 01 71 12 20 digest[32]
//! ```
//!
//! Checked here: canonical DRISL of exactly this shape, keys valid and rising, prefix compression
//! *maximal*, every key on the node's layer, no links below layer 0, no empty node below the root.
//! Not checked here: that a child's keys lie between its parent's (walkers know both), and that the
//! bytes hash to the CID they were asked for.

use p2pds_ipld::{Cid, Codec};

use super::fault::NodeError;
use super::height::{MAX_LAYER, height};

/// Longest key in bytes (reference implementation; the real maximum of NSID, slash and record key is 830).
pub const MAX_KEY: usize = 1024;

/// Most entries that we read in one node. By chance a node has 4; past a few dozen somebody mined keys.
pub const MAX_ENTRIES: usize = 8192;

/// The bytes of a link up to the digest: tag 42, byte string of 37, identity multibase, CIDv1, dag-cbor,
/// sha2-256, 32 bytes.
pub(crate) const LINK: [u8; 9] = [0xd8, 0x2a, 0x58, 0x25, 0x00, 0x01, 0x71, 0x12, 0x20];

/// The keys of all foreign nodes that a partial tree opens may take this many times the nodes' bytes, and
/// [`KEY_ROOM`] more. Keys of the usual lengths take half the bytes of their nodes; the longest that there can
/// be, with nothing but their ends different, three times in the mean.
pub const KEY_GROWTH: usize = 3;

/// Bytes of keys that are always allowed, see [`KEY_GROWTH`].
pub const KEY_ROOM: usize = 12 << 10;

/// One entry of a node, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView<'a> {
    /// Bytes shared with the key of the previous entry of the same node.
    pub prefix: usize,
    /// The rest of the key.
    pub suffix: &'a [u8],
    /// CID of the record.
    pub value: Cid,
    /// Root of the subtree between this key and the next.
    pub right: Option<Cid>,
}

/// A verified node over its bytes. Reading it again costs no checks and no allocation.
#[derive(Debug, Clone, Copy)]
pub struct NodeView<'a> {
    left: Option<Cid>,
    len: usize,
    layer: Option<u8>,
    entries: &'a [u8],
}

impl<'a> NodeView<'a> {
    /// Reads a root: its layer is that of its keys, it may be empty, it must be trimmed.
    ///
    /// # Errors
    /// [`NodeError`] for every form but the canonical one.
    pub fn parse_root(bytes: &'a [u8]) -> Result<Self, NodeError> {
        let view = Self::parse(bytes, None)?;
        if view.len == 0 && view.left.is_some() {
            return Err(NodeError::Untrimmed);
        }
        Ok(view)
    }

    /// Reads a node that stands on `layer`, below some other node.
    ///
    /// # Errors
    /// [`NodeError`] for every form but the canonical one.
    pub fn parse_child(bytes: &'a [u8], layer: u8) -> Result<Self, NodeError> {
        let view = Self::parse(bytes, Some(layer))?;
        if view.len == 0 && view.left.is_none() {
            return Err(NodeError::Empty);
        }
        Ok(view)
    }

    /// Reads a node of which nothing is known. All its keys must be of one layer.
    ///
    /// # Errors
    /// [`NodeError`] for every form but the canonical one.
    pub fn parse_any(bytes: &'a [u8]) -> Result<Self, NodeError> {
        Self::parse(bytes, None)
    }

    /// Reads a node that stands on `layer` and was built here from its keys: its form is read, its keys are not checked
    /// again.
    ///
    /// # Errors
    /// [`NodeError`] when it has not the form of a node.
    pub(crate) fn parse_built(bytes: &'a [u8], layer: u8) -> Result<Self, NodeError> {
        let mut at = Cursor::new(bytes);
        let len = at.open()?;
        let body = at.rest;
        for index in 0..len {
            at.entry(index)?;
        }
        let used = body.len().saturating_sub(at.rest.len());
        let left = at.close()?;
        Ok(Self { left, len, layer: Some(layer), entries: body.get(..used).unwrap_or_default() })
    }

    fn parse(bytes: &'a [u8], layer: Option<u8>) -> Result<Self, NodeError> {
        let mut at = Cursor::new(bytes);
        let len = at.open()?;
        let body = at.rest;
        let mut state = Checker::new(layer);
        let mut key = [0; MAX_KEY];
        let mut key_len = 0;
        for index in 0..len {
            let entry = at.entry(index)?;
            state.order(key.get(..key_len).unwrap_or_default(), &entry, index)?;
            key_len = entry.prefix.saturating_add(entry.suffix.len());
            if let Some(room) = key.get_mut(entry.prefix..key_len) {
                room.copy_from_slice(entry.suffix);
            }
            state.layer(key.get(..key_len).unwrap_or_default(), index)?;
        }
        let used = body.len().saturating_sub(at.rest.len());
        let left = at.close()?;
        state.finish(left.as_ref())?;
        Ok(Self { left, len, layer: state.layer, entries: body.get(..used).unwrap_or_default() })
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for the node of an empty repository (no entries) and for an empty intermediate node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Root of the subtree before the first key.
    #[must_use]
    pub fn left(&self) -> Option<Cid> {
        self.left
    }

    /// Layer of the node: as told, else that of its keys, else unknown (a node without entries).
    #[must_use]
    pub fn layer(&self) -> Option<u8> {
        self.layer
    }

    /// The entries in key order.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries { at: Cursor::new(self.entries) }
    }
}

/// Iterator over the entries of a [`NodeView`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    at: Cursor<'a>,
}

impl<'a> Entries<'a> {
    /// The part of the node's bytes not read yet; a position to come back to with [`Entries::resume`].
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.at.rest
    }

    /// Goes on from what [`Entries::rest`] gave. Only meaningful for bytes of a verified node.
    #[must_use]
    pub fn resume(rest: &'a [u8]) -> Self {
        Self { at: Cursor::new(rest) }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = EntryView<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryView<'a>> {
        if self.at.rest.is_empty() {
            return None;
        }
        self.at.entry(0).ok()
    }
}

/// The rules for neighbouring entries; what must be remembered from one to the next.
#[derive(Debug)]
pub(super) struct Checker {
    /// Layer of the node, as told or as its first key has it.
    pub layer: Option<u8>,
    has_links: bool,
    /// Position of the slash in the last key.
    slash: usize,
}

impl Checker {
    pub fn new(layer: Option<u8>) -> Self {
        Self { layer, has_links: false, slash: usize::MAX }
    }

    /// Order and compression, before the key is put together.
    #[inline]
    pub fn order(&mut self, previous: &[u8], entry: &EntryView<'_>, index: usize) -> Result<(), NodeError> {
        self.has_links |= entry.right.is_some();
        if entry.prefix > previous.len() {
            return Err(NodeError::PrefixTooLong { entry: index });
        }
        match (previous.get(entry.prefix), entry.suffix.first()) {
            (Some(old), Some(new)) if new == old => Err(NodeError::PrefixNotMaximal { entry: index }),
            (Some(old), Some(new)) if new < old => Err(NodeError::KeyOrder { entry: index }),
            (_, Some(_)) => self.characters(entry, index),
            (_, None) if index == 0 => Err(NodeError::KeyInvalid { entry: index }),
            (_, None) => Err(NodeError::KeyOrder { entry: index }),
        }
    }

    /// Whether the key is a record path, given that the one before it is.
    #[inline]
    fn characters(&mut self, entry: &EntryView<'_>, index: usize) -> Result<(), NodeError> {
        let len = entry.prefix.saturating_add(entry.suffix.len());
        let seen = entry.suffix.iter().fold(0, |seen, byte| seen | class(*byte));
        if entry.prefix <= self.slash {
            self.slash = usize::MAX;
        }
        if seen & SLASH != 0 {
            let mut slashes =
                entry.suffix.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            let first = slashes.next().unwrap_or(0).saturating_add(entry.prefix);
            if slashes.next().is_some() || self.slash != usize::MAX || first == 0 {
                return Err(NodeError::KeyInvalid { entry: index });
            }
            self.slash = first;
        }
        if seen & BAD == 0 && len <= MAX_KEY && self.slash < len.saturating_sub(1) {
            Ok(())
        } else {
            Err(NodeError::KeyInvalid { entry: index })
        }
    }

    /// The layer of a key.
    #[inline]
    pub fn layer(&mut self, key: &[u8], index: usize) -> Result<(), NodeError> {
        let found = height(key);
        match self.layer {
            None => self.layer = Some(found),
            Some(expected) if expected != found => {
                return Err(NodeError::WrongLayer { entry: index, expected, found });
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// What can be said at the end.
    pub fn finish(&self, left: Option<&Cid>) -> Result<(), NodeError> {
        match self.layer {
            Some(0) if left.is_some() || self.has_links => Err(NodeError::BelowBottom),
            Some(layer) if layer > MAX_LAYER => Err(NodeError::TooDeep { layer }),
            _ => Ok(()),
        }
    }
}

/// The slash, and what may not stand in a path.
const SLASH: u8 = 1;
const BAD: u8 = 2;

#[inline]
fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(BAD)
}

/// 0 for characters of a path part (`A-Za-z0-9_~-:.`).
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut b: usize = 0;
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, b < 256")]
    while b < 256 {
        let c = b as u8;
        table[b] = match c {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'~' | b'-' | b':' | b'.' => 0,
            b'/' => SLASH,
            _ => BAD,
        };
        b += 1;
    }
    table
};

/// Reads the grammar of a node, nothing more.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, total: bytes.len() }
    }

    /// The start of a node: its number of entries.
    #[inline]
    pub fn open(&mut self) -> Result<usize, NodeError> {
        self.literal(&[0xa2, 0x61, b'e'], "a map of e and l")?;
        let count = self.head(0x80, "an array of entries")?;
        if count > MAX_ENTRIES as u64 {
            return Err(NodeError::TooManyEntries { count });
        }
        usize::try_from(count).map_err(|_| NodeError::TooManyEntries { count })
    }

    /// The end of a node: its first link.
    #[inline]
    pub fn close(&mut self) -> Result<Option<Cid>, NodeError> {
        self.literal(&[0x61, b'l'], "the key l")?;
        let left = self.link_or_null()?;
        if !self.rest.is_empty() {
            return Err(NodeError::Trailing { count: self.rest.len() });
        }
        Ok(left)
    }

    #[cold]
    fn fail(&self, expected: &'static str) -> NodeError {
        NodeError::Form { expected, offset: self.total.saturating_sub(self.rest.len()) }
    }

    #[inline]
    fn literal<const N: usize>(&mut self, want: &[u8; N], name: &'static str) -> Result<(), NodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) if head == want => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(self.fail(name)),
        }
    }

    /// A canonical CBOR head of `major` (already shifted) with an argument below 2^32.
    #[inline]
    fn head(&mut self, major: u8, name: &'static str) -> Result<u64, NodeError> {
        let Some((first, rest)) = self.rest.split_first() else { return Err(self.fail(name)) };
        let (value, rest, least) = match first.wrapping_sub(major) {
            small @ 0..24 => (u64::from(small), rest, 0),
            24 => match rest.split_first_chunk::<1>() {
                Some((b, rest)) => (u64::from(u8::from_be_bytes(*b)), rest, 24),
                None => return Err(self.fail(name)),
            },
            25 => match rest.split_first_chunk::<2>() {
                Some((b, rest)) => (u64::from(u16::from_be_bytes(*b)), rest, 0x100),
                None => return Err(self.fail(name)),
            },
            26 => match rest.split_first_chunk::<4>() {
                Some((b, rest)) => (u64::from(u32::from_be_bytes(*b)), rest, 0x1_0000),
                None => return Err(self.fail(name)),
            },
            _ => return Err(self.fail(name)),
        };
        if value < least {
            return Err(self.fail("the shortest form of a length or number"));
        }
        self.rest = rest;
        Ok(value)
    }

    #[inline]
    fn digest(&mut self) -> Result<Cid, NodeError> {
        self.literal(&LINK, "a link (CIDv1, dag-cbor, sha-256)")?;
        match self.rest.split_first_chunk::<32>() {
            Some((digest, rest)) => {
                self.rest = rest;
                Ok(Cid::new(Codec::DagCbor, *digest))
            }
            None => Err(self.fail("32 bytes of hash")),
        }
    }

    #[inline]
    fn link_or_null(&mut self) -> Result<Option<Cid>, NodeError> {
        match self.rest.split_first() {
            Some((0xf6, rest)) => {
                self.rest = rest;
                Ok(None)
            }
            _ => self.digest().map(Some),
        }
    }

    /// A record link; an odd but well-formed one has its own error.
    #[inline]
    fn value(&mut self, entry: usize) -> Result<Cid, NodeError> {
        if self.rest.first_chunk::<9>() == Some(&LINK) {
            return self.digest();
        }
        self.literal(&[0xd8, 0x2a], "a link to a record")?;
        let len = self.head(0x40, "the bytes of a link")?;
        let fits = usize::try_from(len).is_ok_and(|n| n <= self.rest.len());
        match self.rest.first() {
            Some(0) if fits => Err(NodeError::OddLeaf { entry }),
            _ => Err(self.fail("the bytes of a link")),
        }
    }

    #[inline]
    pub fn entry(&mut self, index: usize) -> Result<EntryView<'a>, NodeError> {
        self.literal(&[0xa4, 0x61, b'k'], "an entry of k, p, t and v")?;
        let len = self.head(0x40, "the bytes of a key")?;
        let cut = usize::try_from(len).ok().and_then(|n| self.rest.split_at_checked(n));
        let Some((suffix, rest)) = cut else { return Err(self.fail("the bytes of a key")) };
        self.rest = rest;
        self.literal(&[0x61, b'p'], "the key p")?;
        let prefix = self.head(0x00, "a prefix length")?;
        let prefix = usize::try_from(prefix).map_err(|_| NodeError::PrefixTooLong { entry: index })?;
        self.literal(&[0x61, b't'], "the key t")?;
        let right = self.link_or_null()?;
        self.literal(&[0x61, b'v'], "the key v")?;
        let value = self.value(index)?;
        Ok(EntryView { prefix, suffix, value, right })
    }
}
