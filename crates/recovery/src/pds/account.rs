//! One account: its repo is verified and stored, then one unit makes it a hosted one, then the rest follows.

use std::path::PathBuf;

use p2pds_archive::{ArchiveError, Outcome, Progress, Summary};
use p2pds_crypto::{PrivateKey, Signer as _};
use p2pds_store::foreign::{ForeignAccount, ForeignRepo};
use p2pds_store::hosting::{AccountsUnit, AppPasswordRow, PreferenceRow, TakedownRow};
use p2pds_store::{
    AccountPatch, AccountStatus, HostingUnit, Login, LoginPatch, Origin, Role, StoreError, Unit, WorkerRow,
};
use p2pds_syntax::{Did, ErrorKind, Handle};
use serde::{Deserialize, Serialize};

use super::report::{PdsAccount, PdsOutcome};
use super::{Taking, WORKER, line_of, micros};
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::blocking;

/// What no password is kept as: nothing that is typed hashes to it.
const NO_PASSWORD: &str = "!";
/// Things listed by name for one account.
pub(super) const LISTED: usize = 1_000;

/// An account of the other server with its texts read.
pub(super) struct Whose {
    pub(super) did: Did,
    pub(super) handle: Option<Handle>,
    created_at: i64,
    takedown: Option<String>,
    deactivated_at: Option<i64>,
    delete_after: Option<i64>,
    email: String,
    confirmed_at: Option<i64>,
    password: String,
    invites_disabled: bool,
}

impl Whose {
    /// Reads it; the error says what is wrong with it.
    pub(super) fn read(from: &ForeignAccount) -> Result<Self, String> {
        let did = Did::parse(&from.did).map_err(|error| format!("its DID is none: {error}"))?;
        let handle = match &from.handle {
            Some(text) => {
                Some(Handle::parse(text).map_err(|error| format!("its handle {text:?} is none: {error}"))?)
            }
            None => None,
        };
        let created_at = micros(&from.created_at).unwrap_or(0);
        // A time that cannot be read still says that it is switched off.
        let since = |text: &Option<String>| text.as_deref().map(|text| micros(text).unwrap_or(created_at));
        Ok(Self {
            handle,
            created_at,
            takedown: from.takedown.clone(),
            deactivated_at: since(&from.deactivated_at),
            delete_after: from.delete_after.as_deref().and_then(micros),
            email: from.email.as_deref().unwrap_or_default().trim().to_lowercase(),
            confirmed_at: from.email_confirmed_at.as_deref().and_then(micros),
            password: from.password.clone().unwrap_or_else(|| NO_PASSWORD.to_owned()),
            invites_disabled: from.invites_disabled,
            did,
        })
    }

    pub(super) fn status(&self) -> AccountStatus {
        match (&self.takedown, self.deactivated_at) {
            (Some(_), _) => AccountStatus::Takendown,
            (None, Some(_)) => AccountStatus::Deactivated,
            (None, None) => AccountStatus::Active,
        }
    }

    /// `off`: since when it is switched off here.
    fn login(&self, key: &PrivateKey, wrapped: Vec<u8>, off: Option<i64>) -> Login {
        Login {
            did: self.did.clone(),
            email: self.email.clone(),
            email_confirmed_at: self.confirmed_at,
            password: self.password.clone(),
            created_at: self.created_at,
            deactivated_at: self.deactivated_at.or(off),
            delete_after: self.delete_after,
            takedown: self.takedown.clone(),
            invites_disabled: self.invites_disabled,
            invited_by: None,
            signing_key: wrapped,
            signing_did_key: key.public_key().to_did_key(),
        }
    }
}

/// What is noted of an account that is not here completely, or that is switched off because its identity names another
/// host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Begun {
    /// When it was switched off here.
    off: Option<i64>,
    /// All of it is here.
    whole: bool,
}

impl Begun {
    fn row(&self, did: &Did, now: i64) -> Result<Unit, Failed> {
        let state = match self.off {
            Some(_) if self.whole => "taken over and switched off: its identity names another host or key",
            _ => "being taken over from another server",
        };
        let notes = serde_json::to_string(self).map_err(|error| RecoveryError::Bug(error.to_string()))?;
        Ok(Unit::PutWorker(WorkerRow {
            name: worker(did),
            did: Some(did.clone()),
            state: state.to_owned(),
            done: 0,
            total: 0,
            notes,
            last_error: None,
            next_run: None,
            updated_at: now,
        }))
    }
}

/// Whether an error is about this node and not about one account.
fn is_ours(error: &RecoveryError) -> bool {
    matches!(error.kind(), ErrorKind::Limited | ErrorKind::Unavailable | ErrorKind::Bug)
        && matches!(
            error,
            RecoveryError::Store(_)
                | RecoveryError::Archive(ArchiveError::Store(_) | ArchiveError::NoRoom { .. })
                | RecoveryError::Io { .. }
                | RecoveryError::NoRoom { .. }
        )
}

/// Why one account fails: in words, or with an error that may be everybody's.
pub(super) enum Failed {
    Alone(String),
    With(RecoveryError),
}

impl From<RecoveryError> for Failed {
    fn from(error: RecoveryError) -> Self {
        if is_ours(&error) { Self::With(error) } else { Self::Alone(error.to_string()) }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        RecoveryError::from(error).into()
    }
}

impl Taking<'_> {
    /// Takes one account over, or goes on with it.
    pub(super) async fn take_account(&self, account: &ForeignAccount) -> RecoveryResult<PdsAccount> {
        let mut line = line_of(account);
        match self.try_account(account, &mut line).await {
            Ok(outcome) => line.outcome = outcome,
            Err(Failed::Alone(why)) => line.why = Some(why),
            Err(Failed::With(error)) => return Err(error),
        }
        Ok(line)
    }

    async fn try_account(
        &self,
        account: &ForeignAccount,
        line: &mut PdsAccount,
    ) -> Result<PdsOutcome, Failed> {
        let whose = Whose::read(account).map_err(Failed::Alone)?;
        let did = &whose.did;
        line.status = whose.status().as_str().to_owned();
        let store = self.host.store();
        let hosted = store.account(did).await?.is_some_and(|known| known.hosted);
        let begun = match store.worker(&worker(did)).await? {
            Some(row) => Some(
                serde_json::from_str::<Begun>(&row.notes)
                    .map_err(|error| RecoveryError::Bug(format!("what is noted of {did}: {error}")))?,
            ),
            None => None,
        };
        let begun = match begun {
            None if hosted => return Ok(PdsOutcome::AlreadyHere),
            Some(begun) if hosted && begun.whole => return self.once_more(&whose, &begun, line).await,
            Some(begun) if hosted => begun,
            _ => {
                let key = self.signing_key(did).await?;
                line.elsewhere = self.elsewhere(&whose, &key).await?;
                self.take_repo(&whose, &key, line).await?;
                let off = line.elsewhere.as_ref().map(|_| self.host.now());
                let begun = Begun { off, whole: false };
                self.make_hosted(&whose, &key, &begun).await?;
                begun
            }
        };
        self.host.mark_links(did).await.map_err(RecoveryError::from)?;
        self.take_blobs(did, line).await?;
        self.take_app_passwords(did, line).await?;
        self.take_preferences(did, line).await?;
        self.take_takedowns(did).await?;
        match begun.off {
            None => {
                store.apply(Unit::DropWorker { name: worker(did) }).await?;
            }
            Some(_) => {
                let begun = Begun { whole: true, ..begun };
                store.apply(begun.row(did, self.host.now())?).await?;
                self.once_more(&whose, &begun, line).await?;
            }
        }
        self.count(did, line).await?;
        Ok(PdsOutcome::Taken)
    }

    /// Why an active account must not be active here: two hosts would write for it, and the network would believe the
    /// other one.
    pub(super) async fn elsewhere(&self, whose: &Whose, key: &PrivateKey) -> Result<Option<String>, Failed> {
        if whose.status() != AccountStatus::Active {
            return Ok(None);
        }
        match self.host.check_named_here(&whose.did, &key.public_key().to_did_key()).await {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(Failed::Alone(format!(
                "nobody can say whether its identity names this node as its host: {error}; run the command again when that \
                 answers"
            ))),
            Err(error) => Ok(Some(error.message)),
        }
    }

    /// An account that was switched off here is looked at again: it is switched on when its identity names this node by
    /// now. Its owner may have done that already.
    async fn once_more(
        &self,
        whose: &Whose,
        begun: &Begun,
        line: &mut PdsAccount,
    ) -> Result<PdsOutcome, Failed> {
        let (did, store) = (&whose.did, self.host.store());
        let over = Unit::DropWorker { name: worker(did) };
        let Some(login) = store.login(did).await?.filter(|login| login.deactivated_at == begun.off) else {
            store.apply(over).await?;
            return Ok(PdsOutcome::AlreadyHere);
        };
        line.elsewhere = match self.host.check_named_here(did, &login.signing_did_key).await {
            Ok(()) => None,
            Err(error) => Some(error.message),
        };
        if line.elsewhere.is_some() {
            return Ok(PdsOutcome::AlreadyHere);
        }
        let now = self.host.now();
        let on = LoginPatch { deactivated_at: Some(None), ..LoginPatch::default() };
        let pds = Some(Some(self.host.config().public_url.clone()));
        let patch = AccountPatch {
            status: Some(AccountStatus::Active),
            status_at: Some(now),
            pds,
            ..AccountPatch::default()
        };
        let units = vec![
            Unit::PatchLogin { did: did.clone(), patch: Box::new(on) },
            Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
            over,
        ];
        store.apply(Unit::Batch { did: did.clone(), units }).await?;
        self.host.forget_account(did).await;
        self.count(did, line).await?;
        Ok(PdsOutcome::Taken)
    }

    /// The key that signs for it there.
    pub(super) async fn signing_key(&self, did: &Did) -> Result<PrivateKey, Failed> {
        let name = did.to_string();
        let key = self.read(move |from| from.signing_key(&name)).await?;
        key.ok_or_else(|| {
            Failed::Alone(
                "its signing key is not there, and without it nothing can be signed for it; put the file `key` back from \
                 a backup of the old server, or archive the account and promote it with its rotation key"
                    .to_owned(),
            )
        })
    }

    /// Copies its repo into a CAR file.
    pub(super) async fn copy_repo(&self, did: &Did) -> Result<(PathBuf, ForeignRepo), Failed> {
        let path = self.spool.join("repo.car");
        let (name, to) = (did.to_string(), path.clone());
        let from = std::sync::Arc::clone(&self.from);
        let copied = blocking(move || {
            let file = std::fs::File::create(&to).map_err(RecoveryError::io("create", &to))?;
            let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
            let copied = from.repo(&name, &mut file)?;
            std::io::Write::flush(&mut file).map_err(RecoveryError::io("write", &to))?;
            Ok(copied)
        })
        .await?;
        let copied = copied.ok_or_else(|| Failed::Alone("it has no repo there".to_owned()))?;
        Ok((path, copied))
    }

    async fn take_repo(&self, whose: &Whose, key: &PrivateKey, line: &mut PdsAccount) -> Result<(), Failed> {
        let (car, copied) = self.copy_repo(&whose.did).await?;
        note_repo(&copied, line);
        let summary = self.import(&whose.did, &car, key, line).await?;
        if summary.did != whose.did {
            return Err(Failed::Alone(format!("what lies there as its repo is that of {}", summary.did)));
        }
        match summary.outcome {
            Outcome::Stored | Outcome::Current | Outcome::Updated { .. } => {}
            Outcome::KeptVerbatim { why, file } => {
                return Err(Failed::Alone(format!(
                    "the tree of its repo cannot be reproduced ({why}), so that it cannot be written to; it is kept as \
                     {file}"
                )));
            }
            Outcome::Refused { why, .. } | Outcome::Withheld { why, .. } => return Err(Failed::Alone(why)),
        }
        if summary.rev.as_deref() != Some(copied.rev.as_str()) {
            line.notes.push(format!(
                "the old server named {} as its revision, its head says {}; what its head says counts",
                copied.rev,
                summary.rev.as_deref().unwrap_or("none")
            ));
        }
        line.notes.extend(summary.notes.into_iter().filter(|note| !note.contains("archive sync")));
        Ok(())
    }

    async fn import(
        &self,
        did: &Did,
        car: &std::path::Path,
        key: &PrivateKey,
        line: &mut PdsAccount,
    ) -> Result<Summary, Failed> {
        let archive = self.recovery.archive();
        let none = Progress::none();
        let first = archive.import_with_key(car, &key.public_key(), &none).await;
        let refused = match first {
            Ok(report) => return Ok(report.summary),
            Err(error @ ArchiveError::Rejected { .. }) => error,
            Err(error) => return Err(RecoveryError::from(error).into()),
        };
        // An account that moved there and has not written since has a head by an earlier key: its log knows that one.
        let Ok(_) = self.host.directory().refresh(did).await else {
            return Err(RecoveryError::from(refused).into());
        };
        match archive.import_with_key(car, &key.public_key(), &none).await {
            Ok(report) => {
                line.notes.push(
                    "its head is signed by an earlier key of its own; the next write is by its key here"
                        .to_owned(),
                );
                Ok(report.summary)
            }
            Err(_) => Err(RecoveryError::from(refused).into()),
        }
    }

    /// The one unit from which on it is hosted here.
    async fn make_hosted(&self, whose: &Whose, key: &PrivateKey, begun: &Begun) -> Result<(), Failed> {
        let did = &whose.did;
        let wrapped = self.host.keys().wrap(key, did).map_err(|error| {
            Failed::With(RecoveryError::Bug(format!("its key could not be sealed: {error}")))
        })?;
        let patch = AccountPatch {
            handle: Some(whose.handle.as_ref().map(|handle| handle.as_str().to_owned())),
            pds: Some(Some(self.host.config().public_url.clone())),
            status: Some(if begun.off.is_some() { AccountStatus::Deactivated } else { whose.status() }),
            origin: Some(Origin::Network),
            ..AccountPatch::default()
        };
        let units = vec![
            Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
            Unit::SetRole { did: did.clone(), role: Role::Hosted },
            Unit::PutLogin(Box::new(whose.login(key, wrapped, begun.off))),
            begun.row(did, self.host.now())?,
        ];
        self.host.store().apply(Unit::Batch { did: did.clone(), units }).await?;
        Ok(())
    }

    async fn take_app_passwords(&self, did: &Did, line: &mut PdsAccount) -> Result<(), Failed> {
        let name = did.to_string();
        let there = self.read(move |from| from.app_passwords(&name)).await?;
        let here = self.host.store().app_passwords(did).await?;
        for password in there {
            line.app_passwords = line.app_passwords.saturating_add(1);
            if here.iter().any(|known| known.name == password.name) {
                continue;
            }
            let row = AppPasswordRow {
                did: did.clone(),
                name: password.name,
                password: password.password,
                privileged: password.privileged,
                created_at: micros(&password.created_at).unwrap_or(0),
            };
            self.apply(AccountsUnit::PutAppPassword(row)).await?;
        }
        Ok(())
    }

    async fn take_preferences(&self, did: &Did, line: &mut PdsAccount) -> Result<(), Failed> {
        let name = did.to_string();
        let there = self.read(move |from| from.preferences(&name)).await?;
        line.preferences = there.len() as u64;
        let mut namespaces: Vec<String> = there.iter().map(|(name, _)| namespace(name)).collect();
        namespaces.sort();
        namespaces.dedup();
        for space in namespaces {
            let rows = there
                .iter()
                .filter(|(name, _)| namespace(name) == space)
                .map(|(name, value)| PreferenceRow { name: name.clone(), value: value.clone() })
                .collect();
            let (did, keep) = (did.clone(), Vec::new());
            self.apply(AccountsUnit::PutPreferences { did, namespace: space, keep, rows }).await?;
        }
        Ok(())
    }

    async fn take_takedowns(&self, did: &Did) -> Result<(), Failed> {
        let name = did.to_string();
        for (subject, reference) in self.read(move |from| from.taken_down_records(&name)).await? {
            let row = TakedownRow { did: did.clone(), subject, reference, at: self.host.now() };
            self.apply(AccountsUnit::PutTakedown(row)).await?;
        }
        Ok(())
    }

    pub(super) async fn apply(&self, unit: AccountsUnit) -> Result<(), Failed> {
        self.host.store().apply(Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))).await?;
        Ok(())
    }

    /// What is here of it now.
    async fn count(&self, did: &Did, line: &mut PdsAccount) -> Result<(), Failed> {
        let store = self.host.store();
        if let Some(account) = store.account(did).await? {
            line.records = account.records;
            line.blobs = account.blobs_held;
            line.blob_bytes = account.blob_bytes;
        }
        if let Some(head) = store.live_repo(did).await?.and_then(|repo| repo.head) {
            line.rev = Some(head.rev.to_string());
            line.commit = Some(head.commit.to_string());
        }
        Ok(())
    }
}

/// What copying a repo told.
pub(super) fn note_repo(copied: &ForeignRepo, line: &mut PdsAccount) {
    for name in copied.damaged.iter().take(LISTED) {
        line.damaged.push(format!("block {name}"));
    }
}

/// `app.bsky` of `app.bsky.actor.defs#adultContentPref`.
fn namespace(name: &str) -> String {
    let mut parts = name.split('.');
    match (parts.next(), parts.next()) {
        (Some(first), Some(second)) => format!("{first}.{second}"),
        _ => name.to_owned(),
    }
}

/// Name of the row that says that an account is not here completely yet.
fn worker(did: &Did) -> String {
    format!("{WORKER}:{did}")
}
