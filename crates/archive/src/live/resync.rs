//! Fetching an account anew that is out of step: a few at a time, fewer from one host, with growing pauses. Its events
//! wait meanwhile, and are applied afterwards.

use std::sync::Arc;
use std::time::Duration;

use p2pds_replica::follow::Resync;
use tokio::sync::Semaphore;

use super::apply::finish;
use super::followed::Slot;
use super::service::{Service, lock, micros};
use crate::error::ArchiveResult;
use crate::fetch_blobs::Which;
use crate::progress::Progress;
use crate::report::Outcome;

/// Kind of the finding that says so.
pub(crate) const DESYNCHRONIZED: &str = "desynchronized";
/// First pause after a try that failed; doubles.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);

impl Service {
    /// The account is out of step: its events wait until it has been fetched anew.
    pub(super) fn fetch_anew(self: &Arc<Self>, slot: &Arc<Slot>, why: Resync, words: &str) {
        {
            let mut inner = slot.lock();
            (inner.behind, inner.blocked, inner.state) = (true, true, None);
            if inner.resyncing {
                return;
            }
            inner.resyncing = true;
        }
        slot.moved.notify_waiters();
        metrics::counter!("p2pds_live_resyncs_total", "why" => why.as_str()).increment(1);
        tracing::info!(event = "live.resync", did = %slot.did, why = why.as_str(), words, "fetching what is missing");
        let (service, slot, words) = (Arc::clone(self), Arc::clone(slot), words.to_owned());
        self.spawn(async move { service.resync(&slot, &words).await });
    }

    async fn resync(self: Arc<Self>, slot: &Arc<Slot>, words: &str) {
        let pause = slot.lock().resync_pause(self.now());
        tokio::time::sleep(pause).await;
        let host = Arc::clone(&slot.lock().host);
        let own = self.per_host(&host);
        // A closed semaphore is the end of the node.
        let Ok(_one) = own.acquire().await else { return };
        let Ok(_any) = self.resyncs.acquire().await else { return };
        // Until something is dropped, the position in the stream says it: what waits is asked for again after a restart.
        let dropped = !slot.lock().shed.is_empty();
        if dropped && let Err(error) = self.mark_behind(slot, words).await {
            tracing::warn!(event = "live.stuck", did = %slot.did, %error, "it could not be noted that the account is out of step");
        }
        let done = loop {
            slot.lock().again = false;
            match self.resync_once(slot).await {
                Ok(true) if slot.lock().again => {
                    if let Err(error) = self.mark_behind(slot, words).await {
                        tracing::debug!(event = "live.not-noted", %error, "a finding could not be noted");
                    }
                }
                Ok(done) => break done,
                Err(error) => {
                    tracing::info!(event = "live.resync-failed", did = %slot.did, %error, "the account could not be fetched anew");
                    break false;
                }
            }
        };
        if done {
            self.in_step(slot).await;
        } else {
            self.later(slot).await;
        }
    }

    /// Writes down that the account is out of step. From then on dropped events need not be asked for again.
    async fn mark_behind(&self, slot: &Slot, words: &str) -> ArchiveResult<()> {
        let shed = std::mem::take(&mut slot.lock().shed);
        let detail = format!("events are missing ({words}); the account is being fetched anew from its host");
        match self.archive().find_fault(&slot.did, DESYNCHRONIZED, "", &detail).await {
            Ok(()) => finish(shed),
            Err(error) => {
                slot.lock().shed.extend(shed);
                return Err(error);
            }
        }
        Ok(())
    }

    /// `true`: the copy is the host's. `false`: the host does not give it out, or gives out something else.
    async fn resync_once(&self, slot: &Slot) -> ArchiveResult<bool> {
        let summary = self.archive.sync_for(&slot.did, Which::Nothing, &Progress::none()).await?;
        Ok(matches!(summary.outcome, Outcome::Stored | Outcome::Updated { .. } | Outcome::Current))
    }

    async fn in_step(self: &Arc<Self>, slot: &Arc<Slot>) {
        if let Err(error) = self.archive().resolve_faults(&slot.did, DESYNCHRONIZED, None).await {
            tracing::debug!(event = "live.not-noted", %error, "a finding could not be resolved");
        }
        let now = self.now();
        let begin = {
            let mut inner = slot.lock();
            (inner.behind, inner.blocked, inner.resyncing, inner.failures) = (false, false, false, 0);
            inner.resynced_at = now;
            (inner.state, inner.keys) = (None, None);
            (inner.heard_at, inner.changed_at) = (now, now);
            inner.overdue = None;
            let begin = !inner.running && !inner.queue.is_empty();
            inner.running |= begin;
            begin
        };
        slot.moved.notify_waiters();
        if begin {
            self.begin(slot);
        }
        self.fetch_new_blobs(slot);
    }

    /// Tries again later. What waits is dropped: the next try brings it.
    async fn later(self: &Arc<Self>, slot: &Arc<Slot>) {
        let now = self.now();
        {
            let mut inner = slot.lock();
            inner.drop_waiting();
            let pause =
                PAUSE.saturating_mul(1_u32.checked_shl(inner.failures).unwrap_or(u32::MAX)).min(MAX_PAUSE);
            inner.failures = inner.failures.saturating_add(1).min(16);
            inner.resyncing = false;
            inner.ask_at = now.saturating_add(micros(self.spread(pause)));
        }
        if let Err(error) = self.mark_behind(slot, "the last try failed").await {
            tracing::debug!(event = "live.not-noted", %error, "a finding could not be noted");
        }
        slot.moved.notify_waiters();
    }

    fn per_host(&self, host: &str) -> Arc<Semaphore> {
        const REMEMBERED: usize = 10_000;
        let mut hosts = lock(&self.per_host);
        if hosts.len() >= REMEMBERED {
            hosts.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let most = self.config.resyncs_per_host.max(1);
        Arc::clone(hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(most))))
    }
}
