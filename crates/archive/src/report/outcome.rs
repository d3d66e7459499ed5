//! What came of adding, syncing, importing and removing.

use std::fmt;

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use super::account::CollectionLine;
use super::found::Found;
use crate::words::{count, plural, size};

/// What one run did to the repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The whole repo was fetched, verified and stored.
    Stored,
    /// The changes since the stored revision were applied.
    Updated {
        /// Records created.
        created: u64,
        /// Records changed.
        updated: u64,
        /// Records deleted; their last versions stay in the history.
        deleted: u64,
    },
    /// Nothing new at the host.
    Current,
    /// The signature is valid, but the tree cannot be reproduced: kept as a file, as it came.
    KeptVerbatim {
        /// Its name in the data directory.
        file: String,
        /// What is odd about it.
        why: String,
    },
    /// What was offered was refused and noted as evidence; what is stored stays.
    Refused {
        /// Stable word: `older-head`, `equivocation`, `future-rev`.
        kind: String,
        /// In plain words.
        why: String,
    },
    /// The host does not serve the account now; what is stored stays.
    Withheld {
        /// The protocol's word: `deactivated`, `takendown`, `suspended`, `deleted`, `unreachable`.
        status: String,
        /// In plain words.
        why: String,
    },
}

/// The answer of `archive add` and `archive sync`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// What came of the repo.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Revision stored now.
    pub rev: Option<String>,
    /// CID of the commit stored now.
    pub commit: Option<String>,
    /// Records stored now.
    pub records: u64,
    /// Records by collection.
    pub collections: Vec<CollectionLine>,
    /// Bytes received for the repo in this run.
    pub fetched_bytes: u64,
    /// Blobs held now.
    pub blobs_held: u64,
    /// Blobs fetched in this run.
    pub blobs_fetched: u64,
    /// Blobs named by records and not here.
    pub blobs_missing: u64,
    /// Bytes of the blobs held.
    pub blob_bytes: u64,
    /// What should be known, one line each.
    pub notes: Vec<String>,
    /// An older head was taken because the operator asked for that; only for `accept-head`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted_older: bool,
    /// What resolving found; only for `add`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Box<Found>>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.handle.as_deref().unwrap_or(self.did.as_str());
        match &self.outcome {
            Outcome::Stored => write!(f, "{name} is archived")?,
            Outcome::Updated { created, updated, deleted } => write!(
                f,
                "{name} is up to date: {} created, {} changed, {} deleted",
                count(*created),
                count(*updated),
                count(*deleted)
            )?,
            Outcome::Current => write!(f, "{name} is up to date, nothing was new")?,
            Outcome::KeptVerbatim { file, why } => write!(
                f,
                "{name} is kept as the file {file}, exactly as it came: {why}. It is not counted as verified"
            )?,
            Outcome::Refused { why, .. } => write!(f, "{name}: {why}. What is stored stays as it is")?,
            Outcome::Withheld { why, .. } if self.rev.is_none() => {
                write!(
                    f,
                    "{name}: {why}. Nothing of it could be fetched, so nothing is archived yet; the account is noted, and a \
                     running node asks again now and then"
                )?;
                return self.rest(f);
            }
            Outcome::Withheld { why, .. } => write!(f, "{name}: {why}. What is stored stays as it is")?,
        }
        write!(
            f,
            "\n{} at revision {}, {} ({})",
            plural(self.records, "record", "records"),
            self.rev.as_deref().unwrap_or("none"),
            plural(self.blobs_held, "blob", "blobs"),
            size(self.blob_bytes)
        )?;
        if self.blobs_missing > 0 {
            write!(f, ", {} missing", plural(self.blobs_missing, "blob is", "blobs are"))?;
        }
        self.rest(f)
    }
}

impl Summary {
    fn rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            write!(f, "\n- {note}")?;
        }
        Ok(())
    }
}

/// The answer of `import`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    /// What came of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// The file.
    pub file: String,
    /// Whether a PLC log vouches for the signing key.
    pub verified: bool,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary)?;
        if !self.verified {
            write!(
                f,
                "\nNothing vouches for the key that signed it, so it is kept and shown as unverified: \
                 give --plc-log FILE, or run `p2pds archive sync {}` when online",
                self.summary.did
            )?;
        }
        Ok(())
    }
}

/// What the search for traces found after a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// Rows whose stored bytes were searched for.
    pub rows: u64,
    /// Bytes of files searched.
    pub searched_bytes: u64,
    /// Files in which the first search found something.
    pub found_in: Vec<String>,
    /// Whether the database was rewritten because of it.
    pub rewritten: bool,
    /// When and why a rewrite will be done later.
    pub scheduled: Option<String>,
    /// Traces left now.
    pub left: u64,
}

/// The answer of `archive remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveReport {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// Nothing was erased: this is what would be.
    pub dry_run: bool,
    /// Current records.
    pub records: u64,
    /// Bytes of the repo as a CAR.
    pub car_bytes: u64,
    /// Blob files.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Other files: verbatim repos, interrupted downloads.
    pub files: Vec<String>,
    /// Drill reports and other things that are listed by name.
    pub also: Vec<String>,
    /// Rows deleted from the database (records, history, blobs, evidence, logs).
    pub rows_deleted: u64,
    /// The search for what was erased.
    pub traces: Option<Traces>,
    /// What lies outside this node's files, for the user to think of.
    pub outside: Vec<String>,
}

impl fmt::Display for RemoveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of ", if self.dry_run { "Would erase all" } else { "Erased all" })?;
        match &self.handle {
            Some(handle) => writeln!(f, "{handle} ({}):", self.did)?,
            None => writeln!(f, "{}:", self.did)?,
        }
        writeln!(
            f,
            "- {} ({} as a CAR) and their history",
            plural(self.records, "record", "records"),
            size(self.car_bytes)
        )?;
        write!(f, "- {} ({})", plural(self.blobs, "blob", "blobs"), size(self.blob_bytes))?;
        for file in self.files.iter().chain(&self.also) {
            write!(f, "\n- {file}")?;
        }
        if let Some(traces) = &self.traces {
            write!(
                f,
                "\nSearched {} for the stored bytes of {}: ",
                size(traces.searched_bytes),
                plural(traces.rows, "erased row", "erased rows")
            )?;
            match (traces.left, &traces.scheduled) {
                (0, _) if traces.rewritten => {
                    write!(f, "some were left, the database was rewritten, none are left now")?
                }
                (0, _) => write!(f, "none are left")?,
                (left, Some(when)) => write!(f, "{} left; {when}", plural(left, "trace is", "traces are"))?,
                (left, None) => write!(f, "{} left", plural(left, "trace is", "traces are"))?,
            }
        }
        if !self.outside.is_empty() {
            write!(f, "\nOut of this node's reach:")?;
            for line in &self.outside {
                write!(f, "\n- {line}")?;
            }
        }
        Ok(())
    }
}
