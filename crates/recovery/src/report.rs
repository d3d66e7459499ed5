//! What an export and a drill answer: data for programs, with `Display` for people.

use std::fmt;

use p2pds_archive::{plural, size};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

/// The answer of `export`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportReport {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// The directory.
    pub dir: String,
    /// Revision exported.
    pub rev: String,
    /// CID of its commit.
    pub commit: String,
    /// Records.
    pub records: u64,
    /// Bytes of `repo.car`.
    pub car_bytes: u64,
    /// Blobs written or found already there.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs that the archive does not have.
    pub missing_blobs: u64,
    /// Blobs that an earlier, interrupted or older export had already brought.
    pub reused_blobs: u64,
    /// Pages for a browser are there too.
    #[serde(default)]
    pub pages: bool,
    /// SHA-256 of `manifest.json` in hex.
    pub manifest_sha256: String,
    /// What should be known, one line each.
    pub notes: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.handle.as_deref().unwrap_or(self.did.as_str());
        write!(
            f,
            "{name} is exported to {}\n{} at revision {} ({}), {} ({})",
            self.dir,
            plural(self.records, "record", "records"),
            self.rev,
            size(self.car_bytes),
            plural(self.blobs, "blob", "blobs"),
            size(self.blob_bytes)
        )?;
        if self.missing_blobs > 0 {
            write!(f, "; {} missing, see manifest.json", plural(self.missing_blobs, "blob is", "blobs are"))?;
        }
        if self.pages {
            write!(f, "\nOpen in a browser: {}/index.html", self.dir)?;
        }
        write!(f, "\nHow to restore: {}/RESTORE.txt", self.dir)?;
        for note in &self.notes {
            write!(f, "\n- {note}")?;
        }
        Ok(())
    }
}

/// One thing that a drill compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillStep {
    /// Stable word: `export`, `manifest`, `repo`, `root`, `records`, `blobs`, `plc-log`, `signature`, `text`, `head`;
    /// then, of the promotion, `restore`, `promote`, `identity`, `re-export`, `re-blobs`, `owner`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was compared, and the result, in plain words.
    pub detail: String,
    /// What differs or is damaged, by name: record paths, blob CIDs, files.
    pub damaged: Vec<String>,
}

/// The answer of `drill`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// Name and version of the program.
    pub tool: String,
    /// When it ended, microseconds since 1970.
    pub at: i64,
    /// It restores.
    pub ok: bool,
    /// Revision.
    pub rev: Option<String>,
    /// Root that the stored head names.
    pub root: Option<String>,
    /// Root rebuilt from the exported records alone.
    pub rebuilt_root: Option<String>,
    /// Records in the export.
    pub records: u64,
    /// Blobs whose bytes were hashed.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs that the archive does not have: they would be missing after a restore.
    pub missing_blobs: u64,
    /// What was compared.
    pub steps: Vec<DrillStep>,
    /// What a drill does not prove.
    pub not_proved: Vec<String>,
    /// The report files, in the data directory.
    pub files: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl DrillReport {
    /// The exit status of the command: 0, or 3 when it does not restore.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.ok { 0 } else { 3 }
    }

    /// One of the steps.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&DrillStep> {
        self.steps.iter().find(|step| step.name == name)
    }
}

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        let name = self.handle.as_deref().unwrap_or(self.did.as_str());
        for step in &self.steps {
            writeln!(f, "{:<10} {:<5} {}", step.name, if step.ok { "ok" } else { "FAILS" }, step.detail)?;
            for item in step.damaged.iter().take(SHOWN) {
                writeln!(f, "                 - {item}")?;
            }
            let more = step.damaged.len().saturating_sub(SHOWN);
            if more > 0 {
                writeln!(f, "                 - and {more} more")?;
            }
        }
        if self.ok {
            write!(f, "{name} restores from this archive alone (proved in {} ms)", self.took_ms)?;
            if self.missing_blobs > 0 {
                write!(
                    f,
                    ", without {} that the archive does not have",
                    plural(self.missing_blobs, "blob", "blobs")
                )?;
            }
        } else {
            write!(
                f,
                "{name} does NOT restore completely from this archive: run `p2pds verify {} --read-data`, which mends what \
                 it can from the source",
                self.did
            )?;
        }
        for line in &self.not_proved {
            write!(f, "\n- not proved: {line}")?;
        }
        for file in &self.files {
            write!(f, "\nReport: {file}")?;
        }
        Ok(())
    }
}
