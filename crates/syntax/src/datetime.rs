//! The lexicon string format `datetime`.

use std::fmt;

use crate::SyntaxError;
use crate::newtype::text_conversions;

const WHAT: &str = "datetime";
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-01-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH_DAYS: i64 = 719_528;

/// A point in time as records write it, such as `1985-04-12T23:20:50.123Z`.
///
/// The text is kept byte for byte; [`Datetime::unix_micros`] is its meaning. The accepted form is the common part of
/// RFC 3339, ISO 8601 and the WHATWG rules: capital `T` and `Z`, a mandatory time zone, no `-00:00`, years 0000 to 9999
/// in UTC, dates that exist. Equality and order are those of the text. Spec:
/// <https://atproto.com/specs/lexicon#datetime>.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datetime {
    text: Box<str>,
    micros: i64,
}

impl Datetime {
    /// Longest text, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Parses and checks the text. Digits beyond microseconds are kept in the text and dropped from the value.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > Self::MAX_LEN {
            return Err(SyntaxError::new(WHAT, text, "it has more than 64 characters"));
        }
        let mut cursor = Cursor { text, rest: text.as_bytes() };
        let micros = cursor.datetime()?;
        Ok(Self { text: text.into(), micros })
    }

    /// The moment `micros` microseconds after 1970 in UTC, written with milliseconds, or with microseconds if it needs
    /// them. Moments outside of the years 0000 to 9999 have no text: `None`.
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        let seconds = micros.div_euclid(MICROS_PER_SECOND);
        let fraction = micros.rem_euclid(MICROS_PER_SECOND);
        let days = seconds.div_euclid(SECONDS_PER_DAY).checked_add(EPOCH_DAYS)?;
        let (year, month, day) = date_of(days)?;
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let fraction =
            if fraction % 1000 == 0 { format!("{:03}", fraction / 1000) } else { format!("{fraction:06}") };
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction}Z");
        Some(Self { text: text.into(), micros })
    }

    /// Microseconds since 1970-01-01T00:00:00Z; negative before.
    pub fn unix_micros(&self) -> i64 {
        self.micros
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Datetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

text_conversions!(Datetime);

/// What is left of the text.
struct Cursor<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn wrong<T>(&self, problem: &'static str) -> Result<T, SyntaxError> {
        let offset = self.text.len().saturating_sub(self.rest.len());
        Err(SyntaxError::at(WHAT, self.text, problem, offset))
    }

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), SyntaxError> {
        if self.rest.first() != Some(&byte) {
            return self.wrong(problem);
        }
        self.next();
        Ok(())
    }

    /// Exactly `digits` digits whose value is in `range`.
    fn number(
        &mut self,
        digits: usize,
        range: std::ops::RangeInclusive<i64>,
        problem: &'static str,
    ) -> Result<i64, SyntaxError> {
        let Some((head, rest)) = self.rest.split_at_checked(digits) else { return self.wrong(problem) };
        if !head.iter().all(u8::is_ascii_digit) {
            return self.wrong(problem);
        }
        let value = head.iter().fold(0_i64, |v, d| v.saturating_mul(10).saturating_add(i64::from(d & 15)));
        if !range.contains(&value) {
            return self.wrong(problem);
        }
        self.rest = rest;
        Ok(value)
    }

    fn datetime(&mut self) -> Result<i64, SyntaxError> {
        let year = self.number(4, 0..=9999, "it must start with a year of four digits")?;
        self.expect(b'-', "\"-\" must follow the year")?;
        let month = self.number(2, 1..=12, "the month must be 01 to 12")?;
        self.expect(b'-', "\"-\" must follow the month")?;
        let day = self.number(2, 1..=days_in_month(year, month), "there is no such day in this month")?;
        self.expect(b'T', "a capital \"T\" must follow the date")?;
        let hour = self.number(2, 0..=23, "the hour must be 00 to 23")?;
        self.expect(b':', "\":\" must follow the hour")?;
        let minute = self.number(2, 0..=59, "the minute must be 00 to 59")?;
        self.expect(b':', "\":\" must follow the minute")?;
        let second = self.number(2, 0..=59, "the second must be 00 to 59")?;
        let fraction = self.fraction()?;
        let offset = self.zone()?;
        if !self.rest.is_empty() {
            return self.wrong("nothing may follow the time zone");
        }
        let days = days_before(year, month).saturating_add(day).saturating_sub(1);
        let clock =
            hour.saturating_mul(3600).saturating_add(minute.saturating_mul(60)).saturating_add(second);
        let from_year_zero =
            days.saturating_mul(SECONDS_PER_DAY).saturating_add(clock).saturating_sub(offset);
        if from_year_zero < 0 || from_year_zero.div_euclid(SECONDS_PER_DAY) >= days_before(10_000, 1) {
            return Err(SyntaxError::new(
                WHAT,
                self.text,
                "in UTC it lies outside of the years 0000 to 9999",
            ));
        }
        let seconds = from_year_zero.saturating_sub(EPOCH_DAYS.saturating_mul(SECONDS_PER_DAY));
        Ok(seconds.saturating_mul(MICROS_PER_SECOND).saturating_add(fraction))
    }

    /// An optional fraction, in microseconds, rounded down.
    fn fraction(&mut self) -> Result<i64, SyntaxError> {
        if self.rest.first() != Some(&b'.') {
            return Ok(0);
        }
        self.next();
        let mut value = 0_i64;
        let mut unit = 100_000_i64;
        let mut any = false;
        while let Some(&digit) = self.rest.first().filter(|d| d.is_ascii_digit()) {
            value = value.saturating_add(unit.saturating_mul(i64::from(digit & 15)));
            unit /= 10;
            any = true;
            self.next();
        }
        if any { Ok(value) } else { self.wrong("digits must follow the decimal point") }
    }

    /// The time zone: its offset from UTC in seconds.
    fn zone(&mut self) -> Result<i64, SyntaxError> {
        const PROBLEM: &str = "it must end with a time zone, \"Z\" or as in \"+01:00\"";
        let negative = match self.rest.first() {
            Some(b'Z') => {
                self.next();
                return Ok(0);
            }
            Some(b'+') => false,
            Some(b'-') => true,
            _ => return self.wrong(PROBLEM),
        };
        self.next();
        let hours = self.number(2, 0..=23, "the hours of the time zone must be 00 to 23")?;
        self.expect(b':', PROBLEM)?;
        let minutes = self.number(2, 0..=59, "the minutes of the time zone must be 00 to 59")?;
        let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60));
        if negative && seconds == 0 {
            return self.wrong("the time zone \"-00:00\" is not allowed, write \"Z\"");
        }
        Ok(if negative { seconds.saturating_neg() } else { seconds })
    }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 0000-01-01 to the first of a month; for years 0 to 10000.
#[expect(clippy::arithmetic_side_effects, reason = "years and months are small and not negative")]
fn days_before(year: i64, month: i64) -> i64 {
    // Year 0 is a leap year, hence the three terms that count the leap years 0..year.
    let leap_years = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    year * 365 + leap_years + (1..month).map(|m| days_in_month(year, m)).sum::<i64>()
}

/// The date that lies `days` after 0000-01-01, if its year has four digits.
#[expect(clippy::arithmetic_side_effects, reason = "days are checked to lie in the years 0 to 9999")]
fn date_of(days: i64) -> Option<(i64, i64, i64)> {
    if !(0..days_before(10_000, 1)).contains(&days) {
        return None;
    }
    let mut year = days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_before(year, month + 1) <= days {
        month += 1;
    }
    Some((year, month, days - days_before(year, month) + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> i64 {
        Datetime::parse(text).unwrap().unix_micros()
    }

    #[test]
    fn values() {
        assert_eq!(micros("1970-01-01T00:00:00Z"), 0);
        assert_eq!(micros("1970-01-01T01:00:00.5+01:00"), 500_000);
        assert_eq!(micros("1985-04-12T23:20:50.123Z"), 482_196_050_123_000);
        assert_eq!(micros("1985-04-12T23:20:50.1235678912345Z"), 482_196_050_123_567);
        assert_eq!(micros("2000-02-29T00:00:00-00:01"), 951_782_460_000_000);
        assert_eq!(micros("1969-12-31T23:59:59.999999Z"), -1);
        assert_eq!(micros("0000-01-01T00:00:00Z"), -62_167_219_200_000_000);
        assert_eq!(micros("9999-12-31T23:59:59.999999Z"), 253_402_300_799_999_999);
    }

    #[test]
    fn dates_that_do_not_exist() {
        for bad in [
            "1900-02-29T00:00:00Z",
            "2023-04-31T00:00:00Z",
            "2016-12-31T23:59:60Z",
            "9999-12-31T23:00:00-02:00",
        ] {
            assert!(Datetime::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn writing_outside_of_four_digit_years() {
        assert_eq!(Datetime::from_unix_micros(253_402_300_800_000_000), None);
        assert_eq!(Datetime::from_unix_micros(-62_167_219_200_000_001), None);
        assert_eq!(Datetime::from_unix_micros(i64::MAX), None);
        assert_eq!(Datetime::from_unix_micros(i64::MIN), None);
    }

    proptest! {
        #[test]
        fn round_trip(micros in -62_167_219_200_000_000_i64..=253_402_300_799_999_999) {
            let written = Datetime::from_unix_micros(micros).unwrap();
            let read = Datetime::parse(written.as_str()).unwrap();
            prop_assert_eq!(read.unix_micros(), micros);
        }
    }
}
