//! A body that ends at a limit, and in time.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

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

/// A body with a limit.
pub(crate) struct Bounded {
    body: Body,
    most: u64,
    left: u64,
    time: Option<Pin<Box<Sleep>>>,
}

impl Bounded {
    /// At most so many bytes, and all of them in this time if one is given.
    pub(crate) fn new(body: Body, most: u64, time: Option<Duration>) -> Self {
        Self { body, most, left: most, time: time.map(|time| Box::pin(tokio::time::sleep(time))) }
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
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let Some(left) = self.left.checked_sub(length) else {
                return Poll::Ready(Some(Err(axum::Error::new(Ended::TooLarge(self.most)))));
            };
            self.left = left;
        }
        if polled.is_pending()
            && let Some(time) = &mut self.time
            && time.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(axum::Error::new(Ended::TooSlow))));
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
