//! The forecast: pure. The growth is the median of the slopes between samples that are up to a week
//! apart (after Theil and Sen), so that one large account that was added, or one purge, does not tell
//! the future; what such leaps come to is said beside it.

use serde::{Deserialize, Serialize};

use crate::words;

const DAY: i64 = 86_400_000_000;
/// A month, for growth, in days.
const MONTH_DAYS: f64 = 30.44;
/// Nothing is foretold from less.
const LEAST_SAMPLES: usize = 3;
/// Nothing is foretold from a shorter time.
const LEAST_TIME: i64 = 2 * DAY;
/// A forecast from a shorter time is called rough.
const GOOD_TIME: i64 = 14 * DAY;
/// Further ahead nothing is foretold.
const HORIZON: i64 = 5 * 365 * DAY;
/// Pairs nearer than this say more about the hour than about growth.
const LEAST_GAP: i64 = DAY / 2;
/// Pairs further apart than this have every leap between them.
const MOST_GAP: i64 = 7 * DAY + DAY / 2;

/// Bytes at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Microseconds since 1970.
    pub at: i64,
    /// Bytes.
    pub bytes: u64,
}

/// How good a forecast is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growth {
    /// There are not enough samples yet.
    Unknown,
    /// Of less than two weeks.
    Rough,
    /// Of two weeks or more.
    Measured,
}

/// What is to be expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// How good it is.
    pub growth: Growth,
    /// Samples it is made of, today's included.
    pub samples: u64,
    /// Time that they span, in days.
    pub days: u64,
    /// Growth in bytes a month; negative when less is stored than before.
    pub per_month: Option<i64>,
    /// Bytes that came or went in all over that time, leaps included.
    pub grown: i64,
    /// When there is no room any more, microseconds since 1970; `None` when that is not within five years, or not known.
    pub full_at: Option<i64>,
    /// What ends first: `disk` or `quota`.
    pub limited_by: Option<String>,
    /// In plain words.
    pub words: String,
}

impl Forecast {
    /// Of what lies on the disk and the room there, and of what counts for the quota and the room there.
    #[must_use]
    pub fn of(stored: &[Point], room: u64, counted: &[Point], quota_room: Option<u64>, now: i64) -> Self {
        let span = span(stored);
        let grown = change(stored);
        let samples = u64::try_from(stored.len()).unwrap_or(u64::MAX);
        let days = u64::try_from(span / DAY).unwrap_or(0);
        let enough = stored.len() >= LEAST_SAMPLES && span >= LEAST_TIME;
        let slope = slope(stored).filter(|_| enough);
        let Some(slope) = slope else {
            return Self {
                growth: Growth::Unknown,
                samples,
                days,
                per_month: None,
                grown,
                full_at: None,
                limited_by: None,
                words: format!(
                    "there are {} over {} yet; a forecast needs three over two days, and is good after two weeks. A \
                     running node takes one a day",
                    words::plural(samples, "measurement", "measurements"),
                    words::plural(days, "day", "days")
                ),
            };
        };
        let growth = if span >= GOOD_TIME { Growth::Measured } else { Growth::Rough };
        let disk = ends(slope, room, now).map(|at| (at, "disk"));
        let quota =
            quota_room.and_then(|room| ends(self::slope(counted)?, room, now)).map(|at| (at, "quota"));
        let first = disk.into_iter().chain(quota).min();
        let per_month = whole(slope * float(DAY) * MONTH_DAYS);
        let steady = whole(slope * float(span));
        let mut words = sentence(growth, per_month, first, days);
        if grown.saturating_sub(steady).abs() > (steady.abs() / 2).max(1_000_000_000) {
            let more = words::size(grown.unsigned_abs());
            let way = if grown < 0 { "less" } else { "more" };
            words.push_str(&format!("; with single leaps it is {more} {way} than {days} days ago"));
        }
        Self {
            growth,
            samples,
            days,
            per_month: Some(per_month),
            grown,
            full_at: first.map(|(at, _)| at),
            limited_by: first.map(|(_, by)| by.to_owned()),
            words,
        }
    }
}

fn sentence(growth: Growth, per_month: i64, first: Option<(i64, &str)>, days: u64) -> String {
    let rough = match growth {
        Growth::Measured => format!("by {days} days of measurements"),
        _ => format!("by only {days} days of measurements: roughly"),
    };
    let size = words::size(per_month.unsigned_abs());
    match (per_month, first) {
        (i64::MIN..=0, None) => format!("{rough}, it does not grow"),
        (_, None) => format!("{rough}, it grows by {size} a month; there is room for more than five years"),
        (_, Some((at, by))) => {
            let day = words::when(at);
            let day = day.split(' ').next().unwrap_or_default();
            let what = if by == "disk" {
                "the disk is full (less archive.keep_free)"
            } else {
                "the quota for all accounts is used up"
            };
            format!("{rough}, it grows by {size} a month; at that pace {what} about {day}")
        }
    }
}

fn span(points: &[Point]) -> i64 {
    match (points.first(), points.last()) {
        (Some(first), Some(last)) => last.at.saturating_sub(first.at),
        _ => 0,
    }
}

fn change(points: &[Point]) -> i64 {
    let bytes = |point: Option<&Point>| point.map_or(0, |p| i64::try_from(p.bytes).unwrap_or(i64::MAX));
    bytes(points.last()).saturating_sub(bytes(points.first()))
}

/// Bytes per microsecond.
fn slope(points: &[Point]) -> Option<f64> {
    let mut slopes: Vec<f64> = Vec::new();
    for (index, a) in points.iter().enumerate() {
        for b in points.iter().skip(index.saturating_add(1)) {
            let gap = b.at.saturating_sub(a.at);
            if (LEAST_GAP..=MOST_GAP).contains(&gap) {
                slopes.push((large(b.bytes) - large(a.bytes)) / float(gap));
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    let upper = slopes.get(middle).copied()?;
    let lower = slopes.get(slopes.len().saturating_sub(1) / 2).copied()?;
    Some(f64::midpoint(lower, upper))
}

/// When `room` is used up.
fn ends(slope: f64, room: u64, now: i64) -> Option<i64> {
    if slope <= 0.0 {
        return None;
    }
    let left = large(room) / slope;
    (left < float(HORIZON)).then(|| now.saturating_add(whole(left)))
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

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    /// `days` samples that grow by `daily` bytes, moved by `noise`, with a jump of `jump` bytes in the middle.
    fn trace(days: u64, daily: u64, noise: u64, jump: u64) -> Vec<Point> {
        let mut dice = 7_u64;
        (0..days)
            .map(|day| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let moved = (dice >> 33) % noise.max(1);
                let jumped = if day > days / 2 { jump } else { 0 };
                Point {
                    at: i64::try_from(day).unwrap() * DAY,
                    bytes: 100 * GB + day * daily + moved + jumped,
                }
            })
            .collect()
    }

    fn of(points: &[Point], room: u64, quota: Option<u64>) -> Forecast {
        Forecast::of(points, room, points, quota, points.last().map_or(0, |point| point.at))
    }

    #[test]
    fn the_date_is_right_within_a_tenth() {
        for (noise, jump) in [(1, 0), (GB / 4, 0), (1, 50 * GB), (GB / 4, 50 * GB)] {
            let points = trace(60, GB, noise, jump);
            let forecast = of(&points, 90 * GB, None);
            let days = (forecast.full_at.unwrap() - points.last().unwrap().at) / DAY;
            let error = (days - 90).abs();
            assert!(error <= 9, "noise {noise}, jump {jump}: {days} days instead of 90");
            assert_eq!((forecast.growth, forecast.limited_by.as_deref()), (Growth::Measured, Some("disk")));
            let month = forecast.per_month.unwrap();
            assert!((28_000_000_000..=33_000_000_000).contains(&month), "{month}");
            assert_eq!(forecast.words.contains("leaps"), jump > 0, "{}", forecast.words);
        }
    }

    #[test]
    fn too_few_samples_say_so() {
        for points in [Vec::new(), trace(1, GB, 1, 0), trace(2, GB, 1, 0)] {
            let forecast = of(&points, GB, None);
            assert_eq!((forecast.growth, forecast.full_at), (Growth::Unknown, None));
            assert!(forecast.words.contains("needs three"), "{}", forecast.words);
        }
        let rough = of(&trace(4, GB, 1, 0), 100 * GB, None);
        assert_eq!(rough.growth, Growth::Rough);
        assert!(rough.words.contains("only 3 days") && rough.words.contains("roughly"), "{}", rough.words);
        // Three within an hour are not three days.
        let hour = [0, 1, 2].map(|n| Point { at: n * DAY / 48, bytes: 5 });
        assert_eq!(of(&hour, GB, None).growth, Growth::Unknown);
    }

    #[test]
    fn the_nearer_limit_counts() {
        let points = trace(30, GB, 1, 0);
        assert_eq!(of(&points, 90 * GB, Some(10 * GB)).limited_by.as_deref(), Some("quota"));
        assert_eq!(of(&points, 9 * GB, Some(10 * GB)).limited_by.as_deref(), Some("disk"));
        let forever = of(&points, 1 << 60, None);
        assert_eq!(forever.full_at, None);
        assert!(forever.words.contains("five years"), "{}", forever.words);
    }

    #[test]
    fn what_shrinks_is_never_full() {
        let mut points = trace(30, GB, 1, 0);
        points.reverse();
        for (day, point) in points.iter_mut().enumerate() {
            point.at = i64::try_from(day).unwrap() * DAY;
        }
        let forecast = of(&points, GB, None);
        assert!(forecast.full_at.is_none() && forecast.per_month.unwrap() < 0);
        assert!(forecast.words.contains("does not grow"), "{}", forecast.words);
    }
}
