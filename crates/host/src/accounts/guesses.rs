//! Wrong passwords, counted: for what was typed as the name, and for the address that typed it.
//!
//! Counted by name as typed and not by account, so that a count tells nobody which names belong to one account. An
//! address from which this name was logged in before is not held up by the wrong guesses of others; and sessions that
//! go on are never touched.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::error::{HostError, HostResult};
use crate::reason::Reason;

const DAY: i64 = 24 * 3_600 * 1_000_000;
const MINUTES_5: i64 = 5 * 60 * 1_000_000;
/// Wrong guesses of one name, by all who did not log in with it before, in a day.
const MOST_NAME: u32 = 100;
/// Wrong guesses from one address, in five minutes and in a day.
const MOST_ADDRESS: u32 = 100;
const MOST_ADDRESS_DAY: u32 = 1_000;
/// Entries of each table.
const MOST: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    since: i64,
    count: u32,
}

#[derive(Debug, Default)]
struct Tables {
    windows: HashMap<u64, Window>,
    /// When a name was last logged in with from an address.
    known: HashMap<u64, i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    hasher: RandomState,
    tables: Mutex<Tables>,
}

impl Guesses {
    fn keys(&self, name: &str, address: &str) -> [(u64, i64, u32); 3] {
        [
            (self.hasher.hash_one(("name", name)), DAY, MOST_NAME),
            (self.hasher.hash_one(("address", address)), MINUTES_5, MOST_ADDRESS),
            (self.hasher.hash_one(("address-day", address)), DAY, MOST_ADDRESS_DAY),
        ]
    }

    fn with<T>(&self, work: impl FnOnce(&mut Tables) -> T) -> T {
        work(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether another guess may be made, before any work is done for it.
    pub(crate) fn check(&self, name: &str, address: &str, now: i64) -> HostResult<()> {
        let known = self.hasher.hash_one((name, address));
        let left = self.with(|tables| {
            let known = tables.known.get(&known).is_some_and(|at| now.saturating_sub(*at) < 30 * DAY);
            self.keys(name, address)
                .iter()
                .skip(usize::from(known))
                .filter_map(|(key, lasts, most)| {
                    let window = tables.windows.get(key)?;
                    let ends = window.since.saturating_add(*lasts);
                    (window.count >= *most && now < ends).then(|| ends.saturating_sub(now))
                })
                .max()
        });
        match left {
            None => Ok(()),
            Some(left) => Err(HostError::limited(
                u64::try_from(left / 1_000_000).unwrap_or(1).max(1),
                "too many wrong passwords were tried; devices that are logged in stay so. Wait, or set a new password by e-mail",
            )
            .because(Reason::PasswordTries)),
        }
    }

    /// A guess was wrong.
    pub(crate) fn wrong(&self, name: &str, address: &str, now: i64) {
        self.with(|tables| {
            if tables.windows.len() >= MOST {
                tables.windows.retain(|_, window| now.saturating_sub(window.since) < MINUTES_5);
                if tables.windows.len() >= MOST {
                    tables.windows.clear();
                }
            }
            for (key, lasts, _) in self.keys(name, address) {
                let window = tables.windows.entry(key).or_insert(Window { since: now, count: 0 });
                if now.saturating_sub(window.since) >= lasts {
                    *window = Window { since: now, count: 0 };
                }
                window.count = window.count.saturating_add(1);
            }
        });
    }

    /// It was right.
    pub(crate) fn right(&self, name: &str, address: &str, now: i64) {
        let key = self.hasher.hash_one((name, address));
        self.with(|tables| {
            if tables.known.len() >= MOST {
                tables.known.clear();
            }
            tables.known.insert(key, now);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_end_and_owners_go_on() {
        let guesses = Guesses::default();
        guesses.right("alice", "owner", 0);
        for n in 0..MOST_NAME {
            let address = format!("bot-{}", n % 20);
            assert!(guesses.check("alice", &address, 1).is_ok(), "{n}");
            guesses.wrong("alice", &address, 1);
        }
        let refused = guesses.check("alice", "bot-77", 1).unwrap_err();
        assert_eq!(refused.name, "RateLimitExceeded");
        assert!(guesses.check("alice", "owner", 1).is_ok(), "who logged in from here before");
        assert!(guesses.check("bob", "bot-77", 1).is_ok(), "another name");
        assert!(guesses.check("alice", "bot-77", DAY + 2).is_ok(), "the next day");
    }

    #[test]
    fn one_address_guesses_so_much_and_no_more() {
        let guesses = Guesses::default();
        for n in 0..MOST_ADDRESS {
            guesses.wrong(&format!("name-{n}"), "bot", 1);
        }
        assert!(guesses.check("anybody", "bot", 1).is_err());
        assert!(guesses.check("anybody", "bot", MINUTES_5 + 2).is_ok());
    }
}
