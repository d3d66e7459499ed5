//! The parts of live following and the tasks that they run in.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use p2pds_store::{Account, Origin, Unit, WorkerRow};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::config::LiveConfig;
use super::followed::{Followed, Slot};
use super::plan::{Plan, Source, Wanted, plan};
use super::stream::Stream;
use crate::archive::{Archive, Inner as ArchiveInner};
use crate::error::ArchiveResult;

/// The name by which other parts tell it that accounts have changed.
pub(crate) const JOB: &str = "live";

/// Units given to the store at a time, a quarter of what its queue holds: the rest is for everybody else.
const UNITS: usize = 1_024;

/// The setting by which the operator pauses it.
const PAUSED: &str = "worker.live.paused";

/// Work that the service's own task runs beside everything else.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Live following of all archived accounts.
#[derive(Clone)]
pub struct Live(pub(super) Arc<Service>);

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("followed", &self.0.followed.len()).finish_non_exhaustive()
    }
}

/// What all parts share.
pub(crate) struct Service {
    pub(super) archive: Archive,
    pub(super) config: LiveConfig,
    pub(super) followed: Followed,
    /// Bytes of events that may wait.
    pub(super) waiting: Arc<Semaphore>,
    /// Proofs that may be computed at a time.
    pub(super) provers: Arc<Semaphore>,
    /// Units given to the store and not durable yet; see [`UNITS`].
    pub(super) units: Semaphore,
    /// Accounts fetched anew at a time, and questions asked at a time.
    pub(super) resyncs: Arc<Semaphore>,
    pub(super) asking: Arc<Semaphore>,
    /// The same for each host.
    pub(super) per_host: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    pub(super) streams: Mutex<BTreeMap<Source, Arc<Stream>>>,
    /// Hosts whose streams are too busy, and until when they are left alone (microseconds since 1970).
    pub(super) busy: Mutex<BTreeMap<String, i64>>,
    /// Told when the list of accounts or hosts may have changed.
    pub(super) changed: Arc<Notify>,
    work: mpsc::UnboundedSender<Work>,
    queue: Mutex<Option<mpsc::UnboundedReceiver<Work>>>,
    /// Set when the node stops: nothing new is begun.
    pub(super) stopping: std::sync::atomic::AtomicBool,
}

impl Live {
    /// Live following for an archive. Nothing happens before [`Live::run`].
    #[must_use]
    pub fn new(archive: Archive, config: LiveConfig) -> Self {
        // A few entries per followed account at most: `running`, `resyncing` and `fetching_blobs` of its slot see to that.
        let (work, queue) = mpsc::unbounded_channel();
        let service = Arc::new(Service {
            followed: Followed::default(),
            waiting: Arc::new(Semaphore::new(config.waiting_bytes.clamp(8 << 20, Semaphore::MAX_PERMITS))),
            provers: Arc::new(Semaphore::new(config.provers.max(1))),
            units: Semaphore::new(UNITS),
            resyncs: Arc::new(Semaphore::new(config.resyncs.max(1))),
            asking: Arc::new(Semaphore::new(16)),
            per_host: Mutex::default(),
            streams: Mutex::default(),
            busy: Mutex::default(),
            changed: archive.wakes().bell(JOB),
            work,
            queue: Mutex::new(Some(queue)),
            stopping: std::sync::atomic::AtomicBool::new(false),
            archive,
            config,
        });
        service.archive.inner().live.set(&service);
        Self(service)
    }

    /// Reads which accounts there are and where each was left, and begins to listen once [`Live::run`] runs.
    ///
    /// # Errors
    /// The list of accounts cannot be read.
    pub async fn begin(&self) -> ArchiveResult<()> {
        self.0.rescan().await
    }

    /// Follows accounts until `stop` resolves, then lets what is under way become durable and notes where it stopped.
    ///
    /// # Errors
    /// The list of accounts cannot be read.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> ArchiveResult<()> {
        let service = &self.0;
        let queue = lock(&service.queue).take();
        let Some(mut queue) = queue else {
            stop.await;
            return Ok(());
        };
        let mut tasks = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        tasks.spawn(Arc::clone(service).keep_time());
        tasks.spawn(Arc::clone(service).keep_list());
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(work) = queue.recv() => { tasks.spawn(work); }
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => report(ended),
            }
        }
        service.stop(&mut queue, &mut tasks).await;
        Ok(())
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // One account's trouble is not the others'. What it left open is asked for again after the next start.
        tracing::error!(event = "live.panic", %error, "a task of live following panicked: this is a defect in p2pds");
    }
}

impl Service {
    pub(super) fn archive(&self) -> &ArchiveInner {
        self.archive.inner()
    }

    pub(super) fn now(&self) -> i64 {
        self.archive().now()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Runs something beside everything else.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // After the end nobody takes it, which is what an end is.
        let _ = self.work.send(Box::pin(work));
    }

    /// A time, or up to half of it less, so that what fails together is not tried again together.
    pub(super) fn spread(&self, time: Duration) -> Duration {
        half(time).saturating_add(self.jitter(half(time)))
    }

    /// Any part of a time.
    pub(super) fn jitter(&self, time: Duration) -> Duration {
        use std::hash::{BuildHasher as _, Hasher as _};
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let random = u32::try_from(random >> 32).unwrap_or(0);
        time.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// Says how it goes, in the list of workers.
    pub(super) async fn note(&self, state: String) {
        let row = WorkerRow {
            name: JOB.to_owned(),
            did: None,
            state,
            done: 0,
            total: 0,
            notes: "{}".to_owned(),
            last_error: None,
            next_run: None,
            updated_at: self.now(),
        };
        if let Err(error) = self.archive().store().apply(Unit::PutWorker(row)).await {
            tracing::debug!(event = "live.cursor", %error, "the state could not be noted");
        }
    }

    /// Looks at the list of accounts when it changes, and now and then.
    async fn keep_list(self: Arc<Self>) {
        const NOW_AND_THEN: Duration = Duration::from_secs(60);
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(NOW_AND_THEN) => {}
            }
            // Whoever names an account has heard that its identity changed.
            for did in self.archive.wakes().take(JOB).accounts {
                if let Some(slot) = self.followed.get(did.as_str()) {
                    slot.lock().look_up_at(self.now());
                }
            }
            let begun = tokio::time::Instant::now();
            if let Err(error) = self.rescan().await {
                tracing::warn!(event = "live.accounts", %error, "the list of accounts could not be read now");
            }
            // Many changes in a row are looked at together, so that long lists do not take the machine.
            tokio::time::sleep((begun.elapsed().saturating_mul(10)).max(Duration::from_millis(50))).await;
        }
    }

    /// Reads which accounts there are, decides where each is heard, and starts and stops streams accordingly.
    async fn rescan(self: &Arc<Self>) -> ArchiveResult<()> {
        if !self.config.enabled {
            return Ok(());
        }
        let mut wanted: Vec<Wanted> =
            self.archive().all_accounts().await?.iter().filter_map(wanted).collect();
        if self.archive().store().setting(PAUSED).await?.is_some() {
            wanted.clear();
        }
        let now = self.now();
        let busy: BTreeSet<String> = {
            let mut busy = lock(&self.busy);
            busy.retain(|_, until| *until > now);
            busy.keys().cloned().collect()
        };
        let plan = plan(&wanted, &busy, &self.config);
        self.follow(&plan, &wanted, now).await
    }

    async fn follow(self: &Arc<Self>, plan: &Plan, wanted: &[Wanted], now: i64) -> ArchiveResult<()> {
        let names: BTreeSet<&str> = wanted.iter().map(|account| account.did.as_str()).collect();
        self.followed.retain(|did| names.contains(did));
        let known: BTreeMap<&str, &Wanted> =
            wanted.iter().map(|account| (account.did.as_str(), account)).collect();
        for account in &plan.polled {
            self.followed.put(account, None, now);
        }
        // Streams that are not wanted any more end first: their accounts are asked for by the others from now on.
        let ended: Vec<Arc<Stream>> = {
            let mut streams = lock(&self.streams);
            let gone: Vec<Source> =
                streams.keys().filter(|source| !plan.streams.contains_key(source)).cloned().collect();
            gone.iter().filter_map(|source| streams.remove(source)).collect()
        };
        for stream in ended {
            stream.end();
        }
        let mut fresh = Vec::new();
        for (source, dids) in &plan.streams {
            let stream = self.stream(source).await?;
            stream.listen_for(dids.len());
            // An account that this stream did not bring until now is compared at once; at a start that goes on from a
            // noted position, there is no hurry.
            let covered = stream.is_fresh() && stream.cursor().durable().is_some();
            for did in dids {
                let Some(account) = known.get(did.as_str()) else { continue };
                let (slot, new) = self.followed.put(account, Some(&stream.source), now);
                if new && covered {
                    let later = self.jitter(self.config.compare_every);
                    slot.lock().ask_at = now.saturating_add(micros(later));
                    fresh.push(slot);
                }
            }
            stream.start(self);
        }
        if !fresh.is_empty() {
            self.spawn(Arc::clone(self).recall(fresh));
        }
        metrics::gauge!("p2pds_live_accounts").set(count(self.followed.len()));
        self.count_streams();
        Ok(())
    }

    /// How many streams there are, for the metrics.
    pub(super) fn count_streams(&self) {
        let now = self.now();
        let (open, all) = {
            let streams = lock(&self.streams);
            (streams.values().filter(|stream| stream.going(now).open_since.is_some()).count(), streams.len())
        };
        metrics::gauge!("p2pds_live_sources", "state" => "open").set(count(open));
        metrics::gauge!("p2pds_live_sources", "state" => "waiting").set(count(all.saturating_sub(open)));
    }

    /// The stream of a source; a new one goes on where its row says.
    async fn stream(&self, source: &Source) -> ArchiveResult<Arc<Stream>> {
        if let Some(stream) = lock(&self.streams).get(source) {
            return Ok(Arc::clone(stream));
        }
        let stream = Arc::new(Stream::restored(self, source.clone()).await?);
        lock(&self.streams).insert(source.clone(), Arc::clone(&stream));
        Ok(stream)
    }

    /// Lets what is under way end, for a few seconds, and notes where each stream stopped.
    async fn stop(&self, queue: &mut mpsc::UnboundedReceiver<Work>, tasks: &mut JoinSet<()>) {
        const GRACE: Duration = Duration::from_secs(5);
        self.stopping.store(true, std::sync::atomic::Ordering::Relaxed);
        let streams: Vec<Arc<Stream>> = lock(&self.streams).values().cloned().collect();
        streams.iter().for_each(|stream| stream.end());
        // Only what was begun is waited for; what waits is asked for again after the next start.
        queue.close();
        while let Ok(work) = queue.try_recv() {
            tasks.spawn(work);
        }
        while !self.is_still() {
            match tokio::time::timeout(GRACE, tasks.join_next()).await {
                Ok(Some(ended)) => report(ended),
                Ok(None) | Err(_) => break,
            }
        }
        tasks.shutdown().await;
        for stream in streams {
            stream.note(self, "stopped with the node").await;
        }
        self.note("stopped with the node".to_owned()).await;
    }

    /// Whether no account's task runs.
    fn is_still(&self) -> bool {
        !self.followed.all().iter().any(|slot| slot.lock().running)
    }

    /// Where the accounts of a source are.
    pub(super) fn heard_by(&self, source: &Source) -> Vec<Arc<Slot>> {
        let mut slots = self.followed.all();
        slots.retain(|slot| slot.lock().source.as_deref() == Some(source));
        slots
    }
}

/// An account that is followed; `None` for one that is not.
fn wanted(account: &Account) -> Option<Wanted> {
    let follow = account.origin == Origin::Network && !account.paused && !account.purging && !account.hosted;
    // Without a first copy there is nothing to follow: adding it is what brings one.
    let host = account.pds.as_ref().filter(|_| follow && account.rev.is_some())?;
    let changed_at = account.rev.map_or(0, |rev| i64::try_from(rev.micros()).unwrap_or(0));
    Some(Wanted { did: account.did.clone(), host: host.clone(), changed_at })
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn half(time: Duration) -> Duration {
    time.checked_div(2).unwrap_or_default()
}

pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}
