//! The firehose from the side of one consumer: where it begins, and what comes next.
//!
//! ```text
//! cursor ─► opening ─► stored pages ─► memory ─► waiting
//!                          ▲             │
//!                          └── too far behind what is in memory
//! ```
//!
//! A consumer pulls. Nothing is queued for it: what it has not taken is in the store, and the newest of it in the
//! [`Tail`](p2pds_store::events::Tail) that all share. Pages of the store are bounded one by one, and all pages that
//! are being sent together by [`STORED_BYTES`]; no read lasts longer than its page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use p2pds_store::events::{Replay, Tail};
use p2pds_store::{Applied, EventRow, Unit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::jobs::Job;
use crate::{Host, HostResult};

/// Most events that are handed over at a time.
pub const PAGE_EVENTS: usize = 256;
/// Bytes after which no more events from memory are handed over at a time.
pub const PAGE_BYTES: usize = 256 << 10;
/// Bytes of the first page from the store; the next ones are larger, as long as they are taken.
const STORED_FIRST: usize = 64 << 10;
/// Bytes of the largest page from the store.
const STORED_MOST: usize = 1 << 20;
/// Bytes of all pages from the store that are being sent at a time, to whomever.
pub const STORED_BYTES: usize = 16 << 20;
/// How often events that are past their time are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What the consumers share.
pub(crate) struct Firehose {
    /// One permit for each KiB of [`STORED_BYTES`].
    stored: Arc<Semaphore>,
    consumers: Arc<Consumers>,
}

impl Default for Firehose {
    fn default() -> Self {
        Self { stored: Arc::new(Semaphore::new(STORED_BYTES >> 10)), consumers: Arc::default() }
    }
}

/// Everybody who listens now.
#[derive(Debug, Default)]
struct Consumers {
    next: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<Who>>>,
}

/// One who listens.
#[derive(Debug)]
pub struct Who {
    /// Where from.
    pub from: String,
    /// What it calls itself.
    pub agent: String,
    /// Since when, microseconds since 1970.
    pub since: i64,
    at: AtomicI64,
}

impl Who {
    /// Number of the last event that was handed over to it.
    #[must_use]
    pub fn at(&self) -> i64 {
        self.at.load(Ordering::Relaxed)
    }
}

/// The entry of one consumer; taken out when dropped.
#[derive(Debug)]
struct Entry {
    number: u64,
    who: Arc<Who>,
    consumers: Arc<Consumers>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.consumers.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Where a consumer begins.
#[derive(Debug)]
pub enum Opening {
    /// Right behind its cursor, or with what comes next.
    Here(Subscription),
    /// Later than its cursor says: what came right behind it is not kept any more.
    Outdated(Subscription),
    /// Nowhere: there is no event with that number yet.
    Future,
}

/// One consumer's place in the stream.
#[derive(Clone)]
pub struct Subscription {
    host: Host,
    tail: Arc<Tail>,
    entry: Arc<Entry>,
    /// The number of the last event handed over.
    at: i64,
    /// Bytes of the next page from the store.
    room: usize,
    /// The last page came from the store.
    stored: bool,
}

/// Events in a row.
#[derive(Debug)]
pub struct Page {
    /// Each with its number, in order.
    pub frames: Vec<(i64, Bytes)>,
    /// Some events between this page and the one before are not kept any more.
    pub outdated: bool,
    /// Its share of the memory for stored pages; given back when the page is dropped.
    _held: Option<OwnedSemaphorePermit>,
}

impl Page {
    /// Events from elsewhere.
    #[must_use]
    pub fn new(frames: Vec<(i64, Bytes)>) -> Self {
        Self { frames, outdated: false, _held: None }
    }
}

impl Host {
    /// A place in the stream: live without a cursor, else behind the event of that number; 0 for the oldest one. `from`
    /// and `agent` are for the operator to see.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn subscribe(&self, cursor: Option<u64>, from: String, agent: String) -> HostResult<Opening> {
        let tail = self.store().tail();
        let last = tail.last();
        let place = |at| self.place(Arc::clone(&tail), at, from, agent);
        let Some(cursor) = cursor else { return Ok(Opening::Here(place(last))) };
        let cursor = i64::try_from(cursor).unwrap_or(i64::MAX);
        if cursor > last {
            return Ok(Opening::Future);
        }
        if cursor == last {
            return Ok(Opening::Here(place(last)));
        }
        let before = self.window_begins().await?.unwrap_or_else(|| last.saturating_add(1)).saturating_sub(1);
        if cursor < before {
            return Ok(Opening::Outdated(place(before.min(last))));
        }
        Ok(Opening::Here(place(cursor)))
    }

    /// Number of the oldest event that is given out.
    async fn window_begins(&self) -> HostResult<Option<i64>> {
        let Some(first) = self.store().first_event().await? else { return Ok(None) };
        let window = i64::try_from(self.config().event_window.as_micros()).unwrap_or(i64::MAX);
        let since = self.now().saturating_sub(window);
        if first.at >= since {
            return Ok(Some(first.seq));
        }
        Ok(self.store().event_at_or_after(since).await?)
    }

    fn place(&self, tail: Arc<Tail>, at: i64, from: String, agent: String) -> Subscription {
        let consumers = Arc::clone(&self.firehose().consumers);
        let who = Arc::new(Who { from, agent, since: self.now(), at: AtomicI64::new(at) });
        let number = consumers.next.fetch_add(1, Ordering::Relaxed);
        consumers.all.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&who));
        let entry = Arc::new(Entry { number, who, consumers });
        Subscription { host: self.clone(), tail, entry, at, room: STORED_FIRST, stored: false }
    }

    /// Everybody who listens now, in the order in which they came.
    #[must_use]
    pub fn consumers(&self) -> Vec<Arc<Who>> {
        let all = self.firehose().consumers.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Subscription {
    /// How many numbers lie between what was handed over and the newest event.
    #[must_use]
    pub fn behind(&self) -> u64 {
        u64::try_from(self.tail.last().saturating_sub(self.at)).unwrap_or(0)
    }

    /// Goes back to right behind this number: what was handed over after it was not taken.
    pub fn go_back(&mut self, seq: i64) {
        self.at = seq;
        self.room = STORED_FIRST;
        self.entry.who.at.store(seq, Ordering::Relaxed);
    }

    /// The next events; waits until there are some. May be dropped and called again.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next(&mut self) -> HostResult<Page> {
        loop {
            // Everything up to this number was in memory or in the store before either is looked at.
            let last = self.tail.last();
            match self.tail.after(self.at, PAGE_EVENTS, PAGE_BYTES) {
                Replay::Events(events) if !events.is_empty() => {
                    self.stored = false;
                    let frames: Vec<_> =
                        events.iter().map(|event| (event.seq, event.frame.clone())).collect();
                    return Ok(self.page(frames, false, None));
                }
                Replay::Events(_) => {
                    // What is missing up to there was erased, or numbers were passed over.
                    self.at = self.at.max(last);
                    self.tail.wait_past(self.at).await;
                }
                Replay::Behind => {
                    if let Some(page) = self.stored_page().await? {
                        return Ok(page);
                    }
                    self.at = self.at.max(last);
                }
            }
        }
    }

    async fn stored_page(&mut self) -> HostResult<Option<Page>> {
        // An event may be larger than the page that it ends, but not by much more than its frame's own limit.
        let permits = u32::try_from(self.room >> 10).unwrap_or(u32::MAX);
        let held = Arc::clone(&self.host.firehose().stored).acquire_many_owned(permits).await.ok();
        let rows: Vec<EventRow> =
            self.host.store().events_after(self.at, PAGE_EVENTS.saturating_mul(4), self.room).await?;
        let outdated = match rows.first() {
            // In the middle of the backlog, what the consumer had not taken may have been pruned meanwhile.
            Some(row) if self.stored && row.seq > self.at.saturating_add(1) => {
                self.host.store().first_event().await?.is_some_and(|first| first.seq == row.seq)
            }
            _ => false,
        };
        if rows.is_empty() {
            return Ok(None);
        }
        self.stored = true;
        self.room = self.room.saturating_mul(2).min(STORED_MOST);
        let frames = rows.into_iter().map(|row| (row.seq, row.frame)).collect();
        Ok(Some(self.page(frames, outdated, held)))
    }

    fn page(
        &mut self,
        frames: Vec<(i64, Bytes)>,
        outdated: bool,
        held: Option<OwnedSemaphorePermit>,
    ) -> Page {
        if let Some((seq, _)) = frames.last() {
            self.at = self.at.max(*seq);
            self.entry.who.at.store(self.at, Ordering::Relaxed);
        }
        Page { frames, outdated, _held: held }
    }
}

/// Settings.
#[derive(Debug, Clone)]
pub struct FirehoseConfig {
    /// Events that a consumer may be behind while it takes nothing, before it is sent away.
    pub max_buffer: u64,
    /// Most events that are kept.
    pub keep_events: u64,
    /// Most bytes of events that are kept.
    pub keep_bytes: u64,
}

impl Default for FirehoseConfig {
    fn default() -> Self {
        Self { max_buffer: 500, keep_events: 10_000_000, keep_bytes: 20_000_000_000 }
    }
}

/// The job that forgets events past their time, and what is more than the disk is to hold.
#[derive(Debug)]
pub(crate) struct Forget;

#[async_trait]
impl Job for Forget {
    fn name(&self) -> &'static str {
        "events"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        let config = &host.config().firehose;
        let window = i64::try_from(host.config().event_window.as_micros()).unwrap_or(i64::MAX);
        let mut forgotten = 0_u64;
        loop {
            let unit = Unit::PruneEvents {
                before_at: host.now().saturating_sub(window),
                keep_count: config.keep_events,
                max_bytes: config.keep_bytes,
            };
            let Applied::Chunk { rows, done } = host.store().apply(unit).await? else { break };
            forgotten = forgotten.saturating_add(rows);
            if done {
                break;
            }
        }
        let totals = host.store().event_totals().await?;
        metrics::gauge!("p2pds_firehose_seq").set(totals.last_seq as f64);
        metrics::gauge!("p2pds_firehose_stored_events").set(totals.events as f64);
        metrics::gauge!("p2pds_firehose_stored_bytes").set(totals.bytes as f64);
        metrics::counter!("p2pds_firehose_forgotten_total").increment(forgotten);
        Ok(FORGET_EVERY)
    }
}
