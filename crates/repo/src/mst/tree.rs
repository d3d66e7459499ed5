//! The partial tree: an arena of opened nodes, stubs for the rest.
//!
//! An operation first **opens** every node that it may have to look into (this is all that can fail), then
//! changes them. Changed nodes lose their CID; [`Tree::flush`] hashes each of them once, however many
//! operations came between.

use p2pds_ipld::{Cid, Codec};
use p2pds_syntax::ErrorKind;

use super::build::{EMPTY_NODE, empty_root};
use super::encode::NodeWriter;
use super::height::MAX_LAYER;
use super::node::{Checker, Cursor, NodeError};

/// Where nodes come from.
///
/// The tree trusts that the bytes are those of the CID: a source of foreign blocks hashes them first. It checks
/// everything else that can be seen in a node and its parent.
pub trait Nodes {
    /// The bytes of a node, `None` when the source does not have it.
    fn get(&mut self, cid: &Cid) -> Option<&[u8]>;

    /// True when this engine computed the nodes itself: their keys are not hashed again to check their layer.
    fn trusted(&self) -> bool {
        false
    }
}

/// Nodes that this engine computed; see [`Nodes::trusted`].
#[derive(Debug)]
pub struct Own<'n, N>(pub &'n mut N);

impl<N: Nodes> Nodes for Own<'_, N> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        self.0.get(cid)
    }

    fn trusted(&self) -> bool {
        true
    }
}

impl<T: Nodes + ?Sized> Nodes for &mut T {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        (**self).get(cid)
    }

    fn trusted(&self) -> bool {
        (**self).trusted()
    }
}

impl<B: AsRef<[u8]>, S: std::hash::BuildHasher> Nodes for std::collections::HashMap<Cid, B, S> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        std::collections::HashMap::get(self, cid).map(AsRef::as_ref)
    }
}

/// A source without any node.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNodes;

impl Nodes for NoNodes {
    fn get(&mut self, _: &Cid) -> Option<&[u8]> {
        None
    }
}

/// Why an operation on a tree failed. The tree is unchanged then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A node that is needed was not there.
    #[error("tree node {0} is needed and missing")]
    Missing(Cid),
    /// A node is not canonical.
    #[error("tree node {cid}: {source}")]
    Node {
        /// Which node.
        cid: Cid,
        /// What is wrong with it.
        source: NodeError,
    },
    /// Keys of a node do not lie between the keys around the link to it.
    #[error("tree node {0} has keys outside of the range that its parent gives it")]
    Range(Cid),
    /// A key to insert is there already.
    #[error("a record at {key} exists already")]
    Exists {
        /// The key.
        key: String,
    },
    /// A key to update or delete is not there.
    #[error("there is no record at {key}")]
    Absent {
        /// The key.
        key: String,
    },
    /// A record to insert whose CID is not that of CBOR; nobody could read the tree any more.
    #[error("the record at {key} cannot be put into the tree: by its CID it is not CBOR")]
    BadRecord {
        /// The key.
        key: String,
    },
    /// The tree would become deeper than [`MAX_LAYER`], or the key is longer than permitted.
    #[error("the key {key} cannot stand in a tree")]
    BadKey {
        /// The key.
        key: String,
    },
}

impl TreeError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            TreeError::Missing(_) => ErrorKind::Corrupt,
            TreeError::Exists { .. } => ErrorKind::Conflict,
            TreeError::Absent { .. } => ErrorKind::NotFound,
            TreeError::Node { .. }
            | TreeError::Range(_)
            | TreeError::BadRecord { .. }
            | TreeError::BadKey { .. } => ErrorKind::Invalid,
        }
    }
}

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
    start: u32,
    len: u32,
    pub(crate) value: Cid,
    pub(crate) right: Link,
}

impl Entry {
    #[inline]
    fn key<'k>(&self, keys: &'k [u8]) -> &'k [u8] {
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
    fn find(&self, keys: &[u8], key: &[u8]) -> (usize, bool) {
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

    /// Reads a node; its keys go to the end of `keys`.
    fn read(bytes: &[u8], layer: Option<u8>, keys: &mut Vec<u8>, trusted: bool) -> Result<Self, NodeError> {
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

/// One side of the range that a child's keys must lie in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound<'k> {
    Open,
    At(NodeId, usize),
    Key(&'k [u8]),
}

/// One step of a search: a node and the entry (or gap) at which the search left it.
pub(crate) type Step = (NodeId, usize);

/// A partial tree; see the module text.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// Bytes of all keys; those of entries that are gone stay until the tree is dropped.
    keys: Vec<u8>,
    pub(crate) root: Link,
    /// Root CID at the last flush.
    base: Cid,
    /// CIDs that were part of the tree at the last flush and may not be any more.
    pub(crate) retired: Vec<Cid>,
    reads: u64,
    /// Scratch for the search path.
    pub(crate) path: Vec<Step>,
    writer: NodeWriter,
}

impl Tree {
    /// The tree of an empty repository.
    #[must_use]
    pub fn empty() -> Self {
        Self::at(empty_root(), Link::None)
    }

    /// The tree with this root; nothing is read yet.
    #[must_use]
    pub fn open(root: Cid) -> Self {
        let link = if root == empty_root() { Link::None } else { Link::Stub(root) };
        Self::at(root, link)
    }

    fn at(base: Cid, root: Link) -> Self {
        Self {
            nodes: Vec::with_capacity(12),
            free: Vec::new(),
            keys: Vec::new(),
            root,
            base,
            retired: Vec::with_capacity(16),
            reads: 0,
            path: Vec::with_capacity(16),
            writer: NodeWriter::new(),
        }
    }

    /// Root CID as of the last flush (or as opened).
    #[must_use]
    pub fn root(&self) -> Cid {
        self.base
    }

    /// Nodes read from sources since the tree was made.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// The record at `key`.
    ///
    /// # Errors
    /// [`TreeError::Missing`] and friends when a node on the way cannot be read.
    pub fn get(&mut self, src: &mut impl Nodes, key: &[u8]) -> Result<Option<Cid>, TreeError> {
        let found = self.search(src, key)?;
        let last = self.path.last().copied();
        Ok(last.filter(|_| found).and_then(|(id, at)| self.node(id).entries.get(at).map(|e| e.value)))
    }

    /// Changes the record at `key`; gives the one before.
    ///
    /// # Errors
    /// [`TreeError::Absent`], [`TreeError::BadRecord`], or a node on the way cannot be read.
    pub fn update(&mut self, src: &mut impl Nodes, key: &[u8], value: Cid) -> Result<Cid, TreeError> {
        Self::check_record(key, &value)?;
        if !self.search(src, key)? {
            return Err(TreeError::Absent { key: text(key) });
        }
        self.touch_path();
        let Some((id, at)) = self.path.last().copied() else {
            return Err(TreeError::Absent { key: text(key) });
        };
        match self.node_mut(id).entries.get_mut(at) {
            Some(entry) => Ok(std::mem::replace(&mut entry.value, value)),
            None => Err(TreeError::Absent { key: text(key) }),
        }
    }

    /// Hashes all changed nodes once, children first, and gives the new root. `sink` gets each node that was
    /// not part of the tree at the last flush, `retired` each CID that was and is not any more.
    pub fn flush(&mut self, mut sink: impl FnMut(&Cid, &[u8]), retired: impl FnMut(&Cid)) -> Cid {
        self.flush_layers(|cid, bytes, _| sink(cid, bytes), retired)
    }

    /// As [`Tree::flush`]; the sink gets the layer too.
    pub(crate) fn flush_layers(
        &mut self,
        mut sink: impl FnMut(&Cid, &[u8], u8),
        mut retired: impl FnMut(&Cid),
    ) -> Cid {
        let mut gone = std::mem::take(&mut self.retired);
        gone.sort_unstable();
        let mut kept = vec![false; gone.len()];
        let root = match self.root {
            Link::None => empty_root(),
            Link::Stub(cid) => cid,
            Link::Node(id) => {
                let mut emit = |cid: &Cid, bytes: &[u8], layer: u8| match gone.binary_search(cid) {
                    Ok(at) => {
                        if let Some(kept) = kept.get_mut(at) {
                            *kept = true;
                        }
                    }
                    Err(_) => sink(cid, bytes, layer),
                };
                self.hash(id, &mut emit)
            }
        };
        if root != self.base && self.root == Link::None {
            sink(&root, &EMPTY_NODE, 0);
        }
        if root != self.base && self.base == empty_root() {
            retired(&self.base);
        }
        for (cid, _) in gone.iter().zip(kept).filter(|(_, kept)| !kept) {
            retired(cid);
        }
        self.base = root;
        root
    }

    /// The root after all changes, for a tree that is not used any more.
    pub(crate) fn rehash(mut self) -> Cid {
        match self.root {
            Link::None => empty_root(),
            Link::Stub(cid) => cid,
            Link::Node(id) => self.hash(id, &mut |_, _, _| {}),
        }
    }

    fn hash(&mut self, id: NodeId, emit: &mut impl FnMut(&Cid, &[u8], u8)) -> Cid {
        if let Some(cid) = self.node(id).cid {
            return cid;
        }
        for gap in 0..=self.node(id).entries.len() {
            if let Link::Node(child) = self.node(id).gap(gap) {
                self.hash(child, emit);
            }
        }
        let mut writer = std::mem::take(&mut self.writer);
        let bytes = self.encode(id, &mut writer);
        let cid = Cid::of_cbor(bytes);
        emit(&cid, bytes, self.node(id).layer);
        self.writer = writer;
        self.node_mut(id).cid = Some(cid);
        cid
    }

    /// The bytes of a node whose children all have CIDs.
    pub(crate) fn encode<'w>(&self, id: NodeId, writer: &'w mut NodeWriter) -> &'w [u8] {
        let node = self.node(id);
        writer.start();
        let mut previous: &[u8] = &[];
        for entry in &node.entries {
            let key = entry.key(&self.keys);
            writer.key(previous, key);
            writer.links(self.link_cid(entry.right).as_ref(), &entry.value);
            previous = key;
        }
        writer.finish(self.link_cid(node.left).as_ref())
    }

    #[inline]
    pub(crate) fn link_cid(&self, link: Link) -> Option<Cid> {
        match link {
            Link::None => None,
            Link::Stub(cid) => Some(cid),
            Link::Node(id) => self.node(id).cid,
        }
    }

    /// Opens all nodes on the way to `key` and leaves the way in `self.path`: the last step is the entry, or
    /// the empty gap where it would be. True when found.
    pub(crate) fn search(&mut self, src: &mut impl Nodes, key: &[u8]) -> Result<bool, TreeError> {
        self.path.clear();
        if self.root == Link::None {
            return Ok(false);
        }
        let mut id = self.open_root(src)?;
        let (mut lo, mut hi) = (Bound::Open, Bound::Open);
        loop {
            let node = self.node(id);
            let (at, found) = node.find(&self.keys, key);
            let (link, layer) = (node.gap(at), node.layer);
            if let Some(before) = at.checked_sub(1) {
                lo = Bound::At(id, before);
            }
            if at < node.entries.len() {
                hi = Bound::At(id, at);
            }
            self.path.push((id, at));
            if found {
                return Ok(true);
            }
            match link {
                Link::None => return Ok(false),
                Link::Node(child) => id = child,
                Link::Stub(cid) => {
                    let child = self.read(src, cid, layer, lo, hi)?;
                    self.node_mut(id).set_gap(at, Link::Node(child));
                    id = child;
                }
            }
        }
    }

    /// Entries of the node in which the last search ended.
    pub(crate) fn width(&self) -> usize {
        self.path.last().map_or(0, |(id, _)| self.node(*id).entries.len())
    }

    pub(crate) fn open_root(&mut self, src: &mut impl Nodes) -> Result<NodeId, TreeError> {
        match self.root {
            Link::Node(id) => Ok(id),
            Link::None => Err(TreeError::Missing(empty_root())),
            Link::Stub(cid) => {
                let node = self.parse(src, cid, None)?;
                let id = self.put(node);
                self.root = Link::Node(id);
                Ok(id)
            }
        }
    }

    fn parse(&mut self, src: &mut impl Nodes, cid: Cid, layer: Option<u8>) -> Result<Node, TreeError> {
        let trusted = src.trusted();
        let bytes = src.get(&cid).ok_or(TreeError::Missing(cid))?;
        self.reads = self.reads.saturating_add(1);
        let used = self.keys.len();
        if used == 0 {
            // Ten nodes of four keys, the usual way down.
            self.keys.reserve(2048);
        }
        match Node::read(bytes, layer, &mut self.keys, trusted) {
            Ok(node) => Ok(Node { cid: Some(cid), ..node }),
            Err(source) => {
                self.keys.truncate(used);
                Err(TreeError::Node { cid, source })
            }
        }
    }

    /// Opens the link in a gap of an opened node; `None` for an empty gap.
    pub(crate) fn open_gap(
        &mut self,
        src: &mut impl Nodes,
        (id, gap): Step,
        lo: Bound<'_>,
        hi: Bound<'_>,
    ) -> Result<Option<NodeId>, TreeError> {
        match self.node(id).gap(gap) {
            Link::None => Ok(None),
            Link::Node(child) => Ok(Some(child)),
            Link::Stub(cid) => {
                let child = self.read(src, cid, self.node(id).layer, lo, hi)?;
                self.node_mut(id).set_gap(gap, Link::Node(child));
                Ok(Some(child))
            }
        }
    }

    fn read(
        &mut self,
        src: &mut impl Nodes,
        cid: Cid,
        above: u8,
        lo: Bound<'_>,
        hi: Bound<'_>,
    ) -> Result<NodeId, TreeError> {
        let bottom = TreeError::Node { cid, source: NodeError::BelowBottom };
        let node = self.parse(src, cid, Some(above.checked_sub(1).ok_or(bottom)?))?;
        if let (Some(first), Some(last)) = (node.entries.first(), node.entries.last()) {
            let below = self.bound(lo).is_some_and(|lo| first.key(&self.keys) <= lo);
            if below || self.bound(hi).is_some_and(|hi| last.key(&self.keys) >= hi) {
                return Err(TreeError::Range(cid));
            }
        }
        Ok(self.put(node))
    }

    fn bound<'a>(&'a self, bound: Bound<'a>) -> Option<&'a [u8]> {
        match bound {
            Bound::Open => None,
            Bound::At(id, at) => self.node(id).entries.get(at).map(|entry| entry.key(&self.keys)),
            Bound::Key(key) => Some(key),
        }
    }

    /// Adds an entry to a node.
    pub(crate) fn add(&mut self, id: NodeId, at: usize, key: &[u8], value: Cid, right: Link) {
        let start = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.extend_from_slice(key);
        let len = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let entries = &mut self.node_mut(id).entries;
        entries.insert(at.min(entries.len()), Entry { start, len, value, right });
    }

    pub(crate) fn put(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.free.pop() {
            *self.node_mut(id) = node;
            return id;
        }
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(node);
        id
    }

    /// Takes a node out of the arena.
    pub(crate) fn take(&mut self, id: NodeId) -> Node {
        self.touch(id);
        self.free.push(id);
        std::mem::replace(self.node_mut(id), Node::new(0, Link::None))
    }

    /// Marks a node as changed.
    #[inline]
    pub(crate) fn touch(&mut self, id: NodeId) {
        if let Some(cid) = self.node_mut(id).cid.take() {
            self.retired.push(cid);
        }
    }

    pub(crate) fn touch_path(&mut self) {
        for step in 0..self.path.len() {
            if let Some((id, _)) = self.path.get(step).copied() {
                self.touch(id);
            }
        }
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "ids come from `put` and stay valid while linked")]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "ids come from `put` and stay valid while linked")]
    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    pub(crate) fn check_record(key: &[u8], value: &Cid) -> Result<(), TreeError> {
        match value.codec() {
            Codec::DagCbor => Ok(()),
            Codec::Raw => Err(TreeError::BadRecord { key: text(key) }),
        }
    }

    pub(crate) fn check_key(key: &[u8], layer: u8) -> Result<(), TreeError> {
        if key.len() > super::MAX_KEY || key.is_empty() || layer > MAX_LAYER {
            return Err(TreeError::BadKey { key: text(key) });
        }
        Ok(())
    }
}

pub(crate) fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
