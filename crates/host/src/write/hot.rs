//! Accounts that are being written to: one write at a time for each, and what the next one needs kept in memory.
//!
//! Bounded twice: by the number of accounts and by the buckets of their spines together. What is idle longest goes
//! first; an account that nobody writes to has no entry at all.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use p2pds_crypto::Signer;
use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Spine, Warm};
use p2pds_store::view::{self, ViewError, load_spine};
use p2pds_store::{Head, Login, Repo};
use p2pds_syntax::{Did, ErrorKind, Tid};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::import::Imports;
use super::{WriteResult, Written};
use crate::{Host, HostError, HostResult};

/// Parts of the table, so that accounts do not wait for each other.
const SHARDS: usize = 16;
/// Most accounts kept in one part while nobody uses them.
const KEPT: usize = 64;
/// Most buckets kept in all: about 300 bytes each.
const KEPT_BUCKETS: usize = 100_000;
/// About what a bucket of a spine takes, bytes.
const BUCKET_BYTES: usize = 300;
/// Most runs kept of one account: a post, a like, a follow.
const KEPT_RUNS: usize = 3;
/// Most callers that wait for one account.
const WAITING: usize = 256;

/// The table of accounts, and the clock of record keys.
pub(crate) struct Writes {
    shards: [Mutex<HashMap<Did, Arc<Entry>>>; SHARDS],
    hasher: RandomState,
    /// Counts uses, so that the oldest can be found.
    uses: AtomicU64,
    /// Buckets in all states that are kept.
    buckets: Arc<AtomicUsize>,
    /// Microseconds of the last TID that was given out.
    last_tid: AtomicU64,
    /// Tells this process's TIDs from another's.
    clock_id: u16,
    imports: Imports,
}

/// One account of the table.
struct Entry {
    state: AsyncMutex<Option<Box<Hot>>>,
    used: AtomicU64,
    /// The account is known to be active, as of the state.
    active: AtomicBool,
}

/// The account of a lock; hold [`AccountLock::slot`] to change the account's repo.
pub struct AccountLock(Arc<Entry>);

/// What a write needs of an account, as the store has it.
pub(super) struct Hot {
    repo: Repo,
    head: Head,
    pub(super) spine: Spine,
    /// The runs written to last, so that the next write there reads nothing and hashes little.
    pub(super) warm: Warm,
    pub(super) signer: Arc<dyn Signer>,
    /// The signer's key as did:key.
    pub(super) key: String,
    standing: Standing,
    /// Takes the buckets out of the count again.
    weight: Weight,
}

/// Whether the account may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Active,
    Deactivated,
    TakenDown,
}

/// Buckets counted in [`Writes::buckets`].
struct Weight {
    all: Arc<AtomicUsize>,
    own: usize,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}

impl Default for Writes {
    fn default() -> Self {
        let mut clock = [0_u8; 2];
        // Without entropy the TIDs of two processes may be alike, no more than that.
        let _ = getrandom::fill(&mut clock);
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            uses: AtomicU64::new(0),
            buckets: Arc::default(),
            last_tid: AtomicU64::new(0),
            clock_id: u16::from_le_bytes(clock) & 0x3ff,
            imports: Imports::default(),
        }
    }
}

impl Writes {
    /// The lock of an account.
    ///
    /// # Errors
    /// Too many wait for this account already.
    pub(crate) async fn enter(&self, did: &Did) -> HostResult<AccountLock> {
        let entry = self.entry(did);
        // The table and the caller hold one each.
        if Arc::strong_count(&entry) > WAITING.saturating_add(2) {
            return Err(HostError::limited(
                1,
                format!(
                    "{WAITING} writes wait for {did} already; send them one after the other, or in one call"
                ),
            ));
        }
        Ok(AccountLock(entry))
    }

    fn entry(&self, did: &Did) -> Arc<Entry> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(self.hasher.hash_one(did)).unwrap_or_default() % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS")]
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.get(did) {
            entry.used.store(used, Ordering::Relaxed);
            return Arc::clone(entry);
        }
        let heavy = || self.buckets.load(Ordering::Relaxed) > KEPT_BUCKETS;
        while shard.len() >= KEPT || (heavy() && !shard.is_empty()) {
            let idle = shard.iter().filter(|(_, entry)| Arc::strong_count(entry) == 1);
            let oldest = idle.min_by_key(|(_, entry)| entry.used.load(Ordering::Relaxed));
            let Some(oldest) = oldest.map(|(did, _)| did.clone()) else { break };
            shard.remove(&oldest);
        }
        let entry = Arc::new(Entry {
            state: AsyncMutex::new(None),
            used: AtomicU64::new(used),
            active: AtomicBool::new(false),
        });
        shard.insert(did.clone(), Arc::clone(&entry));
        entry
    }

    /// Forgets what is kept of an account: its login or its repo was changed by other means than a write. A write that
    /// is under way ends first.
    pub(crate) async fn forget(&self, did: &Did) {
        if let Some(entry) = self.known(did) {
            let mut state = entry.state.lock().await;
            entry.active.store(false, Ordering::Release);
            *state = None;
        }
    }

    fn known(&self, did: &Did) -> Option<Arc<Entry>> {
        let at = usize::try_from(self.hasher.hash_one(did)).unwrap_or_default() % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS")]
        let shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(did).cloned()
    }

    /// Whether an account is known to be hosted here and active, without asking the store. Whoever changes that holds
    /// the account's lock meanwhile, or [forgets](Host::forget_account) it afterwards.
    pub(crate) fn is_active(&self, did: &Did) -> bool {
        self.known(did).is_some_and(|entry| entry.active.load(Ordering::Acquire))
    }

    pub(super) fn imports(&self) -> &Imports {
        &self.imports
    }

    /// Accounts in the table.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// A TID later than every one given out before, at `now` or after it.
    pub(crate) fn next_tid(&self, now: i64) -> Tid {
        let now = u64::try_from(now).unwrap_or_default();
        let step = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self.last_tid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
        Tid::from_micros(now.max(last.saturating_add(1)), self.clock_id)
    }

    /// The revision after `last`.
    pub(crate) fn next_rev(&self, last: Option<Tid>, now: i64) -> HostResult<Tid> {
        let now = u64::try_from(now).unwrap_or_default();
        Tid::next_after(last, now, self.clock_id).ok_or_else(|| {
            HostError::new(
                ErrorKind::Conflict,
                "InvalidRequest",
                "the repo's revision lies in the year 2255, so that no later one can be made",
            )
        })
    }
}

impl AccountLock {
    /// Waits for the account.
    pub(super) async fn slot(&self) -> MutexGuard<'_, Option<Box<Hot>>> {
        self.0.state.lock().await
    }

    /// Notes how the account stands, as its state has it; the holder of the slot says so.
    pub(super) fn note(&self, hot: Option<&Hot>) {
        let active = hot.is_some_and(|hot| hot.standing == Standing::Active);
        self.0.active.store(active, Ordering::Release);
    }

    /// Waits for the account and forgets what is kept of it: the holder changes the repo by other means than a write.
    pub async fn hold(&self) -> HeldAccount<'_> {
        let mut slot = self.0.state.lock().await;
        self.0.active.store(false, Ordering::Release);
        *slot = None;
        HeldAccount { slot }
    }
}

/// Nobody else writes to the account while this is held.
pub struct HeldAccount<'l> {
    slot: MutexGuard<'l, Option<Box<Hot>>>,
}

impl HeldAccount<'_> {
    pub(super) fn slot(&mut self) -> &mut Option<Box<Hot>> {
        &mut self.slot
    }
}

impl Host {
    /// Reads what a write needs of an account.
    pub(super) async fn load_hot(&self, did: &Did) -> HostResult<Box<Hot>> {
        self.load_hot_for(did, None).await
    }

    /// The same for somebody who brings the key: the account's own may be one that cannot be read any more.
    pub(super) async fn load_hot_for(
        &self,
        did: &Did,
        signer: Option<&Arc<dyn Signer>>,
    ) -> HostResult<Box<Hot>> {
        let login = self.store().login(did).await?.ok_or_else(|| no_account(did))?;
        // The head may move between two reads, when somebody who hung up left a write on its way.
        for _ in 0..4 {
            let repo = self.store().live_repo(did).await?.ok_or_else(|| no_repo(did))?;
            match load_spine(self.store(), &repo).await {
                Ok(spine) => return self.hot(repo, spine, &login, signer),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(view_error(did, error)),
            }
        }
        Err(HostError::new(ErrorKind::Unavailable, "NotAvailable", "the repo is being changed; try again"))
    }

    /// The signer of an account.
    pub(super) fn signer_of(&self, did: &Did, login: &Login) -> HostResult<Arc<dyn Signer>> {
        self.keys().unwrap(&login.signing_key, did).map_err(|error| {
            tracing::error!(event = "host.key", %did, %error, "a signing key cannot be read");
            HostError::new(
                ErrorKind::Corrupt,
                "InternalServerError",
                "the account's signing key cannot be read; the operator's log says why",
            )
        })
    }

    fn hot(
        &self,
        repo: Repo,
        spine: Spine,
        login: &Login,
        signer: Option<&Arc<dyn Signer>>,
    ) -> HostResult<Box<Hot>> {
        let head = repo.head.clone().ok_or_else(|| no_repo(&repo.did))?;
        let signer = match signer {
            Some(signer) => Arc::clone(signer),
            None => self.signer_of(&repo.did, login)?,
        };
        let standing = match (&login.takedown, login.deactivated_at) {
            (Some(_), _) => Standing::TakenDown,
            (None, Some(_)) => Standing::Deactivated,
            (None, None) => Standing::Active,
        };
        let own = spine.buckets().len();
        self.writes().buckets.fetch_add(own, Ordering::Relaxed);
        let weight = Weight { all: Arc::clone(&self.writes().buckets), own };
        let key = signer.public_key().to_did_key();
        Ok(Box::new(Hot { repo, head, spine, warm: Warm::default(), signer, key, standing, weight }))
    }

    /// Forgets what is kept of an account in memory; to be called after its login or its repo was changed by other means
    /// than a write: deactivation, takedown, a new signing key, deletion.
    pub async fn forget_account(&self, did: &Did) {
        self.writes().forget(did).await;
    }

    /// Accounts of which something is kept in memory for writing.
    #[must_use]
    pub fn hot_accounts(&self) -> usize {
        self.writes().len()
    }

    /// The lock that writes to an account take, for work on its repo that is not a write.
    ///
    /// # Errors
    /// Too many wait for it already.
    pub async fn account_lock(&self, did: &Did) -> HostResult<AccountLock> {
        self.writes().enter(did).await
    }
}

impl Hot {
    pub(super) fn did(&self) -> &Did {
        &self.repo.did
    }

    pub(super) fn repo(&self) -> &Repo {
        &self.repo
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Loads what these keys touch, as far as it is not at hand.
    pub(super) async fn warm_up(&mut self, store: &dyn p2pds_store::Store, keys: &[&[u8]]) -> HostResult<()> {
        let done = view::warm_up(store, &self.repo, &self.spine, &mut self.warm, keys).await;
        done.map_err(|error| view_error(&self.repo.did, error))
    }

    pub(super) fn check_writable(&self) -> HostResult<()> {
        let (name, words) = match self.standing {
            Standing::Active => return Ok(()),
            Standing::Deactivated => ("AccountDeactivated", "Account is deactivated; activate it to write"),
            Standing::TakenDown => {
                ("AccountTakedown", "Account has been taken down; nothing can be written to it")
            }
        };
        Err(HostError::unauthenticated(name, words))
    }

    pub(super) fn check_swap(&self, swap: Option<Cid>) -> HostResult<()> {
        match swap {
            Some(swap) if swap != self.head.commit => Err(HostError::named(
                "InvalidSwap",
                format!("Commit was at {}; read the repo again and repeat", self.head.commit),
            )),
            _ => Ok(()),
        }
    }

    /// The store has this head now, and the spine its tree.
    pub(super) fn advance(&mut self, head: Head) {
        self.repo.rev = head.rev;
        self.repo.head = Some(head.clone());
        self.head = head;
        self.warm.trim(KEPT_RUNS);
        let now = self.spine.buckets().len().saturating_add(self.warm.size() / BUCKET_BYTES);
        let before = std::mem::replace(&mut self.weight.own, now);
        self.weight.all.fetch_add(now, Ordering::Relaxed);
        self.weight.all.fetch_sub(before, Ordering::Relaxed);
    }

    pub(super) fn written(&self, changed: bool, results: Vec<WriteResult>) -> Written {
        Written { commit: self.head.commit, rev: self.head.rev, changed, results }
    }
}

pub(super) fn no_account(did: &Did) -> HostError {
    HostError::named(
        "RepoNotFound",
        format!("Could not find repo for DID: {did}; no such account is hosted here"),
    )
}

pub(super) fn no_repo(did: &Did) -> HostError {
    HostError::named("RepoNotFound", format!("Could not find repo: {did}"))
}

/// A failure of the stored view as the caller hears of it.
pub(super) fn view_error(did: &Did, error: ViewError) -> HostError {
    match error {
        ViewError::Store(error) => error.into(),
        error => {
            let kind = error.kind();
            tracing::error!(event = "host.tree", %did, %kind, %error, "a repo cannot be read");
            HostError::new(
                kind,
                "InternalServerError",
                "the repo cannot be read now; the operator's log says why",
            )
        }
    }
}
