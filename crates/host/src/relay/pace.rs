//! How fast bulk writers may write, so that relays go on listening to everybody here.
//!
//! A relay counts the events of a host, not of its accounts: one account that takes over 50,000 old posts can use up
//! what all others need. So every account has an allowance that no person uses up by hand. Whoever goes beyond it
//! writes in *bulk* for a day: bulk writes of all accounts together stay below what relays accept, and wait, or are
//! refused with the time at which to try again, **before** they are written. An event that has its commit is never held
//! back, and nobody but bulk writers ever waits. Even they may go on to write by hand, one event a minute, for which
//! room is reserved.
//!
//! Pure: time is an argument. Counted exactly, over every window of a second, an hour, a day.

use std::collections::{HashMap, VecDeque};

use p2pds_syntax::Did;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// What a bulk writer may send at once beside the bulk.
const BY_HAND: i64 = 10;
/// How much of that comes back in an hour.
const BY_HAND_PER_HOUR: i64 = 60;
/// Accounts whose allowance is remembered; one that is not remembered has all of it.
const MOST_ACCOUNTS: usize = 50_000;

/// What bulk writes may send, and what is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceConfig {
    /// Events of bulk writers in a second.
    pub per_second: u32,
    /// In an hour.
    pub per_hour: u32,
    /// In a day.
    pub per_day: u32,
    /// Events that one account may send at once before it counts as bulk.
    pub allowance: u32,
    /// How much of that comes back in an hour.
    pub allowance_per_hour: u32,
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self { per_second: 50, per_hour: 2_500, per_day: 20_000, allowance: 50, allowance_per_hour: 600 }
    }
}

/// Whether a write may happen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Now; it is counted.
    Go,
    /// Not before so many microseconds have passed; nothing is counted.
    After(i64),
}

/// What was written lately.
#[derive(Debug)]
pub struct Pace {
    config: PaceConfig,
    accounts: HashMap<Did, Allowance>,
    /// Times of bulk events of the last day, ascending.
    bulk: VecDeque<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Allowance {
    /// Events left, in millionths.
    left: i64,
    /// When that was so.
    at: i64,
    /// When it wrote in bulk last.
    bulk_at: Option<i64>,
}

impl Allowance {
    fn is_bulk(&self, now: i64) -> bool {
        self.bulk_at.is_some_and(|at| now.saturating_sub(at) < DAY)
    }

    /// What is left now, and the most that can be.
    fn grown(&self, config: &PaceConfig, now: i64) -> (i64, i64) {
        let (most, per_hour) = if self.is_bulk(now) {
            (BY_HAND, BY_HAND_PER_HOUR)
        } else {
            (config.allowance.into(), config.allowance_per_hour.into())
        };
        let most = most.saturating_mul(SECOND);
        let passed = now.saturating_sub(self.at).clamp(0, DAY);
        (self.left.saturating_add(passed.saturating_mul(per_hour) / 3_600).min(most), most)
    }
}

impl Pace {
    /// Nothing was written yet.
    #[must_use]
    pub fn new(config: PaceConfig) -> Self {
        Self { config, accounts: HashMap::new(), bulk: VecDeque::new() }
    }

    /// Events of bulk writers in the last second, hour and day.
    #[must_use]
    pub fn counts(&self, now: i64) -> [u32; 3] {
        [SECOND, HOUR, DAY].map(|window| self.since(now.saturating_sub(window)))
    }

    /// May this account send one event now?
    pub fn ask(&mut self, did: &Did, now: i64) -> Verdict {
        if self.by_hand(did, now) {
            return Verdict::Go;
        }
        while self.bulk.front().is_some_and(|at| *at <= now.saturating_sub(DAY)) {
            self.bulk.pop_front();
        }
        let limits =
            [(SECOND, self.config.per_second), (HOUR, self.config.per_hour), (DAY, self.config.per_day)];
        let wait = limits.into_iter().map(|(window, most)| self.free_after(window, most, now)).max();
        match wait {
            Some(wait) if wait > 0 => Verdict::After(wait),
            _ => {
                self.count(now);
                Verdict::Go
            }
        }
    }

    /// Takes in what was counted before a restart: times of bulk events, ascending.
    pub fn remember(&mut self, times: impl IntoIterator<Item = i64>) {
        self.bulk = times.into_iter().collect();
    }

    /// What [`Self::remember`] wants: bulk events by the second in which they were, for the last day.
    #[must_use]
    pub fn remembered(&self) -> Vec<(i64, u32)> {
        let mut seconds: Vec<(i64, u32)> = Vec::new();
        for at in &self.bulk {
            let second = at.div_euclid(SECOND);
            match seconds.last_mut() {
                Some((last, count)) if *last == second => *count = count.saturating_add(1),
                _ => seconds.push((second, 1)),
            }
        }
        seconds
    }

    /// Takes one event from the account's allowance, if there is one left; else the account is a bulk writer from now on.
    fn by_hand(&mut self, did: &Did, now: i64) -> bool {
        let config = self.config;
        self.make_room(did, now);
        let full = i64::from(config.allowance).saturating_mul(SECOND);
        let own =
            self.accounts.entry(did.clone()).or_insert(Allowance { left: full, at: now, bulk_at: None });
        own.left = own.grown(&config, now).0;
        own.at = own.at.max(now);
        if own.left >= SECOND {
            own.left = own.left.saturating_sub(SECOND);
            return true;
        }
        let was_bulk = own.is_bulk(now);
        own.bulk_at = Some(now);
        if !was_bulk {
            // What it has just sent was the beginning of it.
            own.left = 0;
            for _ in 0..config.allowance {
                self.count(now);
            }
        }
        false
    }

    /// Forgets accounts that have all of their allowance when there are too many.
    fn make_room(&mut self, did: &Did, now: i64) {
        if self.accounts.len() < MOST_ACCOUNTS || self.accounts.contains_key(did) {
            return;
        }
        let config = self.config;
        let quiet = |own: &Allowance| {
            let (left, most) = own.grown(&config, now);
            left >= most && !own.is_bulk(now)
        };
        self.accounts.retain(|_, own| !quiet(own));
        if self.accounts.len() >= MOST_ACCOUNTS {
            // So many writers at a time: only those in bulk are remembered.
            self.accounts.retain(|_, own| own.is_bulk(now));
        }
        if self.accounts.len() >= MOST_ACCOUNTS {
            self.accounts.clear();
        }
    }

    fn count(&mut self, now: i64) {
        self.bulk.push_back(self.bulk.back().copied().unwrap_or(now).max(now));
    }

    /// Bulk events after this time.
    fn since(&self, time: i64) -> u32 {
        let before = self.bulk.partition_point(|at| *at <= time);
        u32::try_from(self.bulk.len().saturating_sub(before)).unwrap_or(u32::MAX)
    }

    /// How long until one more event fits into the window.
    fn free_after(&self, window: i64, most: u32, now: i64) -> i64 {
        // What bulk writers may send by hand meanwhile.
        let by_hand = (window / HOUR).saturating_mul(BY_HAND_PER_HOUR).saturating_add(BY_HAND);
        let most = most.saturating_sub(u32::try_from(by_hand).unwrap_or(u32::MAX)).max(most / 2).max(1);
        if self.since(now.saturating_sub(window)) < most {
            return 0;
        }
        // The oldest of the newest `most` events must leave the window.
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let oldest = self.bulk.len().checked_sub(most).and_then(|index| self.bulk.get(index));
        oldest.map_or(DAY, |at| at.saturating_add(window).saturating_sub(now).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(n: u32) -> Did {
        Did::parse(&format!("did:web:a{n}.example.com")).unwrap()
    }

    /// The most events in any window of this length.
    fn densest(times: &[i64], window: i64) -> usize {
        let (mut first, mut most) = (0, 0);
        for (last, at) in times.iter().enumerate() {
            while times[first] + window <= *at {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }

    #[test]
    fn a_backfill_of_50k_stays_below_what_relays_accept_and_delays_nobody_else() {
        let config = PaceConfig::default();
        let mut pace = Pace::new(config);
        let (mut now, mut bulk, mut refused, mut others) = (1_700_000_000 * SECOND, Vec::new(), 0, 0);
        let begun = now;
        let mut left = 50_000;
        while left > 0 {
            // A hundred others write now and then, whatever the backfill does.
            while begun + others * 2 * SECOND <= now {
                let who = did(1 + u32::try_from(others % 100).unwrap());
                assert_eq!(pace.ask(&who, begun + others * 2 * SECOND), Verdict::Go, "nobody else waits");
                others += 1;
            }
            match pace.ask(&did(0), now) {
                Verdict::Go => {
                    bulk.push(now);
                    left -= 1;
                    now += 1_000;
                }
                Verdict::After(wait) => {
                    refused += 1;
                    now += wait;
                }
            }
        }
        assert!(refused > 50 && others > 10_000, "{refused} {others}");
        assert!(densest(&bulk, SECOND) <= 50, "{}", densest(&bulk, SECOND));
        assert!(densest(&bulk, HOUR) <= 2_500, "{}", densest(&bulk, HOUR));
        assert!(densest(&bulk, DAY) <= 20_000, "{}", densest(&bulk, DAY));
        assert!(now - begun < 3 * DAY, "it goes nearly as fast as relays accept");
    }

    #[test]
    fn a_bulk_writer_may_still_write_by_hand() {
        let mut pace = Pace::new(PaceConfig::default());
        let mut now = 0;
        while now < HOUR / 2 {
            match pace.ask(&did(0), now) {
                Verdict::Go => now += 10_000,
                Verdict::After(wait) => now += wait.min(SECOND),
            }
        }
        assert!(pace.counts(now)[1] >= 2_300, "{:?}", pace.counts(now));
        while pace.ask(&did(0), now) == Verdict::Go {}
        assert_eq!(pace.ask(&did(0), now + 61 * SECOND), Verdict::Go);
    }

    #[test]
    fn what_was_counted_outlives_a_restart() {
        let config =
            PaceConfig { per_hour: 20, allowance: 0, allowance_per_hour: 0, ..PaceConfig::default() };
        let mut pace = Pace::new(config);
        for n in 0..10 {
            assert_eq!(pace.ask(&did(1), n * SECOND), Verdict::Go, "{n}");
        }
        let mut again = Pace::new(config);
        let seconds = pace.remembered();
        assert_eq!(seconds.len(), 10);
        again.remember(seconds.into_iter().flat_map(|(second, n)| (0..n).map(move |_| second * SECOND)));
        assert_eq!(again.ask(&did(2), 100 * SECOND), Verdict::After(HOUR - 100 * SECOND));
        assert_eq!(again.counts(100 * SECOND), [0, 10, 10]);
        assert_eq!(again.ask(&did(2), HOUR), Verdict::Go);
    }

    #[test]
    fn a_clock_that_goes_back_counts_nothing_twice() {
        let config =
            PaceConfig { per_second: 6, allowance: 1, allowance_per_hour: 0, ..PaceConfig::default() };
        let mut pace = Pace::new(config);
        for now in [10 * SECOND, 10 * SECOND, 5 * SECOND] {
            assert_eq!(pace.ask(&did(1), now), Verdict::Go);
        }
        assert!(matches!(pace.ask(&did(1), 4 * SECOND), Verdict::After(_)));
        assert_eq!(pace.ask(&did(1), 12 * SECOND), Verdict::Go);
    }

    #[test]
    fn the_table_of_accounts_is_bounded() {
        let mut pace = Pace::new(PaceConfig::default());
        for n in 0..u32::try_from(MOST_ACCOUNTS).unwrap() + 100 {
            pace.ask(&did(n), 0);
        }
        assert!(pace.accounts.len() <= MOST_ACCOUNTS);
    }
}
