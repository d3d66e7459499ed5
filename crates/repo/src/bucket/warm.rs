//! Runs kept from one plan to the next, so that a write to a busy account hashes what it changes and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use p2pds_ipld::Cid;

use super::plan::{Plan, PlanError, Source, compute, load_run, take_in};
use super::run::{ByDigest, Hashed, Run, Runs, Shared, Subtree};
use super::{BucketChange, Spine};
use crate::mst::Op;

/// A run with keys of its own.
#[derive(Debug, Clone)]
pub(super) struct KeptRun {
    records: Vec<Shared>,
    subtrees: Vec<Subtree>,
}

impl KeptRun {
    /// Keeps a run that was made from `before`; keys of those are shared where they are kept already.
    pub(super) fn of(run: &Run<'_>, before: &Runs<'_>) -> Self {
        let mut known =
            before.values().flat_map(|run| run.shared.iter().flat_map(|keys| keys.iter())).peekable();
        let mut share = |key: &[u8]| {
            while known.next_if(|(known, ..)| **known < *key).is_some() {}
            match known.peek() {
                Some((known, ..)) if **known == *key => Arc::clone(known),
                _ => Arc::from(key),
            }
        };
        let records = run.records.iter().map(|(key, cid, layer)| (share(key), *cid, *layer)).collect();
        Self { records, subtrees: run.subtrees.clone() }
    }

    fn as_run(&self) -> Run<'_> {
        Run {
            records: self.records.iter().map(|(key, cid, layer)| (&**key, *cid, *layer)).collect(),
            subtrees: self.subtrees.clone(),
            shared: Some(&self.records),
        }
    }
}

/// The runs of one repository that were planned with last, with their nodes. They belong to one [`Spine`] and are
/// dropped with it.
#[derive(Debug, Default)]
pub struct Warm {
    /// The latest at the back, by the first key of their bucket.
    runs: Vec<(Vec<u8>, KeptRun)>,
    nodes: HashMap<Cid, Vec<u8>, ByDigest>,
}

impl Warm {
    /// Indexes of the buckets that these keys touch and that have to be [loaded](Self::load).
    #[must_use]
    pub fn missing<'k>(&self, spine: &Spine, keys: impl IntoIterator<Item = &'k [u8]>) -> Vec<usize> {
        let mut touched = spine.touched(keys);
        touched.retain(|index| spine.range(*index).is_none_or(|(lo, _)| self.run(lo).is_none()));
        touched
    }

    /// Takes a bucket's records (the one at `lo` first).
    ///
    /// # Errors
    /// They do not give the bucket's root.
    pub fn load<K: AsRef<[u8]>>(
        &mut self,
        spine: &Spine,
        index: usize,
        records: &[(K, Cid)],
    ) -> Result<(), PlanError> {
        let mut nodes = Hashed::default();
        let run = load_run(spine, index, records, &mut nodes)?;
        let run = KeptRun::of(&run, &Runs::new());
        self.nodes.extend(nodes.iter().map(|(cid, bytes)| (*cid, bytes.to_vec())));
        if let Some((lo, _)) = spine.range(index) {
            self.put(lo.to_vec(), run);
        }
        Ok(())
    }

    /// The record at a key whose bucket is loaded.
    #[must_use]
    pub fn get(&self, spine: &Spine, key: &[u8]) -> Option<Cid> {
        let (lo, _) = spine.range(spine.bucket_of(key))?;
        let records = &self.run(lo)?.records;
        let at = records.binary_search_by(|(known, ..)| (**known).cmp(key)).ok()?;
        records.get(at).map(|(_, cid, _)| *cid)
    }

    /// As [`super::plan`], with the buckets that are loaded here. Spine and runs take the plan in; drop both when it is
    /// not carried out, or when this fails.
    ///
    /// # Errors
    /// As [`super::plan`].
    pub fn plan(&mut self, spine: &mut Spine, ops: &[Op]) -> Result<Plan, PlanError> {
        let mut runs = Runs::new();
        for index in spine.touched(ops.iter().map(|op| op.key.as_slice())) {
            if let Some((lo, _)) = spine.range(index)
                && let Some(run) = self.run(lo)
            {
                runs.insert(index, run.as_run());
            }
        }
        let source = Source { spine: &spine.nodes, nodes: Hashed::default(), warm: Some(&self.nodes), runs };
        let computed = compute(spine, source, ops)?;
        for cid in &computed.plan.retired {
            self.nodes.remove(cid);
        }
        self.nodes.extend(computed.plan.new_nodes.iter().cloned());
        for change in &computed.plan.bucket_changes {
            if let BucketChange::Delete(lo) = change {
                self.runs.retain(|(known, _)| known != lo);
            }
        }
        for (lo, run) in computed.after {
            self.put(lo, run);
        }
        take_in(spine, &computed.plan, computed.top);
        Ok(computed.plan)
    }

    /// Keeps the runs used last, and no more than these.
    pub fn trim(&mut self, most: usize) {
        while self.runs.len() > most {
            let (_, run) = self.runs.remove(0);
            for node in &run.subtrees {
                self.nodes.remove(&node.root.1);
            }
        }
    }

    /// About how many bytes of memory this takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let records: usize = self.runs.iter().map(|(_, run)| run.records.len()).sum();
        let nodes = self.nodes.values().fold(0_usize, |sum, node| sum.saturating_add(node.capacity()));
        records.saturating_mul(150).saturating_add(nodes).saturating_add(self.nodes.len().saturating_mul(130))
    }

    fn run(&self, lo: &[u8]) -> Option<&KeptRun> {
        self.runs.iter().find(|(known, _)| known == lo).map(|(_, run)| run)
    }

    fn put(&mut self, lo: Vec<u8>, run: KeptRun) {
        self.runs.retain(|(known, _)| *known != lo);
        self.runs.push((lo, run));
    }
}
