//! The partial tree: an arena of opened nodes, stubs for the rest.
//!
//! An operation first **opens** every node that it may have to look into (this is all that can fail), then
//! changes them. Changed nodes lose their CID; [`Tree::flush`] hashes each of them once, however many
//! operations came between.

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::build::{EMPTY_NODE, empty_root};
use super::encode::NodeWriter;
use super::height::MAX_LAYER;
use super::node::{NodeError, NodeView};

/// Where nodes come from.
///
/// The tree trusts that the bytes are those of the CID: a source of foreign blocks hashes them first. It checks
/// everything else that can be seen in a node and its parent.
pub trait Nodes {
    /// The bytes of a node, `None` when the source does not have it.
    fn get(&mut self, cid: &Cid) -> Option<&[u8]>;
}

impl<T: Nodes + ?Sized> Nodes for &mut T {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        (**self).get(cid)
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
            TreeError::Node { .. } | TreeError::Range(_) | TreeError::BadKey { .. } => ErrorKind::Invalid,
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

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    start: u32,
    len: u32,
    pub(crate) value: Cid,
    pub(crate) right: Link,
}

/// An opened node. Keys lie in one buffer; entries point into it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) layer: u8,
    pub(crate) left: Link,
    pub(crate) entries: Vec<Entry>,
    keys: Vec<u8>,
    /// CID while unchanged since it was opened or flushed.
    pub(crate) cid: Option<Cid>,
}

impl Node {
    pub(crate) fn new(layer: u8, left: Link) -> Self {
        Self { layer, left, entries: Vec::new(), keys: Vec::new(), cid: None }
    }

    #[inline]
    pub(crate) fn key(&self, index: usize) -> &[u8] {
        self.entries.get(index).map(|e| self.key_of(e)).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn key_of(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize;
        self.keys.get(start..start.saturating_add(entry.len as usize)).unwrap_or_default()
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
    pub(crate) fn find(&self, key: &[u8]) -> (usize, bool) {
        if self.entries.len() > 16 {
            return match self.entries.binary_search_by(|e| self.key_of(e).cmp(key)) {
                Ok(at) => (at, true),
                Err(at) => (at, false),
            };
        }
        for (at, entry) in self.entries.iter().enumerate() {
            match self.key_of(entry).cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return (at, true),
                std::cmp::Ordering::Greater => return (at, false),
            }
        }
        (self.entries.len(), false)
    }

    pub(crate) fn add(&mut self, at: usize, key: &[u8], value: Cid, right: Link) {
        let start = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.extend_from_slice(key);
        let len = u32::try_from(key.len()).unwrap_or(u32::MAX);
        self.entries.insert(at.min(self.entries.len()), Entry { start, len, value, right });
    }

    /// Moves the entries from `at` on into a new node of the same layer.
    pub(crate) fn cut(&mut self, at: usize, left: Link) -> Node {
        let mut other = Node::new(self.layer, left);
        for entry in self.entries.get(at..).unwrap_or_default() {
            other.add(other.entries.len(), self.key_of(entry), entry.value, entry.right);
        }
        self.entries.truncate(at);
        other
    }

    /// Appends the entries of `other`.
    pub(crate) fn join(&mut self, other: &Node) {
        for entry in &other.entries {
            self.add(self.entries.len(), other.key_of(entry), entry.value, entry.right);
        }
    }

    fn read(view: &NodeView<'_>, cid: Cid, layer: u8) -> Self {
        let link = |cid: Option<Cid>| cid.map_or(Link::None, Link::Stub);
        let mut node = Node {
            layer,
            left: link(view.left()),
            // Room for the entry and the key that are likely to come.
            entries: Vec::with_capacity(view.len().saturating_add(1)),
            keys: Vec::with_capacity(view.len().saturating_add(1).saturating_mul(40)),
            cid: Some(cid),
        };
        let mut previous: usize = 0;
        for entry in view.entries() {
            let start = node.keys.len();
            node.keys.extend_from_within(previous..previous.saturating_add(entry.prefix));
            node.keys.extend_from_slice(entry.suffix);
            previous = start;
            node.entries.push(Entry {
                start: u32::try_from(start).unwrap_or(u32::MAX),
                len: u32::try_from(node.keys.len().saturating_sub(start)).unwrap_or(u32::MAX),
                value: entry.value,
                right: link(entry.right),
            });
        }
        node
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
    pub(crate) nodes: Vec<Node>,
    free: Vec<NodeId>,
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
            nodes: Vec::with_capacity(16),
            free: Vec::new(),
            root,
            base,
            retired: Vec::new(),
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
    /// [`TreeError::Absent`], or a node on the way cannot be read.
    pub fn update(&mut self, src: &mut impl Nodes, key: &[u8], value: Cid) -> Result<Cid, TreeError> {
        if !self.search(src, key)? {
            return Err(TreeError::Absent { key: text(key) });
        }
        self.touch_path();
        let Some((id, at)) = self.path.last().copied() else { return Err(TreeError::Absent { key: text(key) }) };
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
            let key = node.key_of(entry);
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
            let (at, found) = node.find(key);
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
                let bytes = src.get(&cid).ok_or(TreeError::Missing(cid))?;
                self.reads = self.reads.saturating_add(1);
                let view = NodeView::parse_root(bytes).map_err(|source| TreeError::Node { cid, source })?;
                // Only the empty node has no layer, and its CID is never a stub.
                let layer = view.layer().unwrap_or(0);
                let node = Node::read(&view, cid, layer);
                let id = self.put(node);
                self.root = Link::Node(id);
                Ok(id)
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
        let bytes = src.get(&cid).ok_or(TreeError::Missing(cid))?;
        let wrong = |source| TreeError::Node { cid, source };
        let layer = above.checked_sub(1).ok_or_else(|| wrong(NodeError::BelowBottom))?;
        let view = NodeView::parse_child(bytes, layer).map_err(wrong)?;
        self.reads = self.reads.saturating_add(1);
        let node = Node::read(&view, cid, layer);
        if let (Some(first), Some(last)) = (node.entries.first(), node.entries.last()) {
            let below = self.bound(lo).is_some_and(|lo| node.key_of(first) <= lo);
            if below || self.bound(hi).is_some_and(|hi| node.key_of(last) >= hi) {
                return Err(TreeError::Range(cid));
            }
        }
        Ok(self.put(node))
    }

    fn bound<'a>(&'a self, bound: Bound<'a>) -> Option<&'a [u8]> {
        match bound {
            Bound::Open => None,
            Bound::At(id, at) => Some(self.node(id).key(at)),
            Bound::Key(key) => Some(key),
        }
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
