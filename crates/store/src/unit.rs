//! Units of work: data, not closures.
//!
//! A unit is applied whole or not at all, runs under its own savepoint and holds the writer
//! for 10 ms at most; so large work is many units into a *staging* repo id and becomes visible
//! by one small [`Unit::Flip`].
//!
//! Archiving or refreshing a whole repo:
//! [`BeginStaging`](Unit::BeginStaging), then [`StageRecords`](Unit::StageRecords) and
//! [`StageBuckets`](Unit::StageBuckets) as often as needed, [`Flip`](Unit::Flip), then
//! [`DropRepo`](Unit::DropRepo) on the replaced repo until it says `done`. The last step folds
//! what changed into the history and lets unchanged rows inherit the rev they appeared at; it
//! may be interrupted and continued at any time.
//!
//! `unit/check.rs`: what is wrong with a unit by itself. `unit/room.rs`: which are tried on a full disk.

mod check;
mod room;

use p2pds_ipld::Cid;
use p2pds_syntax::{Did, RecordPath, Tid};

use crate::{
    Account, AccountPatch, BlobRef, BlobState, BucketRow, Evidence, Finding, Head, HostingUnit, IdentityRow,
    Kind, Login, LoginPatch, NewEvent, PlcRow, RepoId, Role, Seen, WorkerRow,
};

/// Most rows that one unit may carry or touch.
pub const CHUNK_ROWS: usize = 1_000;

/// Most bytes of bodies that one unit may carry, unless it carries a single row.
pub const CHUNK_BYTES: usize = 4 << 20;

/// One record to be staged. The caller has checked that `body` hashes to `cid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedRow {
    /// Collection and record key.
    pub key: RecordPath,
    /// CID of its block.
    pub cid: Cid,
    /// The block; `None` when the source has lost it.
    pub body: Option<Vec<u8>>,
    /// Blobs that it names.
    pub blobs: Vec<BlobRef>,
}

/// The new version of a record in a [`Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// CID of its block.
    pub cid: Cid,
    /// The block; `None` when the source has lost it.
    pub body: Option<Vec<u8>>,
    /// Blobs that it names.
    pub blobs: Vec<BlobRef>,
}

/// One create, update or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Collection and record key.
    pub key: RecordPath,
    /// The version that must be stored now; `None` for a create.
    pub old: Option<Cid>,
    /// The version from now on; `None` for a delete.
    pub new: Option<Version>,
}

/// One planned change of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketChange {
    /// Insert or replace the bucket with this `lo`.
    Put(BucketRow),
    /// Remove the bucket with this `lo`.
    Delete(Vec<u8>),
}

/// How a commit changes the buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketUpdate {
    /// As planned by the caller.
    Planned(Vec<BucketChange>),
    /// Mark (and split or join) the buckets that the changed keys fall into;
    /// `view::refresh` computes them later and so checks the signed root a second time.
    MarkDirty,
}

/// Most units in a batch.
pub const BATCH_UNITS: usize = 1_000;

/// How far the numbers of events jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// By this many beyond the greatest so far.
    By(u64),
    /// To this one: the next is greater.
    To(i64),
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Adds an account; changes nothing when it is there already. Fields that the store keeps
    /// itself (counters, rev, purging) are ignored.
    AddAccount(Box<Account>),
    /// Changes some of an account's fields.
    PatchAccount {
        /// The account.
        did: Did,
        /// What to change.
        patch: Box<AccountPatch>,
    },

    /// Opens a staging repo for a head with this rev. Answers [`Applied::Staging`].
    BeginStaging {
        /// The account, which must exist.
        did: Did,
        /// Tree or space.
        kind: Kind,
        /// Rev of the head that will be flipped in.
        rev: Tid,
    },
    /// Stages at most [`CHUNK_ROWS`] records; keys ascend, and come after those staged before.
    StageRecords {
        /// The account.
        did: Did,
        /// The staging repo.
        repo: RepoId,
        /// The rows.
        rows: Vec<StagedRow>,
    },
    /// Stages at most [`CHUNK_ROWS`] buckets; best all at the end, so that they lie side by side.
    /// One with the same `lo` is replaced.
    StageBuckets {
        /// The account.
        did: Did,
        /// The staging repo.
        repo: RepoId,
        /// The buckets.
        rows: Vec<BucketRow>,
    },
    /// Makes a staged repo the live one. Answers [`Applied::Flipped`]. Refuses a head whose rev
    /// is not greater than the live one's, and a live head other than `expect`.
    Flip {
        /// The account.
        did: Did,
        /// The staging repo.
        repo: RepoId,
        /// The rev that must be live now; `None` when there must be no live repo.
        expect: Option<Tid>,
        /// The new head.
        head: Box<Head>,
        /// [`Role::Archived`] or [`Role::Hosted`].
        role: Role,
        /// `true` only when an operator accepts, with a recorded reason, a head that is not
        /// newer (invariant 5).
        accept_older: bool,
        /// When this archive saw the head, microseconds since 1970; 0 when not recorded.
        at: i64,
    },
    /// Applies one commit to the live repo: records, history, buckets, blob references and head
    /// together. Refuses when `expect` is not the live rev, when the new rev is not greater, or
    /// when an `old` version is not the stored one.
    ApplyCommit {
        /// The account.
        did: Did,
        /// The live rev that this commit follows.
        expect: Tid,
        /// The new head.
        head: Box<Head>,
        /// At most [`CHUNK_ROWS`] changes, each key once.
        changes: Vec<Change>,
        /// What becomes of the buckets.
        buckets: BucketUpdate,
        /// When it was seen and what it follows.
        seen: Seen,
    },
    /// Stores recomputed buckets of the live repo; refuses when its rev is not `rev`.
    PutBuckets {
        /// The account.
        did: Did,
        /// The live repo.
        repo: RepoId,
        /// The rev that they were computed at.
        rev: Tid,
        /// Changes; a put row is clean afterwards and keeps the stored bucket's `rev`.
        changes: Vec<BucketChange>,
    },
    /// Puts back the body of a stored record after damage or loss. Refuses another CID than the
    /// stored one and bytes that do not hash to it.
    RepairRecord {
        /// The account.
        did: Did,
        /// The live repo.
        repo: RepoId,
        /// Collection and record key.
        key: RecordPath,
        /// Its CID.
        cid: Cid,
        /// The block.
        body: Vec<u8>,
        /// Blobs that it names.
        blobs: Vec<BlobRef>,
    },
    /// Drops up to [`CHUNK_ROWS`] rows of a staging, replaced or evidence repo; a replaced one is
    /// folded into the history on the way. Answers [`Applied::Chunk`]; repeat until done.
    DropRepo {
        /// The account.
        did: Did,
        /// The repo; never the live one.
        repo: RepoId,
    },

    /// Deletes up to [`CHUNK_ROWS`] rows of an account's history: versions that were superseded
    /// at `before` or earlier, and heads older than `before`. The state at `before` stays whole;
    /// of the live line, it must not be newer than the live head. `None` deletes all of a line
    /// whose repo is gone. Answers [`Applied::Chunk`]; repeat until done.
    Prune {
        /// The account.
        did: Did,
        /// The line of history, see [`crate::Repo::line`].
        line: u32,
        /// The oldest rev that can be rebuilt afterwards.
        before: Option<Tid>,
    },

    /// Records the state of a blob. Creates the row when it is not there.
    PutBlob {
        /// The account.
        did: Did,
        /// CID of the blob.
        cid: Cid,
        /// True size when it is known.
        size: Option<u64>,
        /// Its MIME type when it is known otherwise than from a record; `None` leaves the stored one.
        mime: Option<String>,
        /// Its state from now on.
        state: BlobState,
    },
    /// Removes the row of a blob that no record names any more. The caller deletes the file
    /// afterwards, never before.
    DropBlob {
        /// The account.
        did: Did,
        /// CID of the blob.
        cid: Cid,
    },

    /// Replaces the mirrored PLC log of a DID. Refuses one with fewer operations than the
    /// stored one.
    PutPlcLog {
        /// The DID; it need not be an account.
        did: Did,
        /// All operations in order, nullified ones included.
        ops: Vec<PlcRow>,
        /// When it was fetched, microseconds since 1970.
        fetched_at: i64,
    },
    /// Stores the last DID document seen.
    PutIdentity(IdentityRow),
    /// Appends evidence.
    AddEvidence(Evidence),
    /// Counts that something of which there is evidence was observed again.
    RepeatEvidence {
        /// The account.
        did: Did,
        /// Number of the evidence.
        id: i64,
        /// When, microseconds since 1970.
        at: i64,
    },
    /// Records a finding, or that it was seen again.
    PutFinding(Finding),
    /// Removes findings of one kind: of one subject, or all of them when `subject` is `None`.
    ResolveFindings {
        /// The account.
        did: Did,
        /// Kind.
        kind: String,
        /// Subject.
        subject: Option<String>,
    },
    /// Stores an alert, in place of the one with the same id.
    PutAlert(crate::AlertRow),
    /// Forgets alerts that were over before this time; those that last stay.
    ForgetAlerts {
        /// Microseconds since 1970.
        before: i64,
    },
    /// Stores at most [`CHUNK_ROWS`] samples, and forgets older ones of the same accounts.
    PutSamples {
        /// The samples.
        rows: Vec<crate::SampleRow>,
        /// Older ones are forgotten, microseconds since 1970.
        keep_from: i64,
    },
    /// Stores a worker's state.
    PutWorker(WorkerRow),
    /// Removes a worker's state.
    DropWorker {
        /// Its name.
        name: String,
    },
    /// Stores a setting of the node; `None` removes it.
    PutSetting {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
    },

    /// Several units of one account as one: all of them happen, in this order, or none. Answers
    /// [`Applied::Batch`].
    Batch {
        /// The account.
        did: Did,
        /// At most [`BATCH_UNITS`] units of this account or of the node, none of them a batch.
        units: Vec<Self>,
    },
    /// Gives an event its number and stores it. Answers [`Applied::Event`]. The [`crate::events::Tail`] has it once
    /// it is durable. The DID need not be an account (any more).
    Emit(NewEvent),
    /// Makes a live repo without records, with its first head. Answers [`Applied::Opened`]. Refuses when there is a
    /// live repo, and a head whose root is not that of the empty tree.
    OpenRepo {
        /// The account.
        did: Did,
        /// Its first head.
        head: Box<Head>,
        /// [`Role::Archived`] or [`Role::Hosted`].
        role: Role,
        /// When, microseconds since 1970.
        at: i64,
    },
    /// Changes what the live repo stands for: archived, or hosted.
    SetRole {
        /// The account.
        did: Did,
        /// [`Role::Archived`] or [`Role::Hosted`].
        role: Role,
    },
    /// Deletes the oldest events, up to [`CHUNK_ROWS`], while one of the three limits is passed. Answers
    /// [`Applied::Chunk`]; repeat until done.
    PruneEvents {
        /// Events made before this time go, microseconds since 1970.
        before_at: i64,
        /// This many stay at most.
        keep_count: u64,
        /// The frames of those that stay have at most this many bytes.
        max_bytes: u64,
    },
    /// Deletes up to [`CHUNK_ROWS`] events of an account; its newest one stays when it is about its status, so that
    /// subscribers hear that the account is gone. Answers [`Applied::Chunk`]; repeat until done.
    EraseEvents {
        /// The account.
        did: Did,
    },
    /// Lets the numbers of events go on after a greater one; smaller ones change nothing. Answers
    /// [`Applied::Event`] with the greatest number given or jumped to.
    JumpSeq(Jump),
    /// Makes an account a hosted one, or replaces its login.
    PutLogin(Box<Login>),
    /// Changes some fields of a login.
    PatchLogin {
        /// The account.
        did: Did,
        /// What to change.
        patch: Box<LoginPatch>,
    },
    /// Makes a hosted account one that is not; changes nothing when it is none.
    DropLogin {
        /// The account.
        did: Did,
    },
    /// A unit of one of the parts of hosting.
    Hosting(Box<HostingUnit>),

    /// Begins a purge: the account disappears from reads, and only purge units are accepted.
    PurgeBegin {
        /// The account.
        did: Did,
        /// Why; recorded for good.
        basis: String,
        /// When, microseconds since 1970.
        at: i64,
    },
    /// Deletes up to [`CHUNK_ROWS`] rows of an account being purged; repeat until done. With the
    /// last rows the account itself goes.
    PurgeChunk {
        /// The account.
        did: Did,
    },
    /// Ends a purge with the report of the search for traces.
    PurgeEnd {
        /// The account.
        did: Did,
        /// When.
        at: i64,
        /// What the search found.
        report: String,
    },
}

impl Unit {
    /// The account whose queue the unit waits in; `None` for the node's own.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::AddAccount(account) => Some(&account.did),
            Self::PutIdentity(row) => Some(&row.did),
            Self::AddEvidence(row) => Some(&row.did),
            Self::PutFinding(row) => Some(&row.did),
            Self::PutWorker(row) => row.did.as_ref(),
            Self::PutAlert(row) => row.did.as_ref(),
            Self::ForgetAlerts { .. } | Self::PutSamples { .. } => None,
            Self::PruneEvents { .. } | Self::JumpSeq(_) => None,
            Self::Emit(event) => Some(&event.did),
            Self::PutLogin(login) => Some(&login.did),
            Self::Hosting(unit) => unit.did(),
            Self::DropWorker { .. } | Self::PutSetting { .. } => None,
            Self::PatchAccount { did, .. }
            | Self::RepeatEvidence { did, .. }
            | Self::BeginStaging { did, .. }
            | Self::StageRecords { did, .. }
            | Self::StageBuckets { did, .. }
            | Self::Flip { did, .. }
            | Self::ApplyCommit { did, .. }
            | Self::PutBuckets { did, .. }
            | Self::RepairRecord { did, .. }
            | Self::DropRepo { did, .. }
            | Self::Prune { did, .. }
            | Self::PutBlob { did, .. }
            | Self::DropBlob { did, .. }
            | Self::PutPlcLog { did, .. }
            | Self::ResolveFindings { did, .. }
            | Self::Batch { did, .. }
            | Self::OpenRepo { did, .. }
            | Self::SetRole { did, .. }
            | Self::EraseEvents { did }
            | Self::PatchLogin { did, .. }
            | Self::DropLogin { did }
            | Self::PurgeBegin { did, .. }
            | Self::PurgeChunk { did }
            | Self::PurgeEnd { did, .. } => Some(did),
        }
    }
}

/// What a unit has to say once it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Nothing more.
    Done,
    /// The repo to stage into.
    Staging(RepoId),
    /// A flip took place.
    Flipped {
        /// The repo that was live before; drop it chunk by chunk.
        replaced: Option<RepoId>,
    },
    /// A repo was opened.
    Opened(RepoId),
    /// An event has this number now.
    Event {
        /// The number.
        seq: i64,
    },
    /// What a unit of the owners of accounts has to say.
    Accounts(crate::hosting::AccountsApplied),
    /// What a unit of hosted blobs has to say.
    Blobs(crate::hosting::BlobsApplied),
    /// What a unit of the node's ownership has to say.
    Owner(crate::hosting::OwnerApplied),
    /// What a unit of reports has to say.
    Reports(crate::hosting::ReportsApplied),
    /// What a unit of factors has to say.
    Factors(crate::hosting::FactorsApplied),
    /// What a unit of the authorization server has to say.
    OAuth(crate::hosting::OAuthApplied),
    /// What each unit of a batch has to say.
    Batch(Vec<Self>),
    /// One step of many.
    Chunk {
        /// Rows dropped by this step.
        rows: u64,
        /// Nothing is left to drop.
        done: bool,
    },
}
