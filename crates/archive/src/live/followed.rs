//! The accounts that are followed, and what waits for each of them.
//!
//! One entry per account, small: 10,000 of them are kept in memory. Events of one account are handled one after the other
//! by one task, which exists only while there are some.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

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
    /// When it was fetched anew last, how often that did not last, and the pause that this made.
    pub(crate) resynced_at: i64,
    pub(crate) streak: u32,
    pub(crate) resync_paused: i64,
    /// Tries of fetching it anew that failed, since the last good one.
    pub(crate) failures: u32,
    /// Places of events that were dropped, done when it is written down that the account is out of step.
    pub(crate) shed: Vec<Ticket>,
    /// Head and status of the copy; `None` until they are read from the store.
    pub(crate) state: Option<State>,
    /// Keys that may have signed, and since when they are remembered.
    pub(crate) keys: Option<(Arc<[Key]>, i64)>,
    /// Since when it is followed from where it is heard now.
    pub(crate) followed_since: i64,
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
            resynced_at: 0,
            streak: 0,
            resync_paused: 0,
            failures: 0,
            shed: Vec::new(),
            state: None,
            keys: None,
            followed_since: now,
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

    /// How long to wait before it is fetched anew: nothing at first, ever longer when that does not help for long, so that
    /// a stream that never fits does not make the host give out the repo all the time.
    pub(crate) fn resync_pause(&mut self, now: i64) -> Duration {
        const LASTS: i64 = 60_000_000;
        const FIRST: Duration = Duration::from_millis(250);
        const MOST: Duration = Duration::from_secs(300);
        if now.saturating_sub(self.resynced_at) > LASTS.max(self.resync_paused) {
            (self.streak, self.resync_paused) = (0, 0);
            return Duration::ZERO;
        }
        let pause = FIRST.saturating_mul(1_u32.checked_shl(self.streak).unwrap_or(u32::MAX)).min(MOST);
        self.streak = self.streak.saturating_add(1).min(16);
        self.resync_paused = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX).saturating_mul(2);
        pause
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
                (inner.ask_at, inner.followed_since) = (now, now);
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

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::super::cursor::Cursor;
    use super::*;

    fn wanted(host: &str) -> Wanted {
        Wanted { did: Did::parse("did:web:a.example").unwrap(), host: host.to_owned(), changed_at: 0 }
    }

    fn waiting(cursor: &Arc<Cursor>, room: &Arc<Semaphore>, seq: u64, len: usize) -> Waiting {
        Waiting {
            frame: vec![0; len].into(),
            ticket: cursor.begin(seq),
            source: Arc::new(Source::Host("https://a".to_owned())),
            opened_at: 1,
            _room: Arc::clone(room).try_acquire_owned().unwrap(),
        }
    }

    #[test]
    fn events_leave_in_order_and_come_back_where_they_were() {
        let (cursor, room) = (Cursor::after(None), Arc::new(Semaphore::new(10)));
        let (slot, new) = Followed::default().put(&wanted("https://a"), None, 5);
        assert!(new);
        let mut inner = slot.lock();
        inner.put_back((1..=4).map(|seq| waiting(&cursor, &room, seq, 100)).collect());
        let sizes = |batch: &[Waiting]| batch.iter().map(|w| w.frame.len()).sum::<usize>();
        let batch = inner.next_batch(10, 250);
        assert_eq!((batch.len(), sizes(&batch), inner.bytes), (2, 200, 200), "no more than the bytes allow");
        inner.put_back(batch.into());
        assert_eq!((inner.bytes, inner.queue.len(), cursor.durable()), (400, 4, Some(0)));
        let first = inner.next_batch(1, 10);
        assert_eq!(first.len(), 1, "one always goes, whatever its size");
        first.into_iter().for_each(|waiting| waiting.ticket.done());
        assert_eq!(cursor.durable(), Some(1));
        // What is dropped keeps its place until that is written down.
        let last = waiting(&cursor, &room, 5, 100);
        inner.shed(last);
        assert_eq!((inner.bytes, inner.queue.len(), cursor.durable()), (0, 0, Some(1)));
        assert_eq!(room.available_permits(), 10, "its memory is free at once");
        inner.shed.drain(..).for_each(Ticket::done);
        assert_eq!(cursor.durable(), Some(5));
    }

    #[test]
    fn a_move_is_noticed_and_a_leaver_is_forgotten() {
        let followed = Followed::default();
        let stream = Arc::new(Source::Host("https://a".to_owned()));
        let (slot, new) = followed.put(&wanted("https://a"), Some(&stream), 5);
        slot.lock().ask_at = 1_000;
        assert!(new && !followed.put(&wanted("https://a"), Some(&stream), 6).1);
        assert_eq!(slot.lock().ask_at, 1_000);
        assert!(followed.put(&wanted("https://b"), None, 7).1);
        assert!(slot.lock().source.is_none());
        assert_eq!(slot.lock().ask_at, 7, "it is compared at once");
        followed.retain(|_| false);
        assert!(followed.get("did:web:a.example").is_none() && slot.lock().gone);
    }

    #[test]
    fn fetching_anew_again_and_again_becomes_rare() {
        let (slot, _) = Followed::default().put(&wanted("https://a"), None, 5);
        let mut inner = slot.lock();
        let mut now = 1_000_000_000;
        assert_eq!(inner.resync_pause(now), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            inner.resynced_at = now;
            let pause = inner.resync_pause(now + 1_000);
            now += 1_000 + i64::try_from(pause.as_micros()).unwrap();
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses[..4], [250, 500, 1_000, 2_000]);
        assert_eq!(pauses[11], 300_000);
        inner.resynced_at = now;
        assert_eq!(inner.resync_pause(now + 3_600_000_000), Duration::ZERO, "it lasted");
    }

    #[test]
    fn ten_thousand_accounts_are_small() {
        let each = size_of::<Slot>() + size_of::<Arc<Slot>>();
        assert!(each < 1_024, "{each} bytes");
    }
}
