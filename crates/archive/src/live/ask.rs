//! Asking hosts: for the heads of polled accounts, for the heads that streams should have led to, for statuses. And the
//! clock of everything that is due at a time.

use std::sync::Arc;
use std::time::Duration;

use p2pds_ipld::Cid;
use p2pds_replica::follow::{Refresh, Resync};
use p2pds_store::{AccountPatch, AccountStatus, Finding};
use p2pds_syntax::Tid;

use super::followed::Slot;
use super::refuse::REFUSED;
use super::resync::DESYNCHRONIZED;
use super::service::{Service, half, micros};
use crate::error::ArchiveResult;
use crate::host::{Host, withheld};
use crate::judge::{Verdict, judge};

/// Kind of the finding that a stream left an event out.
pub(crate) const OMITTED: &str = "omitted";
/// Time between two lines about how it goes.
const SAY_EVERY: i64 = 10_000_000;
/// Time between two looks at what is due.
const TICK: Duration = Duration::from_millis(250);
/// How long a stream may be behind what its host says before it counts as an omission, at most.
const GRACE: Duration = Duration::from_secs(10);
/// Longest time that a tree is left to be recomputed while its account is written to.
const LONGEST_DIRTY: i64 = 60_000_000;
/// The status of a polled account is asked for with every so manieth question.
const STATUS_EVERY: u32 = 3;

impl Service {
    /// Does what is due, until the end.
    pub(super) async fn keep_time(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut said, mut say_at) = (String::new(), 0);
        loop {
            ticks.tick().await;
            if self.is_stopping() {
                return;
            }
            let now = self.now();
            if now >= say_at {
                say_at = now.saturating_add(SAY_EVERY);
                let summary = self.summary();
                if summary != said {
                    self.note(summary.clone()).await;
                    said = summary;
                }
            }
            for slot in self.followed.all() {
                self.look_after(&slot, now);
            }
        }
    }

    fn look_after(self: &Arc<Self>, slot: &Arc<Slot>, now: i64) {
        let (mut ask, mut refresh, mut look_up, mut again) = (false, false, false, false);
        {
            let mut inner = slot.lock();
            if inner.resyncing {
                return;
            }
            if inner.behind {
                again = inner.ask_at <= now;
            } else {
                ask = inner.ask_at <= now;
                let quiet = now.saturating_sub(inner.changed_at) >= micros(self.config.refresh_after);
                refresh = inner.dirty_since.is_some_and(|since| {
                    !inner.running && (quiet || now.saturating_sub(since) > LONGEST_DIRTY)
                });
            }
            if inner.identity_at.is_some_and(|at| at <= now) {
                look_up = true;
                inner.identity_at = None;
            }
        }
        if again {
            self.fetch_anew(slot, Resync::Behind, "trying again");
            return;
        }
        if look_up {
            let (service, slot) = (Arc::clone(self), Arc::clone(slot));
            self.spawn(async move {
                service.log(&slot, service.look_up(&slot, Refresh::Event).await.map(drop));
                slot.lock().ask_at = service.now();
            });
        }
        if (ask || refresh)
            && let Ok(permit) = Arc::clone(&self.asking).try_acquire_owned()
        {
            {
                let mut inner = slot.lock();
                if ask {
                    // Not again before this question has ended; it sets the time of the next.
                    inner.ask_at = now.saturating_add(600_000_000);
                    inner.asked = inner.asked.wrapping_add(1);
                }
                if refresh {
                    inner.dirty_since = None;
                }
            }
            let (service, slot) = (Arc::clone(self), Arc::clone(slot));
            self.spawn(async move {
                if refresh {
                    service.log(&slot, service.refresh_tree(&slot).await);
                }
                if ask {
                    service.log(&slot, service.ask(&slot).await);
                    service.plan_next(&slot);
                }
                drop(permit);
            });
        }
    }

    pub(super) fn log(&self, slot: &Slot, outcome: ArchiveResult<()>) {
        if let Err(error) = outcome {
            tracing::warn!(event = "live.failed", did = %slot.did, %error, "following goes on later");
        }
    }

    /// Sets the time of the next question. A polled account is asked for soon after a change and ever more rarely then.
    fn plan_next(&self, slot: &Slot) {
        let now = self.now();
        let mut inner = slot.lock();
        if let Some((_, since)) = inner.overdue {
            inner.ask_at = since.saturating_add(self.grace()).max(now.saturating_add(1_000_000));
            return;
        }
        let pause = if inner.source.is_some() {
            self.config.compare_every
        } else {
            let idle =
                Duration::from_micros(u64::try_from(now.saturating_sub(inner.changed_at)).unwrap_or(0));
            let failed =
                self.config.poll_least.saturating_mul(1_u32.checked_shl(inner.failures).unwrap_or(u32::MAX));
            idle.checked_div(8)
                .unwrap_or_default()
                .max(failed)
                .clamp(self.config.poll_least, self.config.poll_most.max(self.config.poll_least))
        };
        let pause = self.spread(pause).saturating_add(self.jitter(half(half(pause))));
        inner.ask_at = now.saturating_add(micros(pause));
    }

    /// Asks the host for the account's head, and compares.
    async fn ask(self: &Arc<Self>, slot: &Arc<Slot>) -> ArchiveResult<()> {
        let (url, listened, asked) = {
            let inner = slot.lock();
            (Arc::clone(&inner.host), inner.source.clone(), inner.asked)
        };
        metrics::counter!("p2pds_live_heads_asked_total").increment(1);
        let Some(account) = self.archive().store().account(&slot.did).await? else { return Ok(()) };
        let direct = listened.as_ref().is_some_and(|source| !source.is_relay());
        if account.status != AccountStatus::Active || (!direct && asked.is_multiple_of(STATUS_EVERY)) {
            self.ask_status(slot).await?;
        }
        let host = Host { net: self.archive().net(), url: &url, did: &slot.did };
        let latest = match host.latest().await {
            Ok(latest) => latest,
            Err(error) if withheld(&error, true).is_some() => return self.ask_status(slot).await.map(drop),
            Err(error) => {
                tracing::debug!(event = "live.ask-failed", did = %slot.did, %error, "the host did not say its head");
                let mut inner = slot.lock();
                inner.failures = inner.failures.saturating_add(1).min(16);
                return Ok(());
            }
        };
        let (Ok(cid), Ok(rev)) = (latest.cid.parse::<Cid>(), Tid::parse(&latest.rev)) else {
            self.fetch_anew(slot, Resync::Behind, "its host's answer cannot be read");
            return Ok(());
        };
        self.clear_old_faults(slot).await?;
        let archive = self.archive();
        let head = archive.store().live_repo(&slot.did).await?.and_then(|repo| repo.head);
        let held = head.as_ref().map(|head| (head.rev, &head.commit));
        let verdict = judge((rev, &cid), held, archive.now_micros(), archive.config().max_future);
        match verdict {
            Verdict::Same => self.confirmed(slot).await,
            Verdict::First | Verdict::Newer => self.newer(slot, rev).await,
            Verdict::Older | Verdict::Equivocation | Verdict::Future => {
                let why = verdict.words(&url, rev, held.map(|(rev, _)| rev));
                archive.refuse(&slot.did, verdict, &url, (rev, &cid), &why, None).await.map(drop)
            }
        }
    }

    /// The host has what is stored.
    async fn confirmed(&self, slot: &Slot) -> ArchiveResult<()> {
        let now = self.now();
        {
            let mut inner = slot.lock();
            (inner.heard_at, inner.overdue, inner.failures) = (now, None, 0);
        }
        let patch = AccountPatch {
            last_sync_at: Some(Some(now)),
            last_attempt_at: Some(Some(now)),
            last_sync_error: Some(None),
            ..AccountPatch::default()
        };
        let archive = self.archive();
        archive.patch(&slot.did, patch).await?;
        for kind in ["older-head", "equivocation", "future-rev"] {
            archive.resolve_faults(&slot.did, kind, None).await?;
        }
        Ok(())
    }

    /// The host has something newer. A polled account is fetched; a stream gets a moment to bring it, and is named if it
    /// does not.
    async fn newer(self: &Arc<Self>, slot: &Arc<Slot>, rev: Tid) -> ArchiveResult<()> {
        let now = self.now();
        let (source, overdue) = {
            let mut inner = slot.lock();
            inner.failures = 0;
            (inner.source.clone(), inner.overdue)
        };
        let stream =
            source.as_ref().and_then(|source| super::service::lock(&self.streams).get(source).cloned());
        let open_since = stream.as_ref().and_then(|stream| stream.going(now).open_since);
        let held = slot.lock().state.as_ref().and_then(p2pds_replica::State::head).map(|head| head.rev);
        match (source, open_since, overdue) {
            (Some(_), Some(_), None) => {
                slot.lock().overdue = Some((rev, now));
                Ok(())
            }
            (Some(source), Some(open), Some((missed, since))) if open <= since => {
                if now.saturating_sub(since) < self.grace() {
                    return Ok(());
                }
                let waits = {
                    let mut inner = slot.lock();
                    inner.overdue = None;
                    !inner.queue.is_empty() || inner.running
                };
                if held.is_some_and(|held| held >= missed) {
                    // It came; what is newer now is another one.
                    slot.lock().overdue = Some((rev, now));
                    return Ok(());
                }
                if !waits && self.is_to_blame(slot, missed, open) {
                    let words =
                        format!("it did not bring revision {missed}, which the account's host has, in time");
                    self.omitted(slot, source.url(), &words).await?;
                }
                self.fetch_anew(slot, Resync::Behind, "the stream left events out");
                Ok(())
            }
            _ => {
                slot.lock().overdue = None;
                self.fetch_anew(slot, Resync::Behind, "its host has a newer revision");
                Ok(())
            }
        }
    }

    /// A source left something out. It is named; the account is fetched.
    pub(super) async fn omitted(
        self: &Arc<Self>,
        slot: &Slot,
        source: &str,
        words: &str,
    ) -> ArchiveResult<()> {
        tracing::warn!(event = "live.omitted", did = %slot.did, source, "{words}");
        metrics::counter!("p2pds_live_omissions_total").increment(1);
        self.archive().find_fault(&slot.did, OMITTED, source, words).await
    }

    /// Some events are always on their way.
    fn grace(&self) -> i64 {
        micros(GRACE.min(half(self.config.compare_every)))
    }

    /// Whether the stream is to blame: not for what happened before it was opened, or before the account was followed.
    fn is_to_blame(&self, slot: &Slot, missed: Tid, open: i64) -> bool {
        let inner = slot.lock();
        let begun = open.max(inner.followed_since);
        inner.asked > 1 && i64::try_from(missed.micros()).is_ok_and(|at| at >= begun)
    }

    /// Refusals and omissions of long ago are no faults any more.
    async fn clear_old_faults(&self, slot: &Slot) -> ArchiveResult<()> {
        let archive = self.archive();
        let before = self.now().saturating_sub(micros(self.config.refusals_for));
        let old = |finding: &Finding| {
            (finding.kind.starts_with(REFUSED) || finding.kind == OMITTED) && finding.last_at < before
        };
        for finding in archive.store().findings(&slot.did, 200).await?.into_iter().filter(old) {
            archive.resolve_faults(&slot.did, &finding.kind, Some(&finding.subject)).await?;
        }
        Ok(())
    }

    /// Accounts that an earlier process left out of step are fetched anew at once.
    pub(super) async fn recall(self: Arc<Self>, slots: Vec<Arc<Slot>>) {
        for slot in slots {
            match self.archive().store().findings(&slot.did, 200).await {
                Ok(findings) if findings.iter().any(|finding| finding.kind == DESYNCHRONIZED) => {
                    self.fetch_anew(&slot, Resync::Behind, "an earlier run left it out of step");
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(event = "live.not-noted", did = %slot.did, %error, "findings could not be noted")
                }
            }
        }
    }
}
