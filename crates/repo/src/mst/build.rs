//! The bulk builder: sorted keys in, nodes out, nothing kept but the right edge of the tree.

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::encode::NodeWriter;
use super::height::height;

/// The one node of an empty repository: `{"e": [], "l": null}`.
pub const EMPTY_NODE: [u8; 7] = [0xa2, 0x61, b'e', 0x80, 0x61, b'l', 0xf6];

/// CID of [`EMPTY_NODE`].
#[must_use]
pub fn empty_root() -> Cid {
    Cid::of_cbor(&EMPTY_NODE)
}

/// Why a key was refused by the builder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder needs strictly rising keys.
    #[error(
        "key {key:?} does not come after the key before it; the input must be sorted and without repeats"
    )]
    OutOfOrder {
        /// The offending key.
        key: String,
    },
}

impl BuildError {
    #[cold]
    pub(crate) fn out_of_order(key: &[u8]) -> Self {
        BuildError::OutOfOrder { key: String::from_utf8_lossy(key).into_owned() }
    }

    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Root of a run of keys: the layer on which it stands and its CID.
pub type Root = (u8, Cid);

/// Builds the tree of strictly rising keys in one pass and gives every node to `sink`, children first.
///
/// Memory is the right edge: a few kB. Keys are checked for order only; they come from `RecordPath`s.
#[derive(Debug)]
pub struct Builder<S> {
    sink: S,
    edge: Edge,
}

/// The right edge of a growing tree: the machine inside [`Builder`], with the sink as an argument.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    levels: Vec<Level>,
    last: Vec<u8>,
    records: u64,
}

/// The unfinished node of one layer.
#[derive(Debug)]
struct Level {
    writer: NodeWriter,
    left: Option<Cid>,
    /// Key and record of the last entry, whose links are written when its subtree is known.
    key: Vec<u8>,
    value: Option<Cid>,
    /// Root of the finished subtree after the last entry (before the first, while there is none).
    child: Option<Cid>,
}

impl Level {
    fn new() -> Self {
        Self { writer: NodeWriter::new(), left: None, key: Vec::with_capacity(64), value: None, child: None }
    }

    #[inline]
    fn push(&mut self, key: &[u8], value: &Cid) {
        let child = self.child.take();
        match self.value.replace(*value) {
            None => {
                self.writer.start();
                self.left = child;
                self.writer.key(&[], key);
            }
            Some(previous) => {
                self.writer.links(child.as_ref(), &previous);
                self.writer.key(&self.key, key);
            }
        }
        self.key.clear();
        self.key.extend_from_slice(key);
    }

    /// Ends the node of this layer. `None` when there is nothing on it.
    fn close(&mut self, layer: usize, sink: &mut impl EdgeSink) -> Option<Cid> {
        let child = self.child.take();
        let bytes = match self.value.take() {
            Some(last) => {
                self.writer.links(child.as_ref(), &last);
                self.writer.finish(self.left.take().as_ref())
            }
            None => {
                child.as_ref()?;
                self.writer.start();
                self.writer.finish(child.as_ref())
            }
        };
        let cid = Cid::of_cbor(bytes);
        sink(u8::try_from(layer).unwrap_or(u8::MAX), &cid, bytes);
        Some(cid)
    }
}

/// Takes finished nodes: layer, CID, bytes.
pub(crate) trait EdgeSink: FnMut(u8, &Cid, &[u8]) {}
impl<F: FnMut(u8, &Cid, &[u8])> EdgeSink for F {}

impl Edge {
    /// Adds the next record on its layer.
    #[inline]
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        value: &Cid,
        layer: u8,
        sink: &mut impl EdgeSink,
    ) -> Result<(), BuildError> {
        if self.records > 0 && key <= self.last.as_slice() {
            return Err(BuildError::out_of_order(key));
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.records = self.records.saturating_add(1);
        let layer = usize::from(layer);
        self.grow(layer);
        self.close_below(layer, sink);
        if let Some(level) = self.levels.get_mut(layer) {
            level.push(key, value);
        }
        Ok(())
    }

    /// Hangs a finished subtree, whose root stands on `layer`, into the gap after the last record.
    pub(crate) fn hang(&mut self, (layer, root): Root) {
        let above = usize::from(layer).saturating_add(1);
        self.grow(above);
        if let Some(level) = self.levels.get_mut(above) {
            level.child = Some(root);
        }
    }

    fn grow(&mut self, layer: usize) {
        while self.levels.len() <= layer {
            self.levels.push(Level::new());
        }
    }

    /// Ends all nodes below `layer` and hangs them into it.
    #[inline]
    fn close_below(&mut self, layer: usize, sink: &mut impl EdgeSink) {
        let mut child: Option<Cid> = None;
        for (number, level) in self.levels.iter_mut().take(layer).enumerate() {
            if child.is_some() {
                level.child = child;
            }
            child = level.close(number, sink);
        }
        if let (Some(_), Some(level)) = (child, self.levels.get_mut(layer)) {
            level.child = child;
        }
    }

    /// Ends the run: its natural (trimmed) root, `None` for nothing at all. The edge is empty afterwards.
    pub(crate) fn take(&mut self, sink: &mut impl EdgeSink) -> Option<Root> {
        self.records = 0;
        self.last.clear();
        let Some(top) = self.levels.iter().rposition(|level| level.value.is_some()) else {
            // No key: at most one hung subtree, which is the root.
            let (above, root) =
                self.levels.iter_mut().enumerate().find_map(|(i, l)| Some((i, l.child.take()?)))?;
            return Some((u8::try_from(above.saturating_sub(1)).unwrap_or(u8::MAX), root));
        };
        self.close_below(top, sink);
        let root = self.levels.get_mut(top).and_then(|level| level.close(top, sink))?;
        Some((u8::try_from(top).unwrap_or(u8::MAX), root))
    }
}

impl<S: FnMut(&Cid, &[u8])> Builder<S> {
    /// A builder that gives its nodes to `sink`.
    pub fn new(sink: S) -> Self {
        Self { sink, edge: Edge::default() }
    }

    /// Adds the next record.
    ///
    /// # Errors
    /// [`BuildError::OutOfOrder`] when `key` is not greater than the one before it.
    #[inline]
    pub fn push(&mut self, key: &[u8], value: &Cid) -> Result<(), BuildError> {
        let sink = &mut self.sink;
        self.edge.push(key, value, height(key), &mut |_, cid: &Cid, bytes: &[u8]| sink(cid, bytes))
    }

    /// Records pushed since the start or the last [`Builder::take_run`].
    #[must_use]
    pub fn records(&self) -> u64 {
        self.edge.records
    }

    /// Ends the run: its natural (trimmed) root, `None` for no records at all. The builder is empty afterwards.
    pub fn take_run(&mut self) -> Option<Root> {
        let sink = &mut self.sink;
        self.edge.take(&mut |_, cid: &Cid, bytes: &[u8]| sink(cid, bytes))
    }

    /// Ends the tree and gives its root. An empty tree has one empty node.
    pub fn finish(mut self) -> Cid {
        match self.take_run() {
            Some((_, root)) => root,
            None => {
                let root = empty_root();
                (self.sink)(&root, &EMPTY_NODE);
                root
            }
        }
    }
}

/// The root of a sorted list of records.
///
/// # Errors
/// [`BuildError::OutOfOrder`] when the list is not strictly rising.
pub fn root_of<'a>(records: impl IntoIterator<Item = (&'a [u8], Cid)>) -> Result<Cid, BuildError> {
    let mut builder = Builder::new(|_: &Cid, _: &[u8]| {});
    for (key, cid) in records {
        builder.push(key, &cid)?;
    }
    Ok(builder.finish())
}
