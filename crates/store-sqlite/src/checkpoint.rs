//! The checkpoint thread: folds the write-ahead log into the database beside the writing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::fault::{Fault, Gravity};
use crate::store::Shared;

/// What the writer and the checkpoint thread tell each other.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    asked: Mutex<Ask>,
    bell: Condvar,
    /// Bytes of the log not yet folded when the last checkpoint ended.
    left: AtomicU64,
    pinned: AtomicBool,
    /// Held while a checkpoint runs: SQLite does not wait for another one, it says busy at once.
    running: Mutex<()>,
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
            left: AtomicU64::new(u64::MAX),
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

    /// Asks for a checkpoint.
    pub(crate) fn wake(&self) {
        self.ask(Ask::Fold);
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.ask(Ask::Stop);
    }

    /// What the last checkpoint left, in bytes; very large when there was none since the reset.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Acquire)
    }

    /// Forgets what the last checkpoint left.
    pub(crate) fn reset_left(&self) {
        self.left.store(u64::MAX, Ordering::Release);
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
        let answer = conn.query_row(&sql, [], |r| Ok((r.get::<_, i64>(1)?, r.get::<_, i64>(2)?)));
        drop(alone);
        match answer.map_err(Fault::from) {
            Ok((log, folded)) => {
                let pages = u64::try_from(log.saturating_sub(folded)).unwrap_or(0);
                let left = pages.saturating_mul(u64::from(shared.options.page_size));
                shared.checkpoints.left.store(left, Ordering::Release);
            }
            Err(fault) if fault.gravity() == Gravity::Stop => {
                shared.stop(fault.into_store("flush the database").to_string());
            }
            // Busy, or no room for the database to grow: the log keeps everything until later.
            Err(_) => {}
        }
    }
}
