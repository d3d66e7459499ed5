//! Keys that are being added, by a name that nobody can guess.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE32_NOPAD;
use p2pds_agent::Agent;
use p2pds_identity::plc::Difference;
use p2pds_syntax::Did;
use serde_json::Value;
use zeroize::Zeroizing;

/// How long one lasts, microseconds.
const LASTS: i64 = 3_600 * 1_000_000;
/// How many there are at a time.
const MOST: usize = 100;

/// One key on its way.
pub(crate) struct Flow {
    /// The account.
    pub(crate) did: Did,
    /// The public half, as did:key.
    pub(crate) key: String,
    /// How far it is.
    pub(crate) stage: Stage,
    /// The session at the host that it is done with.
    pub(crate) agent: Option<Agent>,
    /// Since when, microseconds since 1970.
    pub(crate) begun: i64,
}

/// How far one is.
pub(crate) enum Stage {
    /// It was made here and is to be written down: the secret half.
    Made(Zeroizing<String>),
    /// Its public half is known, and nothing else.
    Chosen,
    /// The host has sent a token.
    Asked,
    /// The host has signed.
    Signed {
        /// What it signed.
        operation: Value,
        /// What that changes.
        changes: Vec<Difference>,
        /// Nothing but what was asked for.
        as_asked: bool,
    },
}

/// All of them.
#[derive(Default)]
pub(crate) struct Pending(Mutex<HashMap<String, Flow>>);

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<keys on their way>")
    }
}

impl Pending {
    /// Begins one; `None` when there is no entropy.
    pub(crate) fn begin(&self, flow: Flow) -> Option<String> {
        let mut random = [0_u8; 20];
        getrandom::fill(&mut random).ok()?;
        let id = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, other| flow.begun.saturating_sub(other.begun) < LASTS);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(id.clone(), flow);
        Some(id)
    }

    /// Changes one of an account, if it is there.
    pub(crate) fn change<T>(
        &self,
        id: &str,
        did: &Did,
        now: i64,
        change: impl FnOnce(&mut Flow) -> T,
    ) -> Option<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, flow| now.saturating_sub(flow.begun) < LASTS);
        all.get_mut(id).filter(|flow| flow.did == *did).map(change)
    }

    /// Looks at one.
    pub(crate) fn look<T>(&self, id: &str, did: &Did, now: i64, look: impl FnOnce(&Flow) -> T) -> Option<T> {
        self.change(id, did, now, |flow| look(flow))
    }

    /// One is over.
    pub(crate) fn end(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_end_and_are_their_accounts_alone() {
        let (mine, other) = (crate::samples::did(), Did::parse("did:web:example.com").unwrap());
        let pending = Pending::default();
        let flow =
            |begun| Flow { did: mine.clone(), key: "k".into(), stage: Stage::Chosen, agent: None, begun };
        let id = pending.begin(flow(5)).unwrap();
        assert!(pending.look(&id, &mine, 6, |_| ()).is_some());
        assert!(pending.look(&id, &other, 6, |_| ()).is_none());
        assert!(pending.look(&id, &mine, 6 + LASTS, |_| ()).is_none());
        let id = pending.begin(flow(5)).unwrap();
        pending.end(&id);
        assert!(pending.look(&id, &mine, 6, |_| ()).is_none());
    }
}
