//! One stream of events: opened where it was left, read, handed to the accounts, opened again when it breaks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use p2pds_net::{NetError, WsOptions, WsStream};
use p2pds_replica::frame::{Kind, MAX_FRAME};
use p2pds_replica::{Frame, decode, peek};
use p2pds_store::{Unit, WorkerRow};
use serde_json::json;
use tokio::sync::Notify;

use super::cursor::Cursor;
use super::followed::{Slot, Waiting};
use super::plan::Source;
use super::rate::Rate;
use super::report::cost;
use super::service::{Service, lock, micros};
use crate::error::ArchiveResult;
use crate::words::plural;

/// Frames in a row that cannot be read, after which a stream is left and opened again.
const MAX_BAD: u32 = 10;
/// A position that moves only because events of others are passed over is noted after so long.
const NOTE_ANYWAY: i64 = 60_000_000;
/// Tries in a row that failed, after which that is a fault of its own.
const FAILURES_TOLD: u32 = 6;
/// The kind of that fault.
const CONDITION: &str = "live-source";
/// How long a host whose stream is too busy is polled before its stream is tried again.
const BUSY_FOR: Duration = Duration::from_secs(24 * 3_600);

/// One stream and how it goes.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) source: Arc<Source>,
    accounts: AtomicUsize,
    started: AtomicBool,
    ended: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cursor: Arc<Cursor>,
    /// The position noted last, how many events had been taken in by then, and when.
    noted: Option<u64>,
    noted_taken: u64,
    noted_at: i64,
    rate: Rate,
    /// When it was opened; `None` while it is not open. Microseconds since 1970.
    open_since: Option<i64>,
    /// When it was open last, or this process began.
    worked_at: i64,
    /// When something came last.
    heard_at: Option<i64>,
    last_error: Option<String>,
    events: u64,
    bytes: u64,
}

/// Why a stream ended, or should.
#[derive(Debug)]
enum End {
    /// It broke.
    Broken(String),
    /// The host does not know the position: begin with what happens now.
    Future,
    /// More events than are worth their bandwidth.
    TooBusy(f64),
    /// Nobody listens any more.
    Asked,
}

/// How a stream goes, for reports.
#[derive(Debug, Clone)]
pub(crate) struct Going {
    pub(crate) open_since: Option<i64>,
    pub(crate) heard_at: Option<i64>,
    pub(crate) events_per_second: f64,
    pub(crate) bytes_per_second: f64,
    pub(crate) last_error: Option<String>,
}

impl Stream {
    /// The stream of a source, at the position that its row names.
    pub(super) async fn restored(service: &Service, source: Source) -> ArchiveResult<Self> {
        let row = service.archive().store().worker(&source.row()).await?;
        let notes: serde_json::Value =
            row.and_then(|row| serde_json::from_str(&row.notes).ok()).unwrap_or_default();
        let position = notes.get("cursor").and_then(serde_json::Value::as_u64);
        let state = State {
            cursor: Cursor::after(position),
            noted: position,
            noted_taken: 0,
            noted_at: 0,
            rate: Rate::new(millis(service.now())),
            open_since: None,
            worked_at: service.now(),
            heard_at: None,
            last_error: None,
            events: 0,
            bytes: 0,
        };
        Ok(Self {
            source: Arc::new(source),
            accounts: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            ended: Notify::new(),
            state: Mutex::new(state),
        })
    }

    /// How many accounts are listened for.
    pub(super) fn listen_for(&self, accounts: usize) {
        self.accounts.store(accounts, Ordering::Relaxed);
    }

    /// How many accounts are listened for.
    pub(super) fn listened(&self) -> u64 {
        u64::try_from(self.accounts.load(Ordering::Relaxed)).unwrap_or(u64::MAX)
    }

    /// Whether it was not opened yet in this process.
    pub(super) fn is_fresh(&self) -> bool {
        !self.started.load(Ordering::Relaxed)
    }

    pub(super) fn cursor(&self) -> Arc<Cursor> {
        Arc::clone(&lock(&self.state).cursor)
    }

    /// Whether it is open, or broke only a moment ago.
    pub(super) fn works(&self, now: i64) -> bool {
        const MOMENT: i64 = 120_000_000;
        let state = lock(&self.state);
        state.open_since.is_some() || now.saturating_sub(state.worked_at) < MOMENT
    }

    /// How it goes.
    pub(super) fn going(&self, now: i64) -> Going {
        let state = lock(&self.state);
        let (events_per_second, bytes_per_second) = state.rate.lately(millis(now));
        Going {
            open_since: state.open_since,
            heard_at: state.heard_at,
            events_per_second,
            bytes_per_second,
            last_error: state.last_error.clone(),
        }
    }

    /// Begins to listen, unless it does already.
    pub(super) fn start(self: &Arc<Self>, service: &Arc<Service>) {
        if !self.started.swap(true, Ordering::Relaxed) {
            let (stream, of) = (Arc::clone(self), Arc::clone(service));
            service.spawn(async move { stream.listen(of).await });
        }
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.ended.notify_one();
    }

    /// Listens until nobody wants it any more.
    async fn listen(self: Arc<Self>, service: Arc<Service>) {
        let url = self.source.url().to_owned();
        let mut failures = 0_u32;
        loop {
            let opened = service.now();
            let end = tokio::select! {
                end = self.listen_once(&service) => end,
                () = self.ended.notified() => End::Asked,
            };
            let lasted = service.now().saturating_sub(opened);
            {
                let mut state = lock(&self.state);
                if state.open_since.take().is_some() {
                    state.worked_at = service.now();
                }
            }
            service.count_streams();
            match end {
                End::Asked => break,
                End::Future => {
                    // The host was set up anew, or numbers its events in another way: nothing before counts.
                    lock(&self.state).cursor = Cursor::after(None);
                    tracing::warn!(
                        event = "live.future-cursor",
                        url,
                        "the stream knows no such position; heads are compared"
                    );
                }
                End::TooBusy(rate) => {
                    self.leave_busy(&service, rate).await;
                    return;
                }
                End::Broken(why) => {
                    // A stream that lasted was a good one.
                    failures = if lasted > 60_000_000 { 0 } else { failures.saturating_add(1) };
                    tracing::info!(
                        event = "live.disconnected",
                        url,
                        why,
                        "the stream broke; it is opened again"
                    );
                    metrics::counter!("p2pds_live_reconnects_total").increment(1);
                    lock(&self.state).last_error = Some(why.clone());
                    if failures >= FAILURES_TOLD {
                        let words = format!(
                            "live events of {} do not come: {why}. It is tried again; its accounts are asked for meanwhile",
                            plural(self.listened(), "account", "accounts")
                        );
                        service.archive.conditions().raise(CONDITION, &url, words);
                    }
                    self.note(&service, &format!("waiting to connect again: {why}")).await;
                }
            }
            let pause = pause(&service, failures);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.ended.notified() => break,
            }
        }
        if !service.is_stopping() {
            service.archive.conditions().clear(CONDITION, &url);
            // Its position says nothing about what happens from now on.
            let _ = service.archive().store().apply(Unit::DropWorker { name: self.source.row() }).await;
        }
    }

    async fn listen_once(&self, service: &Arc<Service>) -> End {
        let cursor = self.cursor();
        // What was handed out and not stored comes once more; events that were stored are recognized.
        let position = cursor.durable();
        let mut url =
            format!("{}/xrpc/com.atproto.sync.subscribeRepos", self.source.url().trim_end_matches('/'));
        if let Some(position) = position {
            url.push_str(&format!("?cursor={position}"));
        }
        let options =
            WsOptions { max_frame: MAX_FRAME, idle: service.config.silence, ..WsOptions::default() };
        let mut socket = match service.archive().net().ws(&url, &options).await {
            Ok(socket) => socket,
            Err(error) => return End::Broken(error.to_string()),
        };
        tracing::info!(event = "live.connected", url = self.source.url(), cursor = position, "listening");
        metrics::counter!("p2pds_live_connects_total").increment(1);
        service.archive.conditions().clear(CONDITION, self.source.url());
        {
            let mut state = lock(&self.state);
            (state.open_since, state.last_error) = (Some(service.now()), None);
            state.rate = Rate::new(millis(service.now()));
        }
        service.count_streams();
        if position.is_none() {
            self.compare_all(service);
        }
        let end = self.read(service, &mut socket, &cursor).await;
        socket.close().await;
        end
    }

    async fn read(&self, service: &Arc<Service>, socket: &mut WsStream, cursor: &Arc<Cursor>) -> End {
        let mut notes = tokio::time::interval(service.config.cursor_every);
        notes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut bad = 0_u32;
        let mut placed = cursor.durable().is_some();
        loop {
            let frame = tokio::select! {
                frame = socket.next() => frame,
                _ = notes.tick() => {
                    self.note_position(service).await;
                    if let Some(rate) = self.too_busy(service) {
                        return End::TooBusy(rate);
                    }
                    continue;
                }
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return End::Broken(closed(socket)),
                Err(error) => return End::Broken(said(&error)),
            };
            match self.take(service, cursor, frame).await {
                Ok(good) => bad = if good { 0 } else { bad.saturating_add(1) },
                Err(end) => return end,
            }
            if !placed {
                // From the first position on, a restart goes on where this process stopped, whenever that is.
                placed = true;
                self.note_position(service).await;
            }
            if bad > MAX_BAD {
                return End::Broken("it sends what is no event stream".to_owned());
            }
        }
    }

    /// One frame: passed over, or handed to its account. `false`: it could not be read.
    async fn take(&self, service: &Arc<Service>, cursor: &Arc<Cursor>, frame: Bytes) -> Result<bool, End> {
        let now = service.now();
        {
            let mut state = lock(&self.state);
            let bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
            state.rate.count(millis(now), bytes);
            (state.events, state.bytes) = (state.events.saturating_add(1), state.bytes.saturating_add(bytes));
            state.heard_at = Some(now);
            metrics::counter!("p2pds_live_received_bytes_total").increment(bytes);
        }
        let Ok(glance) = peek(&frame) else {
            metrics::counter!("p2pds_live_events_total", "kind" => "unreadable").increment(1);
            return Ok(false);
        };
        metrics::counter!("p2pds_live_events_total", "kind" => glance.kind.as_str()).increment(1);
        match (glance.kind, glance.seq) {
            (Kind::Info, _) => self.info(service, &frame),
            (Kind::Error, _) => return Err(failure(&frame)),
            (_, None) => return Ok(false),
            (_, Some(seq)) => match glance.did.and_then(|did| service.followed.get(did)) {
                Some(slot) => self.hand(service, cursor, &slot, seq, frame).await,
                None => cursor.pass(seq),
            },
        }
        Ok(true)
    }

    /// Hands a frame to its account, waiting for room if need be: then the host waits too.
    async fn hand(
        &self,
        service: &Arc<Service>,
        cursor: &Arc<Cursor>,
        slot: &Arc<Slot>,
        seq: u64,
        frame: Bytes,
    ) {
        // Its place is taken first, so that the position never passes it while it waits here.
        let ticket = cursor.begin(seq);
        // A frame must be able to come in whatever its size.
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX).min(8 << 20);
        let Ok(room) = Arc::clone(&service.waiting).acquire_many_owned(len).await else { return };
        let opened_at = lock(&self.state).open_since.unwrap_or(0);
        let source = Arc::clone(&self.source);
        let waiting = Waiting { frame, ticket, source, opened_at, _room: room };
        service.enqueue(slot, waiting).await;
    }

    fn info(&self, service: &Arc<Service>, frame: &[u8]) {
        let Ok(Frame::Info(info)) = decode(frame) else { return };
        if info.name == "OutdatedCursor" {
            tracing::warn!(
                event = "live.outdated-cursor",
                url = self.source.url(),
                "the stream does not reach back to where it was left; heads are compared"
            );
            self.compare_all(service);
        }
    }

    /// Events may have been missed: every account of this stream is compared with its host.
    fn compare_all(&self, service: &Arc<Service>) {
        let now = service.now();
        for slot in service.heard_by(&self.source) {
            slot.lock().ask_at = now;
        }
    }

    /// The lasting rate, when it is above the limit. A relay's is what it is.
    fn too_busy(&self, service: &Service) -> Option<f64> {
        if self.source.is_relay() {
            return None;
        }
        let mut state = lock(&self.state);
        state.rate.roll(millis(service.now()));
        state.rate.lasting().filter(|rate| *rate > f64::from(service.config.host_rate))
    }

    async fn leave_busy(&self, service: &Arc<Service>, rate: f64) {
        let url = self.source.url();
        tracing::info!(
            event = "live.too-busy",
            url,
            rate,
            "the host's stream costs too much; its accounts are polled"
        );
        let until = service.now().saturating_add(micros(BUSY_FOR));
        lock(&service.busy).insert(url.to_owned(), until);
        let words =
            format!("polling: the host's own stream has {rate:.0} events a second, more than live.host_rate");
        self.note(service, &words).await;
        service.changed.notify_one();
    }

    /// Writes the position down when it has moved.
    async fn note_position(&self, service: &Service) {
        let moved = {
            let state = lock(&self.state);
            let taken = state.cursor.taken() != state.noted_taken;
            let long = service.now().saturating_sub(state.noted_at) > NOTE_ANYWAY;
            state.cursor.durable() != state.noted && (taken || long || state.noted.is_none())
        };
        if moved {
            self.note(service, &self.words(service)).await;
        }
    }

    fn words(&self, service: &Service) -> String {
        let going = self.going(service.now());
        format!(
            "listening for {}: {}",
            plural(self.listened(), "account", "accounts"),
            cost(going.events_per_second, going.bytes_per_second)
        )
    }

    /// Writes position and state down.
    pub(super) async fn note(&self, service: &Service, words: &str) {
        let (position, taken, last_error, done) = {
            let state = lock(&self.state);
            // The count first: what is taken in after it is noted next time.
            let taken = state.cursor.taken();
            (state.cursor.durable(), taken, state.last_error.clone(), state.events)
        };
        let row = WorkerRow {
            name: self.source.row(),
            did: None,
            state: words.to_owned(),
            done,
            total: 0,
            notes: json!({"cursor": position}).to_string(),
            last_error,
            next_run: None,
            updated_at: service.now(),
        };
        match service.archive().store().apply(Unit::PutWorker(row)).await {
            Ok(_) => {
                let mut state = lock(&self.state);
                (state.noted, state.noted_taken, state.noted_at) = (position, taken, service.now());
            }
            // The older position stays: more comes twice after a restart, and nothing is lost.
            Err(error) => tracing::debug!(event = "live.cursor", %error, "the position could not be noted"),
        }
    }
}

/// Why the host ended the stream.
fn failure(frame: &[u8]) -> End {
    match decode(frame) {
        Ok(Frame::Error(failure)) if failure.error == "FutureCursor" => End::Future,
        Ok(Frame::Error(failure)) => {
            let message = failure.message.unwrap_or("without further words");
            End::Broken(format!("the host ended the stream: {} ({message})", failure.error))
        }
        _ => End::Broken("the host ended the stream with an error that cannot be read".to_owned()),
    }
}

fn closed(socket: &WsStream) -> String {
    match socket.closed() {
        Some((code, reason)) if !reason.is_empty() => {
            format!("the host closed the stream: {reason} ({code})")
        }
        Some((code, _)) => format!("the host closed the stream ({code})"),
        None => "the host closed the stream".to_owned(),
    }
}

fn said(error: &NetError) -> String {
    error.to_string()
}

/// The pause before a stream is opened again: doubled with each failure, half of it by chance.
fn pause(service: &Service, failures: u32) -> Duration {
    let (least, most) = (service.config.reconnect_least, service.config.reconnect_most);
    let doubled =
        least.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(most);
    service.spread(doubled)
}

fn millis(micros: i64) -> u64 {
    u64::try_from(micros / 1_000).unwrap_or(0)
}
