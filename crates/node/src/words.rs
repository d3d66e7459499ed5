//! Sizes, durations and times as people say them, and read back. What reports use too comes
//! from the archive.

use std::time::Duration;

pub use p2pds_archive::{count, plural, size, when};

/// `850 ms`, `41 s`, `3 min 20 s`, `5 h 2 min`, `3 days`.
#[must_use]
pub fn duration(d: Duration) -> String {
    let secs = d.as_secs();
    let two = |a: u64, au: &str, b: u64, bu: &str| {
        if b == 0 { format!("{a} {au}") } else { format!("{a} {au} {b} {bu}") }
    };
    match secs {
        0 => format!("{} ms", d.as_millis()),
        1..=59 => format!("{secs} s"),
        60..=3_599 => two(secs / 60, "min", secs % 60, "s"),
        3_600..=86_399 => two(secs / 3_600, "h", secs % 3_600 / 60, "min"),
        _ => {
            let days = secs / 86_400;
            format!("{days} {}", if days == 1 { "day" } else { "days" })
        }
    }
}

/// How long ago, or how far ahead, one instant is from another (both in seconds since 1970).
#[must_use]
pub fn relative(at: i64, now: i64) -> String {
    let gap = Duration::from_secs(at.abs_diff(now));
    match at.cmp(&now) {
        std::cmp::Ordering::Greater if gap.as_secs() < 2 => "now".to_owned(),
        std::cmp::Ordering::Greater => format!("in {}", duration(gap)),
        _ if gap.as_secs() < 2 => "just now".to_owned(),
        _ => format!("{} ago", duration(gap)),
    }
}

/// How long ago, or how far ahead, a time in microseconds since 1970 is.
#[must_use]
pub fn ago(micros: i64) -> String {
    relative(micros.div_euclid(1_000_000), now())
}

/// Seconds since 1970 of an HTTP `Date` header (`Sat, 21 Nov 2026 10:26:00 GMT`).
#[must_use]
pub fn parse_http_date(text: &str) -> Option<i64> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: i64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|name| *name == month)?;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut time = parts.next()?.split(':').map(|n| n.parse::<i64>().ok());
    let (h, m, s) = (time.next()??, time.next()??, time.next()??);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    days_of(year, i64::try_from(month).ok()?.checked_add(1)?, day)?
        .checked_mul(86_400)?
        .checked_add(h.checked_mul(3_600)?)?
        .checked_add(m.checked_mul(60)?)?
        .checked_add(s)
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "year <= 9999, month <= 12, day <= 31: checked by the caller"
)]
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some(era * 146_097 + doe - 719_468)
}

fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number, unit.trim()))
}

/// Reads `500MB`, `2 GiB`, `1.5T`, `4096`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * scale;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on the line itself")]
    (bytes <= 1e18).then_some(bytes as u64)
}

/// Reads `250ms`, `30s`, `5m`, `1h`, `7d`, `2w`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    } * number;
    (seconds <= 1e10).then(|| Duration::from_secs_f64(seconds))
}

/// Seconds since 1970 by the system clock.
#[must_use]
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Microseconds since 1970 by the system clock.
#[must_use]
pub fn now_micros() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// The candidate nearest to what was typed, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|c| (distance(typed, c), c))
        .min()
        .filter(|(d, c)| *d <= (c.len() / 3).max(2))
        .map(|(_, c)| c)
}

/// Edit distance (Levenshtein), one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = diagonal.saturating_add(usize::from(ca != *cb));
            left = cost.min(above.saturating_add(1)).min(left.saturating_add(1));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("500MB"), Some(500_000_000));
        assert_eq!(parse_size("2 GiB"), Some(2_147_483_648));
        assert_eq!(parse_size("12"), Some(12));
        assert_eq!(parse_size("12 parsecs"), None);
        assert_eq!(parse_size("-1"), None);
    }

    #[test]
    fn durations() {
        for (text, shown) in
            [("250ms", "250 ms"), ("41s", "41 s"), ("200s", "3 min 20 s"), ("2h", "2 h"), ("7d", "7 days")]
        {
            assert_eq!(duration(parse_duration(text).unwrap()), shown);
        }
        assert_eq!(parse_duration("5"), None, "a duration names its unit");
        assert_eq!(relative(100, 340), "4 min ago");
        assert_eq!(relative(340, 100), "in 4 min");
        assert_eq!(relative(100, 100), "just now");
    }

    #[test]
    fn http_dates() {
        assert_eq!(parse_http_date("Sat, 21 Nov 2026 10:26:00 GMT"), Some(1_795_256_760));
        assert_eq!(parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
        assert_eq!(parse_http_date("yesterday"), None);
    }

    #[test]
    fn nearest_names() {
        assert_eq!(nearest("prot", ["port", "bind"]), Some("port"));
        assert_eq!(nearest("sync_intervall", ["sync_interval", "verify_interval"]), Some("sync_interval"));
        assert_eq!(nearest("zzz", ["port", "bind"]), None);
    }
}
