//! What a backup and a restore say at the end.

use std::fmt;
use std::path::PathBuf;

use p2pds_archive::size;
use serde::{Deserialize, Serialize};

/// Missing blobs that are named in text.
const NAMED: usize = 5;

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupReport {
    /// Where.
    pub out: PathBuf,
    /// Size of the database.
    pub database_bytes: u64,
    /// Blobs in it.
    pub blobs: u64,
    /// Blobs that an earlier backup there did not have.
    pub new_blobs: u64,
    /// Bytes of these.
    pub blob_bytes: u64,
    /// Blobs that the database names and that could not be read.
    pub missing: Vec<String>,
    /// Accounts hosted here.
    pub hosted: u64,
    /// Whether the keys of this node are in it.
    pub keys: bool,
    /// `no`, `recipients` or `passphrase`.
    pub sealed: String,
    /// How long it took.
    pub milliseconds: u64,
}

impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "backup in {}: database {}, {} blobs ({} new, {}), {}",
            self.out.display(),
            size(self.database_bytes),
            self.blobs,
            self.new_blobs,
            size(self.blob_bytes),
            if self.sealed == "no" { "not encrypted" } else { "encrypted" }
        )?;
        if !self.missing.is_empty() {
            writeln!(f, "{} blobs could not be read and are not in it:", self.missing.len())?;
            for name in self.missing.iter().take(NAMED) {
                writeln!(f, "  {name}")?;
            }
            writeln!(f, "`p2pds verify --read-data` says why")?;
        }
        match (self.keys, self.hosted) {
            (true, _) => writeln!(f, "the keys of this node are in it; settings are not")?,
            (false, 0) => writeln!(f, "settings are not in it")?,
            (false, hosted) => writeln!(
                f,
                "neither settings nor keys are in it: keep the directory `keys` of the data directory in another place, \
                 without it none of the {hosted} hosted accounts can be written to after a restore"
            )?,
        }
        write!(f, "check it with `p2pds restore {} --dry-run`", self.out.display())
    }
}

/// A backup that was restored or checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreReport {
    /// The backup.
    pub from: PathBuf,
    /// The new data directory; `None` when it was only checked.
    pub data_dir: Option<PathBuf>,
    /// When the backup was made, microseconds since 1970.
    pub made_at: i64,
    /// The same in words.
    pub made: String,
    /// By which version.
    pub program: String,
    /// Size of the database.
    pub database_bytes: u64,
    /// Blobs in it.
    pub blobs: u64,
    /// Bytes of these.
    pub blob_bytes: u64,
    /// Blobs that were missing when it was made.
    pub missing: u64,
    /// Whether it has the keys of the node.
    pub keys: bool,
}

impl fmt::Display for RestoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.data_dir.is_some() { "restored" } else { "good" };
        writeln!(
            f,
            "{done}: the backup of {} by {}: database {}, {} blobs ({}){}",
            self.made,
            self.program,
            size(self.database_bytes),
            self.blobs,
            size(self.blob_bytes),
            match self.missing {
                0 => String::new(),
                missing => format!("; {missing} blobs were missing when it was made"),
            }
        )?;
        let Some(dir) = &self.data_dir else {
            return write!(f, "every byte of it was read and has its hash; nothing was written");
        };
        if !self.keys {
            writeln!(
                f,
                "it has no keys: if accounts are hosted, put the directory `keys` of the old node into {} before the \
                 first start",
                dir.display()
            )?;
        }
        write!(
            f,
            "start it with the settings of the old node: p2pds serve --data-dir {}. Make sure that the old node does not \
             run any more: two nodes must never host the same accounts. At its first start this one signs a new commit \
             for each hosted account and goes on with greater event numbers, so that relays follow it",
            dir.display()
        )
    }
}
