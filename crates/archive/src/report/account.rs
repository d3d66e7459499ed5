//! One account of the archive: a line of the list, and everything about it.

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use super::found::KeySituation;
use crate::live::LiveNote;

/// A line of `archive list`. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountLine {
    /// DID.
    pub did: Did,
    /// Handle that resolved both ways last.
    pub handle: Option<String>,
    /// Host as last seen.
    pub host: Option<String>,
    /// State at the host: `active`, `deactivated`, `takendown`...
    pub status: String,
    /// `nothing`, `verified`, `unverified`, `verbatim`.
    pub verified: String,
    /// `network` or `file`.
    pub origin: String,
    /// Revision held.
    pub rev: Option<String>,
    /// When that revision was made, by its own word.
    pub rev_at: Option<i64>,
    /// Records held.
    pub records: u64,
    /// Bytes of those records, counted with every change.
    #[serde(default)]
    pub record_bytes: u64,
    /// Bytes of the repo as a CAR, as last fetched whole.
    pub car_bytes: u64,
    /// Blobs held.
    pub blobs_held: u64,
    /// Blobs named by records and not here.
    pub blobs_missing: u64,
    /// Bytes of the blobs held.
    pub blob_bytes: u64,
    /// When it was added.
    pub added_at: i64,
    /// When the last successful sync ended.
    pub last_sync_at: Option<i64>,
    /// Why the last one failed, in plain words.
    pub last_error: Option<String>,
    /// When it was last verified from the stored bytes.
    pub last_verified_at: Option<i64>,
    /// Whether that found everything in order.
    pub last_verify_ok: Option<bool>,
    /// How much history is kept: `all` or `window`.
    #[serde(default)]
    pub keep: String,
    /// Why it is kept after a deletion at its source, when somebody wrote that down.
    #[serde(default)]
    pub keep_basis: Option<String>,
    /// What becomes of it when it was deleted at its source.
    #[serde(default)]
    pub withdrawal: Option<crate::history::Withdrawal>,
    /// Higher goes before others in background work; 0 is usual.
    #[serde(default)]
    pub priority: i32,
    /// Most bytes (records and blobs) that are stored of it, when there is a limit.
    #[serde(default)]
    pub quota: Option<u64>,
    /// Why nothing more is stored of it, if so.
    #[serde(default)]
    pub full: Option<String>,
    /// Syncing is paused.
    pub paused: bool,
    /// It is being removed.
    pub removing: bool,
    /// What an unfinished operation is doing, if one was interrupted or runs.
    pub doing: Option<String>,
    /// How it is followed, while a node runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveNote>,
    /// In one sentence: how safe it is.
    pub words: String,
}

/// Records of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionLine {
    /// NSID.
    pub collection: String,
    /// Records.
    pub records: u64,
}

/// The stored head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadNote {
    /// Revision.
    pub rev: String,
    /// CID of the commit.
    pub commit: String,
    /// Root of the tree.
    pub data: String,
    /// The key that the signature verified with, as did:key; empty when none is known.
    pub key: String,
}

/// A blob that is not here, or is gone at its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobNote {
    /// CID.
    pub cid: String,
    /// MIME type by the record.
    pub mime: String,
    /// Size by the record; 0 when it does not say.
    pub size: u64,
    /// `missing` or `gone`.
    pub state: String,
    /// Tries so far.
    pub tries: u32,
    /// Why, in plain words.
    pub reason: String,
    /// When it is tried next, microseconds since 1970; `None` when it is not.
    pub next_try: Option<i64>,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingNote {
    /// Stable word.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// In plain words.
    pub detail: String,
    /// Since when, microseconds since 1970.
    pub since: i64,
}

/// Something observed that contradicts, and was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceNote {
    /// When, microseconds since 1970.
    pub at: i64,
    /// Stable word.
    pub kind: String,
    /// Details.
    pub detail: serde_json::Value,
    /// Bytes of proof kept with it.
    pub proof_bytes: u64,
    /// How often it was observed.
    pub times: u64,
    /// When it was observed last, microseconds since 1970.
    pub last_at: i64,
}

/// The mirrored PLC log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlcNote {
    /// Operations in it.
    pub operations: u64,
    /// When it was last fetched, microseconds since 1970.
    pub fetched_at: Option<i64>,
    /// Whether it validates from the first operation.
    pub valid: bool,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// To whom an account is served: the answer of `archive serve`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServingNote {
    /// DID.
    pub did: Option<Did>,
    /// `nobody`, `peers` or `public`.
    pub serve: String,
    /// Why, in the operator's words.
    pub basis: Option<String>,
    /// What its owner declared about public archives: `unsaid`, `allowed` or `refused`.
    pub declared: String,
    /// Why it is not served now in spite of the setting, if it is not.
    pub refused: Option<String>,
}

/// Everything about one account: the answer of `archive show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// What the list shows.
    #[serde(flatten)]
    pub line: AccountLine,
    /// The stored head.
    pub head: Option<HeadNote>,
    /// Records by collection.
    pub collections: Vec<CollectionLine>,
    /// To whom it is served.
    #[serde(default)]
    pub serving: ServingNote,
    /// Who can move the identity.
    pub keys: KeySituation,
    /// The mirrored PLC log; `None` for a did:web.
    pub plc: Option<PlcNote>,
    /// Blobs that are not here, at most [`Details::MAX_NOTES`].
    pub missing_blobs: Vec<BlobNote>,
    /// What is wrong now, at most [`Details::MAX_NOTES`].
    pub findings: Vec<FindingNote>,
    /// What was observed and kept, newest first, at most [`Details::MAX_NOTES`].
    pub evidence: Vec<EvidenceNote>,
    /// Repos kept as they came, because their tree cannot be reproduced: file names in the data directory.
    pub verbatim: Vec<String>,
    /// What a backup does not contain.
    pub not_contained: Vec<String>,
}

impl Details {
    /// Most entries of each list.
    pub const MAX_NOTES: usize = 200;
}

/// One record: the answer of `show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordView {
    /// Its AT-URI, with the DID.
    pub uri: String,
    /// CID of its block.
    pub cid: String,
    /// The revision at which this version appeared, as far as the archive knows.
    pub since: String,
    /// As JSON; `None` when its bytes are not strict enough to be read as a record.
    pub value: Option<serde_json::Value>,
    /// Length of its block in bytes.
    pub bytes: u64,
    /// The state of before that it is from; `None` for the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<super::AsOf>,
}
