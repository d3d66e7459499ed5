//! Tokens that were used: each works once, also after a restart. What is remembered is bounded, and when there is no
//! room, nothing new is let in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p2pds_store::hosting::SpentToken;
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::error::{HostError, HostResult};

/// Tokens remembered, of all.
pub(super) const MOST: usize = 100_000;
/// Tokens remembered of one issuer.
const MOST_OF_ONE: u32 = 2_000;

#[derive(Default)]
struct Table {
    /// Digest of issuer and identifier, to the end of the token in seconds.
    tokens: HashMap<[u8; 16], u64>,
    /// Digest of the issuer, to how many of his are in there, and the latest end.
    issuers: HashMap<[u8; 8], (u32, u64)>,
}

/// The tokens that were used.
#[derive(Default)]
pub(super) struct Seen {
    /// Set when those that were used before this process began are in the table.
    pub(super) loaded: OnceCell<()>,
    table: Mutex<Table>,
}

impl Seen {
    /// Takes up what was used before this process began.
    pub(super) fn load(&self, rows: &[SpentToken]) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            table.note(row.token, row.issuer, u64::try_from(row.ends_at / 1_000_000).unwrap_or(0));
        }
    }

    /// Notes a token that ends at `end`, and gives what has to be stored before it counts.
    ///
    /// # Errors
    /// It was used before; or there are too many to remember it.
    pub(super) fn first(&self, issuer: &Did, id: &str, now: u64, end: u64) -> HostResult<SpentToken> {
        let whose: [u8; 8] = digest(&[issuer.as_str()]);
        let token: [u8; 16] = digest(&[issuer.as_str(), id]);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.tokens.get(&token).is_some_and(|end| *end > now) {
            return Err(HostError::unauthenticated(
                "BadJwt",
                "this token was used before: each works once, ask for a new one",
            ));
        }
        let full = table.tokens.len() >= MOST
            || table.issuers.get(&whose).is_some_and(|(count, _)| *count >= MOST_OF_ONE);
        if full {
            table.tokens.retain(|_, end| *end > now);
            // Counts go down when the last token of an issuer has ended; that is at most an hour away.
            table.issuers.retain(|_, (_, end)| *end > now);
        }
        let of_one = table.issuers.get(&whose).map_or(0, |(count, _)| *count);
        if table.tokens.len() >= MOST || of_one >= MOST_OF_ONE {
            return Err(HostError::limited(60, "too many service tokens were used; try again later"));
        }
        table.note(token, whose, end);
        let ends_at = i64::try_from(end).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Ok(SpentToken { token, issuer: whose, ends_at })
    }

    /// Takes back a token that could not be stored: its bearer was told to come again.
    pub(super) fn take_back(&self, row: &SpentToken) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.tokens.remove(&row.token).is_some()
            && let Some((count, _)) = table.issuers.get_mut(&row.issuer)
        {
            *count = count.saturating_sub(1);
        }
    }
}

impl Table {
    fn note(&mut self, token: [u8; 16], whose: [u8; 8], end: u64) {
        self.tokens.insert(token, end);
        let (count, latest) = self.issuers.entry(whose).or_default();
        *count = count.saturating_add(1);
        *latest = end.max(*latest);
    }
}

/// The beginning of a digest of these texts, each with its length.
fn digest<const N: usize>(texts: &[&str]) -> [u8; N] {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    }
    let mut out = [0; N];
    out.iter_mut().zip(digest.finalize()).for_each(|(out, byte)| *out = byte);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(name: &str) -> Did {
        Did::parse(&format!("did:web:{name}.example.com")).unwrap()
    }

    #[test]
    fn each_works_once_until_its_end() {
        let seen = Seen::default();
        assert!(seen.first(&did("a"), "1", 100, 160).is_ok());
        assert_eq!(seen.first(&did("a"), "1", 159, 160).unwrap_err().name, "BadJwt");
        assert!(seen.first(&did("b"), "1", 159, 160).is_ok(), "another issuer");
        assert!(seen.first(&did("a"), "2", 159, 260).is_ok(), "another token");
        assert!(
            seen.first(&did("a"), "1", 160, 260).is_ok(),
            "past its end; its claims are refused elsewhere"
        );
    }

    #[test]
    fn what_was_not_stored_was_not_used() {
        let seen = Seen::default();
        let row = seen.first(&did("a"), "1", 100, 160).unwrap();
        seen.take_back(&row);
        assert!(seen.first(&did("a"), "1", 100, 160).is_ok());
        assert!(seen.first(&did("a"), "1", 100, 160).is_err());
    }

    #[test]
    fn what_was_used_before_is_taken_up() {
        let seen = Seen::default();
        let row = seen.first(&did("a"), "1", 100, 160).unwrap();
        let next = Seen::default();
        next.load(&[row]);
        assert_eq!(next.first(&did("a"), "1", 159, 160).unwrap_err().name, "BadJwt");
        assert!(next.first(&did("a"), "2", 159, 160).is_ok());
        assert!(next.first(&did("b"), "1", 159, 160).is_ok());
    }

    #[test]
    fn one_issuer_cannot_fill_it() {
        let seen = Seen::default();
        for n in 0..MOST_OF_ONE {
            seen.first(&did("a"), &n.to_string(), 100, 160).unwrap();
        }
        assert_eq!(seen.first(&did("a"), "more", 100, 160).unwrap_err().name, "RateLimitExceeded");
        assert!(seen.first(&did("b"), "more", 100, 160).is_ok());
        assert!(seen.first(&did("a"), "later", 161, 221).is_ok());
        assert!(seen.table.lock().unwrap().tokens.len() <= 2);
    }
}
