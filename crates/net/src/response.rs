//! An answer whose body arrives piece by piece, as fast as it is taken and no
//! faster, within its size, rate and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::error::{NetError, plain};
use crate::limiter::Pass;

/// An answer with its head read and its body still to come. Dropping it closes the transfer.
pub struct Response {
    inner: reqwest::Response,
    host: String,
    limits: Limits,
    received: u64,
    window: Window,
    done: bool,
    /// The body counts as an open request to the host.
    _pass: Pass,
}

/// The limits of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_bytes: u64,
    pub(crate) until: Instant,
    pub(crate) min_rate: u64,
    pub(crate) rate_window: Duration,
}

/// Time spent waiting for the host, and what came of it. The reader's own pauses do not count.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    waited: Duration,
    bytes: u64,
}

impl Response {
    pub(crate) fn new(inner: reqwest::Response, host: String, limits: Limits, pass: Pass) -> Self {
        Self { inner, host, limits, received: 0, window: Window::default(), done: false, _pass: pass }
    }

    /// The HTTP status. Any status may arrive here except 429; see [`Self::success`].
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// A header as text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Where the answer came from, after redirects.
    #[must_use]
    pub fn url(&self) -> &str {
        self.inner.url().as_str()
    }

    /// The host, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The length that the host announced; `None` when it did not or when the body is compressed.
    #[must_use]
    pub fn announced_length(&self) -> Option<u64> {
        self.inner.content_length()
    }

    /// Bytes taken so far, after decompression.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// This answer if its status is 2xx.
    ///
    /// # Errors
    /// [`NetError::Status`] otherwise.
    pub fn success(self) -> Result<Self, NetError> {
        if self.status().is_success() {
            return Ok(self);
        }
        Err(NetError::Status { host: self.host, status: self.inner.status().as_u16() })
    }

    /// The next piece of the body; `None` at its end. Nothing is read ahead beyond
    /// the connection's own window, so a slow reader slows the host down. May be
    /// cancelled without losing bytes.
    ///
    /// # Errors
    /// [`NetError::TooLarge`], [`NetError::TooSlow`], [`NetError::Timeout`], [`NetError::Body`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        if self.done {
            return Ok(None);
        }
        if self.announced_length().is_some_and(|length| length > self.limits.max_bytes) {
            return Err(self.too_large());
        }
        loop {
            let started = Instant::now();
            let patience = self.limits.rate_window.saturating_sub(self.window.waited);
            let wake = started.checked_add(patience).unwrap_or(self.limits.until).min(self.limits.until);
            let outcome = tokio::time::timeout_at(wake, self.inner.chunk()).await;
            self.window.waited = self.window.waited.saturating_add(started.elapsed());
            match outcome {
                Ok(Ok(Some(chunk))) if chunk.is_empty() => {}
                Ok(Ok(Some(chunk))) => return self.count(chunk).map(Some),
                Ok(Ok(None)) => {
                    self.done = true;
                    return Ok(None);
                }
                Ok(Err(e)) => return Err(self.broken(&e)),
                Err(_) if Instant::now() >= self.limits.until => {
                    return Err(NetError::Timeout { host: self.host.clone(), phase: "finish its answer" });
                }
                Err(_) => {}
            }
            self.judge_rate()?;
        }
    }

    /// The whole body, if it has at most `limit` bytes (and at most those of the request).
    ///
    /// # Errors
    /// As [`Self::chunk`].
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, NetError> {
        self.limits.max_bytes = self.limits.max_bytes.min(limit);
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The whole body as JSON.
    ///
    /// # Errors
    /// As [`Self::bytes`], and [`NetError::Json`].
    pub async fn json<T: DeserializeOwned>(self, limit: u64) -> Result<T, NetError> {
        let host = self.host.clone();
        let body = self.bytes(limit).await?;
        serde_json::from_slice(&body).map_err(|e| NetError::Json { host, detail: plain(&e.to_string(), 200) })
    }

    fn count(&mut self, chunk: Bytes) -> Result<Bytes, NetError> {
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(length);
        self.window.bytes = self.window.bytes.saturating_add(length);
        if self.received > self.limits.max_bytes {
            self.done = true;
            return Err(self.too_large());
        }
        self.judge_rate()?;
        Ok(chunk)
    }

    /// At the end of a window of waiting: enough bytes, or no more patience.
    fn judge_rate(&mut self) -> Result<(), NetError> {
        if self.window.waited < self.limits.rate_window {
            return Ok(());
        }
        let window_ms = u64::try_from(self.limits.rate_window.as_millis()).unwrap_or(u64::MAX);
        let required = self.limits.min_rate.saturating_mul(window_ms) / 1000;
        if self.window.bytes < required {
            self.done = true;
            return Err(NetError::TooSlow {
                host: self.host.clone(),
                min_rate: self.limits.min_rate,
                received: self.received,
            });
        }
        self.window = Window::default();
        Ok(())
    }

    fn too_large(&self) -> NetError {
        NetError::TooLarge { host: self.host.clone(), limit: self.limits.max_bytes }
    }

    fn broken(&self, error: &reqwest::Error) -> NetError {
        NetError::Body {
            host: self.host.clone(),
            received: self.received,
            detail: crate::client::describe(error),
        }
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("host", &self.host)
            .field("status", &self.status())
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
