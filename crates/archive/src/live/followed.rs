//! The accounts that are followed, and what waits for each of them.
//!
//! One entry per account, small: 10,000 of them are kept in memory. Events of one account are handled one after the other
//! by one task, which exists only while there are some.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use p2pds_syntax::{Did, Tid};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use p2pds_replica::follow::{Key, State};

use super::cursor::Ticket;
use super::plan::{Source, Wanted};

/// One event that waits for its account's turn.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The frame, whole.
    pub(crate) frame: Bytes,
    /// Its place in its stream.
    pub(crate) ticket: Ticket,
    /// Where it came from.
    pub(crate) source: Arc<Source>,
    /// When the connection was opened that brought it.
    pub(crate) opened_at: i64,
    /// Its share of the memory that events may take.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Events of one account, in order, and what is known of it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) did: Did,
    inner: Mutex<Inner>,
    /// Told when events leave the queue, or stop leaving it.
    pub(crate) moved: Notify,
}

/// The changing part of a slot. Times are microseconds since 1970.
#[derive(Debug)]
pub(crate) struct Inner {
    /// Where its events should come from; `None`: it is polled.
    pub(crate) source: Option<Arc<Source>>,
    /// The host that its DID document names.
    pub(crate) host: Arc<str>,
    pub(crate) queue: VecDeque<Waiting>,
    pub(crate) bytes: usize,
    /// It is not followed any more.
    pub(crate) gone: bool,
    /// A task works on the queue, or will.
    pub(crate) running: bool,
    /// The task waits for an operation on the whole account, or for it to be fetched anew.
    pub(crate) blocked: bool,
    /// The copy is out of step: fetch it anew before events are applied again.
    pub(crate) behind: bool,
    /// It is being fetched anew, or will be.
    pub(crate) resyncing: bool,
    /// Events were dropped while it was fetched anew: do so once more.
    pub(crate) again: bool,
    /// Tries of fetching it anew that failed, since the last good one.
    pub(crate) failures: u32,
    /// Places of events that were dropped, done when it is written down that the account is out of step.
    pub(crate) shed: Vec<Ticket>,
    /// Head and status of the copy; `None` until they are read from the store.
    pub(crate) state: Option<State>,
    /// Keys that may have signed, and since when they are remembered.
    pub(crate) keys: Option<(Arc<[Key]>, i64)>,
    /// When something was heard of the account last: an event, or that there is nothing new.
    pub(crate) heard_at: i64,
    /// When its head changed last.
    pub(crate) changed_at: i64,
    /// When its host is asked for its head next.
    pub(crate) ask_at: i64,
    /// A revision that the host had and the stream had not brought yet, and when that was seen.
    pub(crate) overdue: Option<(Tid, i64)>,
    /// Since when its tree is not recomputed.
    pub(crate) dirty_since: Option<i64>,
    /// When the connection was opened that brought its last event: the next must follow on it, or was left out.
    pub(crate) brought: Option<i64>,
    /// Questions asked of its host, so that the rarer ones come in turn.
    pub(crate) asked: u32,
    /// Blobs of new records are being fetched; more came meanwhile.
    pub(crate) fetching_blobs: bool,
    pub(crate) more_blobs: bool,
    /// When its identity is looked up again, because that was not allowed at once.
    pub(crate) identity_at: Option<i64>,
}

impl Slot {
    fn new(account: &Wanted, source: Option<Arc<Source>>, now: i64) -> Self {
        let inner = Inner {
            source,
            host: account.host.as_str().into(),
            queue: VecDeque::new(),
            bytes: 0,
            gone: false,
            running: false,
            blocked: false,
            behind: false,
            resyncing: false,
            again: false,
            failures: 0,
            shed: Vec::new(),
            state: None,
            keys: None,
            heard_at: 0,
            changed_at: account.changed_at,
            ask_at: now,
            overdue: None,
            // What an earlier process left is recomputed too.
            dirty_since: Some(0),
            brought: None,
            asked: 0,
            fetching_blobs: false,
            more_blobs: false,
            identity_at: None,
        };
        Self { did: account.did.clone(), inner: Mutex::new(inner), moved: Notify::new() }
    }

    /// Ends the task of an account that is fetched anew, unless that was done meanwhile and events wait.
    pub(crate) fn goes_on(&self) -> bool {
        let mut inner = self.lock();
        inner.running = !inner.behind && !inner.queue.is_empty();
        inner.running
    }

    /// Nothing panics while this is held, and nothing is awaited.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Gives up what waits and forgets it: the account is not followed any more.
    pub(crate) fn give_up(&mut self) {
        self.drop_waiting();
        self.shed.drain(..).for_each(Ticket::done);
    }

    /// Drops what waits. Its places stay open until it is written down that the account is to be fetched anew.
    pub(crate) fn drop_waiting(&mut self) {
        self.shed.extend(self.queue.drain(..).map(|waiting| waiting.ticket));
        self.bytes = 0;
    }

    /// Drops what waits and one more.
    pub(crate) fn shed(&mut self, waiting: Waiting) {
        self.drop_waiting();
        self.shed.push(waiting.ticket);
    }

    /// The next events, at least one if there is any.
    pub(crate) fn next_batch(&mut self, most: usize, most_bytes: usize) -> Vec<Waiting> {
        let (mut batch, mut bytes) = (Vec::new(), 0_usize);
        while batch.len() < most
            && let Some(next) = self.queue.pop_front()
        {
            let with = bytes.saturating_add(next.frame.len());
            if !batch.is_empty() && with > most_bytes {
                self.queue.push_front(next);
                break;
            }
            bytes = with;
            batch.push(next);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        batch
    }

    /// Puts events back where they were.
    pub(crate) fn put_back(&mut self, waiting: VecDeque<Waiting>) {
        for waiting in waiting.into_iter().rev() {
            self.bytes = self.bytes.saturating_add(waiting.frame.len());
            self.queue.push_front(waiting);
        }
    }

    /// The identity is looked up again at this time, or earlier if that is planned.
    pub(crate) fn look_up_at(&mut self, at: i64) {
        self.identity_at = Some(self.identity_at.map_or(at, |planned| planned.min(at)));
    }
}

/// All followed accounts.
#[derive(Debug, Default)]
pub(crate) struct Followed(RwLock<HashMap<Box<str>, Arc<Slot>>>);

impl Followed {
    /// The entry of an account, by a name that nobody parsed: most events are of others.
    pub(crate) fn get(&self, did: &str) -> Option<Arc<Slot>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(did).cloned()
    }

    /// All entries.
    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Enters an account, or tells its entry where it is heard from now on. Whether it is new or heard elsewhere.
    pub(crate) fn put(&self, account: &Wanted, source: Option<&Arc<Source>>, now: i64) -> (Arc<Slot>, bool) {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(account.did.as_str()) {
            let mut inner = slot.lock();
            let moved = inner.source.as_deref() != source.map(Arc::as_ref) || *inner.host != *account.host;
            if moved {
                inner.source = source.cloned();
                inner.host = account.host.as_str().into();
                inner.ask_at = now;
                inner.overdue = None;
            }
            drop(inner);
            return (Arc::clone(slot), moved);
        }
        let slot = Arc::new(Slot::new(account, source.cloned(), now));
        slots.insert(account.did.as_str().into(), Arc::clone(&slot));
        (slot, true)
    }

    /// Forgets accounts that are not followed any more, with what waits for them.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|did, slot| {
            let kept = keep(did);
            if !kept {
                let mut inner = slot.lock();
                inner.gone = true;
                inner.give_up();
                drop(inner);
                slot.moved.notify_waiters();
            }
            kept
        });
    }
}
