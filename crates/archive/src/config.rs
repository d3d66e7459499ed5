//! How much the archive takes, and how long it tries. Every limit has a name.

use std::time::Duration;

use crate::watch::Alarm;

/// Settings of the archive. [`Default`] is right for a home machine.
#[derive(Debug, Clone)]
pub struct ArchiveConfig {
    /// Blobs of one account fetched at a time. Default 6.
    pub blob_concurrency: usize,
    /// Most bytes of blobs kept for one account; `None` is no limit.
    pub blob_quota: Option<u64>,
    /// Most bytes (records and blobs) kept for one account; `None` is no limit. The account's own quota goes before it.
    pub quota_per_account: Option<u64>,
    /// Most bytes (records and blobs) kept of all accounts; `None` is no limit.
    pub quota_total: Option<u64>,
    /// Largest blob that is fetched. Default 1 GiB (hosts allow 300 MB).
    pub max_blob_bytes: u64,
    /// Largest repo that is fetched, as CAR bytes. Default 16 GiB.
    pub max_repo_bytes: u64,
    /// Disk space that stays free, whatever is fetched. Default 1 GB.
    pub keep_free: u64,
    /// Longest time one repo may take to arrive; a transfer that is merely slow is given up by the client's minimum
    /// rate. Default 12 h.
    pub repo_deadline: Duration,
    /// Longest time one blob may take to arrive. Default 1 h.
    pub blob_deadline: Duration,
    /// How far in the future a revision may lie, since clocks differ. Default 5 minutes.
    pub max_future: Duration,
    /// Pause before a failed blob is tried again; doubles with each try. Default 1 minute.
    pub blob_retry_base: Duration,
    /// Longest pause between two tries of a blob. Default 24 h.
    pub blob_retry_cap: Duration,
    /// Tries of one blob within one run. Default 3.
    pub blob_tries_per_run: u32,
    /// A diff of more changes than this is not applied in place; the repo is fetched whole. At most the store's chunk.
    pub max_diff_changes: usize,
    /// Most bytes of a `since` download that are held in memory; a larger one leads to a whole fetch. Default 64 MiB.
    pub max_diff_bytes: u64,
    /// How long what was superseded is kept of accounts that do not keep everything. Default 7 days.
    pub undo_window: Duration,
    /// How long after its deletion at the source an account is erased, if no basis for keeping it is recorded. Default
    /// 30 days.
    pub erase_after: Duration,
    /// For which accounts a change of the identity that nobody announced raises an alarm. Default all.
    pub alarm: Alarm,
    /// Name and version that exports and reports carry.
    pub tool: String,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            blob_concurrency: 6,
            blob_quota: None,
            quota_per_account: None,
            quota_total: None,
            max_blob_bytes: 1 << 30,
            max_repo_bytes: 16 << 30,
            keep_free: 1_000_000_000,
            repo_deadline: Duration::from_secs(12 * 3_600),
            blob_deadline: Duration::from_secs(3_600),
            max_future: Duration::from_secs(300),
            blob_retry_base: Duration::from_secs(60),
            blob_retry_cap: Duration::from_secs(24 * 3_600),
            blob_tries_per_run: 3,
            max_diff_changes: 1_000,
            max_diff_bytes: 64 << 20,
            undo_window: Duration::from_secs(7 * 86_400),
            erase_after: Duration::from_secs(30 * 86_400),
            alarm: Alarm::All,
            tool: concat!("p2pds ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
