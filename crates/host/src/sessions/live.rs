//! Sessions that were found to be going on, so that a request with an access token need not ask the store.
//!
//! Whoever ends a session tells this first; what was read from the store before that and comes later is not added.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p2pds_syntax::Did;

/// Accounts remembered.
const MOST: usize = 20_000;
/// Sessions of one account remembered.
const MOST_EACH: usize = 64;

/// Name of the app password by session.
type Sessions = HashMap<String, Option<String>>;

#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<Did, Sessions>,
    epoch: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<Known>);

impl Live {
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A session that goes on, with its app password; and the state of things, for [`Self::add`].
    pub(crate) fn find(&self, did: &Did, id: &str) -> (Option<Option<String>>, u64) {
        self.with(|known| {
            (known.accounts.get(did).and_then(|sessions| sessions.get(id)).cloned(), known.epoch)
        })
    }

    /// A session was found in the store, unless something ended since.
    pub(crate) fn add(&self, did: &Did, id: &str, app_password: Option<String>, epoch: u64) {
        self.with(|known| {
            if known.epoch != epoch {
                return;
            }
            if known.accounts.len() >= MOST && !known.accounts.contains_key(did) {
                known.accounts.clear();
            }
            let sessions = known.accounts.entry(did.clone()).or_default();
            if sessions.len() >= MOST_EACH {
                sessions.clear();
            }
            sessions.insert(id.to_owned(), app_password);
        });
    }

    /// A session ended.
    pub(crate) fn drop_one(&self, did: &Did, id: &str) {
        self.with(|known| {
            known.epoch = known.epoch.wrapping_add(1);
            if let Some(sessions) = known.accounts.get_mut(did) {
                sessions.remove(id);
            }
        });
    }

    /// Sessions of an account ended.
    pub(crate) fn drop_all(&self, did: &Did) {
        self.with(|known| {
            known.epoch = known.epoch.wrapping_add(1);
            known.accounts.remove(did);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_not_added_by_one_who_read_before() {
        let (live, did) = (Live::default(), Did::parse("did:web:a.example.com").unwrap());
        let (found, epoch) = live.find(&did, "s");
        assert_eq!(found, None);
        live.add(&did, "s", Some("app".into()), epoch);
        assert_eq!(live.find(&did, "s").0, Some(Some("app".into())));
        let before = live.find(&did, "t").1;
        live.drop_all(&did);
        live.add(&did, "t", None, before);
        assert_eq!((live.find(&did, "s").0, live.find(&did, "t").0), (None, None));
    }
}
