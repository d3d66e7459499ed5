//! Part of a repo as a CAR: what is new since a rev, or all below one node. In streamable order, memory for one bucket.
//!
//! A subtree is left out when no bucket in its range of keys changed since the rev; in those that did, all nodes are
//! sent and the records that appeared later. What is sent is therefore never less than the difference, and may be more.

use std::collections::HashMap;

use p2pds_ipld::Cid;
use p2pds_ipld::car::{write_header, write_section};
use p2pds_repo::bucket::{Spine, nodes_of};
use p2pds_repo::mst::{EMPTY_NODE, NodeView, empty_root};
use p2pds_store::{BucketRow, RecordRow};
use p2pds_syntax::Tid;

use crate::Reading;
use crate::blocklist::BlockList;
use crate::refusal::Refusal;
use crate::view::View;

/// Bytes gathered before they are handed on.
const PIECE: usize = 256 << 10;
/// Deeper trees than this are not canonical: a layer for each two bits of a digest.
const DEEPEST: usize = 130;

/// What comes next.
enum Step {
    /// A node whose keys lie after `after` and before `until`.
    Node { cid: Cid, after: Vec<u8>, until: Option<Vec<u8>> },
    /// A record.
    Record { key: Vec<u8>, cid: Cid },
}

/// The bucket at hand.
struct Loaded {
    index: usize,
    nodes: HashMap<Cid, Vec<u8>>,
    rows: HashMap<Vec<u8>, RecordRow>,
}

/// A walk over part of a tree.
pub(crate) struct Walk {
    door: Reading,
    seen: View,
    blocked: BlockList,
    /// What is wanted; `None` for all.
    since: Option<Changed>,
    stack: Vec<Step>,
    bucket: Option<Loaded>,
    out: Vec<u8>,
}

impl Walk {
    /// What is new since a rev.
    pub async fn since(door: &Reading, seen: View, blocked: BlockList, since: Tid) -> Result<Self, Refusal> {
        let rows = door.store.buckets(seen.repo.id, false).await?;
        let mut walk = Self::new(door, seen, blocked, Some(Changed::new(rows, since)));
        let commit = walk.door.commit_of(&walk.seen)?;
        write_header(&mut walk.out, &[walk.seen.head.commit]);
        write_section(&mut walk.out, &walk.seen.head.commit, &commit);
        if walk.seen.head.rev > since {
            walk.stack.push(Step::Node { cid: walk.seen.head.data, after: Vec::new(), until: None });
        }
        Ok(walk)
    }

    /// All from one node downwards; `after` is any key between those of the bucket's first and the node's.
    pub fn below(door: &Reading, seen: View, blocked: BlockList, root: Cid, after: Vec<u8>) -> Self {
        let mut walk = Self::new(door, seen, blocked, None);
        write_header(&mut walk.out, &[root]);
        walk.stack.push(Step::Node { cid: root, after, until: None });
        walk
    }

    fn new(door: &Reading, seen: View, blocked: BlockList, since: Option<Changed>) -> Self {
        let (stack, bucket, out) = (Vec::new(), None, Vec::with_capacity(PIECE));
        Self { door: door.clone(), seen, blocked, since, stack, bucket, out }
    }

    /// The next piece; `None` at the end.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        while self.out.len() < PIECE {
            match self.stack.pop() {
                Some(Step::Node { cid, after, until }) => self.node(cid, after, until).await?,
                Some(Step::Record { key, cid }) => self.record(&key, cid).await?,
                None => break,
            }
        }
        Ok(Some(std::mem::take(&mut self.out)).filter(|out| !out.is_empty()))
    }

    async fn node(&mut self, cid: Cid, after: Vec<u8>, until: Option<Vec<u8>>) -> Result<(), Refusal> {
        if self.blocked.contains_key(&cid) {
            return Err(Refusal::Blocked(cid));
        }
        let bytes = match self.seen.spine.node(&cid) {
            Some(bytes) => bytes.to_vec(),
            None if cid == empty_root() => EMPTY_NODE.to_vec(),
            None => {
                let bucket = self.load(&after).await?;
                let bytes = bucket.nodes.get(&cid).cloned();
                bytes.ok_or_else(|| self.damaged(format!("the tree node {cid}")))?
            }
        };
        write_section(&mut self.out, &cid, &bytes);
        let view = NodeView::parse_any(&bytes).map_err(|error| self.damaged(error.to_string()))?;
        let mut steps = Vec::with_capacity(view.len().saturating_mul(2).saturating_add(1));
        let (mut key, mut gap) = (Vec::new(), after);
        let mut child = view.left();
        for entry in view.entries() {
            key.truncate(entry.prefix);
            key.extend_from_slice(entry.suffix);
            if let Some(cid) = child {
                steps.push(Step::Node { cid, after: std::mem::take(&mut gap), until: Some(key.clone()) });
            }
            steps.push(Step::Record { key: key.clone(), cid: entry.value });
            (gap, child) = (key.clone(), entry.right);
        }
        if let Some(cid) = child {
            steps.push(Step::Node { cid, after: gap, until });
        }
        if self.stack.len() > DEEPEST.saturating_mul(p2pds_repo::mst::MAX_ENTRIES) {
            return Err(self.damaged("the tree is deeper than a tree can be".to_owned()));
        }
        self.stack.extend(
            steps
                .into_iter()
                .rev()
                .filter(|step| self.since.as_ref().is_none_or(|changed| changed.wants(step))),
        );
        Ok(())
    }

    async fn record(&mut self, key: &[u8], cid: Cid) -> Result<(), Refusal> {
        let row = self.load(key).await?.rows.remove(key).filter(|row| row.cid == cid);
        let Some(row) = row else { return Err(self.damaged(format!("a record of {cid}"))) };
        if self.since.as_ref().is_some_and(|changed| row.since <= changed.rev)
            || self.blocked.contains_key(&cid)
        {
            return Ok(());
        }
        if row.damaged {
            return Err(self.damaged(format!("record {}", row.key)));
        }
        if let Some(body) = row.body {
            write_section(&mut self.out, &cid, &body);
        }
        Ok(())
    }

    /// The bucket in whose range a key lies.
    async fn load(&mut self, key: &[u8]) -> Result<&mut Loaded, Refusal> {
        let index = self.seen.spine.bucket_of(key);
        if self.bucket.as_ref().is_none_or(|bucket| bucket.index != index) {
            let Some((lo, until)) = self.seen.spine.range(index) else {
                return Err(self.damaged("the index has no such bucket".to_owned()));
            };
            let rows = self.door.rows_at(&self.seen, lo, until, true).await?;
            let keys: Vec<(&[u8], Cid)> = rows.iter().map(|row| (row.key.as_bytes(), row.cid)).collect();
            let nodes = nodes_of(lo, &keys).map_err(|error| self.damaged(error.to_string()))?;
            let rows = rows.into_iter().map(|row| (row.key.as_bytes().to_vec(), row)).collect();
            self.bucket = Some(Loaded { index, nodes: nodes.into_iter().collect(), rows });
        }
        let did = self.seen.repo.did.clone();
        self.bucket.as_mut().ok_or(Refusal::Damaged { did, what: "a bucket".to_owned() })
    }

    fn damaged(&self, what: String) -> Refusal {
        Refusal::Damaged { did: self.seen.repo.did.clone(), what }
    }
}

/// Which buckets changed since a rev.
struct Changed {
    rev: Tid,
    /// First keys of all buckets, and how many of those before and at it changed.
    buckets: Vec<(Vec<u8>, usize)>,
}

impl Changed {
    fn new(rows: Vec<BucketRow>, rev: Tid) -> Self {
        let mut count = 0_usize;
        let counted = |row: BucketRow| {
            count = count.saturating_add(usize::from(row.dirty || row.rev > rev));
            (row.lo, count)
        };
        Self { rev, buckets: rows.into_iter().map(counted).collect() }
    }

    /// Whether a bucket changed that has keys after `first` (or at it) and before `until`.
    fn within(&self, first: &[u8], until: Option<&[u8]>) -> bool {
        let counted = |before: usize| {
            before.checked_sub(1).and_then(|at| self.buckets.get(at)).map_or(0, |(_, count)| *count)
        };
        let from = self.buckets.partition_point(|(lo, _)| lo.as_slice() <= first).saturating_sub(1);
        let to = until.map_or(self.buckets.len(), |until| {
            self.buckets.partition_point(|(lo, _)| lo.as_slice() < until)
        });
        counted(to.max(from.saturating_add(1))) > counted(from)
    }

    fn wants(&self, step: &Step) -> bool {
        match step {
            Step::Node { after, until, .. } => self.within(after, until.as_deref()),
            Step::Record { key, .. } => self.within(key, Some(key)),
        }
    }
}

/// The key after which a node above the runs stands; `None` when it is not one of them.
pub(crate) fn place(spine: &Spine, wanted: &Cid) -> Option<Vec<u8>> {
    let mut stack = vec![(spine.root(), Vec::new())];
    while let Some((cid, after)) = stack.pop() {
        if cid == *wanted {
            return Some(after);
        }
        let Some(view) = spine.node(&cid).and_then(|bytes| NodeView::parse_any(bytes).ok()) else { continue };
        stack.extend(view.left().map(|left| (left, after)));
        let mut key = Vec::new();
        for entry in view.entries() {
            key.truncate(entry.prefix);
            key.extend_from_slice(entry.suffix);
            stack.extend(entry.right.map(|right| (right, key.clone())));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_changed_buckets() {
        let rev = |n: u64| Tid::from_u64(n << 10).unwrap();
        let row = |lo: &str, n: u64, dirty: bool| BucketRow {
            lo: lo.into(),
            lo_cid: None,
            n: 1,
            layer_root: None,
            dirty,
            rev: rev(n),
            prefixes: Vec::new(),
        };
        let changed = Changed::new(
            vec![row("", 1, false), row("f", 5, false), row("k", 1, false), row("p", 1, true)],
            rev(4),
        );
        let within =
            |first: &str, until: Option<&str>| changed.within(first.as_bytes(), until.map(str::as_bytes));
        assert!(
            within("", None) && within("", Some("g")) && within("f", Some("f")) && within("j", Some("jj"))
        );
        assert!(
            !within("", Some("f"))
                && !within("", Some("a"))
                && !within("k", Some("p"))
                && !within("l", Some("m"))
        );
        assert!(within("l", None) && within("p", Some("q")) && within("z", Some("zz")));
    }
}
