//! One opened node of a partial tree.

use p2pds_ipld::Cid;

use super::fault::NodeError;
use super::node::{Checker, Cursor};

/// Index of a node in the arena.
pub(crate) type NodeId = u32;

/// A link to a subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    None,
    Stub(Cid),
    Node(NodeId),
}

/// An entry; its key lies in the tree's key buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(super) start: u32,
    pub(super) len: u32,
    pub(crate) value: Cid,
    pub(crate) right: Link,
}

impl Entry {
    #[inline]
    pub(super) fn key<'k>(&self, keys: &'k [u8]) -> &'k [u8] {
        let start = self.start as usize;
        keys.get(start..start.saturating_add(self.len as usize)).unwrap_or_default()
    }
}

/// An opened node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) layer: u8,
    pub(crate) left: Link,
    pub(crate) entries: Vec<Entry>,
    /// CID while unchanged since it was opened or flushed.
    pub(crate) cid: Option<Cid>,
}

impl Node {
    pub(crate) fn new(layer: u8, left: Link) -> Self {
        Self { layer, left, entries: Vec::new(), cid: None }
    }

    /// The link before entry `gap`.
    #[inline]
    pub(crate) fn gap(&self, gap: usize) -> Link {
        match gap.checked_sub(1) {
            None => self.left,
            Some(before) => self.entries.get(before).map_or(Link::None, |e| e.right),
        }
    }

    #[inline]
    pub(crate) fn set_gap(&mut self, gap: usize, link: Link) {
        match gap.checked_sub(1) {
            None => self.left = link,
            Some(before) => {
                if let Some(entry) = self.entries.get_mut(before) {
                    entry.right = link;
                }
            }
        }
    }

    /// First entry whose key is not less than `key`, and whether it is equal.
    #[inline]
    pub(super) fn find(&self, keys: &[u8], key: &[u8]) -> (usize, bool) {
        if self.entries.len() > 16 {
            return match self.entries.binary_search_by(|e| e.key(keys).cmp(key)) {
                Ok(at) => (at, true),
                Err(at) => (at, false),
            };
        }
        for (at, entry) in self.entries.iter().enumerate() {
            match entry.key(keys).cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return (at, true),
                std::cmp::Ordering::Greater => return (at, false),
            }
        }
        (self.entries.len(), false)
    }

    /// Moves the entries from `at` on into a new node of the same layer.
    pub(crate) fn cut(&mut self, at: usize, left: Link) -> Node {
        let entries = self.entries.split_off(at.min(self.entries.len()));
        Node { layer: self.layer, left, entries, cid: None }
    }

    /// Reads a node; its keys go to the end of `keys` and take `room` bytes at most.
    pub(super) fn read(
        bytes: &[u8],
        layer: Option<u8>,
        keys: &mut Vec<u8>,
        trusted: bool,
        room: usize,
    ) -> Result<Self, NodeError> {
        let most = keys.len().saturating_add(room);
        let link = |cid: Option<Cid>| cid.map_or(Link::None, Link::Stub);
        let mut at = Cursor::new(bytes);
        let len = at.open()?;
        let mut state = Checker::new(layer);
        // An entry has 50 bytes at least; room for the one that is likely to come.
        let mut entries = Vec::with_capacity(len.min(bytes.len() / 50).saturating_add(1));
        let (mut start, mut end) = (keys.len(), keys.len());
        for index in 0..len {
            let entry = at.entry(index)?;
            state.order(keys.get(start..end).unwrap_or_default(), &entry, index)?;
            let length = entry.prefix.saturating_add(entry.suffix.len());
            if keys.len().saturating_add(length) > most {
                return Err(NodeError::KeysTooLarge { entry: index });
            }
            keys.extend_from_within(start..start.saturating_add(entry.prefix));
            keys.extend_from_slice(entry.suffix);
            (start, end) = (end, keys.len());
            if !trusted || state.layer.is_none() {
                state.layer(keys.get(start..end).unwrap_or_default(), index)?;
            }
            entries.push(Entry {
                start: u32::try_from(start).unwrap_or(u32::MAX),
                len: u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX),
                value: entry.value,
                right: link(entry.right),
            });
        }
        let left = at.close()?;
        state.finish(left.as_ref())?;
        match (layer, len, left) {
            (Some(_), 0, None) => return Err(NodeError::Empty),
            (None, 0, Some(_)) => return Err(NodeError::Untrimmed),
            _ => {}
        }
        // Only the empty node has no layer, and its CID is never a stub.
        Ok(Self { layer: state.layer.unwrap_or(0), left: link(left), entries, cid: None })
    }
}
