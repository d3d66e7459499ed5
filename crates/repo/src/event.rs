//! Sync 1.1 commit events: what a stream says about a commit, proved from the event's own blocks.
//!
//! [`prove`] does everything but the signature; [`Proved::signed_by`] adds that, and can be tried again with a
//! fresh key at no cost. Not checked: that the host may speak for the account, that the commit follows the one
//! we have ([`Verified::follows`] compares), that the revision is not in the future, lexicons.

use p2pds_crypto::PublicKey;
use p2pds_ipld::car::{CarError, CarLimits, SectionCid, SliceReader};
use p2pds_ipld::{Cid, Codec};
use p2pds_syntax::{Did, ErrorKind, RecordPath, Tid};

use crate::commit::{Commit, CommitError};
use crate::mst::{Blocks, Change, InvertError, Op, Tree, TreeError, invert, once_each};

/// Most bytes of blocks in one event.
pub const MAX_BLOCKS: u64 = 2_000_000;

/// Most bytes of blocks in one `#sync` event: the limit of the lexicon.
pub const MAX_SYNC: u64 = 10_000;

/// Most operations in one event.
pub const MAX_OPS: usize = 200;

/// What a commit event says, parsed but not checked.
#[derive(Debug, Clone)]
pub struct CommitEvent<'a> {
    /// Account.
    pub repo: Did,
    /// Revision of the commit.
    pub rev: Tid,
    /// Revision of the commit before.
    pub since: Option<Tid>,
    /// CID of the commit.
    pub commit: Cid,
    /// CAR with the commit, the covering proof and the new records.
    pub blocks: &'a [u8],
    /// Operations.
    pub ops: Vec<EventOp>,
    /// Root of the commit before; hosts older than Sync 1.1 do not say.
    pub prev_data: Option<Cid>,
}

/// One operation of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOp {
    /// Where.
    pub path: RecordPath,
    /// What.
    pub action: Action,
    /// Record after; with `create` and `update`.
    pub cid: Option<Cid>,
    /// Record before; with `update` and `delete`, from hosts that speak Sync 1.1.
    pub prev: Option<Cid>,
}

/// Action of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A record that was not there.
    Create,
    /// Another record at the same path.
    Update,
    /// The record is gone.
    Delete,
}

/// Why an event is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The blocks are not a CAR.
    #[error("the event's blocks cannot be read: {0}")]
    Car(#[from] CarError),
    /// More operations than [`MAX_OPS`].
    #[error("the event has {0} operations, at most {MAX_OPS} are accepted")]
    TooManyOps(usize),
    /// A block does not hash to its CID.
    #[error("block {0} of the event does not match its hash")]
    Hash(Cid),
    /// The first root is not the event's commit, or its block is missing.
    #[error("the event's blocks do not hold its commit {0}")]
    NoCommit(Cid),
    /// The commit block cannot be read or is signed by another key.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The event and its commit disagree.
    #[error("the event and its commit do not agree on `{0}`")]
    Disagree(&'static str),
    /// An operation that cannot be: a create without a record and the like.
    #[error("the operation on {0} is malformed")]
    Op(RecordPath),
    /// The block of a new record is missing.
    #[error("the event does not carry the record of {path}")]
    NoRecord {
        /// Where.
        path: RecordPath,
    },
    /// Undoing the operations does not work.
    #[error(transparent)]
    Invert(#[from] InvertError),
    /// Undoing the operations gives another root than the event says.
    #[error("undoing the event's operations gives the root {found}, the event says {said}")]
    PrevData {
        /// Computed.
        found: Cid,
        /// Claimed.
        said: Cid,
    },
    /// The tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl EventError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            EventError::TooManyOps(_) => ErrorKind::Limited,
            EventError::Car(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

/// One proved change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChange<'a> {
    /// Where.
    pub path: RecordPath,
    /// Record before; `None` for a creation, and when the event was not [inverted](Verified::inverted), so that
    /// nothing proves what was there.
    pub old: Option<Cid>,
    /// Record after, with its bytes.
    pub new: Option<(Cid, &'a [u8])>,
}

/// An event whose blocks prove what it says, but whose signature was not looked at.
#[derive(Debug, Clone)]
pub struct Proved<'a> {
    commit: Commit,
    cid: Cid,
    since: Option<Tid>,
    prev_data: Option<Cid>,
    changes: Vec<EventChange<'a>>,
}

/// A proved and signed event.
#[derive(Debug, Clone)]
pub struct Verified<'a>(Proved<'a>);

/// How a commit stands to the head that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Its operations lead from our root to its root.
    Next,
    /// The same revision and root.
    Same,
    /// An older revision, or the same with another root: never taken over.
    Behind,
    /// A later one, but not the next: fetch the repository.
    Gap,
    /// The host does not say which root came before: apply and compare the root, or fetch.
    Unknown,
}

/// Proves an event from its blocks.
///
/// # Errors
/// [`EventError`] names the first thing that is wrong.
pub fn prove(event: CommitEvent<'_>) -> Result<Proved<'_>, EventError> {
    if event.ops.len() > MAX_OPS {
        return Err(EventError::TooManyOps(event.ops.len()));
    }
    once_each(event.ops.iter().map(|op| op.path.as_bytes()).collect())?;
    let (commit, mut blocks) = open(&event.repo, event.rev, event.commit, event.blocks, MAX_BLOCKS)?;
    let ops =
        event.ops.iter().map(|op| read_op(op, event.prev_data.is_some())).collect::<Result<Vec<_>, _>>()?;
    match event.prev_data {
        Some(said) => {
            let ops: Vec<Op> = ops.iter().flatten().cloned().collect();
            let found = invert(commit.data, &mut blocks, &ops)?;
            if found != said {
                return Err(EventError::PrevData { found, said });
            }
        }
        None => {
            let mut tree = Tree::open(commit.data);
            for op in &event.ops {
                if tree.get(&mut blocks, op.path.as_bytes())? != op.cid {
                    let key = op.path.as_str().to_owned();
                    return Err(InvertError::Mismatch { key }.into());
                }
            }
        }
    }
    let inverted = event.prev_data.is_some();
    let mut changes = Vec::with_capacity(event.ops.len());
    for op in event.ops {
        let new = match op.cid {
            Some(cid) => {
                let missing = || EventError::NoRecord { path: op.path.clone() };
                Some((cid, blocks.find(&cid).ok_or_else(missing)?))
            }
            None => None,
        };
        changes.push(EventChange { path: op.path, old: op.prev.filter(|_| inverted), new });
    }
    Ok(Proved { commit, cid: event.commit, since: event.since, prev_data: event.prev_data, changes })
}

/// Reads a `#sync` event: a CAR of at most [`MAX_SYNC`] bytes with the commit. The signature is for the caller to check.
///
/// # Errors
/// [`EventError`] names the first thing that is wrong.
pub fn read_sync(repo: &Did, rev: Tid, blocks: &[u8]) -> Result<Commit, EventError> {
    let root =
        SliceReader::new(blocks, CarLimits::DEFAULT.with_total(MAX_SYNC))?.header().roots.first().copied();
    let root = root.ok_or(EventError::Disagree("commit"))?;
    Ok(open(repo, rev, root, blocks, MAX_SYNC)?.0)
}

/// Reads the commit of an event that [`prove`] refused: that of this account and revision, hashed. The signature is for
/// the caller to check, and nothing else of the event may be believed.
///
/// # Errors
/// [`EventError`] names the first thing that is wrong.
pub fn read_head(repo: &Did, rev: Tid, cid: Cid, blocks: &[u8]) -> Result<Commit, EventError> {
    Ok(open(repo, rev, cid, blocks, MAX_BLOCKS)?.0)
}

fn open<'a>(
    repo: &Did,
    rev: Tid,
    cid: Cid,
    car: &'a [u8],
    max_bytes: u64,
) -> Result<(Commit, Blocks<'a>), EventError> {
    let reader = SliceReader::new(car, CarLimits::DEFAULT.with_total(max_bytes))?;
    // The same bytes have a raw CID too; a commit's is always that of CBOR.
    if reader.header().roots.first() != Some(&cid) || cid.codec() != Codec::DagCbor {
        return Err(EventError::NoCommit(cid));
    }
    let mut blocks = Blocks::with_capacity(16);
    for section in reader {
        let section = section?;
        // Blocks with odd CIDs cannot be referred to by anything that is read here.
        if let SectionCid::Plain(cid) = section.cid
            && !blocks.add(cid, section.bytes)
        {
            return Err(EventError::Hash(cid));
        }
    }
    let commit = Commit::decode(blocks.find(&cid).ok_or(EventError::NoCommit(cid))?)?;
    if commit.did != *repo {
        return Err(EventError::Disagree("repo"));
    }
    if commit.rev != rev {
        return Err(EventError::Disagree("rev"));
    }
    Ok((commit, blocks))
}

/// The operation with both records; `None` when an old host does not say which record was there before.
fn read_op(op: &EventOp, complete: bool) -> Result<Option<Op>, EventError> {
    let change = match (op.action, op.cid, op.prev) {
        (Action::Create, Some(new), None) => Change::Create(new),
        (Action::Update, Some(new), Some(old)) => Change::Update { old, new },
        (Action::Delete, None, Some(old)) => Change::Delete(old),
        (Action::Update, Some(_), None) | (Action::Delete, None, None) if !complete => return Ok(None),
        _ => return Err(EventError::Op(op.path.clone())),
    };
    Ok(Some(Op { key: op.path.as_bytes().to_vec(), change }))
}

impl<'a> Proved<'a> {
    /// The commit; its signature was not looked at.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.commit
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// The event and [`CommitError::Signature`], so that the caller can try a fresh key.
    #[expect(clippy::result_large_err, reason = "the event comes back to be tried again")]
    pub fn signed_by(self, key: &PublicKey) -> Result<Verified<'a>, (Self, CommitError)> {
        match self.commit.verify(key) {
            Ok(()) => Ok(Verified(self)),
            Err(error) => Err((self, error)),
        }
    }
}

impl<'a> Verified<'a> {
    /// The commit.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.0.commit
    }

    /// CID of the commit.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.0.cid
    }

    /// Revision that the host says came before.
    #[must_use]
    pub fn since(&self) -> Option<Tid> {
        self.0.since
    }

    /// Whether undoing the operations gave the previous root, so that they are all there is.
    #[must_use]
    pub fn inverted(&self) -> bool {
        self.0.prev_data.is_some()
    }

    /// The changes.
    #[must_use]
    pub fn changes(&self) -> &[EventChange<'a>] {
        &self.0.changes
    }

    /// Compares with the head that we have.
    #[must_use]
    pub fn follows(&self, rev: Tid, data: Cid) -> Follows {
        let commit = &self.0.commit;
        match (commit.rev.cmp(&rev), self.0.prev_data) {
            (std::cmp::Ordering::Less, _) => Follows::Behind,
            (std::cmp::Ordering::Equal, _) if commit.data == data => Follows::Same,
            (std::cmp::Ordering::Equal, _) => Follows::Behind,
            (_, None) => Follows::Unknown,
            (_, Some(prev)) if prev == data => Follows::Next,
            (_, Some(_)) => Follows::Gap,
        }
    }
}
