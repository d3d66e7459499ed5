//! The one writer: takes units from all lanes, applies each under its own savepoint, and commits
//! them in groups, one flush for all.
//!
//! A unit that fails takes nothing with it but itself. A full disk rolls the group back: units
//! that free space are tried again with the ballast given back, the others are refused. A failed
//! flush stops writing for good, because nobody can know what is on the disk then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use p2pds_store::{Applied, StoreError, StoreResult};
use rusqlite::Connection;

use crate::apply::Apply;
use crate::fault::{Fault, Gravity, Outcome, backend};
use crate::queue::{Chore, Job, Next};
use crate::store::Shared;

/// The writer's thread body.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) apply: Apply,
    wal_bytes: Arc<AtomicU64>,
    /// Bytes of the log after the commit before.
    wal_before: u64,
}

/// A unit that was applied and waits for the commit.
type Done = (Job, StoreResult<Applied>);

impl Writer {
    /// Lets a connection tell how large the log is.
    pub(crate) fn watched(shared: &Shared, conn: &mut Connection) -> StoreResult<Arc<AtomicU64>> {
        let wal_bytes = Arc::new(AtomicU64::new(0));
        let (counter, page) = (Arc::clone(&wal_bytes), u64::from(shared.options.page_size));
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            let pages = u64::try_from(pages).unwrap_or(0);
            counter.store(pages.saturating_mul(page), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(backend("watch the write-ahead log"))?;
        Ok(wal_bytes)
    }

    /// On its own thread: the connection does not leave it again.
    pub(crate) fn new(shared: Arc<Shared>, conn: Connection, wal_bytes: Arc<AtomicU64>) -> Self {
        let apply = Apply::new(conn, shared.dir.clone(), Arc::clone(&shared.tail));
        Self { shared, apply, wal_bytes, wal_before: 0 }
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while self.shared.queue.wait() {
            match self.shared.queue.next(true) {
                Next::Chore(chore, answer) => {
                    let _ = answer.send(self.chore(chore));
                }
                Next::Unit(job) => self.group(job),
                Next::Empty => {}
                Next::Closed => break,
            }
        }
        // The last connection to close folds the log away; a failure costs only time at the
        // next start.
        let _ = self.checkpoint("TRUNCATE");
    }

    /// One group: the given unit and whatever else waits, up to the limits.
    pub(crate) fn group(&mut self, first: Job) {
        if let Some(refusal) = self.refusal() {
            let _ = first.answer.send(Err(refusal));
            return;
        }
        if self.shared.disk.is_full() {
            // One at a time: room is scarce, and each gives some back.
            self.alone(first);
            return;
        }
        let mut jobs = vec![first];
        let started = Instant::now();
        let mut done: Vec<Done> = Vec::new();
        let outcome = self.fill(&mut jobs, &mut done, started).and_then(|()| self.commit(&done));
        match outcome {
            Ok(()) => {
                let committed = done.len() as u64;
                for (job, result) in done {
                    let _ = job.answer.send(result);
                }
                self.shared.counters.committed(committed, started.elapsed());
                self.after_commit();
            }
            Err(fault) => {
                self.apply.rollback();
                let all = done.into_iter().map(|(job, _)| job).chain(jobs).collect();
                self.failed(fault, all);
            }
        }
    }

    /// Applies `jobs` and what else the queue has, each under its savepoint, until a limit.
    fn fill(&mut self, jobs: &mut Vec<Job>, done: &mut Vec<Done>, started: Instant) -> Outcome<()> {
        let limit = Duration::from_millis(self.shared.options.group_ms);
        self.apply.begin()?;
        loop {
            while let Some(job) = jobs.pop() {
                let result = self.apply.unit(&job.unit);
                let result = match result {
                    Ok(applied) => Ok(applied),
                    Err(fault) if fault.gravity() == Gravity::Unit => {
                        Err(fault.into_store("apply a change")).inspect_err(|error| self.shared.met(error))
                    }
                    Err(fault) => {
                        jobs.push(job);
                        return Err(fault);
                    }
                };
                done.push((job, result));
            }
            if done.len() >= self.shared.options.group_units || started.elapsed() >= limit {
                return Ok(());
            }
            // A large unit begins its own group: else all that is in this one would wait for it.
            match self.shared.queue.next_small() {
                Some(job) => jobs.push(job),
                None => return Ok(()),
            }
        }
    }

    fn commit(&mut self, done: &[Done]) -> Outcome<()> {
        if done.iter().all(|(_, result)| result.is_err()) {
            self.apply.rollback();
            return Ok(());
        }
        self.apply.commit()
    }

    /// A whole group failed: answers or retries its units.
    fn failed(&mut self, fault: Fault, jobs: Vec<Job>) {
        let gravity = fault.gravity();
        match gravity {
            Gravity::Full => {
                self.shared.disk.found_full();
                self.fold_if_it_fits();
                tracing::warn!(event = "store.disk-full", dir = %self.shared.dir.display(), "the disk is full: only reading and deleting work");
                jobs.into_iter().for_each(|job| self.alone(job));
            }
            Gravity::Stop => {
                let error = self.stop(fault);
                for job in jobs {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
            Gravity::Unit | Gravity::Group => {
                let error = fault.into_store("commit a group of changes");
                self.shared.met(&error);
                for job in jobs {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// One unit in a transaction of its own, on a full disk.
    fn alone(&mut self, job: Job) {
        if !job.unit.frees() {
            let _ = job.answer.send(Err(self.disk_full()));
            return;
        }
        let outcome = (|| {
            self.apply.begin()?;
            let applied = self.apply.unit(&job.unit)?;
            self.apply.commit()?;
            Ok(applied)
        })();
        let result = outcome.map_err(|fault: Fault| {
            self.apply.rollback();
            match fault.gravity() {
                Gravity::Full => self.disk_full(),
                Gravity::Stop => self.stop(fault),
                Gravity::Unit | Gravity::Group => fault.into_store("apply a change"),
            }
        });
        let freed = result.is_ok();
        let _ = job.answer.send(result);
        if freed {
            self.make_room();
        }
    }

    /// Gives what was deleted on a full disk back to the file system.
    fn make_room(&mut self) {
        let _ = self.shrink();
        self.fold_if_it_fits();
        let _ = self.shared.disk.try_recover();
    }

    /// Empties the log on a full disk, but only if the database has room to grow by what the log
    /// holds: half a checkpoint would eat the room and give nothing back.
    fn fold_if_it_fits(&mut self) {
        let pages =
            self.apply.conn.query_row("PRAGMA page_count", [], |r| r.get::<_, i64>(0)).unwrap_or(i64::MAX);
        let wanted = crate::codes::uint(pages).saturating_mul(u64::from(self.shared.options.page_size));
        let file = self.shared.dir.join(crate::open::FILE_NAME);
        let there = std::fs::metadata(file).map_or(0, |m| m.len());
        if self.shared.disk.free().is_some_and(|free| free >= wanted.saturating_sub(there)) {
            let _ = self.checkpoint("TRUNCATE");
        }
    }

    fn after_commit(&mut self) {
        let wal = self.wal_bytes.load(Ordering::Relaxed);
        self.shared.counters.wal.store(wal, Ordering::Relaxed);
        if wal < std::mem::replace(&mut self.wal_before, wal) {
            self.shared.checkpoints.begun_anew();
        }
        let (fold, left) =
            (self.shared.options.wal_fold, wal.saturating_sub(self.shared.checkpoints.folded()));
        let step = fold / STEPS;
        if wal >= fold && left >= step {
            self.shared.checkpoints.wake();
        }
        // The checkpoint thread never catches up with a busy writer by itself; when little is
        // left the writer folds that little away, and the log starts again from its beginning.
        if wal >= self.shared.options.wal_soft {
            tracing::warn!(
                event = "store.log-large",
                bytes = wal,
                "the write-ahead log is large; writing waits for it"
            );
            let _ = self.checkpoint("PASSIVE");
            return;
        }
        let checkpoints = Arc::clone(&self.shared.checkpoints);
        if wal >= fold.saturating_mul(2)
            && left <= step
            && let Some(alone) = checkpoints.try_alone()
        {
            let _ = self.checkpoint_alone("PASSIVE", &alone);
        }
    }

    /// Why nothing is written now, if that is so.
    fn refusal(&mut self) -> Option<StoreError> {
        if let Some(reason) = self.shared.stopped() {
            return Some(StoreError::Stopped(reason));
        }
        let _ = self.shared.disk.try_recover();
        let (bytes, limit) = (self.wal_bytes.load(Ordering::Relaxed), self.shared.options.wal_hard);
        if bytes >= limit {
            let _ = self.checkpoint("RESTART");
            if self.shared.checkpoints.pinned() {
                return Some(StoreError::LogFull { bytes, limit });
            }
        }
        None
    }

    fn disk_full(&self) -> StoreError {
        StoreError::DiskFull { path: self.shared.dir.display().to_string() }
    }

    fn stop(&self, fault: Fault) -> StoreError {
        let cause = fault.into_store("flush to disk").to_string();
        tracing::error!(event = "store.stopped", %cause, "writing has stopped");
        self.shared.stop(cause.clone());
        StoreError::Stopped(cause)
    }

    fn chore(&mut self, chore: Chore) -> StoreResult<()> {
        let result = match chore {
            Chore::Truncate => self.truncate(),
            Chore::Shrink => self.shrink(),
            Chore::Vacuum => self.vacuum(),
            Chore::Copy(to) => self.copy(&to),
        };
        result.map_err(|fault| {
            if fault.gravity() == Gravity::Stop {
                self.stop(fault)
            } else {
                fault.into_store("tidy the database")
            }
        })
    }

    /// Empties the log; waits a little for readers, which never hold a snapshot for long.
    fn truncate(&mut self) -> Outcome<()> {
        for _ in 0..20 {
            if self.checkpoint("TRUNCATE")? {
                return Ok(());
            }
        }
        Err(StoreError::Backend {
            doing: "empty the write-ahead log",
            cause: "readers hold on to it; try again".into(),
        }
        .into())
    }

    fn shrink(&mut self) -> Outcome<()> {
        // It frees one page a step.
        let mut vacuum = self.apply.conn.prepare_cached("PRAGMA incremental_vacuum")?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
        Ok(())
    }

    fn vacuum(&mut self) -> Outcome<()> {
        self.apply.forget();
        self.apply.conn.flush_prepared_statement_cache();
        self.apply.conn.execute_batch("VACUUM")?;
        self.truncate()
    }

    /// Runs a checkpoint on the writer's connection; `true` when the log is folded away.
    fn checkpoint(&mut self, mode: &str) -> Outcome<bool> {
        let checkpoints = Arc::clone(&self.shared.checkpoints);
        let alone = checkpoints.alone();
        self.checkpoint_alone(mode, &alone)
    }

    /// The same when it is known that no other one runs.
    fn checkpoint_alone(&mut self, mode: &str, _alone: &MutexGuard<'_, ()>) -> Outcome<bool> {
        let conn = &self.apply.conn;
        conn.busy_timeout(Duration::from_millis(500))?;
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let answer =
            conn.query_row(&sql, [], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, r.get::<_, i64>(2)?)));
        conn.busy_timeout(Duration::from_secs(30))?;
        let (busy, log, folded) = answer?;
        let whole = busy == 0 && log == folded;
        self.shared.checkpoints.set_pinned(!whole);
        if whole {
            self.wal_bytes.store(0, Ordering::Relaxed);
            self.shared.counters.wal.store(0, Ordering::Relaxed);
            self.wal_before = 0;
            self.shared.checkpoints.begun_anew();
        }
        Ok(whole)
    }
}

/// Once the log is to be folded, it is folded in parts of this share of that size: a flush of the database that is small
/// holds up the flushes of the log for a moment only, and so does what is left for the writer itself.
const STEPS: u64 = 8;
