//! What came over the wire, and how much of it belongs to a message that is not whole yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Any connection.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Wire for T {}

/// A connection whose bytes are counted.
pub(super) struct Metered {
    wire: Box<dyn Wire>,
    received: u64,
    /// Bytes since the last whole message, without those of pings and pongs.
    since_whole: u64,
    /// More than this of an unfinished message ends the stream: fragments without end, empty ones above all.
    most: u64,
    /// When the first of these bytes came, or the current window began.
    begun: Option<Instant>,
    /// `since_whole` when the window began.
    window: u64,
    last: Instant,
}

/// A message that is not whole yet.
pub(super) struct Unfinished {
    /// Since when.
    pub(super) since: Instant,
    /// Bytes since then.
    pub(super) bytes: u64,
}

impl Metered {
    pub(super) fn new(wire: Box<dyn Wire>, max_message: usize) -> Self {
        // What was read ahead counts as well; headers of fragments are allowed as much again.
        let most = (max_message as u64).saturating_mul(2).saturating_add(1 << 20);
        Self { wire, received: 0, since_whole: 0, most, begun: None, window: 0, last: Instant::now() }
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn last(&self) -> Instant {
        self.last
    }

    pub(super) fn overflown(&self) -> bool {
        self.since_whole > self.most
    }

    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        let bytes = self.since_whole.saturating_sub(self.window);
        self.begun.map(|since| Unfinished { since, bytes })
    }

    /// A message came to its end.
    pub(super) fn whole(&mut self) {
        (self.since_whole, self.window, self.begun) = (0, 0, None);
    }

    /// A ping or pong came: a head of two bytes and its payload.
    pub(super) fn control(&mut self, payload: usize) {
        self.since_whole = self.since_whole.saturating_sub((payload as u64).saturating_add(2));
        if self.since_whole == 0 {
            self.whole();
        }
    }

    /// The message is fast enough so far.
    pub(super) fn next_window(&mut self, now: Instant) {
        (self.window, self.begun) = (self.since_whole, Some(now));
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before) as u64;
        if read > 0 {
            let now = Instant::now();
            self.received = self.received.saturating_add(read);
            self.since_whole = self.since_whole.saturating_add(read);
            self.begun.get_or_insert(now);
            self.last = now;
            if self.overflown() {
                return Poll::Ready(Err(io::Error::other("a message does not end")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
