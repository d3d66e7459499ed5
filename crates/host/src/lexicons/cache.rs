//! What was found and what was not, for a while; and what is to be asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p2pds_lexicon::Catalog;
use p2pds_syntax::Nsid;
use tokio::sync::{Notify, watch};

/// A schema is asked for again after this long, in microseconds; until the answer the old one is used.
const FRESH: i64 = 3_600_000_000;
/// A schema that could not be had again is used no longer than this.
const STALE: i64 = 24 * FRESH;
/// What was not found is not asked for again for this long.
const ABSENT: i64 = 600_000_000;
/// Most schemas remembered, found or not.
const MOST: usize = 1_000;
/// Most schemas that wait to be asked for.
const MOST_ASKED: usize = 64;

/// What the cache says.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// The schema, with what it refers to.
    Schema(Arc<Catalog>),
    /// It was asked for and not found.
    Nothing,
    /// It was not asked for, or too long ago.
    Unasked,
}

#[derive(Debug)]
struct Entry {
    schema: Option<Arc<Catalog>>,
    at: i64,
    tried_at: i64,
    used: u64,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Nsid, Entry>,
    asked: VecDeque<Nsid>,
    /// Those that are being asked for, and who waits.
    asking: HashMap<Nsid, watch::Sender<bool>>,
    uses: u64,
}

/// The cache.
#[derive(Debug, Default)]
pub(super) struct Cache {
    inner: Mutex<Inner>,
    bell: Notify,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing inside can panic half way, so a poisoned lock still guards whole data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a schema now. One that is not fresh is asked for on the way.
    pub(super) fn look(&self, nsid: &Nsid, now: i64) -> Found {
        let mut inner = self.lock();
        inner.uses = inner.uses.saturating_add(1);
        let uses = inner.uses;
        let Some(entry) = inner.entries.get_mut(nsid) else { return Found::Unasked };
        entry.used = uses;
        let (age, since) = (now.saturating_sub(entry.at), now.saturating_sub(entry.tried_at));
        match &entry.schema {
            Some(schema) if age < STALE => {
                let found = Found::Schema(Arc::clone(schema));
                if age >= FRESH && since >= ABSENT {
                    let _ = inner.ask(nsid);
                    drop(inner);
                    self.bell.notify_one();
                }
                found
            }
            _ if since < ABSENT => Found::Nothing,
            _ => Found::Unasked,
        }
    }

    /// Asks for a schema; resolves when there is an answer. When too many wait already it is not asked for.
    pub(super) fn ask(&self, nsid: &Nsid) -> impl Future<Output = ()> + use<> {
        let answered = self.lock().ask(nsid);
        self.bell.notify_one();
        async move {
            if let Some(mut answered) = answered {
                // Given up: there is no answer to wait for.
                let _ = answered.wait_for(|answered| *answered).await;
            }
        }
    }

    /// The next one to be asked for.
    pub(super) fn next_asked(&self) -> Option<Nsid> {
        self.lock().asked.pop_front()
    }

    /// Resolves when one is to be asked for.
    pub(super) async fn wanted(&self) {
        loop {
            let bell = self.bell.notified();
            if !self.lock().asked.is_empty() {
                return;
            }
            bell.await;
        }
    }

    /// The answer.
    pub(super) fn put(&self, nsid: &Nsid, schema: Option<Arc<Catalog>>, now: i64) {
        let mut inner = self.lock();
        inner.uses = inner.uses.saturating_add(1);
        let used = inner.uses;
        match (inner.entries.get_mut(nsid), schema) {
            // What was known before stays for a day.
            (Some(entry), None) => entry.tried_at = now,
            (_, schema) => {
                inner.make_room();
                inner.entries.insert(nsid.clone(), Entry { schema, at: now, tried_at: now, used });
            }
        }
        if let Some(waiting) = inner.asking.remove(nsid) {
            waiting.send_replace(true);
        }
    }
}

impl Inner {
    fn ask(&mut self, nsid: &Nsid) -> Option<watch::Receiver<bool>> {
        if let Some(waiting) = self.asking.get(nsid) {
            return Some(waiting.subscribe());
        }
        if self.asking.len() >= MOST_ASKED {
            return None;
        }
        let (waiting, answered) = watch::channel(false);
        self.asking.insert(nsid.clone(), waiting);
        self.asked.push_back(nsid.clone());
        Some(answered)
    }

    /// Forgets what was used the longest ago.
    fn make_room(&mut self) {
        if self.entries.len() < MOST {
            return;
        }
        let mut uses: Vec<u64> = self.entries.values().map(|entry| entry.used).collect();
        let (_, middle, _) = uses.select_nth_unstable(MOST / 8);
        let oldest = *middle;
        self.entries.retain(|_, entry| entry.used > oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nsid(n: usize) -> Nsid {
        Nsid::parse(&format!("com.example.thing{n}")).unwrap()
    }

    fn is_schema(found: &Found) -> bool {
        matches!(found, Found::Schema(_))
    }

    #[test]
    fn what_was_found_lasts_a_day_and_what_was_not_ten_minutes() {
        let cache = Cache::default();
        assert!(matches!(cache.look(&nsid(1), 0), Found::Unasked));
        cache.put(&nsid(1), Some(Arc::default()), 0);
        cache.put(&nsid(2), None, 0);
        assert!(is_schema(&cache.look(&nsid(1), FRESH - 1)));
        assert_eq!(cache.next_asked(), None, "fresh ones are not asked for");
        assert!(matches!(cache.look(&nsid(2), ABSENT - 1), Found::Nothing));
        assert!(matches!(cache.look(&nsid(2), ABSENT), Found::Unasked));
        assert!(is_schema(&cache.look(&nsid(1), FRESH)));
        assert!(is_schema(&cache.look(&nsid(1), FRESH)));
        assert_eq!((cache.next_asked(), cache.next_asked()), (Some(nsid(1)), None), "asked for once");
        cache.put(&nsid(1), None, FRESH);
        assert!(is_schema(&cache.look(&nsid(1), FRESH + 1)), "the old one is used");
        assert_eq!(cache.next_asked(), None, "and not asked for again at once");
        assert!(is_schema(&cache.look(&nsid(1), STALE - 1)));
        assert!(!is_schema(&cache.look(&nsid(1), STALE)), "but no longer than a day");
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let cache = Cache::default();
        for n in 0..MOST * 3 {
            cache.put(&nsid(n), None, 0);
            cache.look(&nsid(0), 0);
            assert!(cache.lock().entries.len() <= MOST);
        }
        assert!(matches!(cache.look(&nsid(0), 0), Found::Nothing));
        assert!(matches!(cache.look(&nsid(1), 0), Found::Unasked));
        for n in 0..MOST_ASKED * 2 {
            drop(cache.ask(&nsid(n)));
        }
        assert_eq!(std::iter::from_fn(|| cache.next_asked()).count(), MOST_ASKED);
    }

    #[tokio::test]
    async fn all_who_wait_are_told() {
        let cache = Arc::new(Cache::default());
        let (one, two) = (cache.ask(&nsid(1)), cache.ask(&nsid(1)));
        cache.wanted().await;
        assert_eq!((cache.next_asked(), cache.next_asked()), (Some(nsid(1)), None));
        cache.put(&nsid(1), None, 5);
        tokio::join!(one, two);
    }
}
