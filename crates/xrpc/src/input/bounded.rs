//! A body that ends at a limit, and in time.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use crate::error::XrpcError;

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// It is larger than this.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// It did not come in time.
    #[error("the body did not come in time")]
    TooSlow,
}

/// In what time a body must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// All of it in this time.
    Within(Duration),
    /// So many bytes for each second that is spent waiting for them, after a grace.
    PerSecond(u64),
}

/// How long one waits for a body that owes nothing; bytes that came earn no more than this.
const GRACE: Duration = Duration::from_secs(20);

/// How much of a body that nobody wants any more is read all the same, and for how long. While its sender still writes,
/// closing the connection would take the answer from him.
const LET_GO: u64 = 16 << 20;
const LET_GO_FOR: Duration = Duration::from_secs(10);

/// A body with a limit.
pub(crate) struct Bounded {
    body: Body,
    most: u64,
    left: u64,
    pace: Pace,
    /// How long may still be waited.
    credit: Duration,
    /// Since when one waits.
    waiting: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Nothing more comes.
    ended: bool,
}

impl Bounded {
    /// At most so many bytes, at this pace.
    pub(crate) fn new(body: Body, most: u64, pace: Pace) -> Self {
        let credit = match pace {
            Pace::Within(time) => time,
            Pace::PerSecond(_) => GRACE,
        };
        Self { body, most, left: most, pace, credit, waiting: None, alarm: None, ended: false }
    }

    /// Something came: the wait is over, and what came earns time. Time that was not spent waiting costs nothing, so
    /// that nobody pays for our own slowness.
    fn came(&mut self, length: u64) {
        self.alarm = None;
        let waited = self.waiting.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.credit = self.credit.saturating_sub(waited);
        if let Pace::PerSecond(rate) = self.pace {
            let earned = Duration::from_millis(length.saturating_mul(1_000).checked_div(rate).unwrap_or(0));
            self.credit = self.credit.saturating_add(earned).min(GRACE);
        }
    }

    /// Nothing came yet. Answers whether that has been so for too long.
    fn waits(&mut self, context: &mut Context<'_>) -> bool {
        if self.waiting.is_none() {
            self.waiting = Some(Instant::now());
        }
        let credit = self.credit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(credit)));
        alarm.as_mut().poll(context).is_ready()
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Pending if self.waits(context) => {
                self.ended = true;
                return Poll::Ready(Some(Err(axum::Error::new(Ended::TooSlow))));
            }
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
                self.came(length);
                let Some(left) = self.left.checked_sub(length) else {
                    return Poll::Ready(Some(Err(axum::Error::new(Ended::TooLarge(self.most)))));
                };
                self.left = left;
            }
            Poll::Ready(_) => self.ended = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.body);
        if self.ended || body.is_end_stream() || body.size_hint().lower() > LET_GO {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        // Not the supervisor's: it ends with its connection, and soon.
        runtime.spawn(tokio::time::timeout(LET_GO_FOR, let_go(body)));
    }
}

/// Reads what still comes, and forgets it.
async fn let_go(mut body: Body) {
    let mut left = LET_GO;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        let Some(less) = left.checked_sub(length) else { return };
        left = less;
    }
}

/// What a caller is told whose body ended so.
pub(crate) fn refused(error: &axum::Error) -> XrpcError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(at) = source {
        match at.downcast_ref::<Ended>() {
            Some(Ended::TooLarge(most)) => return XrpcError::too_large(*most),
            Some(Ended::TooSlow) => {
                return XrpcError::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "RequestTimeout",
                    "the body did not come in time",
                );
            }
            None => source = at.source(),
        }
    }
    XrpcError::invalid("the request's body ended before its end")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::StreamExt as _;

    use super::*;

    /// A body of pieces of 1,000 bytes, each after a pause of so many seconds.
    fn body(pieces: usize, seconds: u64) -> Body {
        Body::from_stream(futures::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; 1_000]))
        }))
    }

    async fn ends(body: Body, most: u64, pace: Pace) -> Result<usize, u16> {
        match Bounded::new(body, most, pace).collect().await {
            Ok(whole) => Ok(whole.to_bytes().len()),
            Err(error) => Err(refused(&error).status.as_u16()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_steadily_is_waited_for_and_who_does_not_is_not() {
        let rate = Pace::PerSecond(1_000);
        assert_eq!(ends(body(500, 1), 1 << 20, rate).await, Ok(500_000), "at the pace, for eight minutes");
        assert_eq!(ends(body(3, 19), 1 << 20, rate).await, Err(408), "after the grace it owes");
        assert_eq!(ends(body(2, 21), 1 << 20, rate).await, Err(408));
        assert_eq!(ends(body(30, 2), 1 << 20, rate).await, Err(408), "at half the pace");
        let within = Pace::Within(Duration::from_secs(30));
        assert_eq!(ends(body(3, 9), 1 << 20, within).await, Ok(3_000));
        assert_eq!(ends(body(4, 9), 1 << 20, within).await, Err(408));
        assert_eq!(ends(body(4, 0), 3_999, within).await, Err(413));
        assert_eq!(ends(body(4, 0), 4_000, within).await, Ok(4_000));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_pays_for_our_own_slowness() {
        let mut bounded = Bounded::new(body(50, 1), 1 << 20, Pace::PerSecond(1_000));
        let mut got = 0;
        while let Some(frame) = bounded.frame().await {
            got += frame.unwrap().into_data().unwrap().len();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(got, 50_000);
    }
    #[tokio::test(start_paused = true)]
    async fn what_nobody_wants_is_read_so_that_its_sender_hears_the_answer() {
        for (pieces, after, wanted) in [(50, 100, 50), (50, 1_000, 10), (50_000, 0, (16 << 20) / 1_000 + 1)] {
            let read = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&read);
            let body = Body::from_stream(futures::stream::iter(0..pieces).then(move |_| {
                let count = Arc::clone(&count);
                async move {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, std::io::Error>(Bytes::from(vec![0; 1_000]))
                }
            }));
            let mut bounded = Bounded::new(body, 1 << 30, Pace::PerSecond(1));
            bounded.frame().await.unwrap().unwrap();
            drop(bounded);
            tokio::time::sleep(Duration::from_secs(60)).await;
            let read = read.load(Ordering::Relaxed);
            assert!(read.abs_diff(wanted) <= 1, "{read} pieces of {pieces} were read, not {wanted}");
        }
    }
}
