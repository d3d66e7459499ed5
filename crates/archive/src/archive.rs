//! The archive as a whole: what it works with, and the small steps that all operations share.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use p2pds_blobs::{Blobs, space};
use p2pds_directory::Directory;
use p2pds_net::Client;
use p2pds_store::{
    Account, AccountPatch, Applied, Evidence, Finding, Repo, RepoId, Role, Store, Unit, VerifiedState,
    WorkerRow,
};
use p2pds_syntax::{AtIdentifier, Did};
use serde_json::Value;

use crate::clock::Clock;
use crate::conditions::Conditions;
use crate::config::ArchiveConfig;
use crate::error::{ArchiveError, ArchiveResult};
use crate::locks::{AccountGuard, Locks};
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::quota::Quotas;
use crate::spool::Spool;
use crate::wake::Wakes;
use crate::watch::Watch;

/// What an archive works with.
pub struct ArchiveDeps {
    /// Accounts, records, logs.
    pub store: Arc<dyn Store>,
    /// Blob files.
    pub blobs: Blobs,
    /// The one outbound client.
    pub net: Client,
    /// Who accounts are.
    pub directory: Arc<Directory>,
    /// Where downloads and verbatim repos lie.
    pub data_dir: PathBuf,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// The archive. Cheap to clone; all clones share the locks that keep two operations off one account.
#[derive(Clone)]
pub struct Archive(Arc<Inner>);

pub(crate) struct Inner {
    deps: ArchiveDeps,
    config: ArchiveConfig,
    locks: Locks,
    spool: Spool,
    pub(crate) wakes: Wakes,
    conditions: Conditions,
    watch: Watch,
    quotas: Quotas,
    /// Room for the answers of hosts that are asked for what is new, in KiB, for all accounts together.
    pub(crate) diff_room: tokio::sync::Semaphore,
    pub(crate) live: crate::live::Attached,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("data_dir", &self.0.deps.data_dir).finish_non_exhaustive()
    }
}

impl Archive {
    /// An archive over these parts. Call [`Archive::resume`] once before anything else, to finish what was interrupted.
    #[must_use]
    pub fn new(deps: ArchiveDeps, config: ArchiveConfig) -> Self {
        let spool = Spool::new(&deps.data_dir);
        let diff_room = usize::try_from(config.max_diff_bytes >> 10).unwrap_or(usize::MAX >> 3);
        Self(Arc::new(Inner {
            deps,
            config,
            locks: Locks::default(),
            spool,
            wakes: Wakes::default(),
            watch: Watch::default(),
            conditions: Conditions::default(),
            quotas: Quotas::default(),
            diff_room: tokio::sync::Semaphore::new(diff_room),
            live: crate::live::Attached::default(),
        }))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// The store that it works on.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.deps.store
    }

    /// The blob files that it works on.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.0.deps.blobs
    }

    /// The one outbound client.
    #[must_use]
    pub fn net(&self) -> &Client {
        &self.0.deps.net
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &ArchiveConfig {
        &self.0.config
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        &self.0.deps.data_dir
    }

    /// How other parts tell the workers that there is something to do.
    #[must_use]
    pub fn wakes(&self) -> &Wakes {
        &self.0.wakes
    }

    /// What is wrong with the node, beside its accounts.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.0.conditions
    }

    /// Microseconds since 1970 by its clock.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.now()
    }

    /// Holds an account, so that its head stays as it is meanwhile. Waits for an operation that holds it.
    pub async fn hold(&self, did: &Did) -> AccountGuard {
        self.0.locks.enter(did).await
    }

    /// As [`Archive::hold`], unless an operation holds it now.
    #[must_use]
    pub fn try_hold(&self, did: &Did) -> Option<AccountGuard> {
        self.0.locks.try_enter(did)
    }

    /// An account has become one that is hosted here, or an archived one again: live following hears of it at once. The
    /// caller holds the account.
    pub fn changed_hands(&self, did: &Did) {
        self.0.live.let_go(did);
    }

    /// Which archived account a name (handle or DID) means. Handles are looked up here first, so that this works
    /// without a network.
    ///
    /// # Errors
    /// [`ArchiveError::BadName`], [`ArchiveError::NotArchived`].
    pub async fn find(&self, name: &str) -> ArchiveResult<Did> {
        let ident = parse_name(name)?;
        let accounts = self.0.all_accounts().await?;
        let handle = match &ident {
            AtIdentifier::Did(did) => {
                // A removal that was cut off after its last row can still be named, to be finished.
                let known = accounts.iter().any(|account| account.did == *did)
                    || self.0.unfinished_purges().await?.contains(did);
                return if known { Ok(did.clone()) } else { Err(ArchiveError::NotArchived(did.to_string())) };
            }
            AtIdentifier::Handle(handle) => handle,
        };
        let mut holders =
            accounts.iter().filter(|account| account.handle.as_deref() == Some(handle.as_str()));
        if let (Some(only), None) = (holders.next(), holders.next()) {
            return Ok(only.did.clone());
        }
        let absent = || ArchiveError::NotArchived(handle.to_string());
        // One way first: nothing is to be stored about accounts that are not, or no longer, archived.
        let did = self.0.directory().resolve_handle(handle).await.map_err(|_| absent())?;
        if !accounts.iter().any(|account| account.did == did) {
            return Err(absent());
        }
        let identity = self.0.resolve(&ident).await.map_err(|_| absent())?;
        if identity.did == did { Ok(did) } else { Err(absent()) }
    }

    /// Which archived account a name means, by what is stored alone.
    ///
    /// # Errors
    /// [`ArchiveError::BadName`], store failures.
    pub async fn find_here(&self, name: &str) -> ArchiveResult<Option<Did>> {
        let ident = parse_name(name)?;
        if let AtIdentifier::Did(did) = &ident {
            return Ok(self.0.store().account(did).await?.map(|account| account.did));
        }
        let accounts = self.0.all_accounts().await?;
        let named = |account: &Account| match &ident {
            AtIdentifier::Did(did) => account.did == *did,
            AtIdentifier::Handle(handle) => account.handle.as_deref() == Some(handle.as_str()),
        };
        Ok(accounts.into_iter().find(named).map(|account| account.did))
    }

    /// Repos that are kept as they came, oldest revision first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn verbatim_files(&self, did: &Did) -> ArchiveResult<Vec<PathBuf>> {
        let names = self.0.spool.verbatim(did)?;
        Ok(names.into_iter().map(|name| self.data_dir().join(name)).collect())
    }

    /// Stops or resumes the periodic sync of an account.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], store failures.
    pub async fn pause(&self, did: &Did, paused: bool) -> ArchiveResult<()> {
        self.0.archived(did).await?;
        self.0.patch(did, AccountPatch { paused: Some(paused), ..AccountPatch::default() }).await?;
        self.0.wakes.job(crate::live::JOB);
        Ok(())
    }

    /// Finishes what an earlier process left: purges, staged repos that will never be flipped, replaced repos that are
    /// not folded away yet. Safe to call at any time on an account nobody works on. What could not be finished is given
    /// back in plain words: one damaged account keeps nobody from the others, nor from being verified and mended.
    ///
    /// # Errors
    /// The accounts cannot be listed.
    pub async fn resume(&self, progress: &Progress) -> ArchiveResult<Vec<String>> {
        let mut left = Vec::new();
        for account in self.0.all_accounts().await? {
            if let Err(error) = self.resume_one(&account.did, progress).await {
                left.push(format!("what was left of {} could not be tidied up: {error}", account.did));
            }
        }
        for did in self.0.unfinished_purges().await? {
            let _guard = self.0.locks.enter(&did).await;
            if !self.0.unfinished_purges().await?.contains(&did) {
                continue;
            }
            if let Err(error) = self.finish_purge(&did, None, &progress.about(&did)).await {
                left.push(format!("the removal of {did} could not be finished: {error}"));
            }
        }
        Ok(left)
    }

    async fn resume_one(&self, did: &Did, progress: &Progress) -> ArchiveResult<()> {
        let _guard = self.0.locks.enter(did).await;
        // While this waited, the account may have been removed, and even added anew: that one is not to be erased.
        let account = match self.account_even_purging(did).await {
            Ok(account) => account,
            Err(ArchiveError::NotArchived(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let progress = progress.about(&account.did);
        // Whatever was being done was interrupted.
        if self.0.store().worker(&worker_name(&account.did)).await?.is_some() {
            self.0.rested(&account.did).await?;
            self.0.not_tried(&account).await?;
        }
        if account.purging {
            let mut report = self.purge_report(&account)?;
            self.purge(&account.did, "begun before", &mut report, &progress).await
        } else if account.hosted {
            Ok(())
        } else {
            self.0.tidy(&account.did, &progress).await?;
            if matches!(account.verified, VerifiedState::Nothing | VerifiedState::Verbatim) {
                let live = self.0.store().live_repo(&account.did).await?;
                self.0.settle(&account.did, live.as_ref()).await?;
            }
            Ok(())
        }
    }
}

/// So often in a row an account is fetched at once after the process ended in the middle of it.
const MOST_CUT_OFF: u32 = 5;
const CUT_OFF: &str = "the node ended in the middle of fetching it; in a row: ";

fn cut_off(times: u32) -> String {
    format!("{CUT_OFF}{times}")
}

fn times_cut_off(error: &str) -> Option<u32> {
    error.strip_prefix(CUT_OFF)?.parse().ok()
}

impl Inner {
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.deps.store
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.deps.blobs
    }

    pub(crate) fn net(&self) -> &Client {
        &self.deps.net
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.deps.directory
    }

    pub(crate) fn config(&self) -> &ArchiveConfig {
        &self.config
    }

    pub(crate) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    pub(crate) fn watching(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn locks(&self) -> &Locks {
        &self.locks
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Microseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from(self.now_micros()).unwrap_or(i64::MAX)
    }

    pub(crate) fn now_micros(&self) -> u64 {
        self.deps.clock.now_micros()
    }

    pub(crate) async fn account(&self, did: &Did) -> ArchiveResult<Account> {
        let account = self.store().account(did).await?;
        account.ok_or_else(|| ArchiveError::NotArchived(did.to_string()))
    }

    /// An account that is hosted elsewhere.
    pub(crate) async fn archived(&self, did: &Did) -> ArchiveResult<Account> {
        let account = self.account(did).await?;
        if account.hosted { Err(ArchiveError::HostedHere(did.clone())) } else { Ok(account) }
    }

    /// All accounts that are hosted elsewhere, those being purged included.
    pub(crate) async fn all_archived(&self) -> ArchiveResult<Vec<Account>> {
        let mut all = self.all_accounts().await?;
        all.retain(|account| !account.hosted);
        Ok(all)
    }

    /// All accounts, those being purged and those hosted here included.
    pub(crate) async fn all_accounts(&self) -> ArchiveResult<Vec<Account>> {
        const PAGE: usize = 500;
        let mut all: Vec<Account> = Vec::new();
        loop {
            let page = self.store().accounts(all.last().map(|account| &account.did), PAGE).await?;
            let full = page.len() >= PAGE;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }

    /// Accounts whose rows are erased and whose traces were not searched for to the end.
    pub(crate) async fn unfinished_purges(&self) -> ArchiveResult<Vec<Did>> {
        const LOOKED_AT: usize = 1_000;
        let purges = self.store().purges(LOOKED_AT).await?;
        let mut open: Vec<Did> =
            purges.into_iter().filter(|purge| purge.ended_at.is_none()).map(|purge| purge.did).collect();
        for account in self.all_accounts().await?.into_iter().filter(|account| account.purging) {
            open.retain(|did| *did != account.did);
        }
        Ok(open)
    }

    pub(crate) async fn patch(&self, did: &Did, patch: AccountPatch) -> ArchiveResult<()> {
        self.store().apply(Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) }).await?;
        Ok(())
    }

    /// Keeps something that contradicts.
    pub(crate) async fn keep_evidence(
        &self,
        did: &Did,
        kind: &str,
        detail: Value,
        data: Option<Vec<u8>>,
    ) -> ArchiveResult<()> {
        // The same contradiction is met at every sync; one row of it is enough, with how often and when last.
        let text = detail.to_string();
        let known = self.store().evidence(did, 50).await?;
        if let Some(old) = known.iter().find(|old| old.kind == kind && old.detail == text) {
            let unit = Unit::RepeatEvidence { did: did.clone(), id: old.id, at: self.now() };
            self.store().apply(unit).await?;
            return Ok(());
        }
        let evidence = Evidence {
            id: 0,
            times: 1,
            last_at: None,
            did: did.clone(),
            at: self.now(),
            kind: kind.to_owned(),
            detail: text,
            data,
        };
        self.store().apply(Unit::AddEvidence(evidence)).await?;
        Ok(())
    }

    /// Records that something is wrong now.
    pub(crate) async fn find_fault(
        &self,
        did: &Did,
        kind: &str,
        subject: &str,
        detail: &str,
    ) -> ArchiveResult<()> {
        let now = self.now();
        let finding = Finding {
            did: did.clone(),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
            first_at: now,
            last_at: now,
        };
        self.store().apply(Unit::PutFinding(finding)).await?;
        Ok(())
    }

    /// Removes findings that do not hold any more.
    pub(crate) async fn resolve_faults(
        &self,
        did: &Did,
        kind: &str,
        subject: Option<&str>,
    ) -> ArchiveResult<()> {
        let unit = Unit::ResolveFindings {
            did: did.clone(),
            kind: kind.to_owned(),
            subject: subject.map(str::to_owned),
        };
        self.store().apply(unit).await?;
        Ok(())
    }

    /// Says what is being done for an account, so that it can be seen and an interrupted run be recognized.
    pub(crate) async fn working(&self, did: &Did, state: &str, notes: Value) -> ArchiveResult<()> {
        let row = WorkerRow {
            name: worker_name(did),
            did: Some(did.clone()),
            state: state.to_owned(),
            done: 0,
            total: 0,
            notes: notes.to_string(),
            last_error: None,
            next_run: None,
            updated_at: self.now(),
        };
        self.store().apply(Unit::PutWorker(row)).await?;
        Ok(())
    }

    /// An attempt that was cut off with the process is none: the schedule counts from the one that ended before. But an
    /// account that is cut off again and again may be what ends the process: then its turn comes by the schedule.
    async fn not_tried(&self, account: &Account) -> ArchiveResult<()> {
        if account.last_attempt_at <= account.last_sync_at {
            return Ok(());
        }
        let before = account.last_sync_error.as_deref().and_then(times_cut_off).unwrap_or(0);
        let last_sync_error = Some(Some(cut_off(before.saturating_add(1))));
        let mut patch = AccountPatch { last_sync_error, ..AccountPatch::default() };
        if before < MOST_CUT_OFF {
            patch.last_attempt_at = Some(account.last_sync_at);
        }
        self.patch(&account.did, patch).await?;
        self.wakes.job("sync");
        Ok(())
    }

    /// The work has ended.
    pub(crate) async fn rested(&self, did: &Did) -> ArchiveResult<()> {
        self.store().apply(Unit::DropWorker { name: worker_name(did) }).await?;
        Ok(())
    }

    /// Room on the disk that may be used: free, less what stays free.
    pub(crate) fn room(&self) -> ArchiveResult<(u64, u64)> {
        let free = space(self.spool.data_dir())?.free;
        Ok((free, free.saturating_sub(self.config.keep_free)))
    }

    /// Refuses when something of this size does not fit.
    pub(crate) fn need_room(&self, what: &str, need: u64) -> ArchiveResult<u64> {
        let (free, usable) = self.room()?;
        if need > usable || usable == 0 {
            return Err(ArchiveError::NoRoom {
                path: self.spool.data_dir().to_owned(),
                what: what.to_owned(),
                need,
                free,
                keep: self.config.keep_free,
            });
        }
        Ok(usable)
    }

    /// Drops staged and replaced repos of an account; those kept as evidence stay. Nobody else may work on it.
    pub(crate) async fn tidy(&self, did: &Did, progress: &Progress) -> ArchiveResult<()> {
        let live = self.store().live_repo(did).await?.map(|repo| repo.id);
        let kept = |repo: &Repo| Some(repo.id) == live || repo.role == Role::Evidence;
        let rest: Vec<Repo> =
            self.store().repos(Some(did)).await?.into_iter().filter(|repo| !kept(repo)).collect();
        for repo in rest {
            self.drop_repo(did, repo.id, repo.records, progress).await?;
        }
        Ok(())
    }

    /// Drops one repo, chunk by chunk; a replaced one is folded into the history on the way.
    pub(crate) async fn drop_repo(
        &self,
        did: &Did,
        repo: RepoId,
        rows: u64,
        progress: &Progress,
    ) -> ArchiveResult<()> {
        let counter =
            progress.begin(Phase::Tidy, Counted::Rows, Some(rows), "folding away what was replaced");
        loop {
            match self.store().apply(Unit::DropRepo { did: did.clone(), repo }).await? {
                Applied::Chunk { rows, done } => {
                    counter.add(rows);
                    if done {
                        counter.finish(String::new());
                        return Ok(());
                    }
                }
                other => return Err(ArchiveError::Bug(format!("a drop step answered {other:?}"))),
            }
        }
    }
}

/// Name of the row that says what is being done for an account.
pub(crate) fn worker_name(did: &Did) -> String {
    format!("archive:{did}")
}

/// A handle or a DID, with or without the `@` or `at://` that people put before it.
pub(crate) fn parse_name(name: &str) -> ArchiveResult<AtIdentifier> {
    let bare = name.trim();
    let bare = bare.strip_prefix("at://").or_else(|| bare.strip_prefix('@')).unwrap_or(bare);
    AtIdentifier::parse(bare.trim_end_matches('/')).map_err(|_| ArchiveError::BadName(name.to_owned()))
}
