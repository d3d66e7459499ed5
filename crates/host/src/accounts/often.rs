//! How often codes are mailed: of a kind, to one account, whoever asks and through whichever door.
//!
//! Who asks again within a minute gets the mail that is on its way: nothing is sent, and its code stays good. Remembered
//! while the host runs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p2pds_syntax::Did;

use super::tokens::TokenPurpose;

const MINUTE: i64 = 60 * 1_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Mails of a kind in an hour.
const MOST_HOUR: usize = 5;
/// In a day.
const MOST_DAY: usize = 15;
/// Accounts and kinds of which it is remembered.
const MOST: usize = 50_000;

#[derive(Debug, Default)]
struct Sent {
    /// When, in a day; oldest first.
    at: Vec<i64>,
    /// Where the last one went, while its code may be on its way and unused.
    under_way: Option<String>,
}

/// Whether a mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// It is; it counts.
    Send,
    /// The one before was sent a moment ago.
    UnderWay,
    /// There were too many: in so many microseconds.
    Later(i64),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Often(Mutex<HashMap<(Did, &'static str), Sent>>);

impl Often {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<(Did, &'static str), Sent>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a mail that is to be sent to this address.
    pub(crate) fn may(&self, did: &Did, purpose: TokenPurpose, to: &str, now: i64) -> May {
        self.with(|all| {
            if all.len() >= MOST {
                all.retain(|_, sent| sent.at.last().is_some_and(|at| now.saturating_sub(*at) < HOUR));
                if all.len() >= MOST {
                    all.clear();
                }
            }
            let sent = all.entry((did.clone(), purpose.as_str())).or_default();
            sent.at.retain(|at| now.saturating_sub(*at) < DAY);
            let last = sent.at.last().copied();
            if sent.under_way.as_deref() == Some(to) && last.is_some_and(|at| now.saturating_sub(at) < MINUTE)
            {
                return May::UnderWay;
            }
            // The one before so many: until it is so long ago.
            let wait = |most: usize, lasts: i64| {
                let ends = sent.at.iter().rev().nth(most.saturating_sub(1))?.saturating_add(lasts);
                (now < ends).then(|| ends.saturating_sub(now))
            };
            if let Some(left) = wait(MOST_HOUR, HOUR).max(wait(MOST_DAY, DAY)) {
                return May::Later(left);
            }
            sent.at.push(now);
            sent.under_way = Some(to.to_owned());
            May::Send
        })
    }

    /// The code of the last one is used, void, or was never queued: who asks again gets another.
    pub(crate) fn over(&self, did: &Did, purpose: TokenPurpose) {
        self.with(|all| {
            if let Some(sent) = all.get_mut(&(did.clone(), purpose.as_str())) {
                sent.under_way = None;
            }
        });
    }

    /// All codes of the account are void.
    pub(crate) fn all_over(&self, did: &Did) {
        self.with(|all| {
            for (_, sent) in all.iter_mut().filter(|((of, _), _)| of == did) {
                sent.under_way = None;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TokenPurpose::{ConfirmEmail, ResetPassword};

    #[test]
    fn one_a_minute_five_an_hour_fifteen_a_day() {
        let (often, did) = (Often::default(), Did::parse("did:web:a.example").unwrap());
        let may = |now| often.may(&did, ResetPassword, "a@mail.example", now);
        assert_eq!(may(0), May::Send);
        assert_eq!(may(MINUTE - 1), May::UnderWay);
        assert_eq!(often.may(&did, ConfirmEmail, "a@mail.example", 1), May::Send, "another kind");
        for n in 1..5 {
            assert_eq!(may(n * MINUTE), May::Send);
        }
        assert_eq!(may(5 * MINUTE), May::Later(55 * MINUTE));
        for hour in 1..3 {
            for n in 0..5 {
                assert_eq!(may(hour * HOUR + n * MINUTE), May::Send);
            }
        }
        assert_eq!(may(4 * HOUR), May::Later(20 * HOUR), "the first of fifteen is a day old then");
        assert_eq!(may(DAY), May::Send);
    }

    #[test]
    fn who_used_a_code_or_has_another_address_waits_for_none() {
        let (often, did) = (Often::default(), Did::parse("did:web:a.example").unwrap());
        assert_eq!(often.may(&did, ConfirmEmail, "a@mail.example", 0), May::Send);
        assert_eq!(often.may(&did, ConfirmEmail, "b@mail.example", 0), May::Send);
        often.over(&did, ConfirmEmail);
        assert_eq!(often.may(&did, ConfirmEmail, "b@mail.example", 0), May::Send);
        assert_eq!(often.may(&did, ConfirmEmail, "b@mail.example", 0), May::UnderWay);
        often.all_over(&did);
        assert_eq!(often.may(&did, ConfirmEmail, "b@mail.example", 0), May::Send);
        often.all_over(&did);
        assert_eq!(often.may(&did, ConfirmEmail, "b@mail.example", 0), May::Send);
        often.all_over(&did);
        assert_eq!(often.may(&did, ConfirmEmail, "b@mail.example", 0), May::Later(HOUR), "five in all");
    }
}
