//! What goes in and what comes out.

use std::ops::ControlFlow;

use p2pds_ipld::Cid;
use p2pds_ipld::car::CarLimits;

use crate::commit::Commit;

/// Bounds of a reader.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Header, section and total.
    pub limits: CarLimits,
    /// Bytes of unreferenced blocks that a stream may always have; beyond it they may be a tenth of what was read.
    pub unreferenced: u64,
    /// Most blocks in the index of the readers for any order.
    pub blocks: u64,
    /// Most entries in [`Summary::missing`]. All are counted and all reach the sink.
    pub missing: usize,
}

impl ReadOptions {
    /// [`CarLimits::DEFAULT`], 1 MiB, 32 M blocks (which take up to 512 MiB of index), 10,000 listed.
    pub const DEFAULT: Self =
        Self { limits: CarLimits::DEFAULT, unreferenced: 1 << 20, blocks: 32 << 20, missing: 10_000 };

    /// The same with another bound for the whole file.
    #[must_use]
    pub const fn with_total(self, total: u64) -> Self {
        Self { limits: self.limits.with_total(total), ..self }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Takes what was proved, in key order.
///
/// Nothing is proved to be of the account until the end: the caller stages what it is given, and throws it away on
/// an error. A closure that takes records is a sink as well.
pub trait Sink {
    /// The commit, once, before any record. Its hash is right; signature, DID and rev are for the sink to check.
    fn commit(&mut self, cid: &Cid, commit: &Commit) -> ControlFlow<()> {
        let _ = (cid, commit);
        ControlFlow::Continue(())
    }

    /// One record. Its CID is proved by the tree as far as it goes, its body hashes to the CID; `None` is a body
    /// that is not in the file.
    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()>;

    /// A body that the file leaves out at this place: perhaps an earlier record had the same CID. What is returned
    /// is hashed. Only streams ask.
    fn find(&mut self, cid: &Cid) -> Option<Vec<u8>> {
        let _ = cid;
        None
    }
}

impl<F: FnMut(&[u8], &Cid, Option<&[u8]>) -> ControlFlow<()>> Sink for F {
    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        self(key, cid, body)
    }
}

/// A record without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Where it stands.
    pub key: Vec<u8>,
    /// What it would hash to.
    pub cid: Cid,
}

/// What was read, when all of the tree was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// CID of the commit.
    pub cid: Cid,
    /// The commit. Its signature is not checked here.
    pub commit: Commit,
    /// Records in the tree.
    pub records: u64,
    /// Nodes of the tree.
    pub nodes: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Sections in the file.
    pub sections: u64,
    /// Sections that nothing needed: repeated ones, unreferenced ones, CIDs of another kind.
    pub extra: u64,
    /// Records without a body.
    pub missing_count: u64,
    /// The first of them, up to [`ReadOptions::missing`].
    pub missing: Vec<Missing>,
    /// Whether the blocks stood in streamable order (repeated, extra and omitted ones aside).
    pub preorder: bool,
}
