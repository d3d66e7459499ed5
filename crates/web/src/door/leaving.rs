//! People who are away, signing in at their host: where they go, what for, and where they want to be afterwards.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p2pds_syntax::Did;

/// How long they may be away, microseconds.
const LASTS: i64 = 10 * 60 * 1_000_000;
/// Those who are away at a time.
const MOST: usize = 10_000;

/// What somebody signs in for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be let in.
    SignIn,
    /// To let this node do something for an account.
    Consent(Did),
}

/// Somebody who is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Where to.
    pub(crate) url: String,
    /// Whose server that is.
    pub(crate) server: String,
    /// What for.
    pub(crate) purpose: Purpose,
    /// The page that he wants afterwards: a path of this node.
    pub(crate) to: String,
    /// Since when.
    pub(crate) at: i64,
}

/// Those who are away, by what their browsers hold.
#[derive(Debug, Default)]
pub(crate) struct Leavers(Mutex<HashMap<[u8; 32], Leaving>>);

impl Leavers {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<[u8; 32], Leaving>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put(&self, browser: [u8; 32], leaving: Leaving) {
        self.with(|all| {
            if all.len() >= MOST {
                let now = leaving.at;
                all.retain(|_, other| now.saturating_sub(other.at) < LASTS);
                if all.len() >= MOST {
                    all.clear();
                }
            }
            all.insert(browser, leaving);
        });
    }

    pub(crate) fn get(&self, browser: [u8; 32], now: i64) -> Option<Leaving> {
        self.with(|all| all.get(&browser).filter(|one| now.saturating_sub(one.at) < LASTS).cloned())
    }

    pub(crate) fn take(&self, browser: [u8; 32], now: i64) -> Option<Leaving> {
        self.with(|all| all.remove(&browser)).filter(|one| now.saturating_sub(one.at) < LASTS)
    }
}

/// A path of this node that somebody wants to see; the first page for anything else.
pub(crate) fn own_path(text: &str) -> String {
    let plain = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= 1_000
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain { text.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_node() {
        for good in ["/", "/archive/did:plc:x?y=1#z"] {
            assert_eq!(own_path(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\r\nx",
            "javascript:1",
            "/a b",
        ] {
            assert_eq!(own_path(bad), "/", "{bad:?}");
        }
    }
}
