//! Times as the pages show them.

use p2pds_ipld::cbor::Value;
use p2pds_syntax::{Datetime, Tid};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// When something was made, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct When(Option<i64>);

/// A month of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month {
    pub(super) year: u16,
    pub(super) month: u8,
}

impl When {
    /// What the record says, else what its key says, if that is a TID.
    pub(super) fn of(value: &Value, rkey: &str) -> Self {
        let said =
            value.get("createdAt").and_then(Value::as_text).and_then(|text| Datetime::parse(text).ok());
        let keyed = || Tid::parse(rkey).ok().and_then(|tid| i64::try_from(tid.micros()).ok());
        Self(said.map(|at| at.unix_micros()).or_else(keyed))
    }

    fn text(self) -> Option<Datetime> {
        // Whole seconds: fractions tell nobody anything.
        Datetime::from_unix_micros(self.0?.div_euclid(1_000_000).checked_mul(1_000_000)?)
    }

    /// For `datetime` attributes: `2024-05-01T12:00:00.000Z`.
    pub(super) fn machine(self) -> Option<String> {
        Some(self.text()?.as_str().to_owned())
    }

    /// For people: `1 May 2024, 12:00 UTC`.
    pub(super) fn words(self) -> String {
        self.date_words()
            .map_or_else(|| "at an unknown time".to_owned(), |(date, time)| format!("{date}, {time} UTC"))
    }

    /// For people, the day only.
    pub(super) fn day(self) -> String {
        self.date_words().map_or_else(|| "no date".to_owned(), |(date, _)| date)
    }

    fn date_words(self) -> Option<(String, String)> {
        let text = self.text()?;
        let month = self.month()?;
        let day = text.as_str().get(8..10)?.trim_start_matches('0').to_owned();
        let time = text.as_str().get(11..16)?.to_owned();
        Some((format!("{day} {} {}", month.name(), month.year), time))
    }

    /// Its month.
    pub(super) fn month(self) -> Option<Month> {
        let text = self.text()?;
        let month: u8 = text.as_str().get(5..7)?.parse().ok()?;
        Some(Month { year: text.as_str().get(..4)?.parse().ok()?, month })
    }
}

impl Month {
    /// `May`.
    pub(super) fn name(self) -> &'static str {
        MONTHS.get(usize::from(self.month).saturating_sub(1)).copied().unwrap_or("?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_record_says_comes_first() {
        let at = |text: &str| Value::map([("createdAt", Value::Text(text.into()))]);
        let when = When::of(&at("2024-05-01T12:34:56.789+02:00"), "self");
        assert_eq!(when.words(), "1 May 2024, 10:34 UTC");
        assert_eq!(when.machine().unwrap(), "2024-05-01T10:34:56.000Z");
        assert_eq!(when.month(), Some(Month { year: 2024, month: 5 }));
        let tid = Tid::from_micros(1_795_000_000_000_000, 0).to_string();
        assert_eq!(When::of(&at("yesterday"), &tid).day(), "18 November 2026");
        assert_eq!(When::of(&at("<b>"), "self").words(), "at an unknown time");
        assert!(When::of(&at("yesterday"), "self") < when, "what has no time is the oldest");
        let edge = When::of(&at("9999-12-31T23:59:59Z"), "self");
        assert_eq!(edge.day(), "31 December 9999");
    }
}
