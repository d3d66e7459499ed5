//! How long to wait: before the next try, and because a host says so.

use std::time::Duration;

use http::HeaderMap;

/// Above this, a `RateLimit-Reset` is a point in time (seconds since 1970, as the
/// reference PDS sends it) and no longer a number of seconds (as the IETF draft says).
const EPOCH_THRESHOLD: u64 = 1_000_000_000;

/// The pause before try `attempt` + 1 (the first try is 0): between half and all
/// of `base` doubled `attempt` times, never above `cap`.
pub(crate) fn backoff(attempt: u32, base: Duration, cap: Duration, random: u64) -> Duration {
    let full = base.saturating_mul(2_u32.saturating_pow(attempt)).min(cap);
    let half = u64::try_from(full.as_millis() / 2).unwrap_or(u64::MAX);
    let jitter = random.checked_rem(half.saturating_add(1)).unwrap_or(0);
    Duration::from_millis(half.saturating_add(jitter))
}

/// Until when the answer asks for quiet, in milliseconds since 1970:
/// `Retry-After` (seconds or an HTTP date), else `RateLimit-Reset`.
pub(crate) fn quiet_until(headers: &HeaderMap, now_ms: u64) -> Option<u64> {
    if let Some(value) = text(headers, "retry-after") {
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(now_ms.saturating_add(seconds.saturating_mul(1000)));
        }
        if let Some(at) = http_date(value) {
            return Some(at.saturating_mul(1000));
        }
    }
    reset(headers, now_ms)
}

/// Until when the host wants no further request although this one succeeded:
/// `RateLimit-Remaining: 0` with its `RateLimit-Reset`.
pub(crate) fn exhausted_until(headers: &HeaderMap, now_ms: u64) -> Option<u64> {
    let remaining: u64 = text(headers, "ratelimit-remaining")?.parse().ok()?;
    if remaining == 0 { reset(headers, now_ms) } else { None }
}

fn reset(headers: &HeaderMap, now_ms: u64) -> Option<u64> {
    let value: u64 = text(headers, "ratelimit-reset")?.parse().ok()?;
    if value >= EPOCH_THRESHOLD {
        Some(value.saturating_mul(1000))
    } else {
        Some(now_ms.saturating_add(value.saturating_mul(1000)))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Seconds since 1970 of an IMF-fixdate (RFC 9110 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
/// The two obsolete forms are not read.
fn http_date(value: &str) -> Option<u64> {
    let mut parts = value.split_once(", ")?.1.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let month_name = parts.next()?;
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|m| *m == month_name)
        .and_then(|m| u64::try_from(m).ok())?;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(str::parse::<u64>);
    let (h, m, s) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if parts.next()? != "GMT"
        || !(1970..=9999).contains(&year)
        || !(1..=31).contains(&day)
        || h > 23
        || m > 59
        || s > 60
    {
        return None;
    }
    let days = days_before(year, month)?.checked_add(day.checked_sub(1)?)?;
    days.checked_mul(86_400)?
        .checked_add(h.checked_mul(3600)?)?
        .checked_add(m.checked_mul(60)?)?
        .checked_add(s)
}

/// Days from 1970-01-01 to the first of the month (`month` counts from 0).
fn days_before(year: u64, month: u64) -> Option<u64> {
    // Years start in March here, so that the leap day is the last of its year.
    let (y, m) = if month < 2 {
        (year.checked_sub(1)?, month.checked_add(10)?)
    } else {
        (year, month.checked_sub(2)?)
    };
    let leap = (y / 4).checked_sub(y / 100)?.checked_add(y / 400)?;
    let in_year = m.checked_mul(153)?.checked_add(2)? / 5;
    y.checked_mul(365)?.checked_add(leap)?.checked_add(in_year)?.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::{backoff, exhausted_until, http_date, quiet_until};
    use http::{HeaderMap, HeaderName, HeaderValue};
    use std::time::Duration;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn backoff_doubles_up_to_its_cap_and_jitters_downward() {
        let (base, cap) = (Duration::from_millis(250), Duration::from_secs(10));
        let ms = |attempt, random| u64::try_from(backoff(attempt, base, cap, random).as_millis()).unwrap();
        assert_eq!(ms(0, 0), 125);
        assert_eq!(ms(0, 125), 250);
        assert_eq!(ms(1, 0), 250);
        assert_eq!(ms(3, 0), 1000);
        assert_eq!(ms(40, 0), 5000);
        for random in [1, 77, 12_345, u64::MAX] {
            assert!((5000..=10_000).contains(&ms(99, random)));
        }
        assert_eq!(backoff(3, Duration::ZERO, cap, 5), Duration::ZERO);
    }

    #[test]
    fn dates() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(http_date("Sat, 21 Nov 2026 10:26:21 GMT"), Some(1_795_256_781));
        for bad in [
            "",
            "x",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn hosts_say_later_in_four_ways() {
        let now = 1_795_256_781_000;
        let until = |pairs: &[_]| quiet_until(&headers(pairs), now);
        assert_eq!(until(&[("retry-after", "30")]), Some(now + 30_000));
        assert_eq!(until(&[("retry-after", "Sat, 21 Nov 2026 10:26:31 GMT")]), Some(now + 10_000));
        assert_eq!(until(&[("ratelimit-reset", "1795256800")]), Some(1_795_256_800_000));
        assert_eq!(until(&[("ratelimit-reset", "12")]), Some(now + 12_000));
        assert_eq!(until(&[("retry-after", "soon"), ("ratelimit-reset", "5")]), Some(now + 5000));
        assert_eq!(until(&[("retry-after", "-1")]), None);
        assert_eq!(until(&[]), None);
        assert_eq!(
            exhausted_until(&headers(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")]), now),
            Some(now + 7000)
        );
        assert_eq!(
            exhausted_until(&headers(&[("ratelimit-remaining", "1"), ("ratelimit-reset", "7")]), now),
            None
        );
        assert_eq!(exhausted_until(&headers(&[("ratelimit-remaining", "0")]), now), None);
    }
}
