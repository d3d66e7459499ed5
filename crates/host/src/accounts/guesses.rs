//! Wrong passwords, counted: for what was typed as the name, and for the address that typed it.
//!
//! Counted by name as typed and not by account, so that a count tells nobody which names belong to one account; however a
//! name is typed it counts as one ([`plain`]), and whoever has a network of IPv6 has one address. An address from which
//! this name was logged in before is not held up by the wrong guesses of others; from any other place one try a minute
//! is left when there were too many, so that strangers lock nobody out for long; and sessions that go on are never
//! touched.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::error::{HostError, HostResult};
use crate::reason::Reason;

const DAY: i64 = 24 * 3_600 * 1_000_000;
const MINUTE: i64 = 60 * 1_000_000;
const MINUTES_5: i64 = 5 * 60 * 1_000_000;
/// Wrong guesses of one name, by all who did not log in with it before, in a day. Beyond that: one try a minute.
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
    /// The last try that was let through though there were too many.
    trickled: i64,
}

impl Window {
    const fn fresh(since: i64) -> Self {
        Self { since, count: 0, trickled: i64::MIN }
    }
}

#[derive(Debug, Default)]
struct Tables {
    windows: HashMap<u64, Window>,
    /// When a name was last logged in with from an address.
    known: HashMap<u64, i64>,
}

/// What is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Guess<'a> {
    /// The password of whoever is called so.
    Name(&'a str),
    /// The password of an account, asked for again.
    Again(&'a str),
    /// What an account asks for beside the password.
    Factor(&'a str),
}

impl<'a> Guess<'a> {
    fn plain(self) -> (u8, Cow<'a, str>) {
        match self {
            Self::Name(name) => (0, Cow::Owned(plain(name))),
            Self::Again(did) => (1, Cow::Borrowed(did)),
            Self::Factor(did) => (2, Cow::Borrowed(did)),
        }
    }
}

/// A name as it is looked up and counted, however it was typed: without the `@` that people put before it, in lower case.
#[must_use]
pub fn plain(typed: &str) -> String {
    typed.trim().trim_start_matches('@').trim_start().to_lowercase()
}

/// An address as it is counted: of IPv6 the network that one customer has.
fn folded(address: &str) -> Cow<'_, str> {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            Cow::Owned(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string())
        }
        Ok(v4) => Cow::Owned(v4.to_string()),
        Err(_) => Cow::Borrowed(address),
    }
}

/// Keys of the tables.
struct Keys {
    known: u64,
    name: u64,
    /// With how long they last and how many they let through.
    address: [(u64, i64, u32); 2],
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    hasher: RandomState,
    tables: Mutex<Tables>,
}

impl Guesses {
    fn keys(&self, guess: Guess<'_>, address: &str) -> Keys {
        let (name, address) = (guess.plain(), folded(address));
        Keys {
            known: self.hasher.hash_one(("known", &name, &address)),
            name: self.hasher.hash_one(("name", &name)),
            address: [
                (self.hasher.hash_one(("address", &address)), MINUTES_5, MOST_ADDRESS),
                (self.hasher.hash_one(("address-day", &address)), DAY, MOST_ADDRESS_DAY),
            ],
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Tables) -> T) -> T {
        work(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether another guess may be made, before any work is done for it.
    pub(crate) fn check(&self, guess: Guess<'_>, address: &str, now: i64) -> HostResult<()> {
        let keys = self.keys(guess, address);
        let left = self.with(|tables| {
            let by_address = keys.address.iter().filter_map(|(key, lasts, most)| {
                let window = tables.windows.get(key)?;
                let ends = window.since.saturating_add(*lasts);
                (window.count >= *most && now < ends).then(|| ends.saturating_sub(now))
            });
            if let Some(left) = by_address.max() {
                return Some(left);
            }
            let known = tables.known.get(&keys.known).is_some_and(|at| now.saturating_sub(*at) < 30 * DAY);
            let window = tables.windows.get_mut(&keys.name).filter(|_| !known)?;
            if window.count < MOST_NAME || now.saturating_sub(window.since) >= DAY {
                return None;
            }
            let next = window.trickled.saturating_add(MINUTE);
            if now < next {
                return Some(next.saturating_sub(now));
            }
            window.trickled = now;
            None
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
    pub(crate) fn wrong(&self, guess: Guess<'_>, address: &str, now: i64) {
        let keys = self.keys(guess, address);
        self.with(|tables| {
            if tables.windows.len() >= MOST {
                tables.windows.retain(|_, window| now.saturating_sub(window.since) < MINUTES_5);
                if tables.windows.len() >= MOST {
                    tables.windows.clear();
                }
            }
            let [five, day] = keys.address.map(|(key, lasts, _)| (key, lasts));
            for (key, lasts) in [(keys.name, DAY), five, day] {
                let window = tables.windows.entry(key).or_insert(Window::fresh(now));
                if now.saturating_sub(window.since) >= lasts {
                    *window = Window::fresh(now);
                }
                window.count = window.count.saturating_add(1);
            }
        });
    }

    /// It was right.
    pub(crate) fn right(&self, guess: Guess<'_>, address: &str, now: i64) {
        let key = self.keys(guess, address).known;
        self.with(|tables| {
            if tables.known.len() >= MOST {
                tables.known.clear();
            }
            tables.known.insert(key, now);
        });
    }

    /// The password is another one: what was guessed of the one before counts no more.
    pub(crate) fn forget(&self, guess: Guess<'_>) {
        let key = self.keys(guess, "").name;
        self.with(|tables| tables.windows.remove(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Guess::{Factor, Name};

    #[test]
    fn guesses_become_few_and_owners_go_on() {
        let guesses = Guesses::default();
        guesses.right(Name("alice"), "owner", 0);
        for n in 0..MOST_NAME {
            let address = format!("bot-{}", n % 20);
            assert!(guesses.check(Name("alice"), &address, 1).is_ok(), "{n}");
            guesses.wrong(Name("alice"), &address, 1);
        }
        assert!(guesses.check(Name("alice"), "bot-77", 1).is_ok(), "one in a minute");
        let refused = guesses.check(Name("alice"), "bot-77", 1).unwrap_err();
        assert_eq!((refused.name, refused.retry_after), ("RateLimitExceeded", Some(60)));
        assert!(guesses.check(Name("alice"), "bot-78", MINUTE).is_err(), "from all of them together");
        assert!(guesses.check(Name("alice"), "owner", 1).is_ok(), "who logged in from here before");
        assert!(guesses.check(Name("bob"), "bot-77", 1).is_ok(), "another name");
        assert!(guesses.check(Name("alice"), "new phone", MINUTE + 1).is_ok(), "the next minute");
        assert!(guesses.check(Name("alice"), "bot-77", MINUTE + 2).is_err());
        for _ in 0..2 {
            assert!(guesses.check(Name("alice"), "bot-77", DAY + 2).is_ok(), "the next day");
        }
    }

    #[test]
    fn a_new_password_forgets_the_guesses_of_the_one_before_and_no_others() {
        let guesses = Guesses::default();
        for what in [Name("alice"), Factor("alice")] {
            for n in 0..=MOST_NAME {
                guesses.wrong(what, &format!("bot-{}", n % 20), 1);
            }
            assert!(guesses.check(what, "phone", 1).is_ok(), "one in a minute");
        }
        guesses.forget(Name("@Alice"));
        assert!(guesses.check(Name("alice"), "phone", 1).is_ok());
        assert!(guesses.check(Factor("alice"), "phone", 1).is_err());
    }

    #[test]
    fn a_name_is_one_however_it_is_typed() {
        let guesses = Guesses::default();
        for n in 0..=MOST_NAME {
            let typed = format!(" {}Alice.Example ", "@".repeat(usize::try_from(n).unwrap()));
            guesses.check(Name(&typed), &format!("bot-{}", n % 20), 1).unwrap();
            guesses.wrong(Name(&typed), &format!("bot-{}", n % 20), 1);
        }
        assert!(guesses.check(Name("@@@alice.example"), "bot-77", 1).is_err());
        assert_eq!(plain(" @@ Alice@Mail.Example\n"), "alice@mail.example");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let guesses = Guesses::default();
        for n in 0..MOST_ADDRESS {
            guesses.wrong(Name(&format!("name-{n}")), &format!("2001:db8:1:2::{n:x}"), 1);
        }
        assert!(guesses.check(Name("anybody"), "2001:db8:1:2:ffff::1", 1).is_err());
        assert!(guesses.check(Name("anybody"), "2001:db8:1:2::", 1).is_err(), "folded before");
        assert!(guesses.check(Name("anybody"), "2001:db8:1:3::1", 1).is_ok(), "another network");
        for n in 0..MOST_ADDRESS {
            guesses.wrong(Name(&format!("name-{n}")), "::ffff:192.0.2.1", 1);
        }
        assert!(guesses.check(Name("anybody"), "192.0.2.1", 1).is_err(), "IPv4, written as IPv6");
        assert!(guesses.check(Name("anybody"), "192.0.2.2", 1).is_ok());
    }

    #[test]
    fn one_address_guesses_so_much_and_no_more() {
        let guesses = Guesses::default();
        for n in 0..MOST_ADDRESS {
            guesses.wrong(Name(&format!("name-{n}")), "bot", 1);
        }
        assert!(guesses.check(Name("anybody"), "bot", 1).is_err());
        assert!(guesses.check(Name("anybody"), "bot", MINUTES_5 + 2).is_ok());
    }
}
