//! What the archive remembers: revisions, proofs, differences, single records of before.

use std::fmt;

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::words::{count, plural, size, when};

/// Records created, changed and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Records that were not there before.
    pub created: u64,
    /// Records with another version than before.
    pub updated: u64,
    /// Records that are not there any more.
    pub deleted: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |n: u64, sign: char| (n > 0).then(|| format!("{sign}{}", count(n)));
        let parts = [part(self.created, '+'), part(self.updated, '~'), part(self.deleted, '-')];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&if words.is_empty() { "no change".to_owned() } else { words.join(" ") })
    }
}

/// Whether a state can still be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// It is the current one.
    Current,
    /// All its records are here.
    Whole,
    /// It was left when an older head was accepted; all its records are here.
    Left,
    /// Its records were forgotten after the undo window.
    Pruned,
}

impl Kept {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Whole => "whole",
            Self::Left => "left",
            Self::Pruned => "pruned",
        }
    }
}

/// What proving one revision showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Tree, signature and all bytes that are here are in order.
    pub ok: bool,
    /// The root that the records of then build.
    pub root: Option<String>,
    /// The root that was signed.
    pub signed_root: String,
    /// The key that the signature verified with, as did:key.
    pub key: Option<String>,
    /// Records in the tree.
    pub records: u64,
    /// Bytes of records hashed.
    pub bytes: u64,
    /// Records whose bytes the source did not have; their places in the tree are proved.
    pub without_bytes: u64,
    /// Records whose stored bytes are damaged, at most [`Proof::MAX_LISTED`].
    pub damaged: Vec<String>,
    /// In plain words.
    pub words: String,
}

impl Proof {
    /// Most damaged records that are listed.
    pub const MAX_LISTED: usize = 50;
}

/// One revision that this archive has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its rev.
    pub rev: String,
    /// When it was made, by its own word; microseconds since 1970.
    pub at: i64,
    /// When this archive saw it, microseconds since 1970; `None` when that was not recorded.
    pub seen_at: Option<i64>,
    /// CID of its commit.
    pub commit: String,
    /// Root of its tree.
    pub root: String,
    /// The key that the signature verified with when it was stored; empty when none was known.
    pub key: String,
    /// Line of history: another number than the current one's was left when an older head was accepted.
    pub line: u32,
    /// The revision seen before it.
    pub before: Option<String>,
    /// Whether it is proved to follow that one directly.
    pub follows: bool,
    /// What may be missing between the two, in plain words.
    pub gap: Option<String>,
    /// What it changed against the one seen before; `None` when that cannot be told any more.
    pub counts: Option<Counts>,
    /// Whether its state can still be rebuilt.
    pub kept: Kept,
    /// What proving it showed, when that was asked for.
    pub proof: Option<Proof>,
}

/// The answer of `history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryReport {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// `all` or `window`.
    pub keep: String,
    /// Length of the undo window in seconds.
    pub window: u64,
    /// Revisions, newest first.
    pub revisions: Vec<Revision>,
    /// Where the next page begins (`--before`); `None` when this was the last.
    pub next: Option<String>,
    /// How many were proved, and how many of them could not be.
    pub proved: u64,
    /// Revisions whose proof failed.
    pub failed: u64,
}

impl fmt::Display for HistoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.handle.as_deref().unwrap_or(self.did.as_str());
        if self.revisions.is_empty() {
            return write!(f, "No revision of {name} has been seen yet.");
        }
        for revision in &self.revisions {
            let counts = match (&revision.counts, &revision.before) {
                (Some(counts), _) => counts.to_string(),
                (None, None) => "first seen".to_owned(),
                (None, Some(_)) => "changes not counted".to_owned(),
            };
            let seen = revision.seen_at.map_or_else(|| "not recorded".to_owned(), when);
            write!(
                f,
                "{}  {}  seen {seen}  {counts}  {}",
                revision.rev,
                when(revision.at),
                revision.kept.as_str()
            )?;
            match &revision.proof {
                Some(proof) => writeln!(f, "\n    {}", proof.words)?,
                None => writeln!(f)?,
            }
            if let Some(gap) = &revision.gap {
                writeln!(f, "    gap: {gap}")?;
            }
        }
        if self.proved > 0 {
            let revisions = plural(self.proved, "revision", "revisions");
            match self.failed {
                0 => writeln!(f, "{revisions} proved against their signed roots.")?,
                failed => writeln!(f, "{failed} of {revisions} could NOT be proved.")?,
            }
        }
        match &self.next {
            Some(next) => write!(f, "More: p2pds history {name} --before {next}"),
            None => write!(f, "That is all that was seen of {name}."),
        }
    }
}

/// The state that was asked for, and what to know about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsOf {
    /// Its rev.
    pub rev: String,
    /// When it was made, by its own word; microseconds since 1970.
    pub at: i64,
    /// Line of history.
    pub line: u32,
    /// What lies between the time that was asked for and the next revision that was seen.
    pub note: Option<String>,
}

/// One record that differs between two states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Collection and key.
    pub path: String,
    /// `created`, `edited` or `deleted`.
    pub change: String,
    /// CID before.
    pub old: Option<String>,
    /// CID after.
    pub new: Option<String>,
}

/// The answer of `diff`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffReport {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// The earlier state.
    pub from: AsOf,
    /// The later state.
    pub to: AsOf,
    /// All differences, counted.
    pub counts: Counts,
    /// The first of them in tree order, at most [`DiffReport::MAX_LISTED`].
    pub differences: Vec<Difference>,
    /// Whether there are more than are listed.
    pub more: bool,
}

impl DiffReport {
    /// Most differences that are listed.
    pub const MAX_LISTED: usize = 10_000;
}

impl fmt::Display for DiffReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for side in [&self.from, &self.to] {
            writeln!(f, "# {} of {}", side.rev, when(side.at))?;
            if let Some(note) = &side.note {
                writeln!(f, "#   {note}")?;
            }
        }
        for difference in &self.differences {
            let sign = match difference.change.as_str() {
                "created" => '+',
                "deleted" => '-',
                _ => '~',
            };
            writeln!(f, "{sign} {}", difference.path)?;
        }
        if self.more {
            writeln!(f, "… only the first {} are listed", count(Self::MAX_LISTED as u64))?;
        }
        write!(
            f,
            "{} created, {} edited, {} deleted",
            count(self.counts.created),
            count(self.counts.updated),
            count(self.counts.deleted)
        )
    }
}

/// A blob that a record names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedBlob {
    /// CID.
    pub cid: String,
    /// MIME type by the record.
    pub mime: String,
    /// Size by the record.
    pub size: u64,
    /// Whether this archive holds it.
    pub held: bool,
}

/// A record as it was, and what stands there now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OldRecord {
    /// AT-URI with the DID.
    pub uri: String,
    /// The state it is from.
    pub as_of: AsOf,
    /// CID of its block.
    pub cid: String,
    /// As JSON; `None` when its bytes are not strict enough to be read as a record.
    pub value: Option<serde_json::Value>,
    /// Its block, in base64.
    pub block: String,
    /// Blobs that it names.
    pub blobs: Vec<NamedBlob>,
    /// CID of what this archive's current state holds at the same place; `None` for nothing.
    pub now: Option<String>,
    /// That as JSON.
    pub now_value: Option<serde_json::Value>,
    /// What was written where, when something was.
    pub written: Option<Written>,
}

/// What putting a record back did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The host.
    pub host: String,
    /// CID that the host gave it.
    pub cid: String,
    /// What stood there at the host before; `None` for nothing.
    pub replaced: Option<String>,
    /// Blobs that were uploaded.
    pub uploaded: Vec<String>,
    /// What to know about it, in plain words.
    pub notes: Vec<String>,
}

impl fmt::Display for OldRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Record  {}", self.uri)?;
        writeln!(f, "As of   {} ({})", self.as_of.rev, when(self.as_of.at))?;
        if let Some(note) = &self.as_of.note {
            writeln!(f, "        {note}")?;
        }
        writeln!(f, "CID     {}", self.cid)?;
        for blob in &self.blobs {
            let held = if blob.held { "held here" } else { "NOT here" };
            writeln!(f, "Blob    {} ({}, {}), {held}", blob.cid, blob.mime, size(blob.size))?;
        }
        match &self.now {
            None => writeln!(f, "Now     nothing stands there: the record was deleted")?,
            Some(now) if *now == self.cid => writeln!(f, "Now     the same version stands there")?,
            Some(now) => writeln!(f, "Now     another version stands there: {now}")?,
        }
        match &self.written {
            None => write!(f, "Nothing was written."),
            Some(written) => {
                write!(f, "Written to {} as {}", written.host, written.cid)?;
                if !written.uploaded.is_empty() {
                    let blobs = u64::try_from(written.uploaded.len()).unwrap_or(u64::MAX);
                    write!(f, ", with {} uploaded again", plural(blobs, "blob", "blobs"))?;
                }
                for note in &written.notes {
                    write!(f, "\n{note}")?;
                }
                Ok(())
            }
        }
    }
}
