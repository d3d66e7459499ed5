//! The rows in which a node keeps what it watches of itself.

use p2pds_syntax::Did;

/// One fault that was told to the operator, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Unique name, given by whoever raises it.
    pub id: String,
    /// The account it concerns; `None` for the node.
    pub did: Option<Did>,
    /// A short stable word, as a finding's.
    pub kind: String,
    /// What it is about; empty for the account or the node.
    pub subject: String,
    /// In plain words.
    pub detail: String,
    /// When it was raised, microseconds since 1970.
    pub opened_at: i64,
    /// When the fault was found gone; `None` while it lasts.
    pub closed_at: Option<i64>,
    /// Whether somebody was told of the fault.
    pub told: bool,
    /// Whether somebody was told of the recovery.
    pub told_recovery: bool,
    /// Whether a mail about the fault was sent.
    pub mailed: bool,
    /// Whether a mail about the recovery was sent.
    pub mailed_recovery: bool,
}

/// What was stored at one time: of one account, or in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleRow {
    /// The account; `None` for the node as a whole.
    pub did: Option<Did>,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Bytes of the current records.
    pub record_bytes: u64,
    /// Bytes of the blobs held.
    pub blob_bytes: u64,
    /// Bytes of the database file; 0 for an account.
    pub db_bytes: u64,
    /// Bytes free on the disk; 0 for an account.
    pub disk_free: u64,
}

/// Where a page of all findings goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterFinding {
    /// The last one's account.
    pub did: Did,
    /// Its kind.
    pub kind: String,
    /// Its subject.
    pub subject: String,
}
