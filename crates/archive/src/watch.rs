//! Watching identities: an operation that the owner did not announce is found, said, and counted down.
//!
//! What is new in a PLC log is judged from what is stored, never from what just arrived, so that it does not matter
//! which question brought it, and a node that was killed in between judges it at its next start. The first judgement
//! of an account takes the log as it is for known; from then on every operation is judged once, and its verdict kept
//! as evidence. Announcements and acknowledgements are evidence too: who looks later sees what was known when.
//!
//! did:web has no log. Its document is compared with the one seen before, which is all that can be done.

mod follow;
mod history;
mod judge;
mod web;
mod words;

use std::time::Duration;

use p2pds_directory::DirectoryError;
use p2pds_directory::log_of_rows;
use p2pds_identity::plc::{Log, State};
use p2pds_ipld::Cid;
use p2pds_store::{AccountStatus, Evidence, Keep, StoreError, Unit};
use p2pds_syntax::{AtIdentifier, Did, DidMethod};
use serde_json::{Value, json};

use crate::archive::{Archive, Inner};
use crate::error::{ArchiveError, ArchiveResult};
use crate::identity::identity_error;
use crate::report::{Announcement, Watched};

pub use follow::Following;
pub(crate) use words::refresh_details;

/// Finding: an operation that nobody announced. One for each, by its CID.
pub const UNEXPECTED: &str = "plc-unexpected";
/// Finding: the identity was given up by its owner.
pub const TOMBSTONE: &str = "plc-tombstone";
/// Finding: key, host or handle of a did:web changed. Subject: CID of the document.
pub const WEB_CHANGED: &str = "web-changed";
/// Evidence: how much of the log was there at the first judgement.
const BASELINE: &str = "plc-baseline";
/// Evidence: one operation and its verdict.
const OPERATION: &str = "plc-operation";
/// Evidence: the owner announced a change.
const ANNOUNCED: &str = "plc-announced";
/// Evidence: the operator knows of an operation.
const ACKNOWLEDGED: &str = "plc-acknowledged";
/// Evidence: a did:web document as it was.
const WEB_DOCUMENT: &str = "web-document";
/// Evidence of one kind read at most. PLC directories take 100 operations a week of one account.
const MOST: usize = 10_000;
/// The longest that an announcement holds.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Accounts whose unannounced changes raise an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alarm {
    /// All of them.
    #[default]
    All,
    /// Those of which everything is kept: the operator's own.
    Own,
}

/// What the judging of identities shares.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// One judgement at a time: it is short, and two of one account would note everything twice.
    judging: tokio::sync::Mutex<()>,
}

impl Archive {
    /// Asks the directory anew about an account, compares it with the mirrors, and judges what is new.
    ///
    /// # Errors
    /// [`ArchiveError::Identity`] when nobody answers, [`ArchiveError::NotArchived`], store failures.
    pub async fn watch(&self, did: &Did, mirrors: &[String]) -> ArchiveResult<Watched> {
        let inner = self.inner();
        inner.account(did).await?;
        let before = inner.store().plc_log(did).await?.len();
        let asked = inner.directory().refresh(did).await;
        let asked = match asked {
            // The log says so: that is an answer, and judged below.
            Err(DirectoryError::Tombstoned { .. }) => Ok(()),
            Err(error) => Err(identity_error(did.as_str(), &error)),
            Ok(identity) => match identity.stale {
                Some(why) => Err(ArchiveError::Identity {
                    name: did.to_string(),
                    cause: why,
                    kind: p2pds_syntax::ErrorKind::Unavailable,
                }),
                None => Ok(()),
            },
        };
        let mut watched = self.judge_identity(did).await?;
        watched.changed |= inner.store().plc_log(did).await?.len() != before;
        if watched.changed {
            // Keys and host may be others now.
            inner.wakes.account(crate::live::JOB, did);
        }
        let outcome = match (&asked, watched.changed) {
            (Err(_), _) => "failed",
            (Ok(()), true) => "changed",
            (Ok(()), false) => "same",
        };
        metrics::counter!("p2pds_plc_refreshes_total", "outcome" => outcome).increment(1);
        asked?;
        if did.method() == DidMethod::Plc {
            for mirror in mirrors {
                inner.directory().compare(did, mirror).await.map_err(|e| identity_error(did.as_str(), &e))?;
            }
        }
        Ok(watched)
    }

    /// Judges what is stored about an identity, without asking anyone.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], store failures.
    pub async fn judge_identity(&self, did: &Did) -> ArchiveResult<Watched> {
        self.inner().judge_identity(did).await
    }

    /// Notes that the owner will change the identity: what happens to it in the time to come is expected. Takes the
    /// place of an earlier announcement; for no time at all it only ends that one.
    ///
    /// # Errors
    /// [`ArchiveError::AnnouncedTooLong`], [`ArchiveError::NotArchived`], store failures.
    pub async fn announce(&self, did: &Did, within: Duration, reason: &str) -> ArchiveResult<Announcement> {
        let inner = self.inner();
        if within > LONGEST {
            return Err(ArchiveError::AnnouncedTooLong);
        }
        inner.account(did).await?;
        let now = inner.now();
        let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
        let until = now.saturating_add(within);
        inner.keep_note(did, ANNOUNCED, json!({"until": until, "reason": reason}), None).await?;
        Ok(Announcement { did: did.clone(), at: now, until, reason: reason.to_owned() })
    }

    /// Notes that an operation (or, for a did:web, a document) is known to be the owner's. Its alarm ends.
    ///
    /// # Errors
    /// [`ArchiveError::NoOperation`], [`ArchiveError::NotArchived`], store failures.
    pub async fn acknowledge(&self, did: &Did, cid: &str, reason: &str) -> ArchiveResult<()> {
        let inner = self.inner();
        inner.account(did).await?;
        let no_operation = || ArchiveError::NoOperation { did: did.clone(), cid: cid.to_owned() };
        let cid: Cid = cid.trim().parse().map_err(|_| no_operation())?;
        let text = cid.to_string();
        let known = match did.method() {
            DidMethod::Plc => inner.store().plc_log(did).await?.iter().any(|row| row.cid == text),
            _ => inner.documents(did).await?.iter().any(|seen| seen.cid == text),
        };
        if !known {
            return Err(no_operation());
        }
        inner.keep_note(did, ACKNOWLEDGED, json!({"cid": text, "reason": reason}), None).await?;
        inner.resolve_faults(did, UNEXPECTED, Some(&text)).await?;
        inner.resolve_faults(did, WEB_CHANGED, Some(&text)).await
    }

    /// Accounts that the directory would have to be asked about right now, because somebody named them.
    pub fn forget_identity(&self, did: &Did) {
        self.inner().directory().forget(&AtIdentifier::Did(did.clone()));
    }

    /// The stored log of a did:plc; `None` without one.
    ///
    /// # Errors
    /// Store failures, [`ArchiveError::Store`] for a log that does not validate any more.
    pub async fn stored_plc_log(&self, did: &Did) -> ArchiveResult<Option<Log>> {
        self.inner().stored_plc_log(did).await
    }
}

impl Inner {
    /// Whether unannounced changes of this account are only noted.
    async fn is_quiet(&self, did: &Did) -> ArchiveResult<bool> {
        Ok(self.config().alarm == Alarm::Own && self.account(did).await?.keep != Keep::All)
    }

    pub(crate) async fn stored_plc_log(&self, did: &Did) -> ArchiveResult<Option<Log>> {
        let rows = self.store().plc_log(did).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let own = did.clone();
        // A log can hold thousands of signatures: not on a thread that answers others.
        let log = tokio::task::spawn_blocking(move || log_of_rows(&own, &rows)).await;
        let log = log.map_err(|_| ArchiveError::Bug("the validation of a PLC log ended badly".to_owned()))?;
        log.map(Some)
            .map_err(|why| StoreError::Damaged(format!("the mirrored PLC log of {did}: {why}")).into())
    }

    /// Status and proof follow the log: a deleted identity is withheld at once, a revived one is asked for again.
    async fn follow_state(&self, did: &Did, log: &Log) -> ArchiveResult<()> {
        let known = self.store().findings(did, MOST).await?;
        let open = known.iter().any(|finding| finding.kind == TOMBSTONE);
        let account = self.account(did).await?;
        match log.state() {
            State::Tombstoned { at } => {
                if account.status != AccountStatus::Deleted {
                    self.set_status(did, AccountStatus::Deleted).await?;
                }
                let last = log.entries().len().saturating_sub(1);
                let words = words::tombstone(log, last, at.unix_micros(), self.now());
                if !open {
                    tracing::warn!(event = "plc.tombstone", %did, "the identity was given up; its archive is not served any more");
                    let note =
                        json!({"status": "deleted", "words": format!("the identity was given up at {at}")});
                    self.keep_note(did, "status", note, None).await?;
                }
                self.find_fault(did, TOMBSTONE, &log.head().to_string(), &words).await
            }
            State::Active(_) if open => {
                tracing::warn!(event = "plc.revived", %did, "the deletion of the identity was undone");
                self.resolve_faults(did, TOMBSTONE, None).await?;
                if account.status == AccountStatus::Deleted {
                    // What its host says about it, the next sync finds out; served it is only then.
                    self.set_status(did, AccountStatus::Unreachable).await?;
                }
                let note = json!({"status": "unreachable", "words": "the deletion of the identity was undone; its host is asked next"});
                self.keep_note(did, "status", note, None).await?;
                self.wakes.account("sync", did);
                Ok(())
            }
            State::Active(_) => Ok(()),
        }
    }

    /// Evidence, even if the same was noted before.
    async fn keep_note(
        &self,
        did: &Did,
        kind: &str,
        detail: Value,
        data: Option<Vec<u8>>,
    ) -> ArchiveResult<()> {
        let row = Evidence {
            id: 0,
            times: 1,
            last_at: None,
            did: did.clone(),
            at: self.now(),
            kind: kind.to_owned(),
            detail: detail.to_string(),
            data,
        };
        self.store().apply(Unit::AddEvidence(row)).await?;
        Ok(())
    }

    /// Evidence of one kind with its details, newest first.
    async fn notes(&self, did: &Did, kind: &str) -> ArchiveResult<Vec<(i64, Value)>> {
        let rows = self.store().evidence_of(did, kind, MOST).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.at, serde_json::from_str(&row.detail).unwrap_or_default()))
            .collect())
    }
}
