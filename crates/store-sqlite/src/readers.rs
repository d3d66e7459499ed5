//! Readers: a few threads, each with its own connection. They never wait for the writer.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use p2pds_store::{StoreError, StoreResult};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::fault::Outcome;

type Task = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct Tasks {
    waiting: VecDeque<Task>,
    closed: bool,
}

/// The pool's queue, shared by its threads.
#[derive(Default)]
pub(crate) struct Readers {
    tasks: Mutex<Tasks>,
    bell: Condvar,
    /// Length of the queue, for a look without the lock.
    length: AtomicUsize,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}

/// Reads that wait beyond this are refused.
const MOST_WAITING: usize = 4_096;

/// How long a thread without work stays awake.
const AWAKE: Duration = Duration::from_micros(50);

/// No read holds a snapshot longer than this: it would keep the log from shrinking.
const LONGEST: Duration = Duration::from_secs(10);

impl Readers {
    /// Runs `work` on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (answer, receiver) = oneshot::channel();
        let task: Task = Box::new(move |conn| {
            let _ = answer.send(work(conn).map_err(|fault| fault.into_store(doing)));
        });
        {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            if tasks.closed {
                return Err(StoreError::Closed);
            }
            if tasks.waiting.len() >= MOST_WAITING {
                return Err(StoreError::Busy { waiting: tasks.waiting.len(), retry_after_ms: 100 });
            }
            tasks.waiting.push_back(task);
            self.length.store(tasks.waiting.len(), Ordering::Release);
        }
        self.bell.notify_one();
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Lets the threads end.
    pub(crate) fn close(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.closed = true;
        tasks.waiting.clear();
        self.length.store(0, Ordering::Release);
        drop(tasks);
        self.bell.notify_all();
    }

    /// The next task. Reads come in bursts, and waking a thread costs more than most of them: stay
    /// awake for a moment before sleeping.
    fn next(&self) -> Option<Task> {
        let since = Instant::now();
        while self.length.load(Ordering::Acquire) == 0 && since.elapsed() < AWAKE {
            std::thread::yield_now();
        }
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(task) = tasks.waiting.pop_front() {
                self.length.store(tasks.waiting.len(), Ordering::Release);
                return Some(task);
            }
            if tasks.closed {
                return None;
            }
            tasks = self.bell.wait(tasks).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The body of one thread.
    pub(crate) fn work(self: &Arc<Self>, mut conn: Connection) {
        while let Some(task) = self.next() {
            let started = Instant::now();
            let _ = conn.progress_handler(100_000, Some(move || started.elapsed() > LONGEST));
            // A defect in one read must not take the thread with it.
            let _ = catch_unwind(AssertUnwindSafe(|| task(&conn)));
        }
    }
}
