//! The checkpoint thread: folds the write-ahead log into the database beside the writing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::Connection;

use crate::fault::{Fault, Gravity};
use crate::store::Shared;

/// What the writer and the checkpoint thread tell each other.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    asked: Mutex<Ask>,
    bell: Condvar,
    folded: Mutex<Folded>,
    pinned: AtomicBool,
    /// Held while a checkpoint runs: SQLite does not wait for another one, it says busy at once.
    running: Mutex<()>,
}

/// How much of the log is in the database.
#[derive(Debug, Default, Clone, Copy)]
struct Folded {
    /// Which log: it begins anew when all of it was folded.
    log: u64,
    bytes: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Ask {
    #[default]
    Nothing,
    Fold,
    Stop,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self {
            asked: Mutex::default(),
            bell: Condvar::new(),
            folded: Mutex::default(),
            pinned: AtomicBool::new(false),
            running: Mutex::default(),
        }
    }
}

/// After this long without a wish the log is emptied, so that an idle node keeps nothing there.
const IDLE: Duration = Duration::from_secs(5);

impl Checkpoints {
    /// Waits until no checkpoint runs, and keeps others from starting.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same if none runs now.
    pub(crate) fn try_alone(&self) -> Option<MutexGuard<'_, ()>> {
        match self.running.try_lock() {
            Ok(alone) => Some(alone),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Asks for a checkpoint.
    pub(crate) fn wake(&self) {
        self.ask(Ask::Fold);
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.ask(Ask::Stop);
    }

    /// Bytes of the log that are in the database, as far as the last checkpoint got.
    pub(crate) fn folded(&self) -> u64 {
        self.lock_folded().bytes
    }

    /// The log begins anew: nothing of it is in the database.
    pub(crate) fn begun_anew(&self) {
        let mut folded = self.lock_folded();
        *folded = Folded { log: folded.log.wrapping_add(1), bytes: 0 };
    }

    /// Notes how far a checkpoint got that began when this was the log.
    fn note(&self, log: u64, bytes: u64) {
        let mut folded = self.lock_folded();
        if folded.log == log {
            folded.bytes = bytes;
        }
    }

    fn lock_folded(&self) -> MutexGuard<'_, Folded> {
        self.folded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a reader kept the last checkpoint of the writer from folding everything.
    pub(crate) fn pinned(&self) -> bool {
        self.pinned.load(Ordering::Acquire)
    }

    /// See [`pinned`](Self::pinned).
    pub(crate) fn set_pinned(&self, pinned: bool) {
        self.pinned.store(pinned, Ordering::Release);
    }

    fn ask(&self, wish: Ask) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if *asked != Ask::Stop {
            *asked = wish;
        }
        drop(asked);
        self.bell.notify_one();
    }

    /// The next wish; `Nothing` after an idle spell.
    fn next(&self) -> Ask {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut asked, _) = self
            .bell
            .wait_timeout_while(asked, IDLE, |a| *a == Ask::Nothing)
            .unwrap_or_else(PoisonError::into_inner);
        let wish = *asked;
        if wish == Ask::Fold {
            *asked = Ask::Nothing;
        }
        wish
    }
}

/// The thread's body.
pub(crate) fn run(shared: &Arc<Shared>, conn: &Connection) {
    let (mut seen, mut emptied) = (0, 0);
    loop {
        let mode = match shared.checkpoints.next() {
            Ask::Stop => return,
            // The writer does it then, when it fits.
            Ask::Fold | Ask::Nothing if shared.disk.is_full() => continue,
            Ask::Fold => "PASSIVE",
            Ask::Nothing => {
                let groups = shared.counters.groups.load(Ordering::Relaxed);
                let quiet = std::mem::replace(&mut seen, groups) == groups;
                if !quiet || emptied == groups {
                    continue;
                }
                emptied = groups;
                "TRUNCATE"
            }
        };
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let alone = shared.checkpoints.alone();
        let log = shared.checkpoints.lock_folded().log;
        let answer = conn.query_row(&sql, [], |r| r.get::<_, i64>(2));
        drop(alone);
        match answer.map_err(Fault::from) {
            Ok(pages) => {
                let pages = u64::try_from(pages).unwrap_or(0);
                shared.checkpoints.note(log, pages.saturating_mul(u64::from(shared.options.page_size)));
            }
            Err(fault) if fault.gravity() == Gravity::Stop => {
                shared.stop(fault.into_store("flush the database").to_string());
            }
            // Busy, or no room for the database to grow: the log keeps everything until later.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkpoint may end after the writer has begun the log anew: then it says nothing of this one.
    #[test]
    fn what_was_folded_of_an_earlier_log_does_not_count() {
        let checkpoints = Checkpoints::default();
        let log = checkpoints.lock_folded().log;
        checkpoints.note(log, 5);
        assert_eq!(checkpoints.folded(), 5);
        checkpoints.begun_anew();
        assert_eq!(checkpoints.folded(), 0);
        checkpoints.note(log, 9);
        assert_eq!(checkpoints.folded(), 0);
    }

    #[test]
    fn one_at_a_time() {
        let checkpoints = Checkpoints::default();
        let held = checkpoints.alone();
        assert!(checkpoints.try_alone().is_none());
        drop(held);
        assert!(checkpoints.try_alone().is_some());
    }
}
