//! The write path: records in, one signed commit and one event out.
//!
//! ```text
//! prepare    $type, key, encoding, blobs, schema       no lock, no I/O but a schema's
//! resolve    what stands there now, swaps, duplicates  the account's lock is held from here on
//! plan       the new tree, its rows, its proof         the spine is in memory, one read for the touched runs
//! seal       commit signed, event encoded              size checked before anything is signed
//! store      ONE unit: commit, event, blobs, links     durable before the caller hears of it
//! ```
//!
//! The state of accounts that are written to is kept ([`hot`]) and is always what the store has: it is taken out
//! before a write begins and put back only after the store said yes, so that a failure, a moved head or a caller who
//! hangs up leaves nothing behind but one more read.
//!
//! Not done here: who may write (the door knows), rate limits, what happens to blobs that no record names any more.

mod backlinks;
mod hot;
mod import;
mod mark;
mod open;
mod prepare;
mod resolve;
mod schemas;
mod seal;

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_store::{StoreError, Unit};
use p2pds_syntax::{Did, Nsid, RecordPath, Rkey, Tid};

pub use hot::AccountLock;
pub(crate) use hot::Writes;
pub use import::Imported;
pub(crate) use import::Leftovers;
pub use open::{Announce, EmptyCommit, Opened};
pub use prepare::MAX_RECORD;
pub use schemas::{Status, Validate};

use crate::{Host, HostError, HostResult};
use hot::Hot;
use prepare::Prepared;
use resolve::Resolved;

/// Most writes in one commit.
pub const MAX_WRITES: usize = 200;
/// How often a write is planned anew after the head moved under it.
const ATTEMPTS: usize = 4;

/// What must stand at a key before a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Swap {
    /// Whatever there is.
    #[default]
    Any,
    /// Nothing (`swapRecord: null`).
    Absent,
    /// This record.
    Is(Cid),
}

/// One change that a caller asks for. A record is as it came: `$type` may be missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A record at a key where none is; without a key one is made from the time.
    Create {
        /// Collection.
        collection: Nsid,
        /// Key.
        rkey: Option<Rkey>,
        /// The record.
        record: Value,
    },
    /// Another record at a key that has one.
    Update {
        /// Collection.
        collection: Nsid,
        /// Key.
        rkey: Rkey,
        /// The record.
        record: Value,
    },
    /// A record at a key, whether there is one or not.
    Put {
        /// Collection.
        collection: Nsid,
        /// Key.
        rkey: Rkey,
        /// The record.
        record: Value,
        /// What must stand there.
        swap: Swap,
    },
    /// No record at a key any more.
    Delete {
        /// Collection.
        collection: Nsid,
        /// Key.
        rkey: Rkey,
        /// What must stand there.
        swap: Swap,
        /// Whether it is fine when there is none.
        missing_ok: bool,
    },
}

/// How writes are done.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The commit that must be the head.
    pub swap_commit: Option<Cid>,
    /// Whether records are checked against their schema.
    pub validate: Validate,
    /// Whether older follows, likes, reposts and blocks of the same subject go in the same commit.
    pub replace_duplicates: bool,
}

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteResult {
    /// Where.
    pub path: RecordPath,
    /// The record that stands there now; `None` after a deletion.
    pub cid: Option<Cid>,
    /// What the schema said; `None` when it was not asked, or nothing was written.
    pub status: Option<Status>,
}

/// What a write came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// CID of the head.
    pub commit: Cid,
    /// Its revision.
    pub rev: Tid,
    /// Whether there is a new commit; without one nothing had to be changed.
    pub changed: bool,
    /// One for each write, in their order.
    pub results: Vec<WriteResult>,
}

impl Host {
    /// Writes to an account's repo: one commit, one event, durable when this answers.
    ///
    /// # Errors
    /// `InvalidSwap`, `RecordAlreadyExists`, `RecordNotFound`, `BlobNotFound`, `InvalidMimeType`, `InvalidSize`,
    /// `InvalidRequest`, `AccountDeactivated`, `AccountTakedown`, each with what to do about it. Nothing was changed then.
    pub async fn write(&self, did: &Did, writes: Vec<Write>, options: WriteOptions) -> HostResult<Written> {
        if writes.len() > MAX_WRITES {
            let count = writes.len();
            return Err(HostError::invalid(format!(
                "Too many writes. Max: {MAX_WRITES}, got {count}; send them in several calls"
            )));
        }
        let prepared = self.prepare(did, writes, options.validate).await?;
        // Before anything is written: what is committed is told of, whoever listens.
        self.may_send(did).await?;
        let lock = self.writes().enter(did).await?;
        let mut slot = lock.slot().await;
        for attempt in 1..=ATTEMPTS {
            // Taken out: whatever ends this turn before its end leaves no state behind that the store does not have.
            let hot = match slot.take() {
                Some(hot) => hot,
                None => self.load_hot(did).await?,
            };
            match self.turn(hot, &prepared, &options).await {
                Turn::Done(hot, written) => {
                    lock.note(Some(&hot));
                    *slot = Some(hot);
                    return Ok(written);
                }
                Turn::Refused(hot, error) => {
                    *slot = hot;
                    return Err(error);
                }
                Turn::Moved(error) if attempt == ATTEMPTS => return Err(error.into()),
                Turn::Moved(_) => {}
            }
        }
        Err(HostError::new(p2pds_syntax::ErrorKind::Bug, "InternalServerError", "the write was not done"))
    }

    /// One try on a state that is out of its slot.
    async fn turn(&self, mut hot: Box<Hot>, prepared: &[Prepared], options: &WriteOptions) -> Turn {
        if let Err(error) = hot.check_writable().and_then(|()| hot.check_swap(options.swap_commit)) {
            return Turn::Refused(Some(hot), error);
        }
        let resolved = match self.resolve(&mut hot, prepared, options.replace_duplicates).await {
            Ok(resolved) => resolved,
            Err(error) => return Turn::Refused(Some(hot), error),
        };
        if resolved.ops.is_empty() {
            let written = hot.written(false, resolved.results);
            return Turn::Done(hot, written);
        }
        // From here on the spine may be ahead of the store: on any failure the state is dropped.
        match self.carry_out(&mut hot, resolved).await {
            Ok(written) => Turn::Done(hot, written),
            Err(Failure::Store(
                error @ (StoreError::HeadMoved { .. }
                | StoreError::NotNewer { .. }
                | StoreError::Mismatch { .. }),
            )) => Turn::Moved(error),
            Err(Failure::Store(error)) => Turn::Refused(None, error.into()),
            Err(Failure::Host(error)) => Turn::Refused(None, error),
        }
    }

    /// Plans, signs, stores.
    async fn carry_out(&self, hot: &mut Hot, resolved: Resolved<'_>) -> Result<Written, Failure> {
        let blobs = resolved.changes.iter().filter_map(|change| change.new).flat_map(|block| &block.blobs);
        // None of them may go between the look at it and the commit.
        let expected = Self::expect_blobs(hot.did(), blobs.map(|blob| blob.cid).collect());
        let sealed = self.seal(hot, resolved)?;
        let units = expected.into_iter().chain(sealed.units).collect();
        let unit = Unit::Batch { did: hot.did().clone(), units };
        self.store().apply(unit).await.map_err(Failure::Store)?;
        hot.advance(sealed.head);
        Ok(hot.written(true, sealed.results))
    }
}

/// How one try ended.
enum Turn {
    /// Done, with the state that the store has now.
    Done(Box<Hot>, Written),
    /// Refused; the state when it is still the store's.
    Refused(Option<Box<Hot>>, HostError),
    /// Somebody else changed the repo: try again.
    Moved(StoreError),
}

/// Why a planned write was not stored.
enum Failure {
    Store(StoreError),
    Host(HostError),
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}
