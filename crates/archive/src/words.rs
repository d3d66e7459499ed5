//! Sizes, counts and times as people say them.

/// `1.4 GB`: decimal units, one decimal up to 100.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    for (unit, scale) in UNITS {
        if bytes >= scale {
            let tenths = bytes.checked_div(scale / 10).unwrap_or_default();
            let (whole, rest) = (tenths / 10, tenths % 10);
            return if whole >= 100 { format!("{whole} {unit}") } else { format!("{whole}.{rest} {unit}") };
        }
    }
    format!("{bytes} B")
}

/// `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len().saturating_mul(2));
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `2,345 records`.
#[must_use]
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// `2026-11-21 10:26 UTC` for microseconds since 1970.
#[must_use]
pub fn when(micros: i64) -> String {
    let secs = micros.div_euclid(1_000_000);
    let (year, month, day) = civil(secs.div_euclid(86_400));
    let rest = secs.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest % 3_600 / 60)
}

/// Days since 1970 to a calendar date (proleptic Gregorian; Howard Hinnant's algorithm).
#[expect(clippy::arithmetic_side_effects, reason = "i64 seconds / 86400 leaves room for every step")]
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_say_it() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(71_345_678), "71.3 MB");
        assert_eq!(size(412_000_000), "412 MB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "record", "records"), "1 record");
        assert_eq!(plural(0, "record", "records"), "0 records");
        assert_eq!(when(1_795_256_760_000_000), "2026-11-21 10:26 UTC");
    }
}
