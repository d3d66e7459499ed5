//! What `p2pds doctor` looks at. Each check says what it saw; a failed one says why it matters
//! and exactly what to do.

pub(crate) mod hosting;
mod local;
mod outside;

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Config;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, and will not for long or not for all.
    Warning,
    /// Does not work.
    Failed,
    /// Not looked at, for the reason given.
    Skipped,
}

impl Verdict {
    /// As it stands in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable name.
    pub name: Cow<'static, str>,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen.
    pub what: String,
    /// Why that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Exactly what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, what: impl Into<String>) -> Self {
        Self { name: Cow::Borrowed(name), verdict, what: what.into(), why: None, fix: None }
    }

    fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, what)
    }

    /// A check that was not made.
    pub fn skipped(name: &'static str, what: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skipped, what)
    }

    fn bad(
        verdict: Verdict,
        name: &'static str,
        what: impl Into<String>,
        why: &str,
        fix: impl Into<String>,
    ) -> Self {
        Self { why: Some(why.to_owned()), fix: Some(fix.into()), ..Self::new(name, verdict, what) }
    }
}

/// Checks of this machine and the data directory.
#[must_use]
pub fn local(config: &Config, dir: &Path) -> Vec<Check> {
    vec![
        local::directory(dir),
        local::permissions(dir),
        local::space(dir, config.archive.keep_free.0),
        local::lock(dir),
        local::port(config, dir),
        local::files(),
    ]
}

/// Checks of what the node needs from outside.
pub async fn outside(config: &Config) -> Vec<Check> {
    outside::all(config).await
}

/// Damaged files that mending left beside the database.
#[must_use]
pub fn kept(dir: &Path) -> Option<Check> {
    let kept = p2pds_store_sqlite::salvage::kept(dir);
    let names: Vec<String> = kept.iter().map(|path| path.display().to_string()).collect();
    (!names.is_empty()).then(|| {
        Check::bad(
            Verdict::Warning,
            "damaged-kept",
            format!("the database was damaged and has been mended; kept: {}", names.join(", ")),
            "these files take room, and nothing reads them",
            "delete them when nothing is missed: `p2pds archive show ACCOUNT` names what was lost",
        )
    })
}

/// The database check, from what its structure check answered.
#[must_use]
pub fn database(problems: Result<Vec<String>, String>) -> Check {
    const NAME: &str = "database";
    const WHY: &str = "records may be unreadable or lost";
    match problems {
        Ok(problems) if problems.is_empty() => Check::ok(NAME, "its structure is sound"),
        Ok(problems) => Check::bad(
            Verdict::Failed,
            NAME,
            format!("the database file is damaged: {}", problems.join("; ")),
            WHY,
            "check the disk; then restart the node, or without one `p2pds doctor --mend`: what can be read is copied \
             into a new file, what is lost is named and fetched again, and the damaged file is kept",
        ),
        Err(error) => Check::bad(
            Verdict::Failed,
            NAME,
            format!("the database cannot be read: {error}"),
            WHY,
            "look at the message; `p2pds doctor --mend` copies what can be read; else restore the data directory from a \
             copy, or move it away and add the accounts again",
        ),
    }
}
