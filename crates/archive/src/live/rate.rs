//! What a stream costs: events and bytes per second.

use std::collections::VecDeque;
use std::time::Duration;

/// Length of one window.
const WINDOW: Duration = Duration::from_secs(20);
/// Windows that a judgement needs: what is caught up after a pause comes faster than what happens.
const WINDOWS: usize = 3;

/// Counts of the last minute, on a clock that the caller hands in (milliseconds).
#[derive(Debug)]
pub(crate) struct Rate {
    begun: u64,
    events: u64,
    bytes: u64,
    windows: VecDeque<(f64, f64)>,
}

impl Rate {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { begun: now_ms, events: 0, bytes: 0, windows: VecDeque::new() }
    }

    /// Counts one event. Whether a window has ended with it.
    pub(crate) fn count(&mut self, now_ms: u64, bytes: u64) -> bool {
        self.events = self.events.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.roll(now_ms)
    }

    /// Ends the window if its time is over.
    pub(crate) fn roll(&mut self, now_ms: u64) -> bool {
        let passed = now_ms.saturating_sub(self.begun);
        if u128::from(passed) < WINDOW.as_millis() {
            return false;
        }
        self.windows.push_back(self.current(passed));
        while self.windows.len() > WINDOWS {
            self.windows.pop_front();
        }
        (self.begun, self.events, self.bytes) = (now_ms, 0, 0);
        true
    }

    #[expect(clippy::cast_precision_loss, reason = "for display and a rough limit")]
    fn current(&self, passed_ms: u64) -> (f64, f64) {
        let secs = (passed_ms as f64 / 1_000.0).max(0.001);
        (self.events as f64 / secs, self.bytes as f64 / secs)
    }

    /// Events and bytes per second, lately.
    pub(crate) fn lately(&self, now_ms: u64) -> (f64, f64) {
        match self.windows.back() {
            Some(last) => *last,
            None => self.current(now_ms.saturating_sub(self.begun)),
        }
    }

    /// Events per second that the stream has never been below for a minute; `None` before that.
    pub(crate) fn lasting(&self) -> Option<f64> {
        (self.windows.len() >= WINDOWS)
            .then(|| self.windows.iter().map(|(events, _)| *events).fold(f64::INFINITY, f64::min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_does_not_last() {
        let mut rate = Rate::new(0);
        for at in 0..40_000 {
            rate.count(at / 2, 100);
        }
        assert!(rate.count(20_000, 100), "a window has ended");
        let (events, bytes) = rate.lately(20_000);
        assert!((1_900.0..2_100.0).contains(&events) && bytes > 190_000.0, "{events} {bytes}");
        assert_eq!(rate.lasting(), None);
        assert!(rate.roll(40_000) && rate.roll(60_000));
        assert_eq!(rate.lasting(), Some(0.0), "it was quiet since");
    }
}
