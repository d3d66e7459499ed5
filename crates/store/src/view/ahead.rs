//! Reads that begin before they are waited for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A future that was polled once, which hands a read to the store; its waker is replaced by the later
/// await.
pub(super) enum Ahead<'a, T> {
    Running(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
    Done(Option<T>),
}

impl<'a, T> Ahead<'a, T> {
    pub(super) fn new(mut future: Pin<Box<dyn Future<Output = T> + Send + 'a>>) -> Self {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Self::Done(Some(done)),
            Poll::Pending => Self::Running(future),
        }
    }
}

impl<T: Unpin> Future for Ahead<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match self.get_mut() {
            Self::Running(future) => future.as_mut().poll(context),
            Self::Done(done) => done.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}
