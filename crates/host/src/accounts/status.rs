//! Whether an account, a record or a blob is shown: deactivation by its owner, takedown by a moderator.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use p2pds_ipld::Cid;
use p2pds_store::hosting::{AccountsUnit, HostingUnit, TakedownRow};
use p2pds_store::{AccountPatch, AccountStatus, Login, LoginPatch, Unit};
use p2pds_syntax::{Did, ErrorKind, RecordPath};

use super::audit::{Act, By};
use crate::error::{HostError, HostResult};
use crate::events::{self, Said};
use crate::host::Host;

/// A deactivated account is never deleted by itself sooner: it needs neither password nor a code by mail.
pub const LEAST_DELETE_AFTER: Duration = Duration::from_secs(3 * 86_400);

/// What a moderator acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An account.
    Account(Did),
    /// A record.
    Record(Did, RecordPath),
    /// A blob of an account.
    Blob(Did, Cid),
}

impl Subject {
    /// The account that it is or belongs to.
    #[must_use]
    pub fn did(&self) -> &Did {
        match self {
            Self::Account(did) | Self::Record(did, _) | Self::Blob(did, _) => did,
        }
    }

    /// Its name among the takedowns of its account: nothing, `collection/rkey`, or a CID.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Account(_) => String::new(),
            Self::Record(_, path) => path.to_string(),
            Self::Blob(_, cid) => cid.to_string(),
        }
    }
}

/// How a subject stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubjectStatus {
    /// The takedown's reference, if it is taken down.
    pub takedown: Option<String>,
    /// Of an account: whether it is deactivated.
    pub deactivated: Option<bool>,
    /// Of a record: its CID now.
    pub cid: Option<Cid>,
}

/// The status that an account with this login has.
pub(crate) fn status_of(login: &Login) -> (AccountStatus, Said) {
    match login {
        Login { takedown: Some(_), .. } => (AccountStatus::Takendown, Said::Takendown),
        Login { deactivated_at: Some(_), .. } => (AccountStatus::Deactivated, Said::Deactivated),
        _ => (AccountStatus::Active, Said::Active),
    }
}

fn absent(what: &str) -> HostError {
    HostError::new(ErrorKind::Invalid, "NotFound", format!("Subject not found: {what}"))
}

impl Host {
    /// Switches an account off at its owner's wish; it may be deleted by itself later, but never so soon that whoever
    /// stole a session could make it happen before its owner comes by.
    ///
    /// # Errors
    /// The account is gone; the store.
    pub async fn deactivate_account(&self, did: &Did, delete_after: Option<i64>) -> HostResult<()> {
        let lock = self.account_lock(did).await?;
        // A write that is under way ends first; the next one reads the login anew.
        let _held = lock.hold().await;
        let login = self.own_login(did).await?;
        let least = i64::try_from(LEAST_DELETE_AFTER.as_micros()).unwrap_or(i64::MAX);
        let delete_after = delete_after.map(|at| at.max(self.now().saturating_add(least)));
        let delete_after = self.no_later_than_its_move(&login, delete_after).await?;
        let patch = LoginPatch {
            deactivated_at: Some(Some(login.deactivated_at.unwrap_or_else(|| self.now()))),
            delete_after: Some(delete_after),
            ..LoginPatch::default()
        };
        self.change_status(login, patch, Vec::new()).await
    }

    /// Changes what an account's status depends on, with what follows from it: the row that readers ask, and the event.
    /// The caller holds the account, and read its login while it did.
    pub(crate) async fn change_status(
        &self,
        login: Login,
        patch: LoginPatch,
        units: Vec<Unit>,
    ) -> HostResult<()> {
        let did = login.did.clone();
        let units = self.status_units(login, patch, units)?;
        self.store().apply(Unit::Batch { did, units }).await?;
        Ok(())
    }

    /// The units of such a change, after those that happen with it.
    pub(crate) fn status_units(
        &self,
        login: Login,
        patch: LoginPatch,
        mut units: Vec<Unit>,
    ) -> HostResult<Vec<Unit>> {
        let did = login.did.clone();
        let mut after = login;
        patch.clone().apply(&mut after);
        let (status, said) = status_of(&after);
        let now = self.now();
        let row = AccountPatch { status: Some(status), status_at: Some(now), ..AccountPatch::default() };
        units.push(Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) });
        units.push(Unit::PatchAccount { did: did.clone(), patch: Box::new(row) });
        units.push(events::account(&did, said, now)?);
        Ok(units)
    }

    /// Takes something down, or shows it again.
    ///
    /// # Errors
    /// `NotFound`; the store.
    pub async fn take_down(&self, by: &By, subject: &Subject, reference: Option<&str>) -> HostResult<()> {
        self.moderate(by, subject, true, reference).await
    }

    /// Ends a takedown.
    ///
    /// # Errors
    /// `NotFound`; the store.
    pub async fn restore(&self, by: &By, subject: &Subject) -> HostResult<()> {
        self.moderate(by, subject, false, None).await
    }

    async fn moderate(
        &self,
        by: &By,
        subject: &Subject,
        down: bool,
        reference: Option<&str>,
    ) -> HostResult<()> {
        let did = subject.did();
        self.store().login(did).await?.ok_or_else(|| absent(did.as_str()))?;
        let reference = reference.map(str::trim).filter(|text| !text.is_empty());
        let reference = reference.map_or_else(|| self.now().to_string(), str::to_owned);
        let key = subject.key();
        let what = if down { "takedown" } else { "restore" };
        let detail = if down { reference.as_str() } else { "" };
        let audit = self.audit_unit(Act { by, what, did: Some(did), subject: &key, detail });
        match subject {
            Subject::Account(_) => {
                let patch =
                    LoginPatch { takedown: Some(down.then_some(reference.clone())), ..LoginPatch::default() };
                let mut units = vec![audit];
                if down {
                    units.push(self.end_sessions(did, None));
                }
                let lock = self.account_lock(did).await?;
                let held = lock.hold().await;
                let login = self.store().login(did).await?.ok_or_else(|| absent(did.as_str()))?;
                self.change_status(login, patch, units).await?;
                drop(held);
                self.sessions_ended(did);
            }
            Subject::Record(..) | Subject::Blob(..) => {
                let withheld = reference.clone();
                let unit = if down {
                    let at = self.now();
                    AccountsUnit::PutTakedown(TakedownRow {
                        did: did.clone(),
                        subject: key,
                        reference: reference.clone(),
                        at,
                    })
                } else {
                    AccountsUnit::DropTakedown { did: did.clone(), subject: key }
                };
                let units = vec![audit, Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))];
                match subject {
                    Subject::Blob(_, cid) if down => self.quarantine_blob(did, cid, &withheld).await?,
                    Subject::Blob(_, cid) => self.release_blob(did, cid).await?,
                    _ => {}
                }
                // Read before, so that what is read does not come after what is noted here.
                let hidden = self.hidden().await?;
                self.store().apply(Unit::Batch { did: did.clone(), units }).await?;
                let mut hidden = hidden.write().unwrap_or_else(PoisonError::into_inner);
                let entry = (did.clone(), subject.key());
                if down {
                    hidden.insert(entry);
                } else {
                    hidden.remove(&entry);
                }
            }
        }
        Ok(())
    }

    /// How a subject stands.
    ///
    /// # Errors
    /// `NotFound`; the store.
    pub async fn subject_status(&self, subject: &Subject) -> HostResult<SubjectStatus> {
        let did = subject.did();
        let login = self.store().login(did).await?.ok_or_else(|| absent(did.as_str()))?;
        let takedown = self.store().takedown(did, &subject.key()).await?.map(|row| row.reference);
        match subject {
            Subject::Account(_) => Ok(SubjectStatus {
                takedown: login.takedown,
                deactivated: Some(login.deactivated_at.is_some()),
                cid: None,
            }),
            Subject::Record(_, path) => {
                let repo = self.store().live_repo(did).await?.ok_or_else(|| absent(path.as_str()))?;
                let row = self.store().record(repo.id, path).await?.ok_or_else(|| absent(path.as_str()))?;
                Ok(SubjectStatus { takedown, deactivated: None, cid: Some(row.cid) })
            }
            Subject::Blob(_, cid) => {
                if takedown.is_none() && self.store().blob(did, cid).await?.is_none() {
                    return Err(absent(&cid.to_string()));
                }
                Ok(SubjectStatus { takedown, deactivated: None, cid: Some(*cid) })
            }
        }
    }

    /// Whether a record or blob of an account (`collection/rkey`, or a CID) is taken down.
    ///
    /// # Errors
    /// The store.
    pub async fn is_taken_down(&self, did: &Did, subject: &str) -> HostResult<bool> {
        let hidden = self.hidden().await?.read().unwrap_or_else(PoisonError::into_inner);
        Ok(!hidden.is_empty() && hidden.contains(&(did.clone(), subject.to_owned())))
    }

    async fn hidden(&self) -> HostResult<&RwLock<HashSet<(Did, String)>>> {
        self.accounts()
            .hidden
            .get_or_try_init(|| async {
                let rows = self.store().all_takedowns().await?;
                Ok(RwLock::new(rows.into_iter().map(|row| (row.did, row.subject)).collect()))
            })
            .await
    }

    /// Tells subscribers once more how an account stands.
    ///
    /// # Errors
    /// `NotFound`; the store.
    pub async fn repeat_status(&self, did: &Did) -> HostResult<()> {
        let login = self.store().login(did).await?.ok_or_else(|| absent(did.as_str()))?;
        let (_, said) = status_of(&login);
        self.store().apply(events::account(did, said, self.now())?).await?;
        Ok(())
    }
}
