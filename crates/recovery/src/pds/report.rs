//! What taking over a server came to.

use std::fmt;

use p2pds_archive::{count, plural, size};
use serde::{Deserialize, Serialize};

/// What became of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PdsOutcome {
    /// It is hosted here now.
    Taken,
    /// It is hosted here since before; nothing of it was changed.
    AlreadyHere,
    /// It could be taken over (dry run).
    Ready,
    /// It could not, or cannot, be taken over.
    #[default]
    Failed,
}

/// One account of the other server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PdsAccount {
    /// Its DID.
    pub did: String,
    /// Its handle.
    pub handle: Option<String>,
    /// What became of it.
    pub outcome: PdsOutcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its state: `active`, `deactivated`, `takendown`.
    pub status: String,
    /// Why an active account is switched off here: its identity names another host, or another signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    /// Revision of its repo.
    pub rev: Option<String>,
    /// CID of its head.
    pub commit: Option<String>,
    /// Records.
    pub records: u64,
    /// Blobs that are here, or can be read (dry run).
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// App passwords.
    pub app_passwords: u64,
    /// Preferences.
    pub preferences: u64,
    /// What is damaged there, by name.
    pub damaged: Vec<String>,
    /// What is missing there, by name.
    pub missing: Vec<String>,
    /// What should be known, one line each.
    pub notes: Vec<String>,
}

/// The answer of `import-pds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PdsReport {
    /// The data directory that was read.
    pub dir: String,
    /// Nothing was stored.
    pub dry_run: bool,
    /// One line for each account.
    pub accounts: Vec<PdsAccount>,
    /// Invite codes that were new here.
    pub invites: u64,
    /// The last event number there; new ones are greater.
    pub last_seq: u64,
    /// Events kept for subscribers who come back.
    pub events: u64,
    /// What should be known, one line each.
    pub notes: Vec<String>,
    /// What is not taken over, and what it means.
    pub not_taken: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl PdsReport {
    pub(super) fn new(dir: String, dry_run: bool, notes: Vec<String>) -> Self {
        Self {
            dir,
            dry_run,
            accounts: Vec::new(),
            invites: 0,
            last_seq: 0,
            events: 0,
            notes,
            not_taken: vec![
                "sessions: everybody logs in once more, with the same password (app passwords too)"
                    .to_owned(),
                "connected OAuth apps: they ask for permission once more".to_owned(),
                "uploads that no record names: their owners upload them again".to_owned(),
            ],
            took_ms: 0,
        }
    }

    fn with(&self, outcome: PdsOutcome) -> u64 {
        self.accounts.iter().filter(|account| account.outcome == outcome).count() as u64
    }

    /// How many accounts failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.with(PdsOutcome::Failed)
    }

    /// How many are switched off here, because their identities name another host or key.
    #[must_use]
    pub fn elsewhere(&self) -> u64 {
        self.accounts.iter().filter(|account| account.elsewhere.is_some()).count() as u64
    }

    /// The exit status of the command: 0, or 3 when an account failed or was switched off, or something is damaged or
    /// missing.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let whole = |account: &PdsAccount| {
            account.outcome != PdsOutcome::Failed
                && account.elsewhere.is_none()
                && account.damaged.is_empty()
                && account.missing.is_empty()
        };
        if self.accounts.iter().all(whole) { 0 } else { 3 }
    }
}

impl fmt::Display for PdsAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        let name = self.handle.as_deref().unwrap_or(&self.did);
        let word = match self.outcome {
            PdsOutcome::Taken => "taken over",
            PdsOutcome::AlreadyHere => "already here",
            PdsOutcome::Ready => "ready",
            PdsOutcome::Failed => "FAILS",
        };
        write!(f, "{word:<13}{name}")?;
        if self.handle.is_some() {
            write!(f, " ({})", self.did)?;
        }
        if self.outcome != PdsOutcome::AlreadyHere && self.rev.is_some() {
            write!(
                f,
                ": {}, {} ({})",
                plural(self.records, "record", "records"),
                plural(self.blobs, "blob", "blobs"),
                size(self.blob_bytes)
            )?;
        }
        if !self.status.is_empty() && self.status != "active" {
            write!(f, ", {}", self.status)?;
        }
        if let Some(why) = &self.why {
            write!(f, "\n             - {why}")?;
        }
        if let Some(why) = &self.elsewhere {
            let off =
                if self.outcome == PdsOutcome::Ready { "it will be switched off" } else { "SWITCHED OFF" };
            write!(f, "\n             - {off}: {why}")?;
        }
        for (word, list) in [("damaged", &self.damaged), ("missing", &self.missing)] {
            for item in list.iter().take(SHOWN) {
                write!(f, "\n             - {word}: {item}")?;
            }
            if list.len() > SHOWN {
                write!(f, "\n             - {word}: and {} more", list.len().saturating_sub(SHOWN))?;
            }
        }
        for note in &self.notes {
            write!(f, "\n             - {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PdsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for account in &self.accounts {
            writeln!(f, "{account}")?;
        }
        let total = plural(self.accounts.len() as u64, "account", "accounts");
        let failed = self.failed();
        if self.dry_run {
            write!(
                f,
                "{total} in {}: {} can be taken over, {} already here, {} cannot. Nothing was changed, here or there",
                self.dir,
                count(self.with(PdsOutcome::Ready)),
                count(self.with(PdsOutcome::AlreadyHere)),
                count(failed)
            )?;
        } else {
            write!(
                f,
                "{total} in {}: {} taken over now, {} already here, {} not. Nothing was changed there",
                self.dir,
                count(self.with(PdsOutcome::Taken)),
                count(self.with(PdsOutcome::AlreadyHere)),
                count(failed)
            )?;
        }
        let elsewhere = self.elsewhere();
        if elsewhere > 0 {
            let off = if self.dry_run { "will be" } else { "is" };
            write!(
                f,
                "\n{} of them {off} switched off, because the network takes their words from somewhere else. Where this node \
                 only has another name than the old server, set PDS_HOSTNAME as it was there and run the command again: what \
                 fits then is switched on. An account that moved away belongs there: delete it here",
                count(elsewhere)
            )?;
        }
        if self.invites > 0 {
            write!(f, "\n{} new here", plural(self.invites, "invite code is", "invite codes are"))?;
        }
        write!(f, "\nEvents go on after number {}", self.last_seq)?;
        if self.events > 0 {
            write!(
                f,
                "; {} kept for subscribers who come back",
                plural(self.events, "event is", "events are")
            )?;
        }
        for note in &self.notes {
            write!(f, "\n- {note}")?;
        }
        for line in &self.not_taken {
            write!(f, "\n- not taken over: {line}")?;
        }
        if failed > 0 && !self.dry_run {
            write!(
                f,
                "\nMend what fails and run the same command again: it goes on with those, and leaves the others alone. The \
                 old server must stay stopped"
            )?;
        }
        Ok(())
    }
}
