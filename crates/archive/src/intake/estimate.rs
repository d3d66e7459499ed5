//! How much accounts will take that are not here yet: arithmetic on what was looked at.
//!
//! Nothing is made up. What is known of an account is what its own host said (a part of its tree, sizes of a few of its
//! records and blobs); what is not known of it is taken from the accounts that are archived here already; and what
//! nobody knows has no upper end.

use serde::{Deserialize, Serialize};

/// Standard errors on each side of a mean: about 95 of 100 such ranges contain the truth.
const SURE: f64 = 2.0;

/// From so many bytes to so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// At least.
    pub low: u64,
    /// At most; `None` when nothing is known that would bound it.
    pub high: Option<u64>,
}

impl Span {
    /// Exactly so much.
    #[must_use]
    pub fn exactly(bytes: u64) -> Self {
        Self { low: bytes, high: Some(bytes) }
    }

    fn and(self, other: Self) -> Self {
        let high = self.high.zip(other.high).map(|(a, b)| a.saturating_add(b));
        Self { low: self.low.saturating_add(other.low), high }
    }

    /// No more than `limit`.
    fn under(self, limit: Option<u64>) -> Self {
        let Some(limit) = limit else { return self };
        Self { low: self.low.min(limit), high: Some(self.high.map_or(limit, |high| high.min(limit))) }
    }
}

/// What accounts take that are not here yet, and what that rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Accounts that it is about.
    pub accounts: u64,
    /// Of these, those whose hosts were asked and answered.
    pub looked_at: u64,
    /// Complete accounts that are archived here and whose sizes it rests on as well.
    pub known_here: u64,
    /// Records and blobs of all of them.
    pub size: Span,
    /// Records alone, of those looked at.
    pub records: Span,
    /// Blobs that the hosts of those looked at list.
    pub blobs: u64,
    /// Blobs whose size was asked for.
    pub blobs_measured: u64,
}

/// What a host showed of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Bytes of its records with their tree; `None` when it could not be told.
    pub(crate) records: Option<Span>,
    /// Blobs listed, and whether there are more; `None` when it could not be told.
    pub(crate) blobs: Option<(u64, bool)>,
    /// Bytes of some of them.
    pub(crate) sizes: Vec<u64>,
}

/// Sizes of complete accounts that are archived here, each list in rising order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Here {
    pub(crate) records: Vec<u64>,
    pub(crate) blobs: Vec<u64>,
    pub(crate) whole: Vec<u64>,
}

impl Here {
    /// Of accounts' records and blobs, in bytes.
    pub(crate) fn of(accounts: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut here = Self::default();
        for (records, blobs) in accounts {
            here.records.push(records);
            here.blobs.push(blobs);
            here.whole.push(records.saturating_add(blobs));
        }
        for list in [&mut here.records, &mut here.blobs, &mut here.whole] {
            list.sort_unstable();
        }
        here
    }
}

/// The value below which so many of a hundred lie.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last.saturating_mul(percent).div_ceil(100)).copied()
}

/// What eight of ten accounts here take.
fn usual(sorted: &[u64]) -> Span {
    Span { low: percentile(sorted, 10).unwrap_or(0), high: percentile(sorted, 90) }
}

pub(crate) fn mean(values: &[u64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().map(|&value| value as f64).sum::<f64>() / values.len() as f64
}

/// The standard error of the mean; 0 of one value, which says nothing of others.
pub(crate) fn standard_error(values: &[u64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let (middle, n) = (mean(values), values.len() as f64);
    let squares: f64 = values.iter().map(|&value| (value as f64 - middle).powi(2)).sum();
    (squares / (n - 1.0) / n).sqrt()
}

/// Whole bytes of a number that cannot be negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before the cast")]
pub(crate) fn whole(bytes: f64) -> u64 {
    // Beyond 2^63 nothing is meant any more.
    if bytes.is_nan() { 0 } else { bytes.clamp(0.0, 9.2e18) as u64 }
}

/// `about` give or take `SURE` standard errors.
pub(crate) fn around(about: f64, error: f64) -> (u64, u64) {
    (whole(about - SURE * error), whole(about + SURE * error))
}

/// What so many accounts take, of which some were looked at. `limit` is what may be stored of one account at most.
pub(crate) fn estimate(accounts: u64, looked_at: &[Seen], here: &Here, limit: Option<u64>) -> Estimate {
    let mut sizes: Vec<u64> = looked_at.iter().flat_map(|seen| seen.sizes.iter().copied()).collect();
    sizes.sort_unstable();
    let each: Vec<Span> = looked_at.iter().map(|seen| of_one(seen, &sizes, here).under(limit)).collect();
    let count = u64::try_from(looked_at.len()).unwrap_or(u64::MAX);
    let nothing = Span::exactly(0);
    let seen = each.iter().fold(nothing, |sum, one| sum.and(*one));
    let rest = accounts.saturating_sub(count);
    Estimate {
        accounts,
        looked_at: count,
        known_here: u64::try_from(here.whole.len()).unwrap_or(u64::MAX),
        size: seen.and(of_others(rest, &each, here, limit)),
        records: looked_at
            .iter()
            .fold(nothing, |sum, one| sum.and(one.records.unwrap_or(usual(&here.records)))),
        blobs: looked_at
            .iter()
            .filter_map(|seen| seen.blobs)
            .fold(0, |sum, (count, _)| sum.saturating_add(count)),
        blobs_measured: u64::try_from(sizes.len()).unwrap_or(u64::MAX),
    }
}

/// What one account takes that was looked at. `sizes` are all blobs that were measured.
pub(crate) fn of_one(seen: &Seen, sizes: &[u64], here: &Here) -> Span {
    let records = seen.records.unwrap_or_else(|| usual(&here.records));
    let blobs = match seen.blobs {
        Some((0, false)) => Span::exactly(0),
        // Its own say more of it than those of others.
        Some((count, more)) => {
            let own = if seen.sizes.is_empty() { sizes } else { &seen.sizes };
            let span = of_blobs(count, own);
            if more { Span { high: None, ..span } } else { span }
        }
        None => usual(&here.blobs),
    };
    records.and(blobs)
}

/// What so many blobs take when these are some of them.
fn of_blobs(count: u64, some: &[u64]) -> Span {
    if some.is_empty() {
        return Span { low: 0, high: None };
    }
    let measured = u64::try_from(some.len()).unwrap_or(u64::MAX);
    let known: u64 = some.iter().fold(0, |sum, size| sum.saturating_add(*size));
    if measured >= count {
        return Span::exactly(known);
    }
    let (least, most) = (some.iter().min().copied().unwrap_or(0), some.iter().max().copied().unwrap_or(0));
    // Few values say little of how far they may be off: then the range is from the least of them to the largest.
    let (low, high) = if some.len() < 8 { (least, most) } else { around(mean(some), standard_error(some)) };
    Span { low: low.saturating_mul(count).max(known), high: Some(high.saturating_mul(count)) }
}

/// What accounts take that nobody looked at, by those that were, or by those that are here.
fn of_others(rest: u64, each: &[Span], here: &Here, limit: Option<u64>) -> Span {
    if rest == 0 {
        return Span::exactly(0);
    }
    let times = |span: Span| Span {
        low: span.low.saturating_mul(rest),
        high: span.high.map(|high| high.saturating_mul(rest)),
    };
    if each.len() < 2 {
        return times(usual(&here.whole).under(limit));
    }
    let lows: Vec<u64> = each.iter().map(|span| span.low).collect();
    let highs: Option<Vec<u64>> = each.iter().map(|span| span.high).collect();
    let (low, _) = around(mean(&lows), standard_error(&lows));
    let high = highs.map(|highs| around(mean(&highs), standard_error(&highs)).1);
    times(Span { low, high }.under(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(records: u64, blobs: u64, sizes: &[u64]) -> Seen {
        Seen { records: Some(Span::exactly(records)), blobs: Some((blobs, false)), sizes: sizes.to_vec() }
    }

    #[test]
    fn what_was_looked_at_whole_is_exact() {
        let two = [seen(1_000, 2, &[50, 70]), seen(500, 0, &[])];
        let estimate = estimate(2, &two, &Here::default(), None);
        assert_eq!(estimate.size, Span::exactly(1_620));
        assert_eq!((estimate.looked_at, estimate.blobs, estimate.blobs_measured), (2, 2, 2));
    }

    #[test]
    fn nothing_known_has_no_upper_end() {
        let none = estimate(500, &[], &Here::default(), None);
        assert_eq!(none.size, Span { low: 0, high: None });
        let unsaid = estimate(1, &[Seen::default()], &Here::default(), None);
        assert_eq!(unsaid.size, Span { low: 0, high: None });
        let listed = estimate(1, &[seen(10, 9, &[])], &Here::default(), None);
        assert_eq!(listed.size, Span { low: 10, high: None }, "blobs of a size that nobody told");
        let more = Seen { blobs: Some((1_000, true)), ..seen(10, 0, &[5]) };
        assert_eq!(estimate(1, &[more], &Here::default(), None).size, Span { low: 5_010, high: None });
    }

    #[test]
    fn a_limit_of_each_account_bounds_what_nobody_knows() {
        let none = estimate(500, &[], &Here::default(), Some(1_000));
        assert_eq!(none.size, Span { low: 0, high: Some(500_000) });
    }

    #[test]
    fn what_is_here_stands_for_what_was_not_asked() {
        let here = Here::of((1..=101).map(|n| (n * 100, n * 900)));
        let none = estimate(10, &[], &here, None);
        assert_eq!(none.size, Span { low: 110_000, high: Some(910_000) });
        let silent = estimate(1, &[Seen::default()], &here, None);
        assert_eq!(silent.size, Span { low: 11_000, high: Some(91_000) });
    }

    #[test]
    fn a_sample_stands_for_the_rest_and_the_more_there_are_the_surer_it_is() {
        let some = |n: u64| (0..n).map(|k| seen(900 + 200 * (k % 2), 0, &[])).collect::<Vec<_>>();
        let wide = estimate(500, &some(4), &Here::default(), None).size;
        let narrow = estimate(500, &some(100), &Here::default(), None).size;
        let holds = |span: Span| span.low <= 500_000 && span.high.is_some_and(|high| high >= 500_000);
        assert!(holds(wide) && holds(narrow), "{wide:?} {narrow:?}");
        assert!(wide.low < narrow.low && wide.high > narrow.high, "{wide:?} {narrow:?}");
    }

    #[test]
    fn huge_figures_do_not_overflow() {
        let here = Here::of([(u64::MAX, u64::MAX)]);
        let all = estimate(u64::MAX, &[seen(u64::MAX, u64::MAX, &[u64::MAX; 9])], &here, None);
        assert_eq!(all.size.high, Some(u64::MAX));
        assert_eq!(whole(f64::NAN), 0);
    }
}
