//! Buckets: what is stored of the tree.
//!
//! The tree is a pure function of the sorted records, so its nodes are computed, not stored. Computing all of
//! them for one write would cost as much as reading the whole repository; therefore one small row is kept
//! for each **run** of keys below layer [`SPINE_LAYER`]. A key on that layer or above is a **spine key**:
//! about one in 256. Each spine key opens a bucket, and so does the start of the repository:
//!
//! ```text
//! keys    a b c  S1  d e f g  S2  S3  h i
//! bucket  [0  ]  [1        ]  [2] [3    ]        lo = "", S1, S2, S3
//! ```
//!
//! Loading all bucket rows (0.4 MB at 200,000 records) gives the [`Spine`]: the top of the tree, with the
//! roots of the runs as stubs. A write then needs the records of one or two buckets.
//!
//! # The stored row
//!
//! | field | meaning |
//! |---|---|
//! | `lo` | the spine key, empty in the first bucket (which always exists, also in an empty repository) |
//! | `lo_cid` | its record; `None` in the first bucket only |
//! | `n` | records, the one at `lo` included |
//! | `layer_root` | *natural* root of the run after `lo`: the root that the run alone would have as a repository, and its layer (0 to 3); `None` for an empty run |
//! | `dirty` | records changed and `n`, `layer_root`, `prefixes` are out of date; `lo` and `lo_cid` never are |
//! | `prefixes` | see below |
//!
//! Where the natural root stands below layer 3, the empty nodes between belong to the spine.
//!
//! # Layout of `prefixes`
//!
//! Four bytes (the first four of the digest, [`Cid::prefix4`]) for each CID, without separators:
//!
//! ```text
//! [ nodes of the run, sorted ascending ][ records (lo included), sorted ascending ]
//!   4 * (len / 4 - n) bytes               4 * n bytes
//! ```
//!
//! Repeated values are kept (one record CID can stand at two keys). Empty while `dirty`. A hit is a candidate:
//! the caller looks into the bucket.

mod build;
mod mark;
mod plan;
mod run;
mod spine;
mod warm;

use p2pds_ipld::Cid;

pub(crate) use build::hashed_nodes;
pub use build::{BucketBuilder, Built, nodes_of, rebuild};
pub use mark::mark;
pub use plan::{MAX_OWN_ENTRIES, Plan, PlanError, RunNodes, plan, preview, proof, proof_in};
pub use spine::{Lo, Spine, SpineError, touched};
pub use warm::Warm;

use crate::mst::{Root, height};

/// Keys on this layer and above are spine keys and open a bucket: one in 4^4 = 256.
pub const SPINE_LAYER: u8 = 4;

/// More keys than this in one bucket do not happen by chance (the largest of 2 million had 2,410): somebody
/// avoids keys of height 4. Such an account is *dense*: it is served correctly, but its recomputation is slow
/// and belongs off the writer thread.
pub const DENSE: u32 = 4096;

/// True when `key` opens a bucket.
#[must_use]
pub fn is_spine_key(key: &[u8]) -> bool {
    height(key) >= SPINE_LAYER
}

/// One stored row; see the module text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Spine key that opens the bucket, empty for the first.
    pub lo: Vec<u8>,
    /// Record at `lo`.
    pub lo_cid: Option<Cid>,
    /// Number of records, the one at `lo` included.
    pub n: u32,
    /// Natural root of the run after `lo`.
    pub layer_root: Option<Root>,
    /// The derived fields are out of date.
    pub dirty: bool,
    /// Four-byte digest prefixes of nodes, then of records.
    pub prefixes: Vec<u8>,
}

impl Bucket {
    /// The one bucket of an empty repository.
    #[must_use]
    pub fn empty() -> Self {
        Self { lo: Vec::new(), lo_cid: None, n: 0, layer_root: None, dirty: false, prefixes: Vec::new() }
    }

    /// More than [`DENSE`] records.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        self.n > DENSE
    }

    /// Whether a node of the run or a record of the bucket may have this CID. A dirty bucket, or one whose
    /// prefixes were not loaded, may have any.
    #[must_use]
    pub fn may_hold(&self, cid: &Cid) -> bool {
        self.may_hold_node(cid) || self.may_hold_record(cid)
    }

    /// As [`Bucket::may_hold`], nodes only.
    #[must_use]
    pub fn may_hold_node(&self, cid: &Cid) -> bool {
        let (nodes, _) = self.split_prefixes();
        self.unknown() || contains(nodes, cid)
    }

    /// As [`Bucket::may_hold`], records only.
    #[must_use]
    pub fn may_hold_record(&self, cid: &Cid) -> bool {
        let (_, records) = self.split_prefixes();
        self.unknown() || contains(records, cid)
    }

    fn unknown(&self) -> bool {
        self.dirty || (self.prefixes.is_empty() && self.n > 0)
    }

    fn split_prefixes(&self) -> (&[[u8; 4]], &[[u8; 4]]) {
        let all = self.prefixes.as_chunks::<4>().0;
        let nodes = all.len().saturating_sub(usize::try_from(self.n).unwrap_or(usize::MAX));
        all.split_at_checked(nodes).unwrap_or((all, &[]))
    }
}

fn contains(sorted: &[[u8; 4]], cid: &Cid) -> bool {
    sorted.binary_search(&cid.prefix4()).is_ok()
}

/// A stored row to write or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketChange {
    /// Insert, or replace the row with the same `lo`.
    Put(Bucket),
    /// Remove the row with this `lo`; its spine key was deleted and its records joined the bucket before.
    Delete(Vec<u8>),
}
