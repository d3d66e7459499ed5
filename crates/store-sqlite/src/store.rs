//! [`SqliteStore`]: the threads, what they share, and the port's implementation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use p2pds_ipld::Cid;
use p2pds_store::events::Tail;
use p2pds_store::{
    Account, BlobFilter, BlobRow, BucketRow, CollectionCount, CommitRow, Evidence, Finding, IdentityRow,
    LexiconRow, PlcRow, PurgeRow, Receipt, RecordRow, RecordsQuery, Repo, RepoId, RowPage, Stats, Store,
    StoreError, StoreResult, TraceReport, Unit, WorkerRow,
};
use p2pds_syntax::{Did, RecordPath, Tid};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpoint::{self, Checkpoints};
use crate::disk::Disk;
use crate::fault::{Outcome, file};
use crate::lock::{self, DirLock};
use crate::prepare::prepare;
use crate::queue::{Chore, Job, Next, Queue};
use crate::readers::Readers;
use crate::writer::Writer;
use crate::{Options, open, read, salvage, traces};

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) queue: Queue,
    pub(crate) disk: Disk,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) counters: Counters,
    pub(crate) tail: Arc<Tail>,
    stopped: OnceLock<String>,
}

impl Shared {
    /// Why writing has stopped, if it has.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.stopped.get().cloned()
    }

    /// Notes damage of the file itself, which the next start mends.
    pub(crate) fn met(&self, error: &StoreError) {
        if let StoreError::DamagedFile(why) = error {
            salvage::mark(&self.dir, why);
        }
    }

    /// Stops writing until the store is opened again.
    pub(crate) fn stop(&self, reason: String) {
        let _ = self.stopped.set(reason);
    }
}

/// Metrics of one store.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Groups committed.
    pub(crate) groups: AtomicU64,
    /// Units in them.
    pub(crate) units: AtomicU64,
    /// Duration of the last group in microseconds, flush included.
    pub(crate) last_us: AtomicU64,
    /// Bytes in the log after the last commit.
    pub(crate) wal: AtomicU64,
}

impl Counters {
    /// Counts one group.
    pub(crate) fn committed(&self, units: u64, took: Duration) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.units.fetch_add(units, Ordering::Relaxed);
        self.last_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        metrics::histogram!("p2pds_store_commit_seconds").record(took.as_secs_f64());
    }
}

/// A store in one SQLite file. Dropping it finishes what is queued and closes the file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) shared: Arc<Shared>,
    readers: Arc<Readers>,
    threads: Mutex<Threads>,
}

/// Threads, lock and (for throw-away stores) the directory, in the order in which they end.
#[derive(Debug, Default)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    lock: Option<DirLock>,
    temporary: Option<PathBuf>,
}

impl SqliteStore {
    /// Opens or creates the store in `dir`, which belongs to it alone; `:memory:` gives a
    /// throw-away store in a temporary directory, without flushes.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process uses the directory, [`StoreError::TooNew`] when
    /// a newer version wrote it, and whatever the file system or SQLite says.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> StoreResult<Self> {
        let dir = dir.as_ref();
        if dir == Path::new(":memory:") {
            return Self::temporary(options);
        }
        Self::open_dir(dir, options, None)
    }

    fn temporary(mut options: Options) -> StoreResult<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("p2pds-store-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        options.synchronous = crate::Synchronous::Off;
        options.ballast = 0;
        Self::open_dir(&dir, options, Some(dir.clone()))
    }

    fn open_dir(dir: &Path, options: Options, temporary: Option<PathBuf>) -> StoreResult<Self> {
        open::directory(dir)?;
        let lock = lock::take(dir)?;
        salvage::finish(dir)?;
        let writing = open::writer(dir, &options)?;
        let folding = open::checkpointer(dir, &options)?;
        let reading = (0..options.readers.max(1))
            .map(|_| open::reader(dir, &options))
            .collect::<StoreResult<Vec<_>>>()?;
        let last = read::events::last_seq(&writing).map_err(|f| f.into_store("read the events"))?;
        let tail = Arc::new(Tail::new(last, options.tail_events, options.tail_bytes));
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            queue: Queue::new(options.account_units, options.total_units),
            disk: Disk::new(dir, options.ballast),
            checkpoints: Arc::default(),
            counters: Counters::default(),
            tail,
            stopped: OnceLock::new(),
            options,
        });
        let readers = Arc::new(Readers::default());
        let store = Self { shared, readers, threads: Mutex::default() };
        // From here on dropping `store` ends whatever was started.
        store.start(writing, folding, reading)?;
        let mut threads = store.lock_threads();
        threads.lock = Some(lock);
        threads.temporary = temporary;
        drop(threads);
        Ok(store)
    }

    fn start(&self, writing: Connection, folding: Connection, reading: Vec<Connection>) -> StoreResult<()> {
        let mut threads = self.lock_threads();
        for (number, conn) in reading.into_iter().enumerate() {
            let readers = Arc::clone(&self.readers);
            threads.others.push(spawn(format!("store-read-{number}"), move || readers.work(conn))?);
        }
        let shared = Arc::clone(&self.shared);
        threads.others.push(spawn("store-fold".into(), move || checkpoint::run(&shared, &folding))?);
        let mut writing = writing;
        let log = Writer::watched(&self.shared, &mut writing)?;
        let shared = Arc::clone(&self.shared);
        threads.writer = Some(spawn("store-write".into(), move || {
            let writer = Writer::new(Arc::clone(&shared), writing, log);
            if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                shared.stop("the writer met a defect in p2pds".into());
            }
            drain(&shared);
        })?);
        Ok(())
    }

    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the threads: readers and folding first, so that the writer can empty the log.
    fn end(&self) {
        self.shared.queue.close();
        self.readers.close();
        self.shared.checkpoints.stop();
        let mut threads = self.lock_threads();
        for thread in std::mem::take(&mut threads.others) {
            let _ = thread.join();
        }
        if let Some(writer) = threads.writer.take() {
            let _ = writer.join();
        }
        threads.lock = None;
        if let Some(dir) = threads.temporary.take() {
            let _ = std::fs::remove_dir_all(dir);
        }
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.readers.run(doing, work).await.inspect_err(|error| self.shared.met(error))
    }

    pub(crate) async fn chore(&self, chore: Chore) -> StoreResult<()> {
        let (answer, receiver) = oneshot::channel();
        self.shared.queue.push_chore(chore, answer);
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn put_setting(&self, name: &str, value: Option<String>) -> StoreResult<()> {
        self.apply(Unit::PutSetting { name: name.into(), value }).await.map(|_| ())
    }

    /// Searches all files for what the purge deleted, on a thread of its own.
    async fn search(&self, purge: i64) -> StoreResult<traces::Search> {
        let (shared, (answer, receiver)) = (Arc::clone(&self.shared), oneshot::channel());
        spawn("store-search".into(), move || {
            let _ = answer.send(traces::search(&shared, purge));
        })?;
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Answers everything that still waits after the writer has ended.
fn drain(shared: &Shared) {
    let error = shared.stopped().map_or(StoreError::Closed, StoreError::Stopped);
    shared.queue.close();
    loop {
        match shared.queue.next(true) {
            Next::Unit(Job { answer, .. }) => {
                let _ = answer.send(Err(error.clone()));
            }
            Next::Chore(_, answer) => {
                let _ = answer.send(Err(error.clone()));
            }
            Next::Empty | Next::Closed => return,
        }
    }
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> StoreResult<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(body).map_err(file("start a thread"))
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.end();
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn submit(&self, unit: Unit) -> Receipt {
        if let Some(reason) = self.shared.stopped() {
            return Box::pin(std::future::ready(Err(StoreError::Stopped(reason))));
        }
        let lane = unit.did().cloned();
        match prepare(unit) {
            Err(error) => Box::pin(std::future::ready(Err(error))),
            Ok(unit) => {
                let (answer, receiver) = oneshot::channel();
                self.shared.queue.push(lane, Job { unit, answer });
                Box::pin(async move { receiver.await.unwrap_or(Err(StoreError::Closed)) })
            }
        }
    }

    async fn account(&self, did: &Did) -> StoreResult<Option<Account>> {
        let did = did.clone();
        self.read("read an account", move |c| read::account::load(c, &did)).await
    }

    async fn accounts(&self, after: Option<&Did>, limit: usize) -> StoreResult<Vec<Account>> {
        let after = after.cloned();
        self.read("list accounts", move |c| read::account::page(c, after.as_ref(), limit)).await
    }

    async fn live_repo(&self, did: &Did) -> StoreResult<Option<Repo>> {
        let did = did.clone();
        self.read("read a head", move |c| read::repo::live(c, &did)).await
    }

    async fn repos(&self, did: Option<&Did>) -> StoreResult<Vec<Repo>> {
        let did = did.cloned();
        self.read("list repos", move |c| read::repo::all(c, did.as_ref())).await
    }

    async fn record(&self, repo: RepoId, key: &RecordPath) -> StoreResult<Option<RecordRow>> {
        let key = key.clone();
        self.read("read a record", move |c| read::records::one(c, repo, &key)).await
    }

    async fn records(&self, query: RecordsQuery) -> StoreResult<Vec<RecordRow>> {
        self.read("read records", move |c| read::records::page(c, &query)).await
    }

    async fn record_page(&self, query: RecordsQuery) -> StoreResult<RowPage> {
        self.read("read records", move |c| read::records::flat(c, &query)).await
    }

    async fn versions(&self, did: &Did, key: &RecordPath) -> StoreResult<Vec<(RecordRow, Option<Tid>)>> {
        let (did, key) = (did.clone(), key.clone());
        self.read("read a record's versions", move |c| read::records::versions(c, &did, &key)).await
    }

    async fn collections(&self, repo: RepoId) -> StoreResult<Vec<CollectionCount>> {
        self.read("count records", move |c| read::lexicon::collections(c, repo)).await
    }

    async fn lexicons(&self, accounts: &[Did]) -> StoreResult<Vec<LexiconRow>> {
        let accounts = accounts.to_vec();
        self.read("read the index of lexicons", move |c| read::lexicon::of(c, &accounts)).await
    }

    async fn buckets(&self, repo: RepoId, prefixes: bool) -> StoreResult<Vec<BucketRow>> {
        self.read("read buckets", move |c| read::repo::buckets(c, repo, prefixes)).await
    }

    async fn bucket_page(&self, repo: RepoId, from: &[u8], limit: usize) -> StoreResult<Vec<BucketRow>> {
        let from = from.to_vec();
        self.read("read buckets", move |c| read::repo::bucket_page(c, repo, &from, limit)).await
    }

    async fn bucket_candidates(&self, repo: RepoId, prefix: [u8; 4]) -> StoreResult<Vec<Vec<u8>>> {
        self.read("look for a block", move |c| read::repo::candidates(c, repo, prefix)).await
    }

    async fn commits(&self, did: &Did, after: Option<Tid>, limit: usize) -> StoreResult<Vec<CommitRow>> {
        let did = did.clone();
        self.read("read commits", move |c| read::repo::commits(c, &did, after, limit)).await
    }

    async fn history(&self, did: &Did, before: Option<Tid>, limit: usize) -> StoreResult<Vec<CommitRow>> {
        let did = did.clone();
        self.read("read the history", move |c| read::repo::history(c, &did, before, limit)).await
    }

    async fn blob(&self, did: &Did, cid: &Cid) -> StoreResult<Option<BlobRow>> {
        let (did, cid) = (did.clone(), *cid);
        self.read("read a blob's state", move |c| read::blobs::one(c, &did, &cid)).await
    }

    async fn blobs(
        &self,
        did: &Did,
        filter: BlobFilter,
        after: Option<&Cid>,
        limit: usize,
    ) -> StoreResult<Vec<BlobRow>> {
        let (did, after) = (did.clone(), after.copied());
        self.read("list blobs", move |c| read::blobs::page(c, &did, filter, after.as_ref(), limit)).await
    }

    async fn blob_referers(&self, did: &Did, cid: &Cid) -> StoreResult<Vec<RecordPath>> {
        let (did, cid) = (did.clone(), *cid);
        self.read("look who names a blob", move |c| read::blobs::referers(c, &did, &cid)).await
    }

    async fn blob_named(&self, did: &Did, cid: &Cid) -> StoreResult<bool> {
        let (did, cid) = (did.clone(), *cid);
        self.read("look who names a blob", move |c| read::blobs::named(c, &did, &cid)).await
    }

    async fn plc_log(&self, did: &Did) -> StoreResult<Vec<PlcRow>> {
        let did = did.clone();
        self.read("read a PLC log", move |c| read::logs::plc(c, &did)).await
    }

    async fn plc_fetched_at(&self, did: &Did) -> StoreResult<Option<i64>> {
        let did = did.clone();
        self.read("read a PLC log", move |c| read::logs::plc_fetched_at(c, &did)).await
    }

    async fn identity(&self, did: &Did) -> StoreResult<Option<IdentityRow>> {
        let did = did.clone();
        self.read("read a DID document", move |c| read::logs::identity(c, &did)).await
    }

    async fn evidence(&self, did: &Did, limit: usize) -> StoreResult<Vec<Evidence>> {
        let did = did.clone();
        self.read("read evidence", move |c| read::logs::evidence(c, &did, limit)).await
    }

    async fn evidence_of(&self, did: &Did, kind: &str, limit: usize) -> StoreResult<Vec<Evidence>> {
        let (did, kind) = (did.clone(), kind.to_owned());
        self.read("read evidence", move |c| read::logs::evidence_of(c, &did, &kind, limit)).await
    }

    async fn findings(&self, did: &Did, limit: usize) -> StoreResult<Vec<Finding>> {
        let did = did.clone();
        self.read("read findings", move |c| read::logs::findings(c, &did, limit)).await
    }

    async fn all_findings(
        &self,
        after: Option<&p2pds_store::AfterFinding>,
        limit: usize,
    ) -> StoreResult<Vec<Finding>> {
        let after = after.cloned();
        self.read("list findings", move |c| read::watch::all_findings(c, after.as_ref(), limit)).await
    }

    async fn alerts(&self, open_only: bool, limit: usize) -> StoreResult<Vec<p2pds_store::AlertRow>> {
        self.read("list alerts", move |c| read::watch::alerts(c, open_only, limit)).await
    }

    async fn samples(&self, did: Option<&Did>, since: i64) -> StoreResult<Vec<p2pds_store::SampleRow>> {
        let did = did.cloned();
        self.read("list samples", move |c| read::watch::samples(c, did.as_ref(), since)).await
    }

    async fn first_samples(&self, since: i64) -> StoreResult<Vec<p2pds_store::SampleRow>> {
        self.read("list samples", move |c| read::watch::first_samples(c, since)).await
    }

    async fn worker(&self, name: &str) -> StoreResult<Option<WorkerRow>> {
        let name = name.to_owned();
        self.read("read a worker's state", move |c| read::logs::worker(c, &name)).await
    }

    async fn workers(&self) -> StoreResult<Vec<WorkerRow>> {
        self.read("list workers", read::logs::workers).await
    }

    async fn setting(&self, name: &str) -> StoreResult<Option<String>> {
        let name = name.to_owned();
        self.read("read a setting", move |c| read::logs::setting(c, &name)).await
    }

    async fn purges(&self, limit: usize) -> StoreResult<Vec<PurgeRow>> {
        self.read("list purges", move |c| read::logs::purges(c, limit)).await
    }

    async fn stats(&self) -> StoreResult<Stats> {
        let mut stats = self.read("read the store's size", read::stats::stats).await?;
        let counters = &self.shared.counters;
        stats.wal_bytes = counters.wal.load(Ordering::Relaxed);
        stats.waiting = self.shared.queue.waiting() as u64;
        stats.groups = counters.groups.load(Ordering::Relaxed);
        stats.units = counters.units.load(Ordering::Relaxed);
        stats.last_commit_us = counters.last_us.load(Ordering::Relaxed);
        stats.disk_full = self.shared.disk.is_full();
        stats.stopped = self.shared.stopped();
        Ok(stats)
    }

    async fn erase_traces(&self, did: &Did) -> StoreResult<TraceReport> {
        let who = did.clone();
        let running = self.read("read a purge", move |c| read::logs::running_purge(c, &who)).await?;
        let Some((purge, rows)) = running else { return Err(StoreError::UnknownAccount(did.clone())) };
        // Damaged files that were kept hold the rows of everybody.
        salvage::forget_kept(&self.shared.dir)?;
        self.chore(Chore::Truncate).await?;
        self.chore(Chore::Shrink).await?;
        self.chore(Chore::Truncate).await?;
        let mut found = self.search(purge).await?;
        let mut report = TraceReport {
            rows,
            searched_bytes: found.bytes,
            found_in: found.files.clone(),
            outside: traces::OUTSIDE.iter().map(|s| (*s).to_owned()).collect(),
            ..TraceReport::default()
        };
        if found.left > 0 {
            if found.db_bytes <= self.shared.options.vacuum_limit {
                self.chore(Chore::Vacuum).await?;
                report.vacuumed = true;
                found = self.search(purge).await?;
            } else {
                let due = format!(
                    "a purge left traces in a database of {} bytes: it is rewritten in the next maintenance window",
                    found.db_bytes
                );
                self.put_setting(read::stats::HYGIENE_DUE, Some(due.clone())).await?;
                report.scheduled = Some(due);
            }
        }
        report.left = found.left;
        Ok(report)
    }

    async fn hygiene(&self, now: i64) -> StoreResult<()> {
        self.chore(Chore::Vacuum).await?;
        self.put_setting(read::stats::HYGIENE_LAST, Some(now.to_string())).await?;
        self.put_setting(read::stats::HYGIENE_DUE, None).await
    }

    async fn check_structure(&self) -> StoreResult<Vec<String>> {
        let conn = open::reader(&self.shared.dir, &self.shared.options)?;
        let (answer, receiver) = oneshot::channel();
        spawn("store-check".into(), move || {
            let _ = answer.send(read::stats::check(&conn).map_err(|f| f.into_store("check the database")));
        })?;
        let found =
            receiver.await.unwrap_or(Err(StoreError::Closed)).inspect_err(|error| self.shared.met(error));
        if let Ok(lines) = &found
            && !lines.is_empty()
        {
            salvage::mark(&self.shared.dir, &lines.join("; "));
        }
        found
    }

    async fn close(&self) -> StoreResult<()> {
        self.end();
        match self.shared.stopped() {
            Some(reason) => Err(StoreError::Stopped(reason)),
            None => Ok(()),
        }
    }
}
