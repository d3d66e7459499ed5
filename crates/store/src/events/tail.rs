//! The newest events in memory, shared by everybody who listens.
//!
//! The writer adds to it after a commit is durable, in the order of the numbers; nobody polls. A subscriber that
//! is behind reads the store first and comes here when [`Tail::after`] says that nothing lies between.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p2pds_syntax::Did;
use tokio::sync::watch;

use super::{EventKind, EventRow};

/// What the writer did to the events, told once it is durable.
#[derive(Debug, Clone)]
pub enum TailChange {
    /// A new event.
    New(Arc<EventRow>),
    /// The events of an account were erased; see [`crate::Unit::EraseEvents`].
    Erased(Did),
    /// Events up to this number were pruned.
    Pruned(i64),
    /// The numbers jumped to this one.
    Jumped(i64),
}

/// What [`Tail::after`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// The events after that number; empty when there is none yet.
    Events(Vec<Arc<EventRow>>),
    /// Events after that number may be stored that are not in memory any more: read the store.
    Behind,
}

/// The newest events. Bounded by count and bytes.
#[derive(Debug)]
pub struct Tail {
    ring: Mutex<Ring>,
    last: watch::Sender<i64>,
    max_events: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<EventRow>>,
    bytes: usize,
    /// All stored events with a greater number are in the ring.
    whole_after: i64,
}

impl Tail {
    /// An empty one; `last` is the greatest number that was given before.
    #[must_use]
    pub fn new(last: i64, max_events: usize, max_bytes: usize) -> Self {
        let ring = Ring { events: VecDeque::new(), bytes: 0, whole_after: last };
        Self { ring: Mutex::new(ring), last: watch::Sender::new(last), max_events, max_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Nothing inside can panic half way, so a poisoned lock still guards whole data.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The greatest number given so far.
    #[must_use]
    pub fn last(&self) -> i64 {
        *self.last.borrow()
    }

    /// Events in memory, and the bytes of their frames.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let ring = self.lock();
        (ring.events.len(), ring.bytes)
    }

    /// At most `limit` events with a number greater than `seq`, not more after the one with which their frames
    /// reach `max_bytes`.
    #[must_use]
    pub fn after(&self, seq: i64, limit: usize, max_bytes: usize) -> Replay {
        let ring = self.lock();
        if seq < ring.whole_after {
            return Replay::Behind;
        }
        let from = ring.events.partition_point(|event| event.seq <= seq);
        let mut bytes = 0_usize;
        let mut found = Vec::new();
        for event in ring.events.range(from..).take(limit) {
            bytes = bytes.saturating_add(event.frame.len());
            found.push(Arc::clone(event));
            if bytes >= max_bytes {
                break;
            }
        }
        Replay::Events(found)
    }

    /// Waits until a number greater than `seq` was given; answers the greatest so far.
    pub async fn wait_past(&self, seq: i64) -> i64 {
        let mut last = self.last.subscribe();
        // The sender lives as long as `self`, so that this cannot fail before the number came.
        let reached = last.wait_for(|last| *last > seq).await.map(|last| *last).ok();
        reached.unwrap_or_else(|| self.last())
    }

    /// Follows the greatest number given, for those who wait for other things as well.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }

    /// For the writer: what a durable group did, in its order.
    pub fn publish(&self, changes: impl IntoIterator<Item = TailChange>) {
        let mut newest = None;
        let mut ring = self.lock();
        for change in changes {
            match change {
                TailChange::New(event) => {
                    newest = newest.max(Some(event.seq));
                    ring.push(event, self.max_events, self.max_bytes);
                }
                TailChange::Erased(did) => ring.erase(&did),
                TailChange::Pruned(upto) => ring.prune(upto),
                TailChange::Jumped(seq) => newest = newest.max(Some(seq)),
            }
        }
        drop(ring);
        if let Some(newest) = newest {
            self.last.send_if_modified(|last| {
                let moved = newest > *last;
                *last = newest.max(*last);
                moved
            });
        }
    }
}

impl Ring {
    fn push(&mut self, event: Arc<EventRow>, max_events: usize, max_bytes: usize) {
        self.bytes = self.bytes.saturating_add(event.frame.len());
        self.events.push_back(event);
        while self.events.len() > max_events || self.bytes > max_bytes {
            if !self.drop_first() {
                return;
            }
        }
    }

    fn drop_first(&mut self) -> bool {
        let Some(first) = self.events.pop_front() else { return false };
        self.bytes = self.bytes.saturating_sub(first.frame.len());
        self.whole_after = self.whole_after.max(first.seq);
        true
    }

    fn prune(&mut self, upto: i64) {
        while self.events.front().is_some_and(|event| event.seq <= upto) {
            self.drop_first();
        }
    }

    fn erase(&mut self, did: &Did) {
        // Nothing of it is stored any more, so that the rest is still whole.
        let kept = self.events.iter().rev().find(|event| event.did == *did);
        let kept = kept.filter(|event| event.kind == EventKind::Account).map(|event| event.seq);
        self.events.retain(|event| event.did != *did || Some(event.seq) == kept);
        self.bytes = self.events.iter().map(|event| event.frame.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(seq: i64, letter: char, kind: EventKind, size: usize) -> TailChange {
        let did = Did::parse(&format!("did:plc:{}", letter.to_string().repeat(24))).unwrap();
        TailChange::New(Arc::new(EventRow { seq, did, kind, at: seq, frame: Bytes::from(vec![0; size]) }))
    }

    fn seqs(replay: Replay) -> Vec<i64> {
        match replay {
            Replay::Events(events) => events.iter().map(|event| event.seq).collect(),
            Replay::Behind => panic!("behind"),
        }
    }

    #[test]
    fn it_keeps_the_newest_and_says_when_it_has_forgotten() {
        let tail = Tail::new(4, 3, 1_000);
        assert_eq!(tail.after(3, 9, 9), Replay::Behind, "what came before it was made is in the store");
        assert_eq!(seqs(tail.after(4, 9, 9)), [0; 0]);
        tail.publish((5..9).map(|seq| event(seq, 'a', EventKind::Commit, 10)));
        assert_eq!((tail.last(), tail.size()), (8, (3, 30)));
        assert_eq!(tail.after(4, 9, 999), Replay::Behind);
        assert_eq!(seqs(tail.after(5, 9, 999)), [6, 7, 8]);
        assert_eq!(seqs(tail.after(5, 2, 999)), [6, 7]);
        assert_eq!(seqs(tail.after(5, 9, 11)), [6, 7], "the one that reaches the limit is the last");
        assert_eq!(seqs(tail.after(99, 9, 999)), [0; 0]);
    }

    #[test]
    fn its_bytes_are_bounded_even_by_one_event() {
        let tail = Tail::new(0, 100, 25);
        tail.publish([event(1, 'a', EventKind::Commit, 10), event(2, 'a', EventKind::Commit, 10)]);
        tail.publish([event(3, 'a', EventKind::Commit, 26)]);
        assert_eq!((tail.last(), tail.size()), (3, (0, 0)), "one that is too large is told of, not kept");
        assert_eq!(tail.after(2, 9, 99), Replay::Behind);
        assert_eq!(seqs(tail.after(3, 9, 99)), [0; 0]);
    }

    #[test]
    fn erased_and_pruned_events_are_gone_and_the_rest_is_whole() {
        let tail = Tail::new(0, 100, 1_000);
        tail.publish([
            event(1, 'a', EventKind::Commit, 10),
            event(2, 'b', EventKind::Commit, 10),
            event(3, 'a', EventKind::Identity, 10),
            event(4, 'a', EventKind::Account, 10),
            event(5, 'b', EventKind::Commit, 10),
        ]);
        let Replay::Events(events) = tail.after(0, 1, 1) else { panic!() };
        tail.publish([TailChange::Erased(events[0].did.clone())]);
        assert_eq!(seqs(tail.after(0, 9, 999)), [2, 4, 5], "the word that it is gone stays");
        assert_eq!(tail.size(), (3, 30));
        tail.publish([TailChange::Pruned(3)]);
        assert_eq!(tail.after(0, 9, 999), Replay::Behind);
        assert_eq!(seqs(tail.after(2, 9, 999)), [4, 5]);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_an_event_and_by_a_jump() {
        let tail = Arc::new(Tail::new(0, 100, 1_000));
        assert_eq!(tail.wait_past(-1).await, 0, "what is past already is not waited for");
        let waiting = tokio::spawn({
            let tail = Arc::clone(&tail);
            async move { tail.wait_past(7).await }
        });
        tail.publish([event(7, 'a', EventKind::Commit, 1)]);
        tail.publish([event(8, 'a', EventKind::Commit, 1)]);
        assert_eq!(waiting.await.unwrap(), 8);
        tail.publish([TailChange::Jumped(1_000_008)]);
        assert_eq!(tail.wait_past(8).await, 1_000_008);
        assert_eq!(seqs(tail.after(8, 9, 9)), [0; 0]);
    }
}
