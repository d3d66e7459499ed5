//! What a check of the stored bytes found.

use std::fmt;

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::words::plural;

/// How thoroughly to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyOptions {
    /// Read and hash the bytes of every blob, not only look whether its file is there in full length.
    #[serde(default)]
    pub read_data: bool,
    /// Mend damage from the source.
    #[serde(default = "yes")]
    pub repair: bool,
}

fn yes() -> bool {
    true
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { read_data: false, repair: true }
    }
}

/// The named checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// The stored commit hashes to its CID, its signature verifies with its key, the key is one that the identity's log
    /// names, and the stored tree leads to its root.
    CommitRoot,
    /// The tree rebuilt from the records alone has the signed root; the stored index agrees.
    Tree,
    /// Each record's bytes hash to its CID.
    Records,
    /// Each blob that should be here is, and with `read_data` hashes to its CID.
    Blobs,
    /// The mirrored PLC log validates from its first operation.
    PlcLog,
}

impl CheckName {
    /// As it is written on command lines and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommitRoot => "commit-root",
            Self::Tree => "tree",
            Self::Records => "records",
            Self::Blobs => "blobs",
            Self::PlcLog => "plc-log",
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What came of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// All is as it should be.
    Ok,
    /// In order, and something is lacking that the source lacks too or has not given yet.
    Incomplete,
    /// Damage was found and mended.
    Repaired,
    /// Damage was found and is still there.
    Damaged,
    /// It does not apply, for a reason given.
    Skipped,
}

impl CheckResult {
    /// As it is written in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Incomplete => "incomplete",
            Self::Repaired => "repaired",
            Self::Damaged => "DAMAGED",
            Self::Skipped => "skipped",
        }
    }
}

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// Its result.
    pub result: CheckResult,
    /// In plain words.
    pub detail: String,
    /// What is damaged: record paths, blob CIDs, parts of the index. At most [`VerifyReport::MAX_LISTED`].
    pub damaged: Vec<String>,
    /// What of it was mended.
    pub repaired: Vec<String>,
}

impl Check {
    /// A check that found nothing wrong.
    #[must_use]
    pub fn ok(name: CheckName, detail: impl Into<String>) -> Self {
        Self {
            name,
            result: CheckResult::Ok,
            detail: detail.into(),
            damaged: Vec::new(),
            repaired: Vec::new(),
        }
    }

    /// A check that does not apply.
    #[must_use]
    pub fn skipped(name: CheckName, detail: impl Into<String>) -> Self {
        Self { result: CheckResult::Skipped, ..Self::ok(name, detail) }
    }

    /// A check that found damage.
    #[must_use]
    pub fn damaged(name: CheckName, detail: impl Into<String>, damaged: Vec<String>) -> Self {
        Self { result: CheckResult::Damaged, damaged, ..Self::ok(name, detail) }
    }
}

/// The answer of `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// Revision that was verified.
    pub rev: Option<String>,
    /// When it ended, microseconds since 1970.
    pub at: i64,
    /// No damage is left.
    pub ok: bool,
    /// Damage was found, mended or not.
    pub found_damage: bool,
    /// The checks in their order.
    pub checks: Vec<Check>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl VerifyReport {
    /// Most damaged things listed by name in one check; the rest is counted in words.
    pub const MAX_LISTED: usize = 1_000;

    /// The exit status of the command: 0, or 3 when there was damage, even if it has been mended.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.found_damage { 3 } else { 0 }
    }

    /// One of the checks.
    #[must_use]
    pub fn check(&self, name: CheckName) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        let name = self.handle.as_deref().unwrap_or(self.did.as_str());
        for check in &self.checks {
            writeln!(f, "{:<12} {:<10} {}", check.name, check.result.as_str(), check.detail)?;
            for item in check.damaged.iter().take(SHOWN) {
                let mended = if check.repaired.contains(item) { " (mended)" } else { "" };
                writeln!(f, "             - {item}{mended}")?;
            }
            let more = check.damaged.len().saturating_sub(SHOWN);
            if more > 0 {
                writeln!(f, "             - and {more} more")?;
            }
        }
        let damaged = u64::try_from(self.checks.iter().map(|check| check.damaged.len()).sum::<usize>())
            .unwrap_or(u64::MAX);
        match (self.found_damage, self.ok) {
            (false, _) => {
                let open = self.checks.iter().filter(|check| check.result == CheckResult::Incomplete);
                let open: Vec<&str> = open.map(|check| check.name.as_str()).collect();
                match open.is_empty() {
                    true => write!(f, "{name}: everything is in order"),
                    false => write!(
                        f,
                        "{name}: nothing is damaged; what is lacking stands above at {}",
                        open.join(", ")
                    ),
                }
            }
            (true, true) => {
                write!(f, "{name}: {} found and mended", plural(damaged, "damage was", "damages were"))
            }
            (true, false) => write!(
                f,
                "{name}: {} found; what could not be mended is still readable elsewhere only. \
                 Check the disk, then run `p2pds verify {}` again when the host can be reached",
                plural(damaged, "damage was", "damages were"),
                self.did
            ),
        }
    }
}
