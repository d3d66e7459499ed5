//! Numbers, sizes and times as people of a language write them.

use maud::{Markup, html};

use super::{Locale, Words};
use crate::args;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Words {
    /// `1,234,567`, `1.234.567`.
    #[must_use]
    pub fn number(&self, n: u64) -> String {
        let grouped = p2pds_archive::count(n);
        match self.locale() {
            Locale::De => grouped.replace(',', "."),
            Locale::En | Locale::Pseudo | Locale::Mirrored => grouped,
        }
    }

    /// `1.4 GB`, `1,4 GB`.
    #[must_use]
    pub fn size(&self, bytes: u64) -> String {
        let text = p2pds_archive::size(bytes);
        match self.locale() {
            Locale::De => text.replace('.', ","),
            Locale::En | Locale::Pseudo | Locale::Mirrored => text,
        }
    }

    /// A part of a whole in percent, without decimals; 100 only when it is the whole.
    #[must_use]
    pub fn percent(&self, part: u64, whole: u64) -> String {
        let hundredths = u128::from(part).saturating_mul(100).checked_div(u128::from(whole)).unwrap_or(0);
        match self.locale() {
            Locale::De => format!("{hundredths} %"),
            Locale::En | Locale::Pseudo | Locale::Mirrored => format!("{hundredths}%"),
        }
    }

    /// `21 November 2026, 10:26 UTC`, for microseconds since 1970.
    #[must_use]
    pub fn date_time(&self, micros: i64) -> String {
        let text = p2pds_archive::when(micros);
        let (date, time) = text.split_once(' ').unwrap_or((&text, ""));
        format!("{}, {time}", self.date_of(date))
    }

    /// `21 November 2026`.
    #[must_use]
    pub fn date(&self, micros: i64) -> String {
        let text = p2pds_archive::when(micros);
        self.date_of(text.split_once(' ').map_or(text.as_str(), |(date, _)| date))
    }

    /// From `2026-11-21`.
    fn date_of(&self, date: &str) -> String {
        let mut parts = date.rsplitn(3, '-');
        let (day, month, year) = (parts.next(), parts.next(), parts.next());
        let (Some(day), Some(month), Some(year)) = (day, month, year) else { return date.to_owned() };
        let month = self.t(&format!("month-{month}"));
        let day = day.trim_start_matches('0').to_owned();
        self.f("date", args!(day = day, month = month, year = year.to_owned()))
    }

    /// `3 minutes ago`, `in 2 days`.
    #[must_use]
    pub fn ago(&self, micros: i64) -> String {
        let passed = self.now().saturating_sub(micros);
        let (key, span) = if passed >= 0 { ("ago", passed) } else { ("ahead", passed.saturating_neg()) };
        match span {
            // The clock goes on while a page is made.
            span if span < 10 * SECOND => self.t("ago-now"),
            span if span < MINUTE => self.t(&format!("{key}-now")),
            span if span < HOUR => self.f(&format!("{key}-minutes"), args!(n = span.div_euclid(MINUTE))),
            span if span < DAY => self.f(&format!("{key}-hours"), args!(n = span.div_euclid(HOUR))),
            _ => self.f(&format!("{key}-days"), args!(n = span.div_euclid(DAY))),
        }
    }

    /// A span of time: `41 s`, `3 min`, `5 h`, `2 days`.
    #[must_use]
    pub fn span(&self, micros: i64) -> String {
        match micros {
            micros if micros < MINUTE => self.f("span-seconds", args!(n = micros.div_euclid(1_000_000))),
            micros if micros < HOUR => self.f("span-minutes", args!(n = micros.div_euclid(MINUTE))),
            micros if micros <= DAY => self.f("span-hours", args!(n = micros.div_euclid(HOUR))),
            _ => self.f("span-days", args!(n = micros.div_euclid(DAY))),
        }
    }

    /// A time as an element: how long ago it was, with the exact time for machines and on hovering.
    #[must_use]
    pub fn time(&self, micros: i64) -> Markup {
        html! { time datetime=(iso(micros)) title=(self.date_time(micros)) { (self.ago(micros)) } }
    }

    /// A time as an element: the exact time.
    #[must_use]
    pub fn exact(&self, micros: i64) -> Markup {
        html! { time datetime=(iso(micros)) { (self.date_time(micros)) } }
    }
}

/// `2026-11-21T10:26Z`.
fn iso(micros: i64) -> String {
    p2pds_archive::when(micros).replacen(' ', "T", 1).replace(" UTC", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_256_760_000_000;

    #[test]
    fn as_people_of_each_language_write_them() {
        let (en, de) = (Words::new(Locale::En, NOW), Words::new(Locale::De, NOW));
        assert_eq!((en.number(1_234_567), de.number(1_234_567)), ("1,234,567".into(), "1.234.567".into()));
        assert_eq!((en.size(71_345_678), de.size(71_345_678)), ("71.3 MB".into(), "71,3 MB".into()));
        assert_eq!((en.percent(999, 1_000), de.percent(1, 3)), ("99%".into(), "33 %".into()));
        assert_eq!(en.date_time(NOW), "21 November 2026, 10:26 UTC");
        assert_eq!(de.date(NOW - 262 * DAY), "4. März 2026");
        assert_eq!(en.ago(NOW - 3 * MINUTE), "3 minutes ago");
        assert_eq!(en.ago(NOW - MINUTE), "1 minute ago");
        assert_eq!(de.ago(NOW - 2 * DAY), "vor 2 Tagen");
        assert_eq!(en.ago(NOW + 5 * HOUR), "in 5 hours");
        assert_eq!(en.ago(NOW - 5), "just now");
        assert_eq!(en.ago(NOW + 2 * SECOND), "just now", "made while the page was");
        assert_eq!(en.ago(NOW + 40 * SECOND), "in a moment");
        assert_eq!(en.span(41_000_000), "41 s");
        assert_eq!(
            en.time(NOW - DAY).into_string(),
            "<time datetime=\"2026-11-20T10:26Z\" title=\"20 November 2026, 10:26 UTC\">1 day ago</time>"
        );
    }
}
