//! Planning a write: from changed records to the new root, the rows to store and the blocks to publish.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::run::{ByDigest, Growing, Hashed, Piece, Record, Run, Runs};
use super::spine::lo_text;
use super::warm::KeptRun;
use super::{BucketChange, SPINE_LAYER, Spine};
use crate::mst::{BuildError, InvertError, Nodes, Op, Tree, TreeError, apply};

/// Most entries in one node that a write of ours may make. By chance it does not happen; it would make every
/// later write to the account slow, and others refuse such nodes.
pub const MAX_OWN_ENTRIES: usize = 1024;

/// Why a write cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// [`Spine::touched`] names a bucket that was not loaded.
    #[error("bucket {lo:?} is needed and was not loaded")]
    NotLoaded {
        /// Its first key.
        lo: String,
    },
    /// Loaded records do not give the stored root of their bucket.
    #[error("the records of bucket {lo:?} do not match its stored root; verify and rebuild this account")]
    Drift {
        /// Its first key.
        lo: String,
    },
    /// Records of a bucket are not sorted or not of this bucket.
    #[error("records of bucket {lo:?}: {source}")]
    Records {
        /// Its first key.
        lo: String,
        /// What is wrong.
        source: BuildError,
    },
    /// An operation does not agree with the records, or stands twice.
    #[error(transparent)]
    Op(#[from] InvertError),
    /// The tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A node would have more than [`MAX_OWN_ENTRIES`] entries.
    #[error(
        "writing {key} would make a tree node with more than {MAX_OWN_ENTRIES} entries: the keys next to it were chosen to do this"
    )]
    TooWide {
        /// Key of the operation.
        key: String,
    },
}

impl PlanError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            PlanError::NotLoaded { .. } => ErrorKind::Bug,
            PlanError::Drift { .. } | PlanError::Records { .. } | PlanError::Tree(_) => ErrorKind::Corrupt,
            PlanError::Op(InvertError::Mismatch { .. }) => ErrorKind::Conflict,
            PlanError::Op(error) => error.kind(),
            PlanError::TooWide { .. } => ErrorKind::Limited,
        }
    }
}

/// A planned write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Root before.
    pub prev_root: Cid,
    /// Root after.
    pub root: Cid,
    /// Nodes that were not in the tree before, children first.
    pub new_nodes: Vec<(Cid, Vec<u8>)>,
    /// Nodes that are not in the tree any more.
    pub retired: Vec<Cid>,
    /// Rows to store.
    pub bucket_changes: Vec<BucketChange>,
    /// Covering proof: the nodes that a commit event carries so that others can undo its operations.
    pub proof_blocks: Vec<(Cid, Vec<u8>)>,
}

/// Plans a write and takes it into the spine.
///
/// `loaded` has the records (the one at `lo` first) of every bucket that [`Spine::touched`] names for the keys
/// of `ops`, as they are stored, each list sorted. When the plan is not carried out, drop the spine.
///
/// # Errors
/// [`PlanError`]; the spine is unchanged then.
pub fn plan<K: AsRef<[u8]>>(
    spine: &mut Spine,
    loaded: &[(usize, Vec<(K, Cid)>)],
    ops: &[Op],
) -> Result<Plan, PlanError> {
    let computed = compute(spine, Source::load(spine, loaded)?, ops)?;
    let (plan, top) = (computed.plan, computed.top);
    take_in(spine, &plan, top);
    Ok(plan)
}

/// The spine after a plan.
pub(super) fn take_in(spine: &mut Spine, plan: &Plan, top: Vec<usize>) {
    for cid in &plan.retired {
        spine.nodes.remove(cid);
    }
    spine.nodes.extend(top.into_iter().filter_map(|at| plan.new_nodes.get(at).cloned()));
    spine.adopt(&plan.bucket_changes);
    spine.root = plan.root;
}

/// As [`plan`], without touching the spine: what a write would be.
///
/// # Errors
/// As [`plan`].
pub fn preview<K: AsRef<[u8]>>(
    spine: &Spine,
    loaded: &[(usize, Vec<(K, Cid)>)],
    ops: &[Op],
) -> Result<Plan, PlanError> {
    compute(spine, Source::load(spine, loaded)?, ops).map(|computed| computed.plan)
}

/// Blocks that prove what is at `key`, root first; `loaded` as for [`plan`].
///
/// # Errors
/// As [`plan`].
pub fn proof<K: AsRef<[u8]>>(
    spine: &Spine,
    loaded: &[(usize, Vec<(K, Cid)>)],
    key: &[u8],
) -> Result<crate::mst::Proof, PlanError> {
    let mut source = Source::load(spine, loaded)?;
    Ok(Tree::open(spine.root).proof(&mut source, key)?)
}

/// The nodes of one bucket's run, for proofs that are asked for again and again. They follow from the run's root alone.
#[derive(Debug)]
pub struct RunNodes(Hashed);

impl RunNodes {
    /// Computes them from the records of a bucket (the one at `lo` first).
    ///
    /// # Errors
    /// They do not give the bucket's root.
    pub fn load<K: AsRef<[u8]>>(
        spine: &Spine,
        index: usize,
        records: &[(K, Cid)],
    ) -> Result<Self, PlanError> {
        let mut nodes = Hashed::default();
        load_run(spine, index, records, &mut nodes)?;
        Ok(Self(nodes))
    }

    /// About how many bytes of memory this takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size()
    }
}

/// As [`proof`], from runs that were loaded before: those of the buckets that [`Spine::touched`] names for the key.
///
/// # Errors
/// A run is missing.
pub fn proof_in(spine: &Spine, runs: &[&RunNodes], key: &[u8]) -> Result<crate::mst::Proof, PlanError> {
    struct Kept<'s>(&'s Spine, &'s [&'s RunNodes]);
    impl Nodes for Kept<'_> {
        fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
            self.1.iter().find_map(|run| run.0.get(cid)).or_else(|| self.0.node(cid))
        }

        fn trusted(&self) -> bool {
            true
        }
    }
    Ok(Tree::open(spine.root).proof(&mut Kept(spine, runs), key)?)
}

/// A plan with what it leaves behind.
pub(super) struct Computed {
    pub(super) plan: Plan,
    /// Which of its new nodes stand above the runs.
    pub(super) top: Vec<usize>,
    /// The runs after it, each with the first key of its bucket.
    pub(super) after: Vec<(Vec<u8>, KeptRun)>,
}

/// Computes a plan from runs that were loaded for it.
pub(super) fn compute(spine: &Spine, mut source: Source<'_>, ops: &[Op]) -> Result<Computed, PlanError> {
    let by_key = sorted(ops)?;
    for at in spine.touched(by_key.keys().copied()) {
        if !source.runs.contains_key(&at) {
            return Err(PlanError::NotLoaded { lo: spine.buckets.get(at).map(lo_text).unwrap_or_default() });
        }
    }
    let mut tree = Tree::open(spine.root);
    apply(&mut tree, &mut source, by_key.values().copied())?;
    for op in by_key.values().filter(|op| op.old().is_none()) {
        if tree.search(&mut source, &op.key)? && tree.width() > MAX_OWN_ENTRIES {
            return Err(PlanError::TooWide { key: String::from_utf8_lossy(&op.key).into_owned() });
        }
    }
    let (mut new_nodes, mut retired, mut top) = (Vec::with_capacity(16), Vec::with_capacity(16), Vec::new());
    let root = tree.flush_layers(
        |cid, bytes, layer| {
            // Empty nodes may be bridges above a run; one inside a run does no harm.
            if layer >= SPINE_LAYER || bytes.get(3) == Some(&0x80) {
                top.push(new_nodes.len());
            }
            new_nodes.push((*cid, bytes.to_vec()));
        },
        |cid| retired.push(*cid),
    );
    let proof_blocks = tree.covering_proof(&mut source, by_key.keys().copied())?;
    let (bucket_changes, after) = changes(spine, &source.runs, &by_key, source.warm.is_some())?;
    let plan = Plan { prev_root: spine.root, root, new_nodes, retired, bucket_changes, proof_blocks };
    Ok(Computed { plan, top, after })
}

fn sorted(ops: &[Op]) -> Result<BTreeMap<&[u8], &Op>, PlanError> {
    let mut by_key = BTreeMap::new();
    for op in ops {
        if by_key.insert(op.key.as_slice(), op).is_some() {
            let key = String::from_utf8_lossy(&op.key).into_owned();
            return Err(InvertError::Repeated { key }.into());
        }
    }
    Ok(by_key)
}

/// The nodes of the spine and of the loaded runs.
pub(super) struct Source<'s> {
    pub(super) spine: &'s HashMap<Cid, Vec<u8>>,
    pub(super) nodes: Hashed,
    /// Nodes that are kept from one plan to the next.
    pub(super) warm: Option<&'s HashMap<Cid, Vec<u8>, ByDigest>>,
    pub(super) runs: Runs<'s>,
}

impl Nodes for Source<'_> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        let warm = || self.warm.and_then(|warm| warm.get(cid)).map(Vec::as_slice);
        self.nodes.get(cid).or_else(warm).or_else(|| self.spine.get(cid).map(Vec::as_slice))
    }

    fn trusted(&self) -> bool {
        true
    }
}

impl<'s> Source<'s> {
    fn load<K: AsRef<[u8]>>(
        spine: &'s Spine,
        loaded: &'s [(usize, Vec<(K, Cid)>)],
    ) -> Result<Self, PlanError> {
        let mut source =
            Self { spine: &spine.nodes, nodes: Hashed::default(), warm: None, runs: Runs::new() };
        for (index, records) in loaded {
            let run = load_run(spine, *index, records, &mut source.nodes)?;
            source.runs.insert(*index, run);
        }
        Ok(source)
    }
}

/// Computes a bucket's run and checks it against the spine.
pub(super) fn load_run<'r, K: AsRef<[u8]>>(
    spine: &Spine,
    index: usize,
    records: &'r [(K, Cid)],
    nodes: &mut Hashed,
) -> Result<Run<'r>, PlanError> {
    let Some(bucket) = spine.buckets.get(index) else {
        return Err(PlanError::Drift { lo: format!("bucket {index} of {}", spine.buckets.len()) });
    };
    let (run, (root, lo_cid)) = Run::load(bucket, records, nodes)?;
    if root != spine.run_root(index) || lo_cid != bucket.lo_cid {
        return Err(PlanError::Drift { lo: lo_text(bucket) });
    }
    Ok(run)
}

/// A bucket that is being put together from what it holds after the write.
struct Draft<'p, 'r> {
    /// Its first key with its record; none in the first bucket.
    lo: Option<Record<'r>>,
    run: Vec<Piece<'p, 'r>>,
}

/// The rows to write, and the runs after them if they are asked for.
type Changes = (Vec<BucketChange>, Vec<(Vec<u8>, KeptRun)>);

/// The rows that change: the loaded buckets with the operations applied, cut anew at their spine keys.
fn changes<'s>(
    spine: &'s Spine,
    runs: &Runs<'s>,
    ops: &BTreeMap<&'s [u8], &'s Op>,
    keep: bool,
) -> Result<Changes, PlanError> {
    let mut drafts: Vec<Draft<'_, 's>> = Vec::new();
    let mut previous = None;
    let mut changes: Vec<BucketChange> = Vec::new();
    let deleted = |key: &[u8]| ops.get(key).is_some_and(|op| op.new().is_none());
    for (index, run) in runs {
        let Some((lo, end)) = spine.range(*index) else { continue };
        if deleted(lo) {
            if previous != index.checked_sub(1) {
                return Err(PlanError::NotLoaded { lo: String::from_utf8_lossy(lo).into_owned() });
            }
            changes.push(BucketChange::Delete(lo.to_vec()));
        } else if lo.is_empty() {
            drafts.push(Draft { lo: None, run: Vec::new() });
        }
        let inside = (Bound::Included(lo), end.map_or(Bound::Unbounded, Bound::Excluded));
        let own = ops.range::<[u8], _>(inside).map(|(key, op)| (*key, *op));
        run.after(own, end.is_some_and(deleted), |piece| match piece {
            Piece::Record(record @ (.., SPINE_LAYER..)) => {
                drafts.push(Draft { lo: Some(record), run: Vec::new() });
            }
            piece => {
                if let Some(draft) = drafts.last_mut() {
                    draft.run.push(piece);
                }
            }
        });
        previous = Some(*index);
    }
    let mut after = Vec::new();
    for draft in drafts {
        let (lo, lo_cid) = draft.lo.map_or((<&[u8]>::default(), None), |(lo, cid, _)| (lo, Some(cid)));
        let mut growing = draft.lo.map_or_else(Growing::default, Growing::behind);
        for piece in draft.run {
            match piece {
                Piece::Record(record) => growing.push(record).map_err(|source| PlanError::Records {
                    lo: String::from_utf8_lossy(lo).into_owned(),
                    source,
                })?,
                Piece::Subtree(run, at) => growing.hang(run, at),
            }
        }
        let (run, root) = growing.finish();
        let stored = spine.buckets.get(spine.bucket_of(lo)).filter(|old| old.lo == lo);
        let n = u32::try_from(run.records.len()).unwrap_or(u32::MAX);
        let same = stored.is_some_and(|old| old.n == n && old.lo_cid == lo_cid && old.layer_root == root);
        if !same {
            changes.push(BucketChange::Put(run.bucket(lo, lo_cid, root)));
        }
        if keep {
            after.push((lo.to_vec(), KeptRun::of(&run, runs)));
        }
    }
    Ok((changes, after))
}
