//! The operator's door: what the command line asks of a node, and what it answers.
//!
//! A command gives a stream of events: progress, notices, and at the end one result or one error.
//! The same handler runs inside a node (reached through the socket, JSON lines) and inside the
//! command itself when no node runs, so both give the same output.

pub mod answer;
pub mod client;
pub mod handler;
pub mod hosting;
mod identity;
pub mod lexicons;
pub mod memory;
pub mod promotion;
pub mod server;
pub mod serving;
pub mod socket;
pub mod takeover;
pub mod upkeep;

use std::path::PathBuf;

use p2pds_archive::ProgressEvent;
use serde::{Deserialize, Serialize};

use crate::operator::answer::Answer;

/// An error as it crosses the socket: a class, a sentence, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `invalid`, `notfound`, `conflict`, `denied`, `limited`, `unavailable`, `corrupt`, `bug`,
    /// `usage` or `not-initialised`.
    pub kind: String,
    /// What happened and what it means.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// An error without a hint.
    #[must_use]
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into(), hint: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::new("unavailable", format!("{error:#}")),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What can be asked. Paths are absolute: the node has another working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Archive an account: resolve, fetch, verify, store. Resumes what was interrupted.
    Add {
        /// Handle or DID.
        account: String,
    },
    /// Who is meant, how much that is, and whether it fits.
    LookAt {
        /// Who.
        source: p2pds_archive::Source,
    },
    /// Note accounts for the schedule to fetch.
    TakeIn {
        /// Which.
        candidates: Vec<p2pds_archive::Candidate>,
    },
    /// All archived accounts.
    List,
    /// One archived account in detail.
    Show {
        /// Handle or DID.
        account: String,
    },
    /// Fetch what is new, for one account or all.
    Sync {
        /// Handle or DID; all accounts without.
        account: Option<String>,
    },
    /// Stop or resume the periodic sync of an account.
    Pause {
        /// Handle or DID.
        account: String,
        /// Stop (`true`) or resume.
        paused: bool,
    },
    /// Erase an archived account, or say what that would erase.
    Remove {
        /// Handle or DID.
        account: String,
        /// Only say it.
        dry_run: bool,
    },
    /// Check archives.
    Verify {
        /// Handle or DID; all accounts without.
        account: Option<String>,
        /// Read and hash every stored byte.
        read_data: bool,
        /// Fetch damaged parts again from the source.
        repair: bool,
    },
    /// One record.
    Record {
        /// AT-URI.
        uri: String,
        /// As of this revision, time or date.
        #[serde(default)]
        at: Option<String>,
    },
    /// Revisions that were seen.
    History {
        /// Handle or DID.
        account: String,
        /// Only those older than this revision.
        before: Option<String>,
        /// Most of them.
        limit: usize,
        /// Prove `all`, or this revision.
        prove: Option<String>,
    },
    /// What differs between two points of a history.
    Diff {
        /// Handle or DID.
        account: String,
        /// Revision, time or date.
        from: String,
        /// Revision, time, date or `now`.
        to: String,
    },
    /// A record of before; with a password it is put back at the account's host.
    RestoreRecord {
        /// AT-URI.
        uri: String,
        /// As of this revision, time or date.
        at: Option<String>,
        /// An app password of the account.
        password: Option<p2pds_agent::Secret>,
    },
    /// Take a head that is older than the stored one.
    AcceptHead {
        /// Handle or DID.
        account: String,
        /// Why; recorded.
        reason: String,
    },
    /// Set how much history is kept, and why after a deletion at the source.
    Keep {
        /// Handle or DID.
        account: String,
        /// `all` or `window`.
        keep: String,
        /// The basis; the recorded one stays without.
        basis: Option<String>,
        /// Take the recorded basis back.
        #[serde(default)]
        no_basis: bool,
    },
    /// Write an account into a directory.
    Export {
        /// Handle or DID.
        account: String,
        /// The directory.
        out: PathBuf,
        /// With pages for a browser.
        #[serde(default)]
        html: bool,
    },
    /// Archive from a CAR file.
    Import {
        /// The file.
        car: PathBuf,
        /// The DID's PLC audit log, as `plc.json` of an export has it.
        plc_log: Option<PathBuf>,
    },
    /// Make an archived account a hosted one.
    Promote {
        /// Handle or DID.
        account: String,
        /// What to do about it.
        ask: takeover::Ask,
        /// How.
        how: Box<takeover::How>,
    },
    /// Write the whole node into a directory.
    Backup {
        /// The directory.
        out: PathBuf,
        /// For whom it is encrypted.
        encrypt_to: Vec<String>,
        /// Or with what.
        passphrase: Option<p2pds_recovery::Passphrase>,
        /// Whether the keys are in it.
        keys: bool,
        /// Whether they may be in it without encryption.
        plain_keys: bool,
    },
    /// Take over the accounts of a stopped reference PDS.
    ImportPds {
        /// Its data directory.
        dir: PathBuf,
        /// Paths that its environment names, by variable.
        env: std::collections::BTreeMap<String, String>,
        /// Where its blobs lie.
        blobs: Option<PathBuf>,
        /// Only say what it would do.
        dry_run: bool,
    },
    /// Prove that an archive restores.
    Drill {
        /// Handle or DID.
        account: String,
    },
    /// The history of an identity.
    PlcLog {
        /// Handle or DID.
        account: String,
    },
    /// A change of an identity is to be expected.
    PlcAnnounce {
        /// Handle or DID.
        account: String,
        /// For how long from now, in seconds.
        within_secs: u64,
        /// Why.
        reason: String,
    },
    /// An operation of an identity was its owner's.
    PlcAck {
        /// Handle or DID.
        account: String,
        /// CID of the operation.
        operation: String,
        /// Why.
        reason: String,
    },
    /// Set to whom an account is served.
    Serve {
        /// Handle or DID.
        account: String,
        /// `nobody`, `peers` or `public`.
        to: String,
        /// Why.
        basis: Option<String>,
    },
    /// Give a CID to nobody but the operator.
    BlockCid {
        /// The CID.
        cid: String,
        /// Why.
        reason: String,
    },
    /// Give a CID out again.
    UnblockCid {
        /// The CID.
        cid: String,
    },
    /// The CIDs that are blocked.
    Blocked,
    /// Collections that archived repos use: those that begin so, or all by records.
    Lexicons {
        /// How the NSID begins.
        prefix: Option<String>,
        /// Most lines.
        limit: usize,
    },
    /// Different collections, and records in all of them.
    LexiconTotals,
    /// State of the background workers.
    Workers,
    /// Stops or resumes a background worker, now and after restarts.
    PauseWorker {
        /// Its name.
        name: String,
        /// Stop (`true`) or resume.
        paused: bool,
    },
    /// Sets whether an account goes before or after others.
    Priority {
        /// Handle or DID.
        account: String,
        /// Higher goes first; 0 is usual.
        priority: i32,
    },
    /// Sets how much may be stored of an account.
    Quota {
        /// Handle or DID.
        account: String,
        /// Bytes; without: as every account.
        quota: Option<u64>,
    },
    /// What is stored, how it grows, when the disk is full.
    Capacity,
    /// Alerts that last, or all of 90 days.
    Alerts {
        /// Those that are over too.
        history: bool,
    },
    /// Sends a test alert.
    TestAlert,
    /// An address with which somebody becomes the owner.
    Claim {
        /// Also when there is an owner.
        again: bool,
    },
    /// Something about hosted accounts.
    Hosting {
        /// What.
        ask: Box<hosting::Ask>,
    },
    /// Looks at what a hosting node needs; a part of `doctor`.
    CheckHosting {
        /// Nothing that needs the network.
        offline: bool,
    },
    /// Reads the whole database and says what is wrong with it; a part of `doctor`.
    CheckStructure,
}

impl Command {
    /// Whether a command that does its work itself first finishes what an earlier process left
    /// half done. (A node does that at its start. Looking needs none of it, and removing goes on
    /// with its own.)
    #[must_use]
    pub fn tidies(&self) -> bool {
        matches!(self, Self::Add { .. } | Self::Sync { .. } | Self::Import { .. } | Self::Verify { .. })
    }
}

/// What a command says while it runs and when it ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// How far it is.
    Progress(ProgressEvent),
    /// The end: it worked.
    Result {
        /// What came of it.
        outcome: Box<Answer>,
    },
    /// The end: it did not work.
    Error {
        /// Why.
        failure: Failure,
    },
}
