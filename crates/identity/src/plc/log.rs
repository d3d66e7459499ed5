//! Validated logs and what they say.

use p2pds_ipld::Cid;
use p2pds_syntax::{Datetime, Did};

use super::unsigned::has_key;
use super::{Data, LogEntry, Operation, PlcError, Unsigned, validate_log};
use crate::DidDocument;
use p2pds_crypto::PublicKey;

/// How far apart clocks may be when a signature is dated: a key counts this long before and after its period, in
/// microseconds.
const CLOCK_SLACK_MICROS: i64 = 5 * 60 * 1_000_000;

/// A log that passed [`validate_log`]; there is no other way to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    did: Did,
    entries: Vec<LogEntry>,
}

/// What a log says about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The account exists.
    Active(Data),
    /// The account was deleted; a rotation key of higher authority can undo that within 72 hours.
    Tombstoned {
        /// When.
        at: Datetime,
    },
}

/// A key that signed the repository, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPeriod {
    /// The `did:key`, as written.
    pub key: String,
    /// From when, in microseconds since 1970.
    pub from: i64,
    /// Until when; `None` if it is still in force.
    pub until: Option<i64>,
}

impl KeyPeriod {
    /// Whether the key had been withdrawn at the moment `micros` after 1970, give or take five minutes for clocks that
    /// disagree: what it signs from then on proves nothing.
    pub fn ended_before(&self, micros: i64) -> bool {
        self.until.is_some_and(|until| until.saturating_add(CLOCK_SLACK_MICROS) < micros)
    }
}

impl Log {
    /// `None` if there are no entries.
    pub(super) fn from_validated(did: Did, entries: Vec<LogEntry>) -> Option<Self> {
        if entries.is_empty() { None } else { Some(Self { did, entries }) }
    }

    /// Whose log.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// All operations, nullified ones included, in the order in which the directory took them. Never empty.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// The operations that count.
    pub fn canonical(&self) -> impl DoubleEndedIterator<Item = &LogEntry> {
        self.entries.iter().filter(|entry| !entry.nullified)
    }

    /// The CID that the next operation has to continue from: of the last operation, which always counts.
    #[expect(clippy::expect_used, reason = "a log is never empty")]
    pub fn head(&self) -> &Cid {
        &self.entries.last().expect("invariant: a validated log has an entry").cid
    }

    /// What the log says now.
    pub fn state(&self) -> State {
        self.state_at(i64::MAX).unwrap_or_else(|| State::Active(Data::default()))
    }

    /// The data, unless the account was deleted.
    pub fn data(&self) -> Option<Data> {
        match self.state() {
            State::Active(data) => Some(data),
            State::Tombstoned { .. } => None,
        }
    }

    /// What the operations that count today say about the moment `micros` after 1970. `None` before the account existed.
    pub fn state_at(&self, micros: i64) -> Option<State> {
        let entry = self.canonical().rev().find(|entry| entry.created_at.unix_micros() <= micros)?;
        Some(match entry.operation.data() {
            Some(data) => State::Active(data),
            None => State::Tombstoned { at: entry.created_at.clone() },
        })
    }

    /// The data at that moment; `None` before the account existed and while it is deleted.
    pub fn data_at(&self, micros: i64) -> Option<Data> {
        match self.state_at(micros) {
            Some(State::Active(data)) => Some(data),
            _ => None,
        }
    }

    /// All keys that the counting operations named for signing the repository, oldest first. Equal neighbours are one.
    pub fn signing_keys(&self) -> Vec<KeyPeriod> {
        let mut periods: Vec<KeyPeriod> = Vec::new();
        for entry in self.canonical() {
            let from = entry.created_at.unix_micros();
            let key = entry.operation.data().and_then(|data| data.signing_key().map(str::to_owned));
            let open = periods.last_mut().filter(|period| period.until.is_none());
            match (open, key) {
                (Some(period), Some(key)) if period.key == key => {}
                (open, key) => {
                    if let Some(period) = open {
                        period.until = Some(from);
                    }
                    periods.extend(key.map(|key| KeyPeriod { key, from, until: None }));
                }
            }
        }
        periods
    }

    /// The `did:key`s that may have signed the repository at the moment `micros` after 1970, give or take five minutes
    /// for clocks that disagree. Keys of nullified operations never count.
    pub fn signing_keys_at(&self, micros: i64) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for period in self.signing_keys() {
            let starts = period.from.saturating_sub(CLOCK_SLACK_MICROS);
            if starts <= micros && !period.ended_before(micros) && !keys.contains(&period.key) {
                keys.push(period.key);
            }
        }
        keys
    }

    /// The DID document, as the directory derives it; `None` if the account was deleted.
    pub fn document(&self) -> Option<DidDocument> {
        self.data().map(|data| DidDocument::from_plc(&self.did, &data))
    }

    /// The next operation: today's data with a change. Sign it with [`Unsigned::sign`].
    pub fn update(&self, change: impl FnOnce(&mut Data)) -> Result<Unsigned, PlcError> {
        let mut data = self.data().ok_or_else(|| PlcError::Tombstoned { did: self.did.clone() })?;
        change(&mut data);
        Ok(Unsigned::update(self.head(), data))
    }

    /// Whether this key may sign the next operation.
    pub fn can_sign(&self, key: &PublicKey) -> bool {
        self.data().is_some_and(|data| has_key(&data.rotation_keys, key))
    }

    /// The log with one more operation, as the directory would take it at `created_at`; every rule is checked.
    pub fn append(&self, operation: Operation, created_at: Datetime) -> Result<Self, PlcError> {
        let mut entries = self.entries.clone();
        if let Some(prev) = operation.prev() {
            let fork = entries.iter().position(|entry| entry.cid == *prev).unwrap_or(entries.len());
            for entry in entries.iter_mut().skip(fork.saturating_add(1)) {
                entry.nullified = true;
            }
        }
        let cid = operation.cid();
        entries.push(LogEntry { did: self.did.clone(), operation, cid, nullified: false, created_at });
        validate_log(&self.did, &entries)
    }
}
