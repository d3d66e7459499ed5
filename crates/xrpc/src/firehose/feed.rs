//! Where a socket's events come from.

use std::future::Future;

use p2pds_host::HostResult;
use p2pds_host::firehose::{Page, Subscription};

/// A place in a stream.
pub(crate) trait Feed: Clone + Send + 'static {
    /// The next events; waits until there are some.
    fn next(&mut self) -> impl Future<Output = HostResult<Page>> + Send;
    /// How many numbers lie between what was handed over and the newest event.
    fn behind(&self) -> u64;
    /// Goes back to right behind this number.
    fn go_back(&mut self, seq: i64);
}

impl Feed for Subscription {
    fn next(&mut self) -> impl Future<Output = HostResult<Page>> + Send {
        Subscription::next(self)
    }

    fn behind(&self) -> u64 {
        Subscription::behind(self)
    }

    fn go_back(&mut self, seq: i64) {
        Subscription::go_back(self, seq);
    }
}
