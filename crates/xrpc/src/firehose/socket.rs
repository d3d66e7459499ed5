//! One consumer from its first frame to its last.
//!
//! | what it does | what happens |
//! |---|---|
//! | takes what it is sent | pages follow one another, the next one read while the last one goes out |
//! | takes nothing for a second, or a page in five | all but the frame under way is forgotten; it is read again later |
//! | takes nothing for ten and is behind by more than its buffer, or one frame in a minute | `ConsumerTooSlow` |
//! | says nothing for half a minute while nothing is sent | a ping; and the end when half a minute later there is no answer |
//! | says more than it should | the end |

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use p2pds_host::HostResult;
use p2pds_host::firehose::Page;
use p2pds_replica::Frame;
use p2pds_replica::frame::{Failure, Info};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::{Instant, MissedTickBehavior};

use super::feed::Feed;
use super::inbound::{Heard, Inbound};
use super::outbound::Outbound;
use super::{Seat, code};

/// Bytes on the way below which the next page is read ahead.
const AHEAD: usize = 256 << 10;
/// Frames of a consumer within [`FLOOD_WINDOW`].
const FLOOD: u32 = 100;
const FLOOD_WINDOW: Duration = Duration::from_secs(20);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// How often a socket is looked after.
    pub(crate) look: Duration,
    /// How long nothing may be taken before what waits is forgotten.
    pub(crate) hold: Duration,
    /// How long a page may be on the way.
    pub(crate) page: Duration,
    /// How long nothing may be taken by one who is behind.
    pub(crate) stall: Duration,
    /// How long one frame may be on the way.
    pub(crate) frame: Duration,
    /// How long it may be silent before it is pinged, and then before it is given up.
    pub(crate) silence: Duration,
    /// How long a goodbye may take.
    pub(crate) goodbye: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            hold: Duration::from_secs(1),
            page: Duration::from_secs(5),
            stall: Duration::from_secs(10),
            frame: Duration::from_secs(55),
            silence: Duration::from_secs(30),
            goodbye: Duration::from_secs(5),
        }
    }
}

/// How a stream begins.
pub(crate) enum First<F> {
    /// With the next event.
    Event(F),
    /// With the word that older ones are gone.
    Outdated(F),
    /// It does not: an error frame, and the end.
    Refused {
        /// The protocol's name for it.
        error: &'static str,
        /// For a person.
        message: String,
    },
}

/// How it ends.
#[derive(Debug)]
enum End {
    /// The other end is gone.
    Gone,
    /// With a code.
    Code(u16),
    /// With an error frame.
    Word(&'static str, String),
}

type Fetching<F> = Pin<Box<dyn Future<Output = (F, HostResult<Page>)> + Send>>;

/// Serves one consumer; how it ended, in a word for the log and the metrics.
pub(crate) async fn run<S, F>(
    io: S,
    first: First<F>,
    seat: Seat,
    max_buffer: u64,
    times: Times,
) -> &'static str
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Feed,
{
    let (reader, writer) = tokio::io::split(io);
    let now = Instant::now();
    let mut socket = Socket {
        reader,
        writer,
        seat,
        times,
        max_buffer,
        inbound: Inbound::default(),
        out: Outbound::default(),
        moved: now,
        whole: now,
        heard: now,
        pinged: None,
        flood: (now, 0),
        stalled: false,
    };
    let end = match first {
        First::Event(place) => socket.serve(place).await,
        First::Outdated(place) => {
            socket.out.word(outdated());
            socket.serve(place).await
        }
        First::Refused { error, message } => End::Word(error, message),
    };
    let word = match &end {
        End::Gone => "gone",
        End::Code(code::AWAY) => "stopping",
        End::Code(code::TROUBLE) => "trouble",
        End::Code(1000) => "closed",
        End::Code(_) => "protocol",
        End::Word(word, _) => word,
    };
    socket.end(end).await;
    word
}

fn outdated() -> Vec<u8> {
    let message = Some("Requested cursor exceeded limit. Possibly missing events");
    Frame::Info(Info { name: "OutdatedCursor", message }).encode()
}

struct Socket<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    seat: Seat,
    times: Times,
    max_buffer: u64,
    inbound: Inbound,
    out: Outbound,
    /// When a byte was taken last, or nothing waited.
    moved: Instant,
    /// When a whole frame was taken last, or nothing waited.
    whole: Instant,
    /// When anything was heard last.
    heard: Instant,
    pinged: Option<Instant>,
    flood: (Instant, u32),
    /// Nothing more is fetched until what waits is taken.
    stalled: bool,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Socket<S> {
    async fn serve<F: Feed>(&mut self, place: F) -> End {
        let mut place = Place { here: place.clone(), fetching: Some(fetch(place)) };
        let mut ticks = tokio::time::interval(self.times.look);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read = [0_u8; 512];
        loop {
            let ahead = !self.stalled && self.out.bytes() < AHEAD;
            if ahead && place.fetching.is_none() {
                place.fetching = Some(fetch(place.here.clone()));
            }
            let done = tokio::select! {
                biased;
                () = self.seat.closing() => Err(End::Code(code::AWAY)),
                got = self.reader.read(&mut read) => match got {
                    Ok(length @ 1..) => self.hear(read.get(..length).unwrap_or_default()),
                    _ => Err(End::Gone),
                },
                written = self.out.write(&mut self.writer), if !self.out.is_empty() => match written {
                    Ok((bytes, events)) => {
                        self.took(bytes, events);
                        Ok(())
                    }
                    Err(_) => Err(End::Gone),
                },
                (here, page) = place.fetched(), if ahead && place.fetching.is_some() => {
                    place.fetching = None;
                    place.here = here;
                    self.queue(page)
                }
                _ = ticks.tick() => self.look(&mut place),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn queue(&mut self, page: HostResult<Page>) -> Result<(), End> {
        match page {
            Ok(page) => {
                if self.out.is_empty() {
                    (self.moved, self.whole) = (Instant::now(), Instant::now());
                }
                if page.outdated {
                    self.out.word(outdated());
                }
                self.out.page(page);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(event = "firehose.store", %error, "events cannot be read now; a consumer is sent away");
                Err(End::Code(code::TROUBLE))
            }
        }
    }

    fn took(&mut self, bytes: usize, events: u64) {
        self.moved = Instant::now();
        if events > 0 || self.out.is_empty() {
            self.whole = self.moved;
        }
        if self.out.is_empty() {
            self.stalled = false;
        }
        metrics::counter!("p2pds_firehose_frames_total").increment(events);
        metrics::counter!("p2pds_firehose_bytes_total").increment(bytes as u64);
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), End> {
        let now = Instant::now();
        self.heard = now;
        self.inbound.feed(bytes);
        while let Some(heard) = self.inbound.next().map_err(End::Code)? {
            if now.saturating_duration_since(self.flood.0) > FLOOD_WINDOW {
                self.flood = (now, 0);
            }
            self.flood.1 = self.flood.1.saturating_add(1);
            if self.flood.1 > FLOOD {
                return Err(End::Code(code::POLICY));
            }
            match heard {
                Heard::Ping(payload) => self.out.pong(payload),
                Heard::Close => return Err(End::Code(1000)),
                Heard::Pong | Heard::Message => {}
            }
        }
        Ok(())
    }

    /// Once in a while: does it still take what it is sent, and is it still there?
    fn look<F: Feed>(&mut self, place: &mut Place<F>) -> Result<(), End> {
        let now = Instant::now();
        let since = |then: Instant| now.saturating_duration_since(then);
        if self.out.is_empty() {
            (self.moved, self.whole) = (now, now);
            return self.ping(now);
        }
        let stuck = since(self.moved);
        if stuck >= self.times.hold || self.out.oldest_page(now) >= self.times.page {
            if let Some(seq) = self.out.cut() {
                place.go_back(seq);
            }
            self.stalled = !self.out.is_empty();
        }
        let behind = place.here.behind();
        let stalled = stuck >= self.times.stall && behind > self.max_buffer;
        if stalled || since(self.whole) >= self.times.frame {
            let message = format!(
                "Stream consumer too slow: {behind} events behind and not reading; connect again with the last cursor"
            );
            return Err(End::Word("ConsumerTooSlow", message));
        }
        Ok(())
    }

    fn ping(&mut self, now: Instant) -> Result<(), End> {
        if self.pinged.is_some_and(|pinged| self.heard >= pinged) {
            self.pinged = None;
        }
        match self.pinged {
            Some(pinged) if now.saturating_duration_since(pinged) >= self.times.silence => Err(End::Gone),
            None if now.saturating_duration_since(self.heard) >= self.times.silence => {
                self.pinged = Some(now);
                self.out.ping();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The last words, as far as the other end listens.
    async fn end(mut self, end: End) {
        let code = match end {
            End::Gone => return,
            End::Code(code) => code,
            End::Word(error, message) => {
                self.out.cut();
                self.out.word(Frame::Error(Failure { error, message: Some(&message) }).encode());
                code::POLICY
            }
        };
        self.out.cut();
        self.out.close(code);
        let goodbye = async {
            while !self.out.is_empty() {
                if self.out.write(&mut self.writer).await.is_err() {
                    return;
                }
            }
            let _ = self.writer.shutdown().await;
            // What it still says is read, so that the last words are not lost with the connection.
            let (mut read, mut most) = ([0_u8; 512], 64_usize);
            while most > 0 && self.reader.read(&mut read).await.is_ok_and(|length| length > 0) {
                most = most.saturating_sub(1);
            }
        };
        let _ = tokio::time::timeout(self.times.goodbye, goodbye).await;
    }
}

/// Where a consumer is.
struct Place<F> {
    /// Behind the last page that was handed over.
    here: F,
    /// What comes next.
    fetching: Option<Fetching<F>>,
}

impl<F: Feed> Place<F> {
    async fn fetched(&mut self) -> (F, HostResult<Page>) {
        match &mut self.fetching {
            Some(fetching) => fetching.await,
            None => std::future::pending().await,
        }
    }

    fn go_back(&mut self, seq: i64) {
        self.fetching = None;
        self.here.go_back(seq);
    }
}

fn fetch<F: Feed>(mut place: F) -> Fetching<F> {
    Box::pin(async move {
        let page = place.next().await;
        (place, page)
    })
}

#[cfg(test)]
mod tests;
