//! An account that this node has archived, and whose owner moves here by the ordinary flow.
//!
//! ```text
//! createAccount    with service auth: the archived account becomes a hosted one, switched off; repo, blobs, history stay
//! importRepo       replaces the state by the usual verification; what is replaced becomes history
//! activateAccount  the identity names this host: from here on it is hosted as any other
//! ```
//!
//! Until it is activated its old host speaks for it, and could have begun this itself to be rid of the copy. So nothing
//! that ends the move before that (its deletion by whoever holds the password, by an operator, or because its time is
//! over) erases anything: the account is the archive's again. A row of the store says that a move is under way.

use std::any::Any;
use std::time::Duration;

use async_trait::async_trait;
use p2pds_store::hosting::{AccountsUnit, HostingUnit};
use p2pds_store::{
    Account, AccountPatch, AccountStatus, Login, MOVED_BACK, MOVING_IN, Repo, Role, Unit, VerifiedState,
    WorkerRow,
};
use p2pds_syntax::{Did, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::error::{HostError, HostResult};
use crate::host::Host;

/// Beginning of the name of a row that says that a promotion is under way.
pub const PROMOTION: &str = "promote";
/// How long a move may take, unless other accounts that are brought here have less: nothing of the account is archived
/// meanwhile.
const MOVE_WITHIN: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Beginning of the name of the row of an account that moved here out of the archive, and when it was activated.
const MOVED_IN: &str = "moved-in";
/// How long after that nobody's password erases it: for so long an owner can take an identity back in the PLC directory.
const RECOVERY: Duration = Duration::from_secs(72 * 3_600);
/// How long a request waits until the archive has done what it is doing with the account.
const PATIENCE: Duration = Duration::from_secs(20);

/// The archive of the same node, as far as it has to let an account go.
#[async_trait]
pub trait ArchiveSide: Send + Sync + 'static {
    /// Waits until nothing works on an account. Nothing does as long as the answer is held.
    async fn hold(&self, did: &Did) -> Box<dyn Any + Send>;
    /// Whether an account is archived or hosted has changed: it is followed, or not, accordingly from now on.
    fn changed_hands(&self, did: &Did);
}

/// What is to be known again if the move comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moving {
    /// Its state at its host.
    status: String,
    /// Its handle.
    handle: Option<String>,
    /// CID of the archived head; `None` when no repo was stored.
    head: Option<String>,
    /// Whether it was proved who signed that head; a note that does not say so proves nothing.
    #[serde(default)]
    vouched: bool,
}

impl Moving {
    fn new(account: &Account, live: Option<&Repo>) -> Self {
        Self {
            status: account.status.as_str().to_owned(),
            handle: account.handle.clone(),
            head: head_of(live),
            vouched: account.verified == VerifiedState::Verified,
        }
    }

    /// Whether the archived head is still what is here.
    fn is_untouched(&self, live: Option<&Repo>) -> bool {
        self.head.is_some() && self.head == head_of(live)
    }

    fn row(&self, did: &Did, now: i64) -> HostResult<Unit> {
        let notes = serde_json::to_string(self).map_err(|error| unreadable(did, &error))?;
        Ok(Unit::PutWorker(WorkerRow {
            name: name(did),
            did: Some(did.clone()),
            state: "its owner is moving it here from its host".to_owned(),
            done: 0,
            total: 0,
            notes,
            last_error: None,
            next_run: None,
            updated_at: now,
        }))
    }
}

fn name(did: &Did) -> String {
    format!("{MOVING_IN}:{did}")
}

/// What tells the archive since when it can undo what the move replaced.
fn moved_back(did: &Did, now: i64) -> Unit {
    let state = "its move here was given up; what that replaced is kept for the undo window from then on";
    note(MOVED_BACK, did, state, now)
}

/// That something happened to an account now.
fn note(what: &str, did: &Did, state: &str, now: i64) -> Unit {
    Unit::PutWorker(WorkerRow {
        name: format!("{what}:{did}"),
        did: Some(did.clone()),
        state: state.to_owned(),
        done: 0,
        total: 0,
        notes: "{}".to_owned(),
        last_error: None,
        next_run: None,
        updated_at: now,
    })
}

fn head_of(live: Option<&Repo>) -> Option<String> {
    Some(live?.head.as_ref()?.commit.to_string())
}

fn unreadable(did: &Did, error: &serde_json::Error) -> HostError {
    tracing::error!(event = "host.moving-note", %did, %error, "what is noted of an account's move cannot be read");
    HostError::new(
        ErrorKind::Bug,
        "InternalServerError",
        "the move is stuck here; the operator's log says why",
    )
}

/// An archived account of which nobody else does anything meanwhile.
pub(crate) struct Archived {
    account: Account,
    live: Option<Repo>,
    _held: Option<Box<dyn Any + Send>>,
}

impl Host {
    /// Tells the host of the archive beside it.
    pub fn set_archive(&self, archive: std::sync::Arc<dyn ArchiveSide>) {
        // The first one stays: there is one.
        let _ = self.archive_side().set(archive);
    }

    /// The account if this node has archived it.
    ///
    /// # Errors
    /// It is being worked on, or promoted.
    pub(crate) async fn archived(&self, did: &Did) -> HostResult<Option<Archived>> {
        if self.store().account(did).await?.is_none() {
            return Ok(None);
        }
        let held = match self.archive_side().get() {
            Some(archive) => {
                let held = tokio::time::timeout(PATIENCE, archive.hold(did)).await;
                Some(held.map_err(|_| busy(did))?)
            }
            None => None,
        };
        if self.store().worker(&format!("{PROMOTION}:{did}")).await?.is_some() {
            return Err(HostError::named(
                "IncompatibleDidDoc",
                format!(
                    "the operator of this host is promoting {did}, which this node has archived: ask them"
                ),
            ));
        }
        // It may have been removed while this waited.
        let Some(account) = self.store().account(did).await? else { return Ok(None) };
        let live = self.store().live_repo(did).await?;
        Ok(Some(Archived { account, live, _held: held }))
    }

    /// The units that make an archived account a hosted one, switched off. `repo` opens an empty one, for an account of
    /// which nothing is stored.
    pub(crate) fn moving_in(
        &self,
        archived: &Archived,
        handle: &str,
        login: &Login,
        repo: Unit,
    ) -> HostResult<Vec<Unit>> {
        let (did, now) = (&login.did, self.now());
        let patch = AccountPatch {
            handle: Some(Some(handle.to_owned())),
            status: Some(AccountStatus::Deactivated),
            status_at: Some(now),
            ..AccountPatch::default()
        };
        let login = Login { delete_after: soonest(login.delete_after, now), ..login.clone() };
        let repo = match &archived.live {
            Some(_) => Unit::SetRole { did: did.clone(), role: Role::Hosted },
            None => repo,
        };
        Ok(vec![
            Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
            repo,
            Unit::PutLogin(Box::new(login)),
            Moving::new(&archived.account, archived.live.as_ref()).row(did, now)?,
        ])
    }

    /// What is noted of an account that is moving here out of this node's archive.
    pub(crate) async fn moving(&self, did: &Did) -> HostResult<Option<Moving>> {
        let Some(row) = self.store().worker(&name(did)).await? else { return Ok(None) };
        serde_json::from_str(&row.notes).map(Some).map_err(|error| unreadable(did, &error))
    }

    /// Whether an account that this node has archived is being moved here by its owner, and not active yet.
    ///
    /// # Errors
    /// The store.
    pub async fn is_moving_in(&self, did: &Did) -> HostResult<bool> {
        Ok(self.store().worker(&name(did)).await?.is_some())
    }

    /// What belongs to the activation of an account that was archived here: its follows and likes are marked, and the
    /// note ends with the returned units. The caller holds the account.
    ///
    /// # Errors
    /// Nobody knows who signed what is here.
    pub(crate) async fn end_moving(&self, did: &Did) -> HostResult<Option<[Unit; 2]>> {
        let Some(moving) = self.moving(did).await? else { return Ok(None) };
        let live = self.store().live_repo(did).await?;
        if !moving.vouched && moving.is_untouched(live.as_ref()) {
            return Err(HostError::invalid(
                "what this host has archived of your repo is signed by nobody that it knows: import your repo \
                 (com.atproto.repo.importRepo) before you activate the account",
            ));
        }
        self.mark_links_held(did).await?;
        let state =
            "it moved here out of the archive; its owner's password does not erase it within 72 hours";
        let moved_in = note(MOVED_IN, did, state, self.now());
        Ok(Some([Unit::DropWorker { name: name(did) }, moved_in]))
    }

    /// Until when an account that was archived here may still be taken back by its owner from whoever moved it here.
    pub(crate) async fn recovery_ends(&self, did: &Did) -> HostResult<Option<i64>> {
        let row = self.store().worker(&format!("{MOVED_IN}:{did}")).await?;
        let within = i64::try_from(RECOVERY.as_micros()).unwrap_or(i64::MAX);
        Ok(row.map(|row| row.updated_at.saturating_add(within)))
    }

    /// Forgets which accounts came out of the archive, once nobody can take them back any more.
    pub(crate) async fn forget_moved_in(&self) -> HostResult<()> {
        let within = i64::try_from(RECOVERY.as_micros()).unwrap_or(i64::MAX);
        let over = |row: &WorkerRow| {
            row.name.strip_prefix(MOVED_IN).is_some_and(|rest| rest.starts_with(':'))
                && row.updated_at.saturating_add(within) <= self.now()
        };
        for row in self.store().workers().await?.into_iter().filter(over) {
            self.store().apply(Unit::DropWorker { name: row.name }).await?;
        }
        Ok(())
    }

    /// When an account that is moving here goes back to the archive, whatever its session wishes: whoever began that is
    /// not known to be its owner before it is active. As wished for any other account.
    pub(crate) async fn no_later_than_its_move(
        &self,
        login: &Login,
        wished: Option<i64>,
    ) -> HostResult<Option<i64>> {
        if self.moving(&login.did).await?.is_none() {
            return Ok(wished);
        }
        let kept = soonest(login.delete_after, login.created_at);
        Ok(wished.map_or(kept, |wished| kept.map(|kept| kept.min(wished))))
    }

    /// The archive has heard who hosts an account now.
    pub(crate) fn changed_hands(&self, did: &Did) {
        if let Some(archive) = self.archive_side().get() {
            archive.changed_hands(did);
        }
    }

    /// Ends the move of an account that was never active here: it is an archived one again, as it was. `units` happen with
    /// it. The caller holds the account.
    pub(crate) async fn give_back(
        &self,
        login: &Login,
        moving: &Moving,
        mut units: Vec<Unit>,
    ) -> HostResult<()> {
        let did = &login.did;
        let live = self.store().live_repo(did).await?;
        let mut patch = AccountPatch {
            handle: Some(moving.handle.clone()),
            status: AccountStatus::from_word(&moving.status),
            status_at: Some(self.now()),
            ..AccountPatch::default()
        };
        if !moving.is_untouched(live.as_ref()) {
            // The head is this host's own, by a key that the identity does not name: the archive takes what the account's
            // own host shows in its place, and keeps this as history.
            units.push(self.unvouched_commit(login).await?);
            patch.verified = Some(VerifiedState::Unverified);
            units.push(moved_back(did, self.now()));
        }
        units.push(self.end_sessions(did, None));
        let mut forget = vec![
            AccountsUnit::DropAppPasswords { did: did.clone(), name: None },
            AccountsUnit::DropEmailTokens { did: did.clone() },
        ];
        let mut namespaces: Vec<String> =
            self.store().preferences(did).await?.iter().map(|row| namespace(&row.name)).collect();
        namespaces.sort();
        namespaces.dedup();
        forget.extend(namespaces.into_iter().map(|namespace| AccountsUnit::PutPreferences {
            did: did.clone(),
            namespace,
            keep: Vec::new(),
            rows: Vec::new(),
        }));
        units.extend(forget.into_iter().map(|unit| Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))));
        // The login goes before the old handle comes back: an account that is hosted here may have that by now, and no two
        // hosted accounts have the same.
        units.extend([
            Unit::SetRole { did: did.clone(), role: Role::Archived },
            Unit::DropLogin { did: did.clone() },
            Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
            Unit::DropWorker { name: name(did) },
        ]);
        self.store().apply(Unit::Batch { did: did.clone(), units }).await?;
        Ok(())
    }
}

/// When a move that began at `began` is over.
fn soonest(set: Option<i64>, began: i64) -> Option<i64> {
    let within = began.saturating_add(i64::try_from(MOVE_WITHIN.as_micros()).unwrap_or(i64::MAX));
    Some(set.map_or(within, |set| set.min(within)))
}

/// `app.bsky` of `app.bsky.actor.defs#adultContentPref`.
fn namespace(name: &str) -> String {
    let mut parts = name.splitn(3, '.');
    match (parts.next(), parts.next()) {
        (Some(first), Some(second)) => format!("{first}.{second}"),
        _ => name.to_owned(),
    }
}

fn busy(did: &Did) -> HostError {
    HostError {
        retry_after: Some(60),
        ..HostError::new(
            ErrorKind::Unavailable,
            "NotAvailable",
            format!(
                "this node has archived {did} and is working on its copy at this moment; try again in a minute"
            ),
        )
    }
}
