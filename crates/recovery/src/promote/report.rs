//! What a promotion would do and what it did: data for programs, with `Display` for people at two in the morning. What
//! can be chosen about it is left to whoever shows it ([`Remark`]).

use std::fmt;

use p2pds_archive::{plural, size};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use super::old_host::OldHost;
use super::remark::Remark;

/// One rotation key of the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// As did:key.
    pub key: String,
    /// Its place; 1 is the highest authority.
    pub place: u64,
    /// Operations of the log that it signed.
    pub signed: u64,
    /// It is the one that was given.
    pub yours: bool,
    /// It is this node's.
    pub ours: bool,
}

/// What a promotion would do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The account.
    pub did: Did,
    /// Its handle now.
    pub handle: Option<String>,
    /// Its handle afterwards.
    pub new_handle: Option<String>,
    /// The address of this node.
    pub new_host: String,
    /// Revision held.
    pub rev: Option<String>,
    /// When it was made, in words.
    pub made: Option<String>,
    /// Records held.
    pub records: u64,
    /// Bytes of them.
    pub record_bytes: u64,
    /// Records whose bytes are missing, by path.
    pub missing_records: Vec<String>,
    /// Blobs held.
    pub blobs: u64,
    /// Bytes of them.
    pub blob_bytes: u64,
    /// Blobs that records name and that are not held.
    pub missing_blobs: u64,
    /// Address of the old host.
    pub old_url: Option<String>,
    /// Whether it still answers.
    pub old_host: OldHost,
    /// The rotation keys that the identity has, highest authority first.
    pub rotation_keys: Vec<Keeper>,
    /// How many operations the identity's log has; `None` for a did:web.
    pub log: Option<u64>,
    /// What changes in the identity, in words.
    pub changes: Vec<String>,
    /// What stays in it, in words.
    pub kept: Vec<String>,
    /// What to publish instead of an operation, for a did:web: where, and the document.
    pub document: Option<(String, serde_json::Value)>,
    /// What stands in the way; empty when nothing does.
    pub obstacles: Vec<Remark>,
    /// What would stand in the way, and was overruled.
    pub overruled: Vec<Remark>,
    /// What should be known.
    pub notes: Vec<Remark>,
    /// A promotion is under way, and where it is.
    pub under_way: Option<String>,
    /// It is hosted here already, so that there is nothing to promote.
    #[serde(default)]
    pub hosted: bool,
}

impl Plan {
    /// Whether it can be done now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.obstacles.is_empty()
    }

    /// Something stands in the way.
    pub(crate) fn hinder(&mut self, words: String) {
        self.obstacles.push(words.into());
    }

    fn name(&self) -> &str {
        self.handle.as_deref().unwrap_or(self.did.as_str())
    }

    fn held(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        writeln!(f, "What is held here:")?;
        match (&self.rev, &self.made) {
            (Some(rev), Some(made)) => writeln!(
                f,
                "  {} ({}) as of {made} (revision {rev})",
                plural(self.records, "record", "records"),
                size(self.record_bytes)
            )?,
            _ => writeln!(f, "  nothing yet")?,
        }
        writeln!(
            f,
            "  {} ({})",
            plural(self.blobs, "picture or video", "pictures and videos"),
            size(self.blob_bytes)
        )?;
        if self.missing_blobs == 0 && self.missing_records.is_empty() {
            writeln!(f, "  nothing that the records name is missing")?;
        }
        if self.missing_blobs > 0 {
            writeln!(
                f,
                "  MISSING: {} that records name; they can be uploaded again later",
                plural(self.missing_blobs, "picture or video", "pictures and videos")
            )?;
        }
        for path in self.missing_records.iter().take(SHOWN) {
            writeln!(f, "  MISSING: the bytes of {path}")?;
        }
        if self.missing_records.len() > SHOWN {
            writeln!(f, "  MISSING: and {} more records", self.missing_records.len().saturating_sub(SHOWN))?;
        }
        writeln!(
            f,
            "  not held by anybody but the old host: password, app passwords, preferences, direct messages"
        )
    }

    fn identity(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((place, document)) = &self.document {
            writeln!(f, "What is to be published at {place} (you do that; this node cannot):")?;
            let text = serde_json::to_string_pretty(document).unwrap_or_default();
            for line in text.lines() {
                writeln!(f, "  {line}")?;
            }
            return Ok(());
        }
        writeln!(f, "Who may change the identity (highest authority first):")?;
        for keeper in &self.rotation_keys {
            let mut about: Vec<String> = Vec::new();
            if keeper.yours {
                about.push("the key you gave: it signs this".to_owned());
            }
            if keeper.ours {
                about.push("this node's".to_owned());
            }
            if keeper.signed > 0 && !keeper.yours {
                about.push(format!(
                    "it signed {}, so it is probably the old host's",
                    plural(keeper.signed, "operation", "operations")
                ));
            }
            let about = if about.is_empty() { String::new() } else { format!("  ({})", about.join("; ")) };
            writeln!(f, "  {}. {}{about}", keeper.place, keeper.key)?;
        }
        if !self.changes.is_empty() {
            writeln!(f, "What will change in the identity, for everybody to see:")?;
            for change in &self.changes {
                writeln!(f, "  - {change}")?;
            }
        }
        if !self.kept.is_empty() {
            writeln!(f, "What stays in it:")?;
            for kept in &self.kept {
                writeln!(f, "  - {kept}")?;
            }
        }
        Ok(())
    }
}

/// The facts. What to know, what was overruled and what stands in the way come after them, from whoever shows them.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hosted {
            return write!(f, "{} is hosted here already; there is nothing to promote", self.name());
        }
        writeln!(f, "Promotion of {} ({})", self.name(), self.did)?;
        writeln!(f, "to this node, {}\n", self.new_host)?;
        if let Some(place) = &self.under_way {
            writeln!(f, "It is under way: {place}.\n")?;
        }
        self.held(f)?;
        writeln!(f, "\nThe old host:")?;
        let url = self.old_url.as_deref().unwrap_or("the old host");
        writeln!(f, "  {}\n", self.old_host.words(url))?;
        self.identity(f)?;
        if let Some(handle) = &self.new_handle {
            writeln!(f, "\nThe account will be called {handle}.")?;
        }
        Ok(())
    }
}

/// What a promotion came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<String>,
    /// It was hosted here before; nothing was changed.
    pub already: bool,
    /// What has to happen elsewhere before it goes on (did:web).
    pub waiting_for: Option<String>,
    /// Revision of its repo.
    pub rev: Option<String>,
    /// Its signing key here, as did:key.
    pub signing_key: String,
    /// CID of the operation that the directory has.
    pub operation: Option<String>,
    /// What should be known.
    pub notes: Vec<String>,
}

impl fmt::Display for Promoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.handle.as_deref().unwrap_or(self.did.as_str());
        if let Some(wait) = &self.waiting_for {
            write!(
                f,
                "{name} is prepared here and not active yet.\n{wait}\nThen run the same command again."
            )?;
        } else if self.already {
            write!(f, "{name} is hosted here already; nothing was changed")?;
        } else {
            write!(f, "{name} is hosted here now")?;
            if let Some(rev) = &self.rev {
                write!(f, ", at revision {rev}, signed by its new key {}", self.signing_key)?;
            }
            if let Some(operation) = &self.operation {
                write!(f, "\nThe directory has the operation {operation}")?;
            }
            write!(
                f,
                "\nRelays and apps are told. Its owner needs a password to log in: p2pds account reset-password {}",
                self.did
            )?;
        }
        for note in &self.notes {
            write!(f, "\n- {note}")?;
        }
        Ok(())
    }
}
