//! One account's events, in order: judged in batches, stored as units that share flushes, done when durable.

use std::sync::Arc;
use std::time::Duration;

use p2pds_replica::Origin;
use p2pds_replica::follow::{Head as Mark, Key, Resync, State, Status};
use p2pds_store::view::{load_spine, plan_write, stored_changes};
use p2pds_store::{AccountStatus, BucketUpdate, Change, Head, Receipt, Seen, StoreError, Unit};
use p2pds_syntax::Did;

use super::cursor::Ticket;
use super::followed::{Slot, Waiting};
use super::plan::Source;
use super::prove::{Batch, Judged, Ready, Step};
use super::service::Service;
use crate::error::{ArchiveError, ArchiveResult};

/// Events judged at a time, and their bytes.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 2 << 20;

/// An event that is being stored, or that waits for those before it.
struct UnderWay {
    receipt: Option<Receipt>,
    waiting: Waiting,
    names_blobs: bool,
}

/// Whether a task goes on with its account.
#[derive(Debug, PartialEq, Eq)]
enum On {
    /// The next events.
    Next,
    /// The account waits to be fetched anew.
    Behind,
    /// The node stops, or the account is gone.
    End,
}

impl Service {
    /// Puts an event into its account's queue and sees to it that somebody works on it.
    pub(super) async fn enqueue(self: &Arc<Self>, slot: &Arc<Slot>, waiting: Waiting) {
        let len = waiting.frame.len();
        let mut waiting = Some(waiting);
        loop {
            let moved = slot.moved.notified();
            {
                let mut inner = slot.lock();
                if inner.gone {
                    // Nobody follows it any more.
                    return waiting.into_iter().for_each(|waiting| waiting.ticket.done());
                }
                let fits =
                    inner.bytes.saturating_add(len) <= self.config.account_bytes || inner.queue.is_empty();
                if !fits && inner.blocked {
                    // It waits to be fetched anew, or for a long operation: what comes meanwhile is fetched then.
                    if let Some(waiting) = waiting.take() {
                        inner.shed(waiting);
                    }
                    inner.again = true;
                    drop(inner);
                    self.fetch_anew(slot, Resync::Behind, "more events came than are kept while it waits");
                    return;
                }
                if fits {
                    let Some(waiting) = waiting.take() else { return };
                    inner.bytes = inner.bytes.saturating_add(len);
                    inner.queue.push_back(waiting);
                    if !inner.running && !inner.behind {
                        inner.running = true;
                        drop(inner);
                        self.begin(slot);
                    }
                    return;
                }
            }
            moved.await;
        }
    }

    /// Starts the account's task; `running` is set.
    pub(super) fn begin(self: &Arc<Self>, slot: &Arc<Slot>) {
        let (service, slot) = (Arc::clone(self), Arc::clone(slot));
        self.spawn(async move { service.drain(&slot).await });
    }

    /// Works on an account's events until there are none.
    async fn drain(self: Arc<Self>, slot: &Arc<Slot>) {
        let mut pause = Duration::from_millis(100);
        loop {
            if self.is_stopping() {
                slot.lock().running = false;
                return;
            }
            match self.drain_some(slot).await {
                Ok(On::Next) => pause = Duration::from_millis(100),
                Ok(On::Behind) if slot.goes_on() => {}
                Ok(On::Behind | On::End) => {
                    slot.lock().running = false;
                    slot.moved.notify_waiters();
                    return;
                }
                Err(error) => {
                    // A full disk, a closing store: what waits goes on waiting, and the position with it.
                    tracing::warn!(event = "live.stuck", did = %slot.did, %error, "events could not be stored; trying again");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(Duration::from_secs(30));
                }
            }
            if let Some(true) = self.rest(slot) {
                return;
            }
        }
    }

    /// Ends the task when nothing waits.
    fn rest(&self, slot: &Slot) -> Option<bool> {
        let mut inner = slot.lock();
        if !inner.queue.is_empty() {
            return None;
        }
        inner.running = false;
        Some(true)
    }

    async fn drain_some(self: &Arc<Self>, slot: &Arc<Slot>) -> ArchiveResult<On> {
        let locks = self.archive().locks();
        let _guard = match locks.try_share(&slot.did) {
            Some(guard) => guard,
            None => {
                slot.lock().blocked = true;
                slot.moved.notify_waiters();
                let guard = locks.share(&slot.did).await;
                let mut inner = slot.lock();
                // Whoever held it may have moved the head.
                (inner.blocked, inner.state) = (inner.behind, None);
                guard
            }
        };
        if slot.lock().behind {
            return Ok(On::Behind);
        }
        if let Err(full) = self.archive().may_grow(&slot.did) {
            // A fetch says so with the account, and goes on when there is room.
            self.fetch_anew(slot, Resync::Store, &full.to_string());
            return Ok(On::Behind);
        }
        let Some(state) = self.state(slot).await? else { return Ok(On::End) };
        let keys = match self.keys(slot).await {
            Ok(keys) => keys,
            Err(error) => {
                self.fetch_anew(slot, Resync::Unknown, &format!("its identity is not known: {error}"));
                return Ok(On::Behind);
            }
        };
        let batch = slot.lock().next_batch(BATCH, BATCH_BYTES);
        slot.moved.notify_waiters();
        if batch.is_empty() {
            return Ok(On::Next);
        }
        let outcome = self.take_in(slot, state, keys, batch, false).await;
        let mut inner = slot.lock();
        if outcome.is_err() {
            // The stored head is read again before anything else is judged.
            inner.state = None;
        }
        outcome
    }

    /// Judges a batch and carries out what it comes to.
    async fn take_in(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        state: State,
        keys: Arc<[Key]>,
        batch: Vec<Waiting>,
        again: bool,
    ) -> ArchiveResult<On> {
        let host = Arc::clone(&slot.lock().host);
        let frames = batch.iter().map(|w| (w.frame.clone(), origin(&w.source, &host))).collect();
        let work = Batch { state, frames, keys, now: self.now(), again };
        let permit = self.provers.acquire().await.map_err(|_| ArchiveError::Stopping)?;
        let judged = tokio::task::spawn_blocking(move || work.judge()).await;
        drop(permit);
        let Judged { state, steps } = judged.map_err(|error| ArchiveError::Bug(error.to_string()))?;
        slot.lock().state = Some(state);
        // A batch is far smaller than what may be under way, so this always comes to an end.
        let most = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let room = self.units.acquire_many(most).await.map_err(|_| ArchiveError::Stopping)?;
        let mut batch: std::collections::VecDeque<Waiting> = batch.into();
        let mut under_way: Vec<UnderWay> = Vec::new();
        // Refusals, and at the end of the batch what asks for more.
        let mut noted: std::collections::VecDeque<(Step, Waiting)> = [].into();
        for step in steps {
            let Some(waiting) = batch.pop_front() else { break };
            match step {
                Step::Apply(ready) => {
                    let names_blobs = ready.blobs;
                    match unit(&slot.did, *ready, None) {
                        Some(unit) => {
                            let receipt = Some(self.archive().store().submit(unit));
                            under_way.push(UnderWay { receipt, waiting, names_blobs });
                        }
                        None => {
                            noted.push_back((Step::Resync(Resync::Unknown, None), waiting));
                            break;
                        }
                    }
                }
                Step::Ignored(why) => {
                    metrics::counter!("p2pds_live_ignored_total", "why" => why.as_str()).increment(1);
                    // Older than what may not be durable yet: it is done when that is.
                    under_way.push(UnderWay { receipt: None, waiting, names_blobs: false });
                }
                other => noted.push_back((other, waiting)),
            }
        }
        let stored = self.settle(slot, under_way).await;
        drop(room);
        slot.lock().put_back(batch);
        match stored {
            Err((error, left)) => {
                let mut left = std::collections::VecDeque::from(left);
                left.extend(noted.into_iter().map(|(_, waiting)| waiting));
                slot.lock().put_back(left);
                self.not_stored(slot, error)
            }
            Ok(()) => {
                while let Some((step, waiting)) = noted.pop_front() {
                    let outcome = self.carry_out(slot, step, waiting, again).await;
                    if !matches!(outcome, Ok(On::Next)) {
                        slot.lock().put_back(noted.into_iter().map(|(_, waiting)| waiting).collect());
                        return outcome;
                    }
                }
                Ok(On::Next)
            }
        }
    }

    /// Waits until everything is durable. What is not, comes back with the reason.
    async fn settle(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        under_way: Vec<UnderWay>,
    ) -> Result<(), (StoreError, Vec<Waiting>)> {
        let (mut failed, mut left) = (None, Vec::new());
        let (mut stored, mut blobs) = (0_u64, false);
        let mut brought = None;
        for UnderWay { receipt, waiting, names_blobs } in under_way {
            let outcome = match receipt {
                Some(receipt) => Some(receipt.await),
                None => None,
            };
            match outcome {
                // It builds on the one that failed; the store refuses it, too.
                _ if failed.is_some() => left.push(waiting),
                Some(Err(error)) => {
                    failed = Some(error);
                    left.push(waiting);
                }
                Some(Ok(_)) => {
                    brought = Some(waiting.opened_at);
                    stored = stored.saturating_add(1);
                    blobs |= names_blobs;
                    waiting.ticket.done();
                }
                None => waiting.ticket.done(),
            }
        }
        if brought.is_some() {
            slot.lock().brought = brought;
        }
        if stored > 0 {
            self.moved_on(slot, stored, blobs);
        }
        failed.map_or(Ok(()), |error| Err((error, left)))
    }

    /// The head is further than it was.
    fn moved_on(self: &Arc<Self>, slot: &Arc<Slot>, stored: u64, blobs: bool) {
        let now = self.now();
        {
            let mut inner = slot.lock();
            (inner.heard_at, inner.changed_at) = (now, now);
            inner.dirty_since.get_or_insert(now);
            inner.failures = 0;
        }
        metrics::counter!("p2pds_live_commits_total").increment(stored);
        if blobs {
            self.fetch_new_blobs(slot);
        }
    }

    /// The store did not take a commit.
    fn not_stored(self: &Arc<Self>, slot: &Arc<Slot>, error: StoreError) -> ArchiveResult<On> {
        slot.lock().state = None;
        match error {
            // An operation of the whole account came between: the events are judged by what is stored now.
            StoreError::HeadMoved { .. } | StoreError::NotNewer { .. } => Ok(On::Next),
            StoreError::UnknownAccount(_) | StoreError::Purging(_) => {
                slot.lock().give_up();
                self.changed.notify_one();
                Ok(On::End)
            }
            StoreError::Mismatch { .. } | StoreError::InvalidUnit(_) | StoreError::UnknownRepo(_) => {
                self.fetch_anew(slot, Resync::Store, &error.to_string());
                Ok(On::Behind)
            }
            StoreError::Closed | StoreError::Stopped(_) => Ok(On::End),
            other => Err(other.into()),
        }
    }

    /// What asks for more than storing.
    async fn carry_out(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        step: Step,
        waiting: Waiting,
        again: bool,
    ) -> ArchiveResult<On> {
        match step {
            Step::Apply(_) | Step::Ignored(_) => waiting.ticket.done(),
            Step::Compare(ready) => return self.compare(slot, *ready, waiting).await,
            Step::Status { status, confirm } => {
                self.hear_status(slot, status, confirm, &waiting.source).await?;
                waiting.ticket.done();
            }
            Step::Refused(refusal) => {
                self.refuse_event(slot, &refusal, waiting.source.url()).await?;
                if let Some(at) = refusal.recheck_at {
                    slot.lock().look_up_at(at);
                }
                waiting.ticket.done();
            }
            Step::Resync(why, wrong) => {
                if let Some(wrong) = &wrong {
                    self.refuse_event(slot, wrong, waiting.source.url()).await?;
                }
                let left_out = why == Resync::Gap && slot.lock().brought == Some(waiting.opened_at);
                if left_out {
                    let words =
                        "it sent an event that does not follow the one before; it left out what lies between";
                    self.omitted(slot, waiting.source.url(), words).await?;
                }
                // The event stays: what follows it is applied after the copy has caught up.
                slot.lock().put_back([waiting].into());
                self.fetch_anew(slot, why, wrong.as_ref().map_or(why.as_str(), |wrong| &wrong.words));
                return Ok(On::Behind);
            }
            Step::Refresh { why, at } if at > self.now() || (again && why.retry()) => {
                slot.lock().look_up_at(at.max(self.now()));
                waiting.ticket.done();
            }
            Step::Refresh { why, .. } => {
                if !self.look_up(slot, why).await? {
                    slot.lock().look_up_at(self.now().saturating_add(60_000_000));
                }
                if why.retry() {
                    return self.once_more(slot, waiting).await;
                }
                waiting.ticket.done();
            }
        }
        Ok(On::Next)
    }

    /// Judges an event again after the identity was looked up.
    async fn once_more(self: &Arc<Self>, slot: &Arc<Slot>, waiting: Waiting) -> ArchiveResult<On> {
        let Some(state) = self.state(slot).await? else { return Ok(On::End) };
        let keys = self.keys(slot).await?;
        Box::pin(self.take_in(slot, state, keys, vec![waiting], true)).await
    }

    /// A commit whose host does not say what came before: its changes, planned on the stored tree, must give its root.
    async fn compare(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        ready: Ready,
        waiting: Waiting,
    ) -> ArchiveResult<On> {
        match self.plan(&slot.did, ready).await {
            Ok(Some(unit)) => match self.archive().store().apply(unit).await {
                Ok(_) => {
                    waiting.ticket.done();
                    self.moved_on(slot, 1, true);
                    Ok(On::Next)
                }
                Err(error) => {
                    slot.lock().put_back([waiting].into());
                    self.not_stored(slot, error)
                }
            },
            Ok(None) => {
                let mut inner = slot.lock();
                inner.state = None;
                inner.put_back([waiting].into());
                drop(inner);
                self.fetch_anew(slot, Resync::Root, "the changes do not lead to the signed tree");
                Ok(On::Behind)
            }
            Err(error) => {
                slot.lock().put_back([waiting].into());
                Err(error)
            }
        }
    }

    async fn plan(&self, did: &Did, ready: Ready) -> ArchiveResult<Option<Unit>> {
        let store = self.archive().store();
        let Some(repo) = store.live_repo(did).await? else { return Ok(None) };
        let mut changes = Vec::with_capacity(ready.changes.len());
        let mut ops = Vec::with_capacity(ready.changes.len());
        for change in ready.changes.iter().cloned() {
            let old = store.record(repo.id, &change.key).await?.map(|row| row.cid);
            let change = Change { old, ..change };
            let key = change.key.as_bytes().to_vec();
            let new = change.new.as_ref().map(|new| new.cid);
            use p2pds_repo::mst::{Change as Edit, Op};
            match (old, new) {
                (None, Some(new)) => ops.push(Op { key, change: Edit::Create(new) }),
                (Some(old), Some(new)) if old != new => {
                    ops.push(Op { key, change: Edit::Update { old, new } })
                }
                (Some(old), None) => ops.push(Op { key, change: Edit::Delete(old) }),
                _ => continue,
            }
            changes.push(change);
        }
        let Ok(mut spine) = load_spine(&**store, &repo).await else { return Ok(None) };
        let Ok(plan) = plan_write(&**store, &repo, &mut spine, &ops).await else { return Ok(None) };
        if plan.root != ready.head.data {
            return Ok(None);
        }
        let buckets = BucketUpdate::Planned(stored_changes(plan.bucket_changes, ready.head.rev));
        Ok(unit(did, Ready { changes, ..ready }, Some(buckets)))
    }

    /// What is known of the account's copy; read from the store when it is not known.
    async fn state(&self, slot: &Slot) -> ArchiveResult<Option<State>> {
        let known = slot.lock().state.clone();
        if known.is_some() {
            return Ok(known);
        }
        let account = self.archive().store().account(&slot.did).await?;
        // One that is hosted here now is its owner's to write.
        let Some(account) = account.filter(|account| !account.hosted) else { return Ok(None) };
        let head = self.archive().store().live_repo(&slot.did).await?.and_then(|repo| repo.head);
        Ok(Some(State::new(head.as_ref().map(mark), heard(account.status))))
    }
}

/// The unit that stores a commit. `None`: nothing is stored that it could follow.
fn unit(did: &Did, ready: Ready, buckets: Option<BucketUpdate>) -> Option<Unit> {
    Some(Unit::ApplyCommit {
        did: did.clone(),
        expect: ready.expect?,
        head: Box::new(ready.head),
        changes: ready.changes,
        buckets: buckets.unwrap_or(BucketUpdate::MarkDirty),
        seen: Seen { at: ready.at, since: ready.expect.filter(|_| !ready.skipped) },
    })
}

pub(super) fn mark(head: &Head) -> Mark {
    Mark { rev: head.rev, commit: head.commit, data: head.data }
}

/// The stored status as the rules know it.
pub(super) fn heard(status: AccountStatus) -> Status {
    match status {
        // Not being reached says nothing about the account.
        AccountStatus::Active | AccountStatus::Unreachable => Status::Active,
        other => Status::of(false, Some(other.as_str())),
    }
}

/// Whether a stream may speak for an account.
fn origin(source: &Source, host: &str) -> Origin {
    match source {
        Source::Relay(_) => Origin::Relay,
        Source::Host(url) if url == host => Origin::Host,
        Source::Host(_) => Origin::Other,
    }
}

/// A ticket of an event that nobody waits for any more.
pub(super) fn finish(tickets: Vec<Ticket>) {
    tickets.into_iter().for_each(Ticket::done);
}
