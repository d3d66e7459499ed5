//! How much may be stored: per account, in all, and what stays free on the disk.
//!
//! Counted are the bytes of the current records and of the blobs held. Blobs may fill nine tenths of a limit, so that
//! an account's records go on growing for a while after its pictures no longer fit: first no new blobs are fetched,
//! then nothing new at all. What is held stays, is verified and served as before, and the account catches up when the
//! limit is raised.
//!
//! The exact sums are in the store. Beside them this keeps what the last count found, so that each commit of a live
//! stream can be checked with a look-up in memory.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p2pds_blobs::space;
use p2pds_store::Account;
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::archive::{Archive, Inner};
use crate::error::{ArchiveError, ArchiveResult};
use crate::words::size;

/// Kind of the finding that says that an account's limit is reached.
pub const QUOTA_FINDING: &str = "quota";

/// Why nothing more is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Full {
    /// The account's own limit, or that of every account.
    Account {
        /// Bytes stored of it.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The limit of all accounts together.
    All {
        /// Bytes stored of all.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk, less what stays free.
    Disk {
        /// Bytes free.
        free: u64,
        /// Bytes that stay free.
        keep: u64,
    },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { used, limit } => write!(
                f,
                "the account's quota of {} is used up ({} stored); what is stored stays, nothing new is fetched until \
                 `p2pds archive quota ACCOUNT SIZE` or archive.quota_per_account raises it",
                size(*limit),
                size(*used)
            ),
            Self::All { used, limit } => write!(
                f,
                "the quota of {} for all accounts is used up ({} stored); what is stored stays, nothing new is fetched \
                 until archive.quota_total is raised or something is removed",
                size(*limit),
                size(*used)
            ),
            Self::Disk { free, keep } => write!(
                f,
                "{} are free on the disk and {} stay free (archive.keep_free); what is stored stays, nothing new is \
                 fetched until there is room",
                size(*free),
                size(*keep)
            ),
        }
    }
}

/// Bytes that blobs may fill of a limit; the rest is for records.
#[must_use]
pub fn for_blobs(limit: u64) -> u64 {
    limit.saturating_sub(limit / 10)
}

/// Bytes counted for an account.
#[must_use]
pub fn used(account: &Account) -> u64 {
    account.record_bytes.saturating_add(account.blob_bytes)
}

/// The limits, and what the last count found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quotas(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    /// Bytes of all accounts.
    all: u64,
    /// Accounts with a limit: what they have, and the limit.
    limited: HashMap<Did, (u64, u64)>,
    disk: Option<Full>,
    /// Accounts whose limit is reached, by their findings; `None` until they were read once.
    known: Option<HashSet<Did>>,
}

impl Quotas {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes bytes that are being fetched, unless they pass the limit of all accounts.
    pub(crate) fn admit(&self, limit: Option<u64>, more: u64) -> Result<(), Full> {
        let mut counted = self.lock();
        let after = counted.all.saturating_add(more);
        if let Some(limit) = limit.map(for_blobs)
            && after > limit
        {
            return Err(Full::All { used: counted.all, limit });
        }
        counted.all = after;
        Ok(())
    }

    /// Gives bytes back that were not stored after all.
    pub(crate) fn release(&self, bytes: u64) {
        let mut counted = self.lock();
        counted.all = counted.all.saturating_sub(bytes);
    }
}

/// What a count of all accounts changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recount {
    /// Bytes stored of all accounts.
    pub used: u64,
    /// Accounts that have reached their limit since the last count.
    pub full: Vec<Did>,
    /// Accounts that may grow again.
    pub freed: Vec<Did>,
}

impl Archive {
    /// Whether more may be stored of an account: a look-up in memory, right as of the last count and what was noted
    /// with [`Archive::grew`] since.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    pub fn may_grow(&self, did: &Did) -> Result<(), Full> {
        self.inner().may_grow(did)
    }

    /// Notes bytes that were stored of an account by another way than a sync.
    pub fn grew(&self, did: &Did, bytes: u64) {
        let mut counted = self.inner().quotas().lock();
        counted.all = counted.all.saturating_add(bytes);
        if let Some((used, _)) = counted.limited.get_mut(did) {
            *used = used.saturating_add(bytes);
        }
    }

    /// Counts what is stored, looks at the disk, and records or resolves the `quota` finding of accounts whose state
    /// has changed. Accounts that may grow again are woken. A running node does this every minute.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn recount(&self) -> ArchiveResult<Recount> {
        self.inner().recount().await
    }

    /// Sets the limit of one account; `None`: that of every account counts.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], store failures.
    pub async fn set_quota(&self, did: &Did, quota: Option<u64>) -> ArchiveResult<()> {
        self.inner().account(did).await?;
        let patch = p2pds_store::AccountPatch { quota: Some(quota), ..Default::default() };
        self.inner().patch(did, patch).await?;
        self.recount().await?;
        if self.may_grow(did).is_ok() {
            self.wakes().account("sync", did);
            self.wakes().account("blobs", did);
        }
        Ok(())
    }

    /// The limit that counts for an account, and why nothing more is stored of it, if so.
    #[must_use]
    pub fn quota_of(&self, account: &Account) -> (Option<u64>, Option<Full>) {
        (self.inner().limit_of(account), self.inner().full(account))
    }
}

impl Inner {
    pub(crate) fn may_grow(&self, did: &Did) -> Result<(), Full> {
        let counted = self.quotas().lock();
        if let Some(full) = &counted.disk {
            return Err(full.clone());
        }
        if let Some(limit) = self.config().quota_total
            && counted.all >= limit
        {
            return Err(Full::All { used: counted.all, limit });
        }
        match counted.limited.get(did) {
            Some(&(used, limit)) if used >= limit => Err(Full::Account { used, limit }),
            _ => Ok(()),
        }
    }

    async fn recount(&self) -> ArchiveResult<Recount> {
        let accounts = self.all_accounts().await?;
        let known = self.quotas().lock().known.take();
        let mut known = match known {
            Some(known) => known,
            None => self.quota_findings(&accounts).await?,
        };
        let mut fresh = Counted { disk: self.disk_full(), ..Counted::default() };
        for account in &accounts {
            fresh.all = fresh.all.saturating_add(used(account));
            if let Some(limit) = self.limit_of(account) {
                fresh.limited.insert(account.did.clone(), (used(account), limit));
            }
        }
        let all = fresh.all;
        *self.quotas().lock() = fresh;
        let mut recount = Recount { used: all, ..Recount::default() };
        for account in accounts.iter().filter(|account| !account.purging) {
            let did = &account.did;
            match (self.full(account), known.contains(did)) {
                (Some(full), false) => {
                    self.find_fault(did, QUOTA_FINDING, "", &full.to_string()).await?;
                    known.insert(did.clone());
                    recount.full.push(did.clone());
                }
                (None, true) => {
                    self.resolve_faults(did, QUOTA_FINDING, None).await?;
                    self.wakes.account("sync", did);
                    known.remove(did);
                    recount.freed.push(did.clone());
                }
                _ => {}
            }
        }
        self.quotas().lock().known = Some(known);
        Ok(recount)
    }

    /// The limit that counts for an account.
    pub(crate) fn limit_of(&self, account: &Account) -> Option<u64> {
        account.quota.or(self.config().quota_per_account)
    }

    /// Why nothing more is stored of an account, if so. The disk is not looked at here: that is no account's fault.
    pub(crate) fn full(&self, account: &Account) -> Option<Full> {
        let used = used(account);
        if let Some(limit) = self.limit_of(account)
            && used >= limit
        {
            return Some(Full::Account { used, limit });
        }
        let all = self.quotas().lock().all.max(used);
        self.config().quota_total.filter(|&limit| all >= limit).map(|limit| Full::All { used: all, limit })
    }

    /// Refuses to fetch more of an account whose limit is reached, and records that it is.
    pub(crate) async fn need_quota(&self, did: &Did) -> ArchiveResult<()> {
        // A command that runs without a node counts for itself.
        if self.config().quota_total.is_some() && self.quotas().lock().known.is_none() {
            self.recount().await?;
        }
        let account = self.account(did).await?;
        match self.full(&account) {
            Some(full) => {
                self.find_fault(did, QUOTA_FINDING, "", &full.to_string()).await?;
                Err(ArchiveError::Quota { did: did.clone(), full })
            }
            None => {
                let known = self.store().findings(did, 200).await?;
                if known.iter().any(|finding| finding.kind == QUOTA_FINDING) {
                    self.resolve_faults(did, QUOTA_FINDING, None).await?;
                }
                Ok(())
            }
        }
    }

    /// Most bytes of a CAR that may be fetched for an account. A CAR has its records and about a tenth more.
    pub(crate) fn most_car_bytes(&self, account: &Account) -> u64 {
        let own = self.limit_of(account).map(|limit| limit.saturating_sub(account.blob_bytes));
        let all = self
            .config()
            .quota_total
            .map(|limit| limit.saturating_sub(self.quotas().lock().all).saturating_add(account.record_bytes));
        let most = own.unwrap_or(u64::MAX).min(all.unwrap_or(u64::MAX));
        most.saturating_add(most / 4).saturating_add(1 << 20)
    }

    /// A repo that does not fit is no fault of its host: it is recorded as the quota that it would pass.
    pub(crate) async fn past_quota(&self, account: &Account, car_bytes: u64) -> ArchiveError {
        let did = &account.did;
        let used = used(account).saturating_add(car_bytes);
        let full = match self.limit_of(account) {
            Some(limit) => Full::Account { used, limit },
            None => Full::All { used, limit: self.config().quota_total.unwrap_or(used) },
        };
        let error = ArchiveError::Quota { did: did.clone(), full: full.clone() };
        match self.find_fault(did, QUOTA_FINDING, "", &full.to_string()).await {
            Ok(()) => error,
            Err(worse) => worse,
        }
    }

    /// Most bytes of blobs that an account may have, and what limits them.
    pub(crate) fn most_blob_bytes(&self, account: &Account) -> Option<(u64, &'static str)> {
        const SETTING: &str = "`p2pds archive quota` or archive.quota_per_account";
        let quota = self
            .limit_of(account)
            .map(|limit| (for_blobs(limit).saturating_sub(account.record_bytes), SETTING));
        let blobs = self.config().blob_quota.map(|limit| (limit, "archive.blob_quota"));
        quota.into_iter().chain(blobs).min()
    }

    fn disk_full(&self) -> Option<Full> {
        let free = space(self.spool().data_dir()).ok()?.free;
        let keep = self.config().keep_free;
        (free <= keep).then_some(Full::Disk { free, keep })
    }

    /// Accounts whose limit was found reached before this process began.
    async fn quota_findings(&self, accounts: &[Account]) -> ArchiveResult<HashSet<Did>> {
        let mut found = HashSet::new();
        for account in accounts {
            let findings = self.store().findings(&account.did, 200).await?;
            if findings.iter().any(|finding| finding.kind == QUOTA_FINDING) {
                found.insert(account.did.clone());
            }
        }
        Ok(found)
    }
}
