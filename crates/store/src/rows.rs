//! The rows of the stored model other than the account.

use std::fmt;

use p2pds_ipld::Cid;
use p2pds_syntax::{Did, RecordPath, Tid};

/// Surrogate id of one stored repo. An account may have several: the live one, one being
/// staged, one being folded away, evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoId(pub i64);

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What sort of repo it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// A public repo with a Merkle search tree.
    #[default]
    Mst,
    /// A permissioned space: records, no tree (room is kept for it).
    Space,
}

/// What a repo id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The live repo of an account hosted here.
    Hosted,
    /// The live repo of an archived account.
    Archived,
    /// Being filled; invisible until its flip.
    Staging,
    /// Replaced by a flip; its superseded versions are being folded into the history.
    Replaced,
    /// Kept beside the live repo as evidence.
    Evidence,
}

/// The signed head of a repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its rev.
    pub rev: Tid,
    /// Root of its tree.
    pub data: Cid,
    /// CID of the commit block.
    pub commit: Cid,
    /// Compact signature.
    pub sig: [u8; 64],
    /// The key that it verified against, as did:key; empty when none is known.
    pub key: String,
    /// The commit block itself, when it cannot be re-encoded from the fields above
    /// (non-null `prev`, unknown fields).
    pub raw: Option<Vec<u8>>,
}

/// One stored repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// Its id.
    pub id: RepoId,
    /// Its account.
    pub did: Did,
    /// Tree or space.
    pub kind: Kind,
    /// What it stands for.
    pub role: Role,
    /// The rev it is staged for, or the head's.
    pub rev: Tid,
    /// The head; `None` while it is staged.
    pub head: Option<Head>,
    /// Records in it.
    pub records: u64,
    /// Bytes of their bodies before compression.
    pub record_bytes: u64,
    /// Its line of history: 0, and one more each time an operator accepted a head that is not
    /// newer. A state is rebuilt from the rows of its own line.
    pub line: u32,
}

/// One entry of the commit history of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRow {
    /// The head as it was.
    pub head: Head,
    /// When this archive saw it, microseconds since 1970; `None` when that was not recorded.
    pub seen_at: Option<i64>,
    /// The rev that it is proved to follow directly; `None` when revisions may lie before it
    /// that were not seen.
    pub since: Option<Tid>,
    /// What it changed; `None` when that was not counted.
    pub counts: Option<ChangeCounts>,
    /// Its line of history, see [`Repo::line`].
    pub line: u32,
}

/// How many records a revision changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeCounts {
    /// Records that were not there before.
    pub created: u64,
    /// Records with another version than before.
    pub updated: u64,
    /// Records that are not there any more.
    pub deleted: u64,
}

/// What was known about a head when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// When this archive saw it, microseconds since 1970; 0 when that was not recorded.
    pub at: i64,
    /// The rev that it follows directly, as its source said and `prevData` proved; `None` when
    /// revisions may lie between it and the one stored before.
    pub since: Option<Tid>,
}

/// One record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Collection and record key.
    pub key: RecordPath,
    /// CID of its block.
    pub cid: Cid,
    /// The rev at which this version appeared, as far as the store knows.
    pub since: Tid,
    /// The block, checked against `cid`. `None`: not asked for, never received (a leaf whose
    /// block the source had lost), or damaged.
    pub body: Option<Vec<u8>>,
    /// Bytes are stored for it, but they do not hash to `cid` any more. Only set when the body
    /// was asked for.
    pub damaged: bool,
}

/// One run of records below tree layer 4, with what is needed to compute the tree around it.
/// Mirrors `p2pds_repo::bucket::Bucket`, plus the rev of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRow {
    /// Its first key; empty for the first bucket.
    pub lo: Vec<u8>,
    /// Record at `lo` when that is a key of the spine.
    pub lo_cid: Option<Cid>,
    /// Records in it, the one at `lo` included. Not to be relied on while `dirty`.
    pub n: u32,
    /// Layer and CID of the trimmed subtree after `lo`; `None` for an empty run.
    pub layer_root: Option<(u8, Cid)>,
    /// Set when records changed since: `n`, `layer_root` and `prefixes` must be recomputed.
    pub dirty: bool,
    /// Rev of its last change.
    pub rev: Tid,
    /// 4-byte digest prefixes of its nodes, then of its records.
    pub prefixes: Vec<u8>,
}

/// A blob that a record names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// CID of the blob.
    pub cid: Cid,
    /// Size in bytes as the record states it; 0 when it does not (legacy references).
    pub size: u64,
    /// MIME type as the record states it.
    pub mime: String,
}

/// Whether a referenced blob is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobState {
    /// Not here yet.
    Missing {
        /// How often it was tried.
        tries: u32,
        /// Why the last try failed.
        last_error: Option<String>,
        /// When to try next, microseconds since 1970; 0 for at once.
        next_try: i64,
    },
    /// In the blob store, hash checked when it was put there.
    Held,
    /// The source says that it does not have it and will not.
    Gone {
        /// In the source's words.
        reason: Option<String>,
    },
    /// Uploaded, here, and named by no record yet. With the first record that names it it is held. Until then it is
    /// not served, not listed and not counted.
    Temporary {
        /// When it was uploaded, microseconds since 1970.
        at: i64,
    },
    /// Here, and withheld: not served, not listed and not counted.
    Quarantined {
        /// Reference of the takedown.
        reference: String,
    },
}

/// One blob of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// Its CID.
    pub cid: Cid,
    /// Size in bytes: the true one when held, else the one stated by the record.
    pub size: u64,
    /// MIME type as stated by the record that named it first.
    pub mime: String,
    /// Whether it is here.
    pub state: BlobState,
}

/// Records of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionCount {
    /// The collection's NSID as it stands in the keys.
    pub collection: String,
    /// Records in it.
    pub records: u64,
}

/// One operation of a mirrored did:plc log, in log order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlcRow {
    /// The operation as JSON, byte for byte as received.
    pub operation: Vec<u8>,
    /// Its CID as text.
    pub cid: String,
    /// Whether a later fork made it void.
    pub nullified: bool,
    /// The directory's timestamp as text.
    pub created_at: String,
}

/// The last DID document seen for a DID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// The DID.
    pub did: Did,
    /// The document as JSON.
    pub doc: Vec<u8>,
    /// The handle that resolved both ways.
    pub handle: Option<String>,
    /// When it was fetched, microseconds since 1970.
    pub fetched_at: i64,
}

/// Something that was observed and must not be lost: an equivocation, a refused head, a purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Number in order of arrival; 0 when handed in.
    pub id: i64,
    /// How often it was observed; 1 when handed in.
    pub times: u64,
    /// When it was observed last, if more than once, microseconds since 1970.
    pub last_at: Option<i64>,
    /// The account it concerns.
    pub did: Did,
    /// When, microseconds since 1970.
    pub at: i64,
    /// A short stable word: `equivocation`, `older-head`, `plc-fork`...
    pub kind: String,
    /// Details as JSON text.
    pub detail: String,
    /// Bytes that prove it, for example the commit block.
    pub data: Option<Vec<u8>>,
}

/// Something that is wrong now; replaced when it is seen again, removed when it is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The account it concerns.
    pub did: Did,
    /// A short stable word: `record-missing`, `record-damaged`, `odd-record`...
    pub kind: String,
    /// What it is about (a record path, a CID, a host); empty for the whole account.
    pub subject: String,
    /// In plain words.
    pub detail: String,
    /// When it was seen first; kept when it is seen again.
    pub first_at: i64,
    /// When it was seen last.
    pub last_at: i64,
}

/// Beginning of the name of the worker row of an archived account whose owner is moving it here, `moving-in:did:plc:...`:
/// the host writes it, and while it is there the archive forgets nothing of the account.
pub const MOVING_IN: &str = "moving-in";
/// The same of one whose move was given up, `moved-back:did:plc:...`: what the move replaced is kept for the whole undo
/// window, counted from when the row was written.
pub const MOVED_BACK: &str = "moved-back";

/// The state of a background worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// Unique name, for example `sync:did:plc:...`.
    pub name: String,
    /// The account it works for.
    pub did: Option<Did>,
    /// What it is doing, in plain words.
    pub state: String,
    /// Units of progress done.
    pub done: u64,
    /// Units of progress in all; 0 when unknown.
    pub total: u64,
    /// Its own notes for resuming, as JSON text.
    pub notes: String,
    /// The last error in plain words.
    pub last_error: Option<String>,
    /// When it runs next, microseconds since 1970.
    pub next_run: Option<i64>,
    /// When this row was written.
    pub updated_at: i64,
}

/// The record of one purge. It outlives the data: deletion needs a recorded basis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeRow {
    /// The purged account.
    pub did: Did,
    /// Why, as the operator said.
    pub basis: String,
    /// When it began.
    pub began_at: i64,
    /// When the last row was gone and the files had been searched.
    pub ended_at: Option<i64>,
    /// Rows deleted.
    pub rows: u64,
    /// What the search found, in plain words.
    pub report: Option<String>,
}

/// Sizes and limits of the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Accounts stored.
    pub accounts: u64,
    /// Records in live repos.
    pub records: u64,
    /// Bytes of the database file.
    pub db_bytes: u64,
    /// Bytes in the write-ahead log not yet folded into the database.
    pub wal_bytes: u64,
    /// Bytes free inside the database file.
    pub free_bytes: u64,
    /// Units waiting to be written.
    pub waiting: u64,
    /// Groups committed since the store was opened.
    pub groups: u64,
    /// Units applied since the store was opened.
    pub units: u64,
    /// Duration of the last commit including its flush, in microseconds.
    pub last_commit_us: u64,
    /// The disk is full: only reading and deleting work.
    pub disk_full: bool,
    /// Why writing has stopped, if it has.
    pub stopped: Option<String>,
    /// Last hygiene pass, microseconds since 1970.
    pub last_hygiene_at: Option<i64>,
    /// Why a hygiene pass is due, if one is.
    pub hygiene_due: Option<String>,
}
