//! How long to pause between two steps: a share of one core, more when the round would come too late.

use std::time::Duration;

use super::Scrub;

/// How a round is paced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Share of one core that it may take, in percent.
    pub percent: u32,
    /// Time in which a round must end.
    pub within: Duration,
}

/// What follows from a pace and what a round has done so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paced {
    /// Pause before the next step.
    pub pause: Duration,
    /// When the round is expected to end, microseconds since 1970; `None` until enough was measured.
    pub ends_at: Option<i64>,
    /// It would take more than [`Pace::MOST`] times the share to end in time.
    pub too_late: bool,
}

impl Pace {
    /// So many times its share a round may take when it is late.
    pub const MOST: u32 = 4;
    /// Nothing is foretold from less work than this.
    const ENOUGH_US: u64 = 200_000;

    /// The pause after a step that took `took`.
    #[must_use]
    pub fn after(&self, scrub: &Scrub, took: Duration, now: i64) -> Paced {
        let share = f64::from(self.percent.clamp(1, 100)) / 100.0;
        let left = left_busy_us(scrub);
        let end = scrub.began_at.saturating_add(i64::try_from(self.within.as_micros()).unwrap_or(i64::MAX));
        // At the end of the time a late round is as fast as it may be.
        let time_left = float(end.saturating_sub(now).max(1));
        let wanted = left.map_or(share, |left| left / time_left);
        let most = (share * f64::from(Self::MOST)).min(1.0);
        let used = wanted.clamp(share, most);
        let pause = took.as_secs_f64() * (1.0 / used - 1.0);
        let ends_at = left.map(|left| now.saturating_add(whole(left / used)));
        Paced { pause: Duration::from_secs_f64(pause.clamp(0.0, 3_600.0)), ends_at, too_late: wanted > most }
    }
}

/// Microseconds of work that are left, by what was measured in this round.
fn left_busy_us(scrub: &Scrub) -> Option<f64> {
    if scrub.busy_us < Pace::ENOUGH_US || scrub.done_bytes == 0 {
        return None;
    }
    let left = scrub.total_bytes.saturating_sub(scrub.done_bytes);
    Some(large(left) * large(scrub.busy_us) / large(scrub.done_bytes))
}

#[expect(clippy::cast_precision_loss, reason = "a forecast")]
fn large(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "a forecast")]
fn float(n: i64) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn whole(n: f64) -> i64 {
    n as i64
}
