//! Bringing a repo along: a CAR file from another host, or from a backup.
//!
//! ```text
//! spool     the body goes to a file without a name, bounded; nothing of it can be left behind
//! judge     whose it is, who signed it, that it is not from the future: before anything is stored
//! stage     the whole tree is proved while its records are stored out of sight, in units that hold nobody up
//! flip      our own commit over that tree, under the account's key here, later than what came and what was
//! ```
//!
//! A part of a repo is taken too, as `getRepo?since=` gives it: what it leaves out is in the repo that is here.
//! While an account is not active nothing is told; an active one sends `#sync`, because no event can tell what
//! changed.
//!
//! Kept tolerant: records that others wrote stay as they are, as long as their bytes hash right.

mod changes;
mod leftovers;
mod spooled;
mod whole;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::Stream;
use p2pds_crypto::{PublicKey, Signer};
use p2pds_ipld::Cid;
use p2pds_ipld::car::CarLimits;
use p2pds_repo::car_in::{ReadError, ReadOptions};
use p2pds_repo::commit::Commit;
use p2pds_store::{
    AccountPatch, Applied, Login, Repo, RepoId, Role, Store, StoreError, Unit, VerifiedState, view,
};
use p2pds_syntax::{Did, ErrorKind, Tid};
use tokio::sync::Semaphore;

use super::hot::{no_account, no_repo, view_error};
use super::seal::sign;
use crate::{Host, HostError, HostResult, events};
pub(crate) use leftovers::Leftovers;
use spooled::Spooled;

/// Imports that are read and stored at a time; others wait with their bodies unread.
const AT_ONCE: usize = 2;
/// How far ahead of our clock a revision may be, microseconds.
const MAX_FUTURE: u64 = 300_000_000;

/// What an import came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// CID of the head, which is ours.
    pub commit: Cid,
    /// Its revision.
    pub rev: Tid,
    /// Records in the repo.
    pub records: u64,
    /// Whether anything had to be changed.
    pub changed: bool,
}

/// Who is importing.
pub(crate) struct Imports {
    slots: Semaphore,
    accounts: Mutex<HashSet<Did>>,
}

impl Default for Imports {
    fn default() -> Self {
        Self { slots: Semaphore::new(AT_ONCE), accounts: Mutex::default() }
    }
}

/// One import of an account at a time.
struct Turn<'i> {
    imports: &'i Imports,
    did: Did,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.imports.accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.did);
    }
}

impl Imports {
    fn enter(&self, did: &Did) -> HostResult<Turn<'_>> {
        if self.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(did.clone()) {
            return Ok(Turn { imports: self, did: did.clone() });
        }
        Err(HostError::limited(10, "an import into this account is under way; wait until it is done"))
    }
}

/// The commit that a file brings.
struct Came {
    cid: Cid,
    commit: Commit,
}

/// What is needed to put a staged tree under a head.
struct Ground {
    did: Did,
    login: Login,
    live: Repo,
    signer: Arc<dyn Signer>,
    rev: Tid,
    /// What a whole file puts right: units for the flip. Empty when what is here is sound.
    mends: Vec<Unit>,
}

/// How a file was taken in.
enum Taken {
    /// Staged as a repo of its own.
    Staged(view::Staged),
    /// As changes to the repo that is here.
    Changes(Box<changes::Planned>),
}

impl Host {
    /// Takes a repo over into an account that is hosted here.
    ///
    /// # Errors
    /// `InvalidRequest` with what is wrong with the file; what the store says. Nothing of it is visible then.
    pub async fn import_repo<S>(&self, did: &Did, body: S) -> HostResult<Imported>
    where
        S: Stream<Item = HostResult<Bytes>> + Send,
    {
        if !self.config().imports {
            return Err(HostError::invalid(
                "Service is not accepting repo imports; ask its operator, or move to another host",
            ));
        }
        let imports = self.writes().imports();
        let _turn = imports.enter(did)?;
        let _slot = imports.slots.acquire().await.map_err(|_| closing())?;
        let spooled = Arc::new(Spooled::take(body, &self.config().spool, self.config().import_limit).await?);
        let options = read_options(self.config().import_limit);
        let (file, limits) = (Arc::clone(&spooled), options);
        let came = blocking(move || whole::peek(&file, limits)).await?;
        let ground = self.ground(did, &came).await?;
        let head = ground.live.head.as_ref().ok_or_else(|| no_repo(did))?;
        if head.data == came.commit.data && ground.mends.is_empty() {
            let (file, limits) = (Arc::clone(&spooled), options);
            blocking(move || whole::read_through(&file, limits)).await?;
            let (commit, rev, records) = (head.commit, head.rev, ground.live.records);
            return Ok(Imported { commit, rev, records, changed: false });
        }
        let ground = Arc::new(ground);
        match self.take_in(&ground, spooled, came, options).await? {
            Taken::Staged(staged) => self.flip(&ground, staged).await,
            Taken::Changes(planned) => self.apply_changes(&ground, *planned).await,
        }
    }

    /// Checks whose the file is and who signed it.
    async fn ground(&self, did: &Did, came: &Came) -> HostResult<Ground> {
        if came.commit.did != *did {
            return Err(HostError::invalid(format!(
                "this is the repo of {}, and you are {did}; export the right one",
                came.commit.did
            )));
        }
        let login = self.store().login(did).await?.ok_or_else(|| no_account(did))?;
        let live = self.store().live_repo(did).await?.ok_or_else(|| no_repo(did))?;
        let now = self.now();
        let latest = u64::try_from(now).unwrap_or_default().saturating_add(MAX_FUTURE);
        if came.commit.rev.micros() > latest {
            return Err(HostError::invalid(format!(
                "the repo's revision {} lies in the future; the host that it comes from, or this one, has a wrong clock",
                came.commit.rev
            )));
        }
        self.check_imported(did, &login, &came.commit).await?;
        let last = live.rev.max(came.commit.rev);
        let rev = self.writes().next_rev(Some(last), now)?;
        let signer = self.signer_of(did, &login)?;
        let mends = self.mends(did).await?;
        Ok(Ground { did: did.clone(), login, live, signer, rev, mends })
    }

    /// What is wrong with the repo that is here, and over once a whole one took its place: records whose bytes are
    /// missing or damaged, a head that nobody vouches for. An account that this node had archived can have that.
    async fn mends(&self, did: &Did) -> HostResult<Vec<Unit>> {
        const LOOKED_AT: usize = 10_000;
        let mut mends = Vec::new();
        let findings = self.store().findings(did, LOOKED_AT).await?;
        for kind in ["record-missing", "record-damaged"] {
            if findings.iter().any(|finding| finding.kind == kind) {
                let kind = kind.to_owned();
                mends.push(Unit::ResolveFindings { did: did.clone(), kind, subject: None });
            }
        }
        let account = self.store().account(did).await?;
        if account.is_some_and(|account| account.verified == VerifiedState::Unverified) {
            let patch = AccountPatch { verified: Some(VerifiedState::Verified), ..AccountPatch::default() };
            mends.push(Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) });
        }
        Ok(mends)
    }

    /// The key of the commit must be one that the identity names, named at the time, or that we signed with.
    async fn check_imported(&self, did: &Did, login: &Login, commit: &Commit) -> HostResult<()> {
        let fits = |key: &PublicKey| commit.verify(key).is_ok();
        if PublicKey::from_did_key(&login.signing_did_key).is_ok_and(|key| fits(&key)) {
            return Ok(());
        }
        let mut asked = self.directory().resolve(&did.clone().into()).await;
        for again in [false, true] {
            if again {
                asked = self.directory().refresh(did).await;
            }
            let Ok(identity) = &asked else { continue };
            if identity.signing_key.as_ref().is_some_and(fits) {
                return Ok(());
            }
            let at = i64::try_from(commit.rev.micros()).unwrap_or(i64::MAX);
            let named = identity.plc.iter().flat_map(|log| log.signing_keys());
            let mut held = named.filter(|period| !period.ended_before(at));
            if held.any(|period| PublicKey::from_did_key(&period.key).is_ok_and(|key| fits(&key))) {
                return Ok(());
            }
        }
        match asked {
            Ok(_) => Err(HostError::invalid(
                "the repo is signed by no key that your identity names, or named at that time; export it again from your host",
            )),
            Err(error) => Err(HostError::upstream(format!(
                "your identity could not be asked for its keys, so that nobody knows who signed this repo: {error}; try again"
            ))),
        }
    }

    /// Reads the file and stores what it holds, out of sight.
    async fn take_in(
        &self,
        ground: &Arc<Ground>,
        file: Arc<Spooled>,
        came: Came,
        options: ReadOptions,
    ) -> HostResult<Taken> {
        let (store, on) = (self.store_handle(), Arc::clone(ground));
        let came = Arc::new(came);
        let (car, with) = (Arc::clone(&file), Arc::clone(&came));
        let outcome = blocking(move || whole::stage(&store, &on, &car, &with, options)).await?;
        match outcome {
            Ok(staged) => Ok(Taken::Staged(staged)),
            // A part of a repo: the rest is here, or nowhere.
            Err(ReadError::MissingNode(_)) if ground.live.records > 0 => {
                let (store, on) = (self.store_handle(), Arc::clone(ground));
                blocking(move || changes::take(&store, &on, &file, &came)).await
            }
            Err(error) => Err(bad_car(&error)),
        }
    }

    /// Our commit over the staged tree, and the tree becomes the account's.
    async fn flip(&self, ground: &Ground, staged: view::Staged) -> HostResult<Imported> {
        let flipped = self.flip_held(ground, staged).await;
        let (head, replaced) = match flipped {
            Ok(done) => done,
            Err(error) => {
                drop_repo(self.store(), &ground.did, staged.repo).await;
                return Err(error);
            }
        };
        if let Some(replaced) = replaced {
            drop_repo(self.store(), &ground.did, replaced).await;
        }
        Ok(Imported { commit: head.commit, rev: head.rev, records: staged.records, changed: true })
    }

    async fn flip_held(
        &self,
        ground: &Ground,
        staged: view::Staged,
    ) -> HostResult<(p2pds_store::Head, Option<RepoId>)> {
        let did = &ground.did;
        let lock = self.account_lock(did).await?;
        let _held = lock.hold().await;
        self.is_still_ours(ground).await?;
        let (head, told) = self.own_head(ground, staged.root)?;
        let flip = Unit::Flip {
            did: did.clone(),
            repo: staged.repo,
            expect: Some(ground.live.rev),
            head: Box::new(head.clone()),
            role: Role::Hosted,
            accept_older: false,
            at: self.now(),
        };
        let units = std::iter::once(flip).chain(ground.mends.clone()).chain(told).collect();
        match self.store().apply(Unit::Batch { did: did.clone(), units }).await {
            Ok(Applied::Batch(done)) => match done.into_iter().next() {
                Some(Applied::Flipped { replaced }) => Ok((head, replaced)),
                other => Err(unexpected(&format!("{other:?}"))),
            },
            Ok(other) => Err(unexpected(&format!("{other:?}"))),
            Err(error) => Err(moved(error)),
        }
    }

    /// Applies a part of a repo as changes.
    async fn apply_changes(&self, ground: &Ground, planned: changes::Planned) -> HostResult<Imported> {
        let did = &ground.did;
        let lock = self.account_lock(did).await?;
        let _held = lock.hold().await;
        self.is_still_ours(ground).await?;
        let (head, told) = self.own_head(ground, planned.root)?;
        let records = planned.records;
        let units = planned.units(ground, &head, self.now()).into_iter().chain(told).collect();
        self.store().apply(Unit::Batch { did: did.clone(), units }).await.map_err(moved)?;
        Ok(Imported { commit: head.commit, rev: head.rev, records, changed: true })
    }

    /// Reading a file takes its time: the account may be gone by then, an archived one again, or have another key.
    async fn is_still_ours(&self, ground: &Ground) -> HostResult<()> {
        let login = self.store().login(&ground.did).await?.ok_or_else(|| no_account(&ground.did))?;
        if login.created_at == ground.login.created_at
            && login.signing_did_key == ground.login.signing_did_key
        {
            return Ok(());
        }
        Err(HostError::named("InvalidSwap", "the account was changed while the import ran; send it again"))
    }

    /// Our head over a tree, and what the stream says of it if the account is active.
    fn own_head(&self, ground: &Ground, root: Cid) -> HostResult<(p2pds_store::Head, Option<Unit>)> {
        let key = ground.signer.public_key().to_did_key();
        let (commit, head) = sign(&ground.did, ground.rev, root, &*ground.signer, &key)?;
        let active = ground.login.deactivated_at.is_none() && ground.login.takedown.is_none();
        let told = if active {
            let block = commit.encode();
            Some(events::sync(&ground.did, head.rev, head.commit, &block, self.now())?)
        } else {
            None
        };
        Ok((head, told))
    }
}

fn read_options(limit: u64) -> ReadOptions {
    ReadOptions { limits: CarLimits::DEFAULT.with_total(limit), ..ReadOptions::DEFAULT }
}

/// Work that reads files and waits for the store, on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> HostResult<T> + Send + 'static) -> HostResult<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        if error.is_cancelled() { Err(closing()) } else { Err(unexpected(&error.to_string())) }
    })
}

/// What is wrong with a file, in words that help.
fn bad_car(error: &ReadError) -> HostError {
    match error {
        ReadError::Roots(roots) => HostError::invalid(format!("expected one root, got {roots}")),
        ReadError::Io(error) => {
            tracing::error!(event = "host.import", %error, "a spooled file cannot be read");
            HostError::new(
                ErrorKind::Unavailable,
                "InternalServerError",
                "the file could not be read here; the operator's log says why",
            )
        }
        error => HostError::invalid(format!(
            "{error}. Send the whole repo as com.atproto.sync.getRepo gives it, or a part that fits what is here"
        )),
    }
}

/// The repo was changed while the import ran.
fn moved(error: StoreError) -> HostError {
    match error {
        StoreError::HeadMoved { .. } | StoreError::NotNewer { .. } | StoreError::Mismatch { .. } => {
            HostError::named("InvalidSwap", "the repo was written to while the import ran; send it again")
        }
        error => error.into(),
    }
}

/// Drops a repo that nobody sees. What is left after a crash is dropped by the job.
async fn drop_repo(store: &dyn Store, did: &Did, repo: RepoId) {
    if let Err(error) = view::drop_repo(store, did, repo).await {
        tracing::warn!(event = "host.import-kept", %did, %error, "rows of an import are left and are dropped later");
    }
}

fn closing() -> HostError {
    HostError::new(ErrorKind::Unavailable, "NotAvailable", "the host is closing; try again later")
}

fn unexpected(what: &str) -> HostError {
    tracing::error!(event = "host.import", what, "an import met what cannot be");
    HostError::new(ErrorKind::Bug, "InternalServerError", "the import failed; the operator's log says why")
}

/// A failure of the stored view in the middle of an import.
fn stored(did: &Did) -> impl Fn(view::ViewError) -> HostError + '_ {
    move |error| view_error(did, error)
}
