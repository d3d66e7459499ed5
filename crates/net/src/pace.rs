//! Time and chance, so that retries and limits can be tested without waiting.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A pause that can be awaited.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the client gets the time, its pauses and the jitter of its retries from.
///
/// Deadlines of connections and bodies are not covered: they run on the async
/// runtime's own timer.
pub trait Pace: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> Pause;
    /// Any number; only spreads retries, nothing secret depends on it.
    fn random(&self) -> u64;
}

/// The machine's clock, timer and entropy.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemPace;

impl Pace for SystemPace {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration: Duration) -> Pause {
        Box::pin(tokio::time::sleep(duration))
    }

    fn random(&self) -> u64 {
        getrandom::u64().unwrap_or(0)
    }
}
