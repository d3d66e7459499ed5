//! Nonces of proofs of possession, and which proofs were used.
//!
//! A nonce is computed from a secret that is new at each start and the minute, so nothing is stored; it is good in its
//! own minute and the two after it. A proof carries the nonce, so a used proof need be remembered only as long as its
//! nonce is good: the memory is one set for each of these minutes, and bounded in number as well.
//!
//! Spec: RFC 9449, 8, 9 and 11.1.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::error::OAuthError;

/// How often a new nonce comes, seconds.
pub const ROTATION: u64 = 60;
/// Minutes for which a nonce is good, its own included.
const GOOD_FOR: u64 = 3;
/// Most proofs and assertions that are remembered: 16 bytes each, and what the set needs beside them.
pub const MOST_REMEMBERED: usize = 1_000_000;

/// Makes and checks nonces.
pub(crate) struct Nonces {
    secret: [u8; 32],
}

impl Nonces {
    pub(crate) const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    fn of(&self, minute: u64) -> String {
        let mut tag = [0_u8; 32];
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) {
            mac.update(b"p2pds dpop nonce");
            mac.update(&minute.to_be_bytes());
            tag = mac.finalize().into_bytes().into();
        }
        BASE64URL_NOPAD.encode(tag.get(..16).unwrap_or_default())
    }

    /// The one to hand out.
    pub(crate) fn current(&self, now: u64) -> String {
        self.of(now / ROTATION)
    }

    /// The minute of a nonce that is good.
    pub(crate) fn minute(&self, nonce: &str, now: u64) -> Option<u64> {
        let current = now / ROTATION;
        (0..GOOD_FOR)
            .filter_map(|back| current.checked_sub(back))
            .find(|minute| self.of(*minute).as_bytes().ct_eq(nonce.as_bytes()).into())
    }
}

/// What was used and is good once: proofs, assertions, request objects.
pub(crate) struct Used {
    most: usize,
    /// By the minute in which they may be forgotten.
    sets: Mutex<Vec<(u64, HashSet<[u8; 16]>)>>,
}

impl Used {
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, sets: Mutex::new(Vec::new()) }
    }

    /// Notes a use; an error when it was used before, or when no more can be noted.
    ///
    /// `whose` and `jti` together name it; `until` is the second at which it is refused anyway.
    pub(crate) fn once(
        &self,
        whose: &[&str],
        jti: &str,
        until: u64,
        now: u64,
        replayed: OAuthError,
    ) -> Result<(), OAuthError> {
        let mut hash = Sha256::new();
        for part in whose.iter().copied().chain([jti]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut key = [0_u8; 16];
        for (to, from) in key.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        let minute = (until / ROTATION).saturating_add(1);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|(end, _)| end.saturating_mul(ROTATION) > now);
        if sets.iter().any(|(_, set)| set.contains(&key)) {
            return Err(replayed);
        }
        // Forgetting some would let them be used again: so nothing more is taken until the oldest are over.
        if sets.iter().map(|(_, set)| set.len()).sum::<usize>() >= self.most {
            return Err(OAuthError::Busy);
        }
        match sets.iter_mut().find(|(end, _)| *end == minute) {
            Some((_, set)) => {
                set.insert(key);
            }
            None => sets.push((minute, HashSet::from([key]))),
        }
        Ok(())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sets.lock().unwrap().iter().map(|(_, set)| set.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_three_minutes() {
        let nonces = Nonces::new([1; 32]);
        let nonce = nonces.current(6_000);
        assert_eq!(nonces.current(6_059), nonce);
        assert_ne!(nonces.current(6_060), nonce);
        assert_eq!(nonces.minute(&nonce, 6_179), Some(100));
        assert_eq!(nonces.minute(&nonce, 6_180), None);
        assert_eq!(nonces.minute(&nonce, 5_999), None, "those of the future are nobody's");
        assert_eq!(Nonces::new([2; 32]).minute(&nonce, 6_000), None, "those before a restart");
        assert_eq!(nonces.minute("", 6_000), None);
    }

    #[test]
    fn what_is_good_once() {
        let used = Used::new(10);
        let once = |whose: &str, jti: &str, until, now| {
            used.once(&[whose], jti, until, now, OAuthError::DpopReplayed)
        };
        assert!(once("a", "1", 100, 0).is_ok());
        assert_eq!(once("a", "1", 100, 99), Err(OAuthError::DpopReplayed));
        assert_eq!(once("a", "1", 500, 0), Err(OAuthError::DpopReplayed), "whatever end it claims");
        assert!(once("b", "1", 100, 0).is_ok() && once("a", "2", 100, 0).is_ok());
        assert!(once("a", "1", 900, 180).is_ok(), "by then it is refused for its age");
        assert_eq!(used.len(), 1);
    }

    #[test]
    fn no_more_is_remembered_than_said_and_nothing_is_forgotten_for_it() {
        let used = Used::new(1_000);
        let once =
            |n: u32, now| used.once(&["key"], &n.to_string(), now + 180, now, OAuthError::DpopReplayed);
        for n in 0..1_000 {
            assert!(once(n, 0).is_ok());
        }
        assert_eq!(once(1_000, 0), Err(OAuthError::Busy));
        assert_eq!(once(0, 0), Err(OAuthError::DpopReplayed));
        assert_eq!(used.len(), 1_000);
        assert!(once(1_000, 300).is_ok(), "when the others are over");
        assert_eq!(used.len(), 1);
    }

    #[test]
    fn a_million_proofs_take_less_than_64_mib() {
        let used = Used::new(MOST_REMEMBERED);
        for n in 0..1_000_000_u32 {
            assert!(used.once(&["key"], &n.to_string(), 180, 0, OAuthError::DpopReplayed).is_ok());
        }
        assert_eq!(used.once(&["key"], "one more", 180, 0, OAuthError::DpopReplayed), Err(OAuthError::Busy));
        // A set keeps its entries with one byte beside each, in a table that is at most 7/8 full.
        let places: usize = used.sets.lock().unwrap().iter().map(|(_, set)| set.capacity() * 8 / 7).sum();
        assert!(places * 17 < 64 << 20, "{places}");
    }
}
