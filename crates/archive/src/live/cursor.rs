//! How far a stream has been taken in: the position before which everything is durable.
//!
//! Many events are under way at a time and end in any order. The position that may be noted is the one before the oldest
//! of them, so that after a crash nothing is missed; what comes twice then is recognized by its revision.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The positions of one connection.
#[derive(Debug, Default)]
pub(crate) struct Cursor(Mutex<Positions>);

#[derive(Debug, Default)]
struct Positions {
    /// The newest position seen.
    seen: Option<u64>,
    /// Events that were taken in.
    taken: u64,
    /// Events under way, by position; the same position may come twice on a stream that misbehaves.
    open: BTreeMap<u64, u32>,
}

/// One event under way. Whoever drops it without [`Ticket::done`] leaves the event to be asked for again.
#[derive(Debug)]
pub(crate) struct Ticket {
    cursor: Arc<Cursor>,
    seq: u64,
}

impl Cursor {
    /// A cursor that begins after a noted position.
    pub(crate) fn after(position: Option<u64>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Positions { seen: position, taken: 0, open: BTreeMap::new() })))
    }

    /// An event that needs nothing to be done.
    pub(crate) fn pass(&self, seq: u64) {
        let mut positions = self.lock();
        positions.seen = positions.seen.max(Some(seq));
    }

    /// An event that counts as taken in once its ticket is done.
    pub(crate) fn begin(self: &Arc<Self>, seq: u64) -> Ticket {
        let mut positions = self.lock();
        positions.seen = positions.seen.max(Some(seq));
        let count = positions.open.entry(seq).or_default();
        *count = count.saturating_add(1);
        drop(positions);
        Ticket { cursor: Arc::clone(self), seq }
    }

    /// The position up to which everything is durable; `None` while nothing is known.
    pub(crate) fn durable(&self) -> Option<u64> {
        let positions = self.lock();
        match positions.open.first_key_value() {
            Some((&oldest, _)) => oldest.checked_sub(1),
            None => positions.seen,
        }
    }

    /// How many events were taken in: what was only passed over is passed over as quickly once more.
    pub(crate) fn taken(&self) -> u64 {
        self.lock().taken
    }

    fn lock(&self) -> MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Everything that the event asks for is durable, or there is nothing to do for it.
    pub(crate) fn done(self) {
        let mut positions = self.cursor.lock();
        positions.taken = positions.taken.saturating_add(1);
        if let Some(count) = positions.open.get_mut(&self.seq) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                positions.open.remove(&self.seq);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_waits_for_the_oldest() {
        let cursor = Cursor::after(None);
        assert_eq!(cursor.durable(), None);
        let (a, b) = (cursor.begin(10), cursor.begin(12));
        cursor.pass(15);
        assert_eq!(cursor.durable(), Some(9));
        b.done();
        assert_eq!(cursor.durable(), Some(9), "the older one is still under way");
        a.done();
        assert_eq!(cursor.durable(), Some(15));
        // Given up: asked for again after a restart.
        drop(cursor.begin(16));
        cursor.pass(20);
        assert_eq!(cursor.durable(), Some(15));
    }

    #[test]
    fn one_position_twice() {
        let cursor = Cursor::after(Some(3));
        let (a, b) = (cursor.begin(4), cursor.begin(4));
        a.done();
        assert_eq!(cursor.durable(), Some(3));
        b.done();
        assert_eq!(cursor.durable(), Some(4));
    }
}
