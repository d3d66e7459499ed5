//! Streams over WebSocket: the same address table, manners and TLS as every other request.
//!
//! Nothing runs behind a stream: bytes are read when [`WsStream::next`] is awaited, so a slow reader slows the host down
//! and queues nothing here. No compression is offered, no redirect is followed. What ends a stream: silence, a message
//! that trickles, one that is too long in whole or in fragments, a flood of pings, text, and whatever breaks RFC 6455.

mod connect;
mod meter;

use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, error::CapacityError};

use crate::client::{Client, deadline};
use crate::error::{NetError, plain};
use meter::Metered;

/// Pings and pongs taken within [`CONTROL_WINDOW`].
const MAX_CONTROL: u32 = 100;
/// See [`MAX_CONTROL`].
const CONTROL_WINDOW: Duration = Duration::from_secs(20);
/// How long a ping or a goodbye may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a stream may do. [`Default`] is right for repository streams.
#[derive(Debug, Clone)]
pub struct WsOptions {
    /// Longest message in bytes, whole or in fragments. Default 5 MiB.
    pub max_frame: usize,
    /// DNS, TCP, TLS and the upgrade together. Default 15 s.
    pub handshake: Duration,
    /// Longest silence, pongs included. Default 75 s.
    pub idle: Duration,
    /// A silent host is pinged after this time. Default 25 s.
    pub ping_every: Duration,
    /// A message that has begun must arrive at this rate, in bytes per second. Default 1 KiB/s.
    pub min_rate: u64,
    /// The time over which the rate is measured. Default 20 s.
    pub rate_window: Duration,
    /// Text messages are taken as well, as their bytes. Default: no, they end the stream.
    pub text: bool,
    /// Buffer for reading, per stream. Default 32 KiB; more for a busy relay.
    pub read_buffer: usize,
    /// Further headers of the upgrade.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

impl Default for WsOptions {
    fn default() -> Self {
        Self {
            max_frame: 5 << 20,
            handshake: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            ping_every: Duration::from_secs(25),
            min_rate: 1024,
            rate_window: Duration::from_secs(20),
            text: false,
            read_buffer: 32 * 1024,
            headers: Vec::new(),
        }
    }
}

/// An open stream.
pub struct WsStream {
    socket: WebSocketStream<Metered>,
    host: String,
    options: WsOptions,
    /// Pings and pongs since `control_since`.
    control: u32,
    control_since: Instant,
    pinged: bool,
    closed: Option<(u16, String)>,
}

impl Client {
    /// Opens a stream. `url` begins with `wss://`, or with `ws://` where the development setting allows it.
    ///
    /// # Errors
    /// Those of a request: [`NetError::BadUrl`], `Refused`, `NoSuchHost`, `Dns`, `Connect`, `Timeout`, `RateLimited`;
    /// [`NetError::Redirect`] and [`NetError::Status`] when the host answers something else than a stream.
    pub async fn ws(&self, url: &str, options: &WsOptions) -> Result<WsStream, NetError> {
        let (socket, host) = connect::open(self, url, options).await?;
        Ok(WsStream {
            socket,
            host,
            options: options.clone(),
            control: 0,
            control_since: Instant::now(),
            pinged: false,
            closed: None,
        })
    }
}

impl WsStream {
    /// The next binary message (or text, see [`WsOptions::text`]); `None` when the host has ended the stream, see [`Self::closed`]. May be dropped and
    /// called again.
    ///
    /// # Errors
    /// [`NetError::TooLarge`], `TooSlow`, `Timeout` (silence) and `Body` (broken off, not RFC 6455, flooded). The stream is
    /// of no use afterwards.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NetError> {
        if self.closed.is_some() {
            return Ok(None);
        }
        let asked = Instant::now();
        loop {
            let message = match self.socket.next().now_or_never() {
                Some(message) => message,
                None => {
                    let alarm = self.alarm(asked);
                    match tokio::time::timeout_at(alarm, self.socket.next()).await {
                        Ok(message) => message,
                        Err(_) => {
                            self.ring(asked).await?;
                            continue;
                        }
                    }
                }
            };
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    self.socket.get_mut().whole();
                    self.pinged = false;
                    return Ok(Some(bytes));
                }
                Some(Ok(Message::Text(text))) if self.options.text => {
                    self.socket.get_mut().whole();
                    self.pinged = false;
                    return Ok(Some(text.into()));
                }
                Some(Ok(Message::Ping(bytes) | Message::Pong(bytes))) => self.control(bytes.len())?,
                Some(Ok(Message::Close(frame))) => {
                    // The answer goes out if the host still takes it; its end of the connection is not waited for.
                    let _ = self.socket.flush().now_or_never();
                    self.closed = Some(reason(frame));
                    return Ok(None);
                }
                Some(Ok(Message::Text(_) | Message::Frame(_))) => {
                    return Err(self.broken("it sends text where binary messages are due"));
                }
                None | Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) => {
                    self.closed = Some((1005, String::new()));
                    return Ok(None);
                }
                Some(Err(error)) => return Err(self.translate(&error)),
            }
        }
    }

    /// Code and reason of the host's goodbye, once [`Self::next`] has returned `None`.
    #[must_use]
    pub fn closed(&self) -> Option<(u16, &str)> {
        self.closed.as_ref().map(|(code, reason)| (*code, reason.as_str()))
    }

    /// Bytes received so far, after decryption.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.socket.get_ref().received()
    }

    /// The host's name, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Says goodbye, as far as the host listens.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(WRITE_TIMEOUT, self.socket.close(None)).await;
    }

    /// When to look after the stream, should nothing come until then. Time in which nobody asked does not count.
    fn alarm(&self, asked: Instant) -> Instant {
        let meter = self.socket.get_ref();
        let silent = asked.max(meter.last());
        let next = after(silent, if self.pinged { self.options.idle } else { self.options.ping_every });
        match meter.unfinished() {
            Some(begun) => next.min(after(asked.max(begun.since), self.options.rate_window)),
            None => next,
        }
    }

    /// Nothing whole has come for a while: is a message trickling, is the host gone, or only quiet?
    async fn ring(&mut self, asked: Instant) -> Result<(), NetError> {
        let now = Instant::now();
        let meter = self.socket.get_mut();
        if let Some(begun) = meter.unfinished() {
            let took = now.saturating_duration_since(asked.max(begun.since));
            if took >= self.options.rate_window {
                let due = u128::from(self.options.min_rate).saturating_mul(took.as_millis()).div_ceil(1000);
                if u128::from(begun.bytes) < due {
                    return Err(NetError::TooSlow {
                        host: self.host.clone(),
                        min_rate: self.options.min_rate,
                        received: meter.received(),
                    });
                }
                meter.next_window(now);
            }
        }
        let silence = now.saturating_duration_since(asked.max(meter.last()));
        if silence >= self.options.idle {
            return Err(NetError::Timeout { host: self.host.clone(), phase: "say anything on its stream" });
        }
        if silence >= self.options.ping_every && !self.pinged {
            self.pinged = true;
            let ping = self.socket.send(Message::Ping(Bytes::new()));
            match tokio::time::timeout(WRITE_TIMEOUT, ping).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.translate(&error)),
                Err(_) => return Err(self.broken("it takes no answers")),
            }
        }
        Ok(())
    }

    fn control(&mut self, payload: usize) -> Result<(), NetError> {
        self.socket.get_mut().control(payload);
        self.pinged = false;
        let now = Instant::now();
        if now.saturating_duration_since(self.control_since) > CONTROL_WINDOW {
            self.control_since = now;
            self.control = 0;
        }
        self.control = self.control.saturating_add(1);
        if self.control > MAX_CONTROL { Err(self.broken("it floods the stream with pings")) } else { Ok(()) }
    }

    fn broken(&self, detail: &str) -> NetError {
        NetError::Body { host: self.host.clone(), received: self.received(), detail: plain(detail, 200) }
    }

    fn translate(&self, error: &WsError) -> NetError {
        let too_large = matches!(error, WsError::Capacity(CapacityError::MessageTooLong { .. }))
            || self.socket.get_ref().overflown();
        if too_large {
            return NetError::TooLarge { host: self.host.clone(), limit: self.options.max_frame as u64 };
        }
        match error {
            WsError::Io(error) => self.broken(&error.to_string()),
            WsError::Protocol(error) => self.broken(&error.to_string()),
            other => self.broken(&other.to_string()),
        }
    }
}

impl std::fmt::Debug for WsStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WsStream")
            .field("host", &self.host)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

fn reason(frame: Option<CloseFrame>) -> (u16, String) {
    frame.map_or((1005, String::new()), |frame| (frame.code.into(), plain(frame.reason.as_str(), 200)))
}

fn after(start: Instant, wait: Duration) -> Instant {
    start.checked_add(wait).unwrap_or_else(|| deadline(wait))
}
