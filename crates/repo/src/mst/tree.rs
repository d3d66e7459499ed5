//! The partial tree: an arena of opened nodes, stubs for the rest.
//!
//! An operation first **opens** every node that it may have to look into (this is all that can fail), then
//! changes them. Changed nodes lose their CID; [`Tree::flush`] hashes each of them once, however many
//! operations came between.

use p2pds_ipld::{Cid, Codec};

use super::build::{EMPTY_NODE, empty_root};
use super::encode::NodeWriter;
use super::fault::NodeError;
use super::height::MAX_LAYER;
use super::node::{KEY_GROWTH, KEY_ROOM};
use super::opened::{Entry, Link, Node, NodeId};
use super::source::{Nodes, TreeError};

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
    /// Bytes of the foreign nodes that were opened, and of their keys.
    foreign: (usize, usize),
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
            foreign: (0, 0),
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
        // What this engine computed has keys that were in memory before.
        let room = if trusted {
            usize::MAX
        } else {
            self.foreign.0 = self.foreign.0.saturating_add(bytes.len());
            self.foreign.0.saturating_mul(KEY_GROWTH).saturating_add(KEY_ROOM).saturating_sub(self.foreign.1)
        };
        match Node::read(bytes, layer, &mut self.keys, trusted, room) {
            Ok(node) => {
                if !trusted {
                    self.foreign.1 = self.foreign.1.saturating_add(self.keys.len().saturating_sub(used));
                }
                Ok(Node { cid: Some(cid), ..node })
            }
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
