//! Inserting a key: cut every node on the way below its layer in two.

use p2pds_ipld::Cid;

use super::height::height;
use super::opened::{Link, Node, NodeId};
use super::source::{Nodes, TreeError};
use super::tree::{Step, Tree, text};

impl Tree {
    /// Adds a record.
    ///
    /// # Errors
    /// [`TreeError::Exists`], [`TreeError::BadKey`], [`TreeError::BadRecord`], or a node on the way cannot be read.
    pub fn insert(&mut self, src: &mut impl Nodes, key: &[u8], value: Cid) -> Result<(), TreeError> {
        let layer = height(key);
        Self::check_key(key, layer)?;
        Self::check_record(key, &value)?;
        if self.search(src, key)? {
            return Err(TreeError::Exists { key: text(key) });
        }
        let Some(top) = self.path.first().map(|(id, _)| self.node(*id).layer) else {
            self.root = self.single(layer, Link::None, key, value, Link::None);
            return Ok(());
        };
        // Steps above the key's layer stay whole, the one on it takes the entry, those below are cut.
        let above = usize::from(top.saturating_sub(layer));
        let on = usize::from(layer <= top);
        let cut_from = above.saturating_add(on).min(self.path.len());
        let (left, right) = self.cut_below(cut_from);
        self.touch_steps(cut_from);
        if layer > top {
            let left = self.wrap(left, top, layer.saturating_sub(1));
            let right = self.wrap(right, top, layer.saturating_sub(1));
            self.root = self.single(layer, left, key, value, right);
        } else if let Some((id, at)) = self.path.get(above).copied() {
            self.node_mut(id).set_gap(at, left);
            self.add(id, at, key, value, right);
        } else if let Some((id, at)) = self.path.last().copied() {
            // The way ended in an empty gap above the key's layer.
            let child = self.single(layer, Link::None, key, value, Link::None);
            let below = self.node(id).layer.saturating_sub(1);
            let link = self.wrap(child, layer, below);
            self.node_mut(id).set_gap(at, link);
        }
        Ok(())
    }

    /// A new node with one entry.
    fn single(&mut self, layer: u8, left: Link, key: &[u8], value: Cid, right: Link) -> Link {
        let id = self.put(Node::new(layer, left));
        self.add(id, 0, key, value, right);
        Link::Node(id)
    }

    /// Cuts the steps of the path from `from` down at their gaps; gives what lies before and after.
    fn cut_below(&mut self, from: usize) -> (Link, Link) {
        let (mut left, mut right) = (Link::None, Link::None);
        for step in (from..self.path.len()).rev() {
            let Some((id, at)) = self.path.get(step).copied() else { continue };
            let node = self.node(id);
            let none_before = at == 0 && left == Link::None;
            let none_after = at >= node.entries.len() && right == Link::None;
            (left, right) = match (none_before, none_after) {
                // Nothing of it was cut, so neither was anything below.
                (_, true) => (Link::Node(id), Link::None),
                (true, false) => (Link::None, Link::Node(id)),
                (false, false) => self.cut_one((id, at), left, right),
            };
        }
        (left, right)
    }

    fn cut_one(&mut self, (id, at): Step, left: Link, right: Link) -> (Link, Link) {
        self.touch(id);
        let node = self.node_mut(id);
        let after = node.cut(at, right);
        node.set_gap(at, left);
        (Link::Node(id), Link::Node(self.put(after)))
    }

    fn touch_steps(&mut self, count: usize) {
        for step in 0..count {
            if let Some((id, _)) = self.path.get(step).copied() {
                self.touch(id);
            }
        }
    }

    /// Puts empty nodes above a subtree on layer `from` until it stands on layer `to`.
    fn wrap(&mut self, link: Link, from: u8, to: u8) -> Link {
        let mut link = link;
        if link == Link::None {
            return link;
        }
        for layer in from.saturating_add(1)..=to {
            let id: NodeId = self.put(Node::new(layer, link));
            link = Link::Node(id);
        }
        link
    }
}
