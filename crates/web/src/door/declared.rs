//! What the document about this node as a client names: collections, read at most once in a minute.

use std::sync::{Mutex, PoisonError};

use p2pds_syntax::Did;

/// For how long what was read is good, microseconds.
const GOOD: i64 = 60 * 1_000_000;
/// For how long an account whose host is asked for a right is remembered: by then it said yes and there is a session, or
/// it did not.
const ASKED: i64 = 3_600 * 1_000_000;
/// Most of these accounts.
const MOST: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Declared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What was read, and when.
    collections: Option<(i64, Vec<String>)>,
    /// Accounts whose host is being asked, and since when.
    asked: Vec<(Did, i64)>,
}

impl Declared {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was read within the last minute.
    pub(super) fn read(&self, now: i64) -> Option<Vec<String>> {
        self.with(|state| {
            let (at, collections) = state.collections.as_ref()?;
            (now.saturating_sub(*at) < GOOD).then(|| collections.clone())
        })
    }

    /// Keeps what was read when these were asked for; if they are others by now, it is read again.
    pub(super) fn keep(&self, now: i64, asked: &[Did], collections: Vec<String>) {
        self.with(|state| {
            if asked.iter().all(|did| state.asked.iter().any(|(known, _)| known == did))
                && state.asked.iter().all(|(did, _)| asked.contains(did))
            {
                state.collections = Some((now, collections));
            }
        });
    }

    /// Notes an account, and that what was read may lack its collections.
    pub(super) fn ask_for(&self, did: Did, now: i64) {
        self.with(|state| {
            state.asked.retain(|(known, at)| *known != did && now.saturating_sub(*at) < ASKED);
            if state.asked.len() >= MOST {
                state.asked.remove(0);
            }
            state.asked.push((did, now));
            state.collections = None;
        });
    }

    pub(super) fn asked_for(&self, now: i64) -> Vec<Did> {
        self.with(|state| {
            state.asked.retain(|(_, at)| now.saturating_sub(*at) < ASKED);
            state.asked.iter().map(|(did, _)| did.clone()).collect()
        })
    }
}
