//! Time as an argument.

/// Where the host reads the time: microseconds since 1970. Tests hand in their own.
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since 1970.
    fn now_micros(&self) -> i64;
}

impl<F: Fn() -> i64 + Send + Sync + 'static> Clock for F {
    fn now_micros(&self) -> i64 {
        self()
    }
}
