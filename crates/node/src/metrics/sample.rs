//! What follows from the store, read when the page is asked for, at most every few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use p2pds_store::{Account, AccountStatus, Origin, Stats, Store, StoreResult};
use p2pds_syntax::Did;

use crate::words::now_micros;

/// The state of the store is not read more often than this, however often the page is asked for.
const EVERY: Duration = Duration::from_secs(5);
/// Findings are read account by account, so less often.
const FINDINGS_EVERY: Duration = Duration::from_secs(30);
/// Accounts read at a time.
const PAGE: usize = 500;
/// Findings read of one account.
const MAX_FINDINGS: usize = 1_000;
/// Ages for which accounts are counted, in seconds.
const AGES: [(&str, i64); 4] = [("1m", 60), ("1h", 3_600), ("1d", 86_400), ("7d", 7 * 86_400)];

/// Reads the store into gauges.
pub struct Sampler {
    store: Arc<dyn Store>,
    dir: PathBuf,
    /// Held while sampling, so that pages asked for at the same time share one sample.
    last: tokio::sync::Mutex<Option<Instant>>,
    findings: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    at: Option<Instant>,
    /// Kinds that were ever seen: one that is gone has to be set to 0.
    kinds: BTreeSet<String>,
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Sums over all accounts.
#[derive(Default)]
struct Sums {
    by_status: BTreeMap<&'static str, u64>,
    within: [u64; AGES.len()],
    ever: u64,
    stalest: i64,
    paused: u64,
    damaged: u64,
    records: u64,
    blobs_held: u64,
    blobs_missing: u64,
    blob_bytes: u64,
}

impl Sampler {
    /// A sampler of this store, in this data directory.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, dir: PathBuf) -> Self {
        Self { store, dir, last: tokio::sync::Mutex::default(), findings: Mutex::default() }
    }

    /// Sets the gauges. A store that does not answer leaves them as they were; `p2pds_store_stopped` says so.
    pub async fn sample(&self) {
        let mut last = self.last.lock().await;
        if last.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        if let Err(error) = self.read().await {
            tracing::warn!(event = "metrics.sample", %error, "the metrics could not be sampled");
            metrics::gauge!("p2pds_store_stopped").set(1.0);
        }
        *last = Some(Instant::now());
    }

    async fn read(&self) -> StoreResult<()> {
        self.set_store(&self.store.stats().await?);
        if let Ok(space) = p2pds_blobs::space(&self.dir) {
            metrics::gauge!("p2pds_disk_free_bytes").set(float(space.free));
        }
        let with_findings = self.findings_due();
        let (mut sums, mut kinds) = (Sums::default(), BTreeMap::<String, u64>::new());
        let now = now_micros();
        let mut after: Option<Did> = None;
        loop {
            let page = self.store.accounts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.did.clone());
            for account in &page {
                sums.add(account, now);
                if with_findings {
                    for finding in self.store.findings(&account.did, MAX_FINDINGS).await? {
                        let count = kinds.entry(finding.kind).or_default();
                        *count = count.saturating_add(1);
                    }
                }
            }
        }
        sums.set();
        if with_findings {
            self.set_findings(&kinds);
        }
        for worker in self
            .store
            .workers()
            .await?
            .into_iter()
            .filter(|worker| worker.did.is_none() && !worker.name.contains(':'))
        {
            let failed = if worker.last_error.is_some() { 1.0 } else { 0.0 };
            metrics::gauge!("p2pds_worker_failing", "worker" => worker.name).set(failed);
        }
        Ok(())
    }

    fn set_store(&self, stats: &Stats) {
        for (part, bytes) in
            [("database", stats.db_bytes), ("wal", stats.wal_bytes), ("free", stats.free_bytes)]
        {
            metrics::gauge!("p2pds_store_bytes", "part" => part).set(float(bytes));
        }
        metrics::gauge!("p2pds_store_units_waiting").set(float(stats.waiting));
        metrics::counter!("p2pds_store_groups_total").absolute(stats.groups);
        metrics::counter!("p2pds_store_units_total").absolute(stats.units);
        metrics::gauge!("p2pds_store_disk_full").set(flag(stats.disk_full));
        metrics::gauge!("p2pds_store_stopped").set(flag(stats.stopped.is_some()));
    }

    fn findings_due(&self) -> bool {
        let found = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        found.at.is_none_or(|at| at.elapsed() >= FINDINGS_EVERY)
    }

    fn set_findings(&self, kinds: &BTreeMap<String, u64>) {
        let mut found = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        found.at = Some(Instant::now());
        found.kinds.extend(kinds.keys().cloned());
        for kind in &found.kinds {
            let count = kinds.get(kind).copied().unwrap_or(0);
            metrics::gauge!("p2pds_findings", "kind" => kind.clone()).set(float(count));
        }
    }
}

impl Sums {
    fn add(&mut self, account: &Account, now: i64) {
        if account.purging {
            return;
        }
        let status = self.by_status.entry(account.status.as_str()).or_default();
        *status = status.saturating_add(1);
        self.paused = self.paused.saturating_add(u64::from(account.paused));
        self.damaged = self.damaged.saturating_add(u64::from(account.last_verify_ok == Some(false)));
        self.records = self.records.saturating_add(account.records);
        self.blobs_held = self.blobs_held.saturating_add(account.blobs_held);
        self.blobs_missing = self.blobs_missing.saturating_add(account.blobs_missing);
        self.blob_bytes = self.blob_bytes.saturating_add(account.blob_bytes);
        if account.origin != Origin::Network {
            return;
        }
        let age = now.saturating_sub(account.last_sync_at.unwrap_or(account.added_at)) / 1_000_000;
        if !account.paused && account.status != AccountStatus::Deleted {
            self.stalest = self.stalest.max(age);
        }
        if account.last_sync_at.is_none() {
            return;
        }
        self.ever = self.ever.saturating_add(1);
        for ((_, limit), count) in AGES.iter().zip(&mut self.within) {
            *count = count.saturating_add(u64::from(age <= *limit));
        }
    }

    fn set(&self) {
        for status in AccountStatus::ALL.map(AccountStatus::as_str) {
            let count = self.by_status.get(status).copied().unwrap_or(0);
            metrics::gauge!("p2pds_accounts", "status" => status).set(float(count));
        }
        for ((age, _), count) in AGES.iter().zip(self.within) {
            metrics::gauge!("p2pds_accounts_synced_within", "age" => *age).set(float(count));
        }
        metrics::gauge!("p2pds_accounts_synced_within", "age" => "ever").set(float(self.ever));
        metrics::gauge!("p2pds_sync_age_seconds_max").set(float(u64::try_from(self.stalest).unwrap_or(0)));
        metrics::gauge!("p2pds_accounts_paused").set(float(self.paused));
        metrics::gauge!("p2pds_verify_failed_accounts").set(float(self.damaged));
        metrics::gauge!("p2pds_records").set(float(self.records));
        metrics::gauge!("p2pds_blobs_held").set(float(self.blobs_held));
        metrics::gauge!("p2pds_blobs_missing").set(float(self.blobs_missing));
        metrics::gauge!("p2pds_blob_bytes").set(float(self.blob_bytes));
    }
}

/// Gauges are doubles; counts past 2^53 lose their last digits, which nobody graphs.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(value: u64) -> f64 {
    value as f64
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}
