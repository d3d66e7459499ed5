//! Requests passed on for somebody else: one try, no redirects, every status is an answer.
//!
//! They go through the same address table as all others. The manners that this node keeps towards hosts on its own
//! behalf do not apply: a service that tells one of our users to slow down means that user, and hears from the others.
//! What is bounded is how many are under way to one host at a time.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use crate::client::{Client, deadline};
use crate::error::NetError;
use crate::response::{Limits, Response};
use crate::target::Target;

/// A request to pass on.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Its method.
    pub method: Method,
    /// Its headers, all of them: nothing is added but what HTTP needs.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Option<Bytes>,
    /// From the start until the head of the answer. Default 10 s.
    pub header_timeout: Duration,
    /// Everything together, body included. Default 40 s.
    pub deadline: Duration,
    /// Bytes of the answer's body after decompression. Default 10 MiB.
    pub max_bytes: u64,
    /// Further tries when the connection fails; only for methods that change nothing.
    pub retries: u8,
}

impl Forward {
    /// A request with the usual limits.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self {
            method,
            headers: HeaderMap::new(),
            body: None,
            header_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(40),
            max_bytes: 10 << 20,
            retries: 0,
        }
    }
}

/// Requests passed on to one host at a time.
pub(crate) const AT_A_TIME: usize = 256;

impl Client {
    /// Passes a request on to `url`.
    ///
    /// # Errors
    /// [`NetError`]: the target may not be reached, does not answer in time, or answers too much. No status is one.
    pub async fn forward(&self, url: &str, request: &Forward) -> Result<Response, NetError> {
        self.check_open(url)?;
        let target = Target::check(url, self.config().allow_loopback)?;
        let until = deadline(request.deadline);
        let host = target.host().to_owned();
        tokio::time::timeout_at(until, self.pass_on(&target, request, until))
            .await
            .unwrap_or(Err(NetError::Timeout { host, phase: "answer" }))
    }

    async fn pass_on(
        &self,
        target: &Target,
        request: &Forward,
        until: Instant,
    ) -> Result<Response, NetError> {
        let safe = matches!(request.method, Method::GET | Method::HEAD);
        let mut left = if safe { request.retries } else { 0 };
        loop {
            let pass = self.forwarding(target).await?;
            let mut builder = self
                .plain(target)?
                .request(request.method.clone(), target.url.clone())
                .headers(request.headers.clone());
            if let Some(body) = &request.body {
                builder = builder.body(body.clone());
            }
            match self.sent(target, builder, request.header_timeout).await {
                Ok(answer) => {
                    let config = self.config();
                    let limits = Limits {
                        max_bytes: request.max_bytes,
                        until,
                        min_rate: config.min_rate,
                        rate_window: config.rate_window,
                    };
                    return Ok(Response::new(answer, target.host().to_owned(), limits, pass));
                }
                Err(NetError::Connect { .. }) if left > 0 => left = left.saturating_sub(1),
                Err(error) => return Err(error),
            }
        }
    }
}
