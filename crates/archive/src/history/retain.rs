//! How long what was superseded, and what was withdrawn, is kept.
//!
//! One pass over an account; it takes no input, finds out from what is stored what is due, and may be killed anywhere.
//! Other people's accounts keep their current state and, for an undo, what it replaced in the last days. An account that
//! was deleted at its source is not served from that moment on, is announced for erasure, and is erased when the time is
//! over, unless somebody wrote down why it is kept. Before it is erased its source is asked once more: the last copy is
//! never given up because a host has lost its disk.

use p2pds_blobs::Entry;
use p2pds_net::GetOptions;
use p2pds_store::{
    Account, AccountPatch, AccountStatus, Applied, BlobFilter, Keep, MOVED_BACK, MOVING_IN, Repo, Role, Unit,
};
use p2pds_syntax::{Did, Tid};
use serde::{Deserialize, Serialize};

use crate::add::host_of;
use crate::archive::{Archive, Inner};
use crate::error::{ArchiveError, ArchiveResult};
use crate::host::{Host, status_of};
use crate::progress::Progress;
use crate::words::{plural, when};

/// Kind of the finding that announces an erasure.
pub(crate) const WITHDRAWN: &str = "withdrawn";

/// Rows of the history read at a time.
const PAGE: usize = 500;

/// An account that was deleted at its source: since when, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Since when, microseconds since 1970.
    pub since: i64,
    /// When it is erased, microseconds since 1970; `None` when it is kept.
    pub erased_at: Option<i64>,
    /// Why it is kept.
    pub basis: Option<String>,
    /// In plain words, with what to do.
    pub words: String,
}

/// What one pass over an account did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retained {
    /// Superseded versions and old heads that were forgotten.
    pub rows: u64,
    /// Blobs that only they named.
    pub blobs: u64,
    /// The account was erased.
    pub erased: bool,
}

/// What the source says about an account that is to be erased.
enum Confirmed {
    Deleted(String),
    Not(AccountStatus),
    Unsure(String),
}

impl Archive {
    /// Sets how much history an account keeps; and, if it is given, why it is kept after its deletion at the source
    /// (`Some(None)` takes that back).
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], store failures.
    pub async fn keep(&self, did: &Did, keep: Keep, basis: Option<Option<String>>) -> ArchiveResult<()> {
        self.inner().account(did).await?;
        if matches!(&basis, Some(Some(basis)) if basis.trim().is_empty()) {
            return Err(ArchiveError::NoReason);
        }
        let patch = AccountPatch { keep: Some(keep), keep_basis: basis, ..AccountPatch::default() };
        self.inner().patch(did, patch).await?;
        self.inner().announce(&self.inner().account(did).await?).await
    }

    /// One pass: forgets what is past the undo window, erases what was withdrawn long enough ago.
    ///
    /// # Errors
    /// Store and disk failures; the next pass goes on.
    pub async fn retain(&self, did: &Did, progress: &Progress) -> ArchiveResult<Retained> {
        let _guard = self.inner().locks().enter(did).await;
        let Some(account) = self.store().account(did).await? else { return Ok(Retained::default()) };
        let account = self.inner().stamp(account).await?;
        self.inner().announce(&account).await?;
        if self.due_for_erasure(&account) {
            match self.confirm(did).await {
                Confirmed::Deleted(how) => {
                    let since = account.withdrawn_at.map(when).unwrap_or_default();
                    let basis = format!(
                        "{how}; not available there since {since}, and no basis for keeping it recorded"
                    );
                    let mut report = self.purge_report(&account)?;
                    self.purge(did, &basis, &mut report, &progress.about(did)).await?;
                    return Ok(Retained { erased: true, ..Retained::default() });
                }
                Confirmed::Not(status) => self.inner().set_status(did, status).await?,
                Confirmed::Unsure(why) => {
                    let words = format!(
                        "the account seems to be deleted at its source, and its time is over; but {why}, so it is not erased. \
                         `p2pds archive remove {did}` erases it, `p2pds archive keep {did} window --basis TEXT` keeps it"
                    );
                    self.inner().find_fault(did, WITHDRAWN, "", &words).await?;
                }
            }
        }
        match account.keep {
            Keep::All => Ok(Retained::default()),
            // Nobody could undo what a move replaced while the move was under way.
            Keep::Window if self.inner().is_moving(did).await? => Ok(Retained::default()),
            Keep::Window => self.inner().forget(&account).await,
        }
    }

    fn due_for_erasure(&self, account: &Account) -> bool {
        let withdrawal = self.inner().withdrawal(account);
        withdrawal.and_then(|withdrawal| withdrawal.erased_at).is_some_and(|at| at <= self.now())
    }

    /// Asks the source once more.
    async fn confirm(&self, did: &Did) -> Confirmed {
        let inner = self.inner();
        let identity = match inner.directory().refresh(did).await {
            Ok(identity) => identity,
            Err(p2pds_directory::DirectoryError::Tombstoned { at, .. }) => {
                return Confirmed::Deleted(format!("its owner gave the identity up at {at}"));
            }
            Err(error) => return Confirmed::Unsure(format!("its identity could not be looked up ({error})")),
        };
        let Ok(url) = host_of(&identity) else {
            return Confirmed::Unsure("its identity names no host any more".to_owned());
        };
        let host = Host { net: inner.net(), url: &url, did };
        match host.status().await {
            Ok(answer) => match status_of(&answer) {
                AccountStatus::Deleted => Confirmed::Deleted(format!("{url} says that it was deleted")),
                status => Confirmed::Not(status),
            },
            Err(error) if error.xrpc_error() == Some("RepoNotFound") => {
                // A host that has lost everything does not know anybody.
                if lists_anybody(&host).await {
                    Confirmed::Deleted(format!("{url} has no such account, while it has others"))
                } else {
                    Confirmed::Unsure(format!("{url} names no account at all: it may have lost its data"))
                }
            }
            Err(error) => Confirmed::Unsure(format!("{url} could not be asked ({error})")),
        }
    }
}

/// Whether a host lists any repo.
async fn lists_anybody(host: &Host<'_>) -> bool {
    #[derive(Deserialize)]
    struct Listed {
        repos: Vec<serde::de::IgnoredAny>,
    }
    let options = GetOptions::json(1 << 20);
    let listed: Result<Listed, _> =
        host.net.xrpc_json(host.url, "com.atproto.sync.listRepos", &[("limit", "1")], &options).await;
    listed.is_ok_and(|listed| !listed.repos.is_empty())
}

impl Inner {
    /// What becomes of an account that was deleted at its source.
    pub(crate) fn withdrawal(&self, account: &Account) -> Option<Withdrawal> {
        if account.status != AccountStatus::Deleted {
            return None;
        }
        let since = account.withdrawn_at?;
        let basis = account.keep_basis.clone();
        let wait = i64::try_from(self.config().erase_after.as_micros()).unwrap_or(i64::MAX);
        let erased_at = basis.is_none().then(|| since.saturating_add(wait));
        let name = account.handle.as_deref().unwrap_or(account.did.as_str());
        let words = match (&basis, erased_at) {
            (Some(basis), _) => {
                format!("deleted at its source since {}; not served; kept because: {basis}", when(since))
            }
            (None, at) => format!(
                "deleted at its source since {}; not served; it is erased here after {}, unless you write down why it \
                 should be kept: `p2pds archive keep {name} window --basis TEXT`",
                when(since),
                at.map(when).unwrap_or_default()
            ),
        };
        Some(Withdrawal { since, erased_at, basis, words })
    }

    /// A deletion whose time nobody noted counts from now on.
    async fn stamp(&self, account: Account) -> ArchiveResult<Account> {
        if account.status != AccountStatus::Deleted || account.withdrawn_at.is_some() {
            return Ok(account);
        }
        let did = account.did.clone();
        self.patch(&did, AccountPatch { status_at: Some(self.now()), ..AccountPatch::default() }).await?;
        self.account(&did).await
    }

    /// Keeps the announcement of an erasure as a finding as long as it holds.
    pub(crate) async fn announce(&self, account: &Account) -> ArchiveResult<()> {
        let did = &account.did;
        match self.withdrawal(account) {
            Some(Withdrawal { erased_at: Some(_), words, .. }) => {
                self.find_fault(did, WITHDRAWN, "", &words).await
            }
            _ => {
                let findings = self.store().findings(did, 1_000).await?;
                if findings.iter().any(|finding| finding.kind == WITHDRAWN) {
                    self.resolve_faults(did, WITHDRAWN, None).await?;
                }
                Ok(())
            }
        }
    }

    /// Whether an account's owner is moving it here, or that was given up less than the undo window ago.
    async fn is_moving(&self, did: &Did) -> ArchiveResult<bool> {
        if self.store().worker(&format!("{MOVING_IN}:{did}")).await?.is_some() {
            return Ok(true);
        }
        let name = format!("{MOVED_BACK}:{did}");
        let Some(row) = self.store().worker(&name).await? else { return Ok(false) };
        let window = i64::try_from(self.config().undo_window.as_micros()).unwrap_or(i64::MAX);
        if row.updated_at.saturating_add(window) > self.now() {
            return Ok(true);
        }
        self.store().apply(Unit::DropWorker { name }).await?;
        Ok(false)
    }

    /// Forgets what is past the undo window. The caller holds the account.
    async fn forget(&self, account: &Account) -> ArchiveResult<Retained> {
        let did = &account.did;
        let window = i64::try_from(self.config().undo_window.as_micros()).unwrap_or(i64::MAX);
        let cut = self.now().saturating_sub(window);
        let Some(live) = self.store().live_repo(did).await? else { return Ok(Retained::default()) };
        let repos = self.store().repos(Some(did)).await?;
        let unfinished = repos.iter().any(|repo| matches!(repo.role, Role::Staging | Role::Replaced));
        if unfinished && account.hosted {
            // A repo is being brought along, or was; its host tidies up, and history waits for that.
            return Ok(Retained::default());
        }
        if unfinished {
            // Left by something that was interrupted; history is in order only after this.
            self.tidy(did, &Progress::none()).await?;
        }
        let mut retained = Retained::default();
        let seen = self.seen_until(did, &live, cut).await?;
        if let Some(horizon) = seen.horizon.or(seen.unfinished) {
            let unit = Unit::Prune { did: did.clone(), line: live.line, before: Some(horizon) };
            retained.rows = retained.rows.saturating_add(self.until_done(unit).await?);
        }
        for line in seen.lines_over {
            for repo in repos.iter().filter(|repo| repo.line == line && repo.role == Role::Evidence) {
                retained.rows = retained.rows.saturating_add(repo.records);
                self.drop_repo(did, repo.id, repo.records, &Progress::none()).await?;
            }
            let unit = Unit::Prune { did: did.clone(), line, before: None };
            retained.rows = retained.rows.saturating_add(self.until_done(unit).await?);
        }
        // Blobs of accounts hosted here are their host's: it knows which are being uploaded.
        if !account.hosted {
            retained.blobs = self.drop_unnamed(did).await?;
        }
        if retained.rows > 0 || retained.blobs > 0 {
            tracing::info!(
                event = "history.pruned",
                %did,
                rows = retained.rows,
                blobs = retained.blobs,
                "forgot {} past the undo window",
                plural(retained.rows, "row", "rows")
            );
        }
        Ok(retained)
    }

    /// What of the history is past the window.
    async fn seen_until(&self, did: &Did, live: &Repo, cut: i64) -> ArchiveResult<Seen> {
        let horizon = self.account(did).await?.horizon;
        let mut seen = Seen::default();
        let mut after = None;
        // For each line: whether a head of a later line was seen before the cut.
        let mut lines: Vec<u32> = Vec::new();
        let mut youngest_old_line = None;
        loop {
            let page = self.store().commits(did, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.head.rev);
            for row in &page {
                let old = row.seen_at.is_some_and(|at| at <= cut);
                if row.line == live.line {
                    if old && horizon.is_none_or(|horizon| row.head.rev > horizon) {
                        seen.horizon = Some(row.head.rev);
                    }
                    if horizon.is_some_and(|horizon| row.head.rev < horizon) {
                        seen.unfinished = horizon;
                    }
                } else if !lines.contains(&row.line) {
                    lines.push(row.line);
                }
                if old {
                    youngest_old_line = youngest_old_line.max(Some(row.line));
                }
            }
        }
        let repos = self.store().repos(Some(did)).await?;
        lines.extend(repos.iter().filter(|repo| repo.role == Role::Evidence).map(|repo| repo.line));
        lines.sort_unstable();
        lines.dedup();
        // A line was left when the first head of the next one came.
        seen.lines_over = lines.into_iter().filter(|line| youngest_old_line > Some(*line)).collect();
        Ok(seen)
    }

    /// Repeats a unit of pruning until nothing is left.
    async fn until_done(&self, unit: Unit) -> ArchiveResult<u64> {
        let mut all = 0_u64;
        loop {
            match self.store().apply(unit.clone()).await? {
                Applied::Chunk { rows, done } => {
                    all = all.saturating_add(rows);
                    if done {
                        return Ok(all);
                    }
                }
                other => return Err(ArchiveError::Bug(format!("a step of pruning answered {other:?}"))),
            }
        }
    }

    /// Drops blobs that no record names any more, neither of now nor of the history: the row first, then the file, so
    /// that no row ever names a file that is not there. A file that a crash leaves behind goes with the next pass.
    async fn drop_unnamed(&self, did: &Did) -> ArchiveResult<u64> {
        let mut dropped = 0_u64;
        loop {
            let page = self.store().blobs(did, BlobFilter::Unreferenced, None, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for row in &page {
                self.store().apply(Unit::DropBlob { did: did.clone(), cid: row.cid }).await?;
                self.blobs().delete(did, &row.cid).await?;
                dropped = dropped.saturating_add(1);
            }
        }
        // More files than blobs held: some have no row any more, or not yet.
        let held = usize::try_from(self.account(did).await?.blobs_held).unwrap_or(usize::MAX);
        let entries = self.blobs().list(did).await?;
        if entries.len() > held {
            for entry in entries {
                if let Entry::Blob { cid, .. } = entry
                    && self.store().blob(did, &cid).await?.is_none()
                {
                    self.blobs().delete(did, &cid).await?;
                }
            }
        }
        Ok(dropped)
    }
}

/// What of a history is past the window.
#[derive(Default)]
struct Seen {
    /// The newest head of the live line that was seen before the window began.
    horizon: Option<Tid>,
    /// A horizon whose pruning was interrupted.
    unfinished: Option<Tid>,
    /// Lines that were left before the window began.
    lines_over: Vec<u32>,
}
