//! Deleting a key: join the subtrees on both sides of it, then trim.

use p2pds_ipld::Cid;

use super::opened::{Link, Node, NodeId};
use super::source::{Nodes, TreeError};
use super::tree::{Bound, Step, Tree, text};

impl Tree {
    /// Removes a record and gives it.
    ///
    /// # Errors
    /// [`TreeError::Absent`], or a node that must be looked into cannot be read.
    pub fn delete(&mut self, src: &mut impl Nodes, key: &[u8]) -> Result<Cid, TreeError> {
        let absent = || TreeError::Absent { key: text(key) };
        if !self.search(src, key)? {
            return Err(absent());
        }
        let (id, at) = self.path.last().copied().ok_or_else(absent)?;
        let value = self.node(id).entries.get(at).map(|entry| entry.value).ok_or_else(absent)?;
        self.open_seam(src, (id, at), key)?;
        if self.path.len() == 1 && self.node(id).entries.len() == 1 {
            self.open_below_root(src, id, key)?;
        }
        self.touch_path();
        let (left, right) = (self.node(id).gap(at), self.node(id).gap(at.saturating_add(1)));
        let joined = self.join(left, right);
        let node = self.node_mut(id);
        if at < node.entries.len() {
            node.entries.remove(at);
        }
        node.set_gap(at, joined);
        self.prune();
        self.trim();
        Ok(value)
    }

    /// Opens the nodes that meet when the entry goes: the right edge of the subtree before it and the left
    /// edge of the one after it, as deep as both go.
    fn open_seam(&mut self, src: &mut impl Nodes, (id, at): Step, key: &[u8]) -> Result<(), TreeError> {
        let lo = at.checked_sub(1).map_or(Bound::Open, |before| Bound::At(id, before));
        let next = at.saturating_add(1);
        let hi = if next < self.node(id).entries.len() { Bound::At(id, next) } else { Bound::Open };
        let (mut before, mut after) = ((id, at), (id, next));
        let (mut lo, mut hi) = (lo, hi);
        loop {
            if self.gap_at(before) == Link::None || self.gap_at(after) == Link::None {
                return Ok(());
            }
            let Some(left) = self.open_gap(src, before, lo, Bound::Key(key))? else { return Ok(()) };
            let Some(right) = self.open_gap(src, after, Bound::Key(key), hi)? else { return Ok(()) };
            before = (left, self.node(left).entries.len());
            after = (right, 0);
            if let Some(last) = before.1.checked_sub(1) {
                lo = Bound::At(left, last);
            }
            if !self.node(right).entries.is_empty() {
                hi = Bound::At(right, 0);
            }
        }
    }

    /// The only entry of the root goes: opens what may become the root, down to a node with entries.
    fn open_below_root(&mut self, src: &mut impl Nodes, id: NodeId, key: &[u8]) -> Result<(), TreeError> {
        for (gap, lo, hi) in [(0, Bound::Open, Bound::Key(key)), (1, Bound::Key(key), Bound::Open)] {
            let mut step = (id, gap);
            while let Some(child) = self.open_gap(src, step, lo, hi)? {
                if !self.node(child).entries.is_empty() {
                    break;
                }
                step = (child, 0);
            }
        }
        Ok(())
    }

    fn gap_at(&self, (id, gap): Step) -> Link {
        self.node(id).gap(gap)
    }

    /// Joins two neighbouring subtrees of the same layer.
    fn join(&mut self, left: Link, right: Link) -> Link {
        let (Link::Node(l), Link::Node(r)) = (left, right) else {
            return if left == Link::None { right } else { left };
        };
        self.touch(l);
        let node = self.take(r);
        let last = self.node(l).entries.len();
        let seam = self.join(self.node(l).gap(last), node.left);
        let target = self.node_mut(l);
        target.set_gap(last, seam);
        target.entries.extend(node.entries);
        left
    }

    /// Removes nodes of the path that have become empty, from the bottom up.
    fn prune(&mut self) {
        while let Some((id, _)) = self.path.pop() {
            let node = self.node(id);
            if !node.entries.is_empty() || node.left != Link::None {
                return;
            }
            self.take(id);
            match self.path.last().copied() {
                Some((parent, gap)) => self.node_mut(parent).set_gap(gap, Link::None),
                None => self.root = Link::None,
            }
        }
    }

    /// Removes empty nodes from the top. All of them are open (see [`Tree::open_below_root`]).
    fn trim(&mut self) {
        while let Link::Node(id) = self.root {
            if !self.node(id).entries.is_empty() {
                return;
            }
            let Node { left, .. } = self.take(id);
            self.root = left;
        }
    }
}
