//! Answers remembered for a while, failures too, and each question asked once at a time.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Shared, WeakShared};
use p2pds_net::Pace;
use tokio::sync::Semaphore;

use crate::config::DirectoryConfig;
use crate::error::DirectoryError;

/// One question on its way.
type Flight<V> = Shared<Pin<Box<dyn Future<Output = Result<V, DirectoryError>> + Send>>>;
type Landing<V> = WeakShared<Pin<Box<dyn Future<Output = Result<V, DirectoryError>> + Send>>>;

/// A cache with limits on age, number and size.
pub(crate) struct Cache<K, V> {
    state: Mutex<State<K, V>>,
    slots: Semaphore,
    limits: Limits,
    pace: Arc<dyn Pace>,
}

struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Weak, so that a question that nobody waits for any more is dropped, not kept half asked.
    flights: HashMap<K, Landing<V>>,
    weight: usize,
}

struct Entry<V> {
    good: Option<Good<V>>,
    bad: Option<Bad>,
}

#[derive(Clone)]
struct Good<V> {
    value: V,
    at_ms: u64,
    weight: usize,
    /// Up to this age it is fresh.
    fresh_ms: u64,
    /// Makeshift answers in a row, this one counted.
    makeshifts: u32,
}

/// What asking brings.
pub(crate) struct Found<V> {
    pub(crate) value: V,
    /// Bytes that remembering it takes.
    pub(crate) weight: usize,
    /// It stands in for a better answer that could not be had now: asked for again soon, less and less often.
    pub(crate) makeshift: bool,
}

#[derive(Clone)]
struct Bad {
    error: DirectoryError,
    at_ms: u64,
    retry_at_ms: u64,
    failures: u32,
}

#[derive(Clone, Copy)]
struct Limits {
    fresh_ms: u64,
    usable_ms: u64,
    refresh_ms: u64,
    pause_ms: u64,
    max_pause_ms: u64,
    entries: usize,
    weight: usize,
}

/// How badly the caller wants a new answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// One that is fresh enough.
    Fresh,
    /// A new one, unless there was one just now.
    New,
}

/// A remembered or new answer.
pub(crate) struct Answer<V> {
    pub(crate) value: V,
    /// The failure that kept it from being a fresh one.
    pub(crate) stale: Option<DirectoryError>,
}

/// What looking finds.
enum Seen<V> {
    Known(Result<Answer<V>, DirectoryError>),
    UnderWay(Flight<V>),
    Unknown,
}

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(config: &DirectoryConfig, pace: Arc<dyn Pace>) -> Self {
        Self {
            state: Mutex::new(State { entries: HashMap::new(), flights: HashMap::new(), weight: 0 }),
            slots: Semaphore::new(config.max_in_flight.max(1)),
            limits: Limits {
                fresh_ms: millis(config.fresh_for),
                usable_ms: millis(config.usable_for),
                refresh_ms: millis(config.refresh_pause),
                pause_ms: millis(config.failure_pause),
                max_pause_ms: millis(config.max_failure_pause),
                entries: config.max_entries.max(1),
                weight: config.max_bytes,
            },
            pace,
        }
    }

    /// The remembered answer if it will do, else that of `ask`. Callers with the same question wait for one and the same answer.
    pub(crate) async fn get<F, Fut>(
        self: &Arc<Self>,
        key: &K,
        want: Want,
        ask: F,
    ) -> Result<Answer<V>, DirectoryError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Found<V>, DirectoryError>> + Send + 'static,
    {
        let flight = match self.look(key, want) {
            Seen::Known(outcome) => return outcome,
            Seen::UnderWay(flight) => flight,
            Seen::Unknown => self.depart(key, ask()),
        };
        match flight.await {
            Ok(value) => Ok(Answer { value, stale: None }),
            Err(error) => self.fall_back(key, error),
        }
    }

    /// Forgets what is known about `key`, failures too.
    pub(crate) fn forget(&self, key: &K) {
        lock(&self.state).remove(key);
    }

    /// Entries, questions under way, weight.
    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize, usize) {
        let state = lock(&self.state);
        (state.entries.len(), state.flights.len(), state.weight)
    }

    fn look(&self, key: &K, want: Want) -> Seen<V> {
        let now = self.pace.now_ms();
        let state = lock(&self.state);
        if let Some(flight) = state.flights.get(key).and_then(WeakShared::upgrade) {
            return Seen::UnderWay(flight);
        }
        let Some(entry) = state.entries.get(key) else { return Seen::Unknown };
        if let Some(bad) = &entry.bad {
            let wait_over = match want {
                Want::Fresh => now >= bad.retry_at_ms,
                Want::New => age(now, bad.at_ms) >= self.limits.refresh_after(bad),
            };
            return if wait_over {
                Seen::Unknown
            } else {
                Seen::Known(self.usable(entry, now, bad.error.clone()))
            };
        }
        let enough = |good: &Good<V>| match want {
            Want::Fresh => good.fresh_ms,
            Want::New => self.limits.refresh_ms.min(self.limits.fresh_ms),
        };
        match &entry.good {
            Some(good) if age(now, good.at_ms) < enough(good) => {
                Seen::Known(Ok(Answer { value: good.value.clone(), stale: None }))
            }
            _ => Seen::Unknown,
        }
    }

    /// Registers the question; the flight enters its own result.
    fn depart<Fut>(self: &Arc<Self>, key: &K, ask: Fut) -> Flight<V>
    where
        Fut: Future<Output = Result<Found<V>, DirectoryError>> + Send + 'static,
    {
        let (cache, own_key) = (Arc::clone(self), key.clone());
        let asking = async move {
            let outcome = match cache.slots.acquire().await {
                Ok(_slot) => ask.await,
                Err(_) => Err(DirectoryError::Closed),
            };
            cache.land(&own_key, outcome)
        };
        let flight: Flight<V> = (Box::pin(asking) as Pin<Box<dyn Future<Output = _> + Send>>).shared();
        let mut state = lock(&self.state);
        if state.flights.len() >= self.limits.entries.min(1024) {
            state.flights.retain(|_, landing| landing.upgrade().is_some());
        }
        // Somebody may have departed since we looked.
        if let Some(other) = state.flights.get(key).and_then(WeakShared::upgrade) {
            return other;
        }
        if let Some(landing) = flight.downgrade() {
            state.flights.insert(key.clone(), landing);
        }
        flight
    }

    fn land(&self, key: &K, outcome: Result<Found<V>, DirectoryError>) -> Result<V, DirectoryError> {
        let now = self.pace.now_ms();
        let mut state = lock(&self.state);
        state.flights.remove(key);
        let before = state.remove(key);
        match outcome {
            Ok(Found { value, weight, makeshift }) => {
                let makeshifts = match before.and_then(|entry| entry.good) {
                    _ if !makeshift => 0,
                    Some(good) => good.makeshifts.saturating_add(1),
                    None => 1,
                };
                let fresh_ms = match makeshifts.checked_sub(1) {
                    Some(earlier) => self.limits.pause(earlier).min(self.limits.fresh_ms),
                    None => self.limits.fresh_ms,
                };
                let good = Good { value: value.clone(), at_ms: now, weight, fresh_ms, makeshifts };
                state.put(key, Entry { good: Some(good), bad: None }, self.limits);
                Ok(value)
            }
            Err(error) => {
                let failures = before.as_ref().and_then(|e| e.bad.as_ref()).map_or(0, |bad| bad.failures);
                let good = before.and_then(|e| e.good).filter(|_| !error.is_verdict());
                let pause = self.limits.pause(failures);
                let bad = Bad {
                    error: error.clone(),
                    at_ms: now,
                    retry_at_ms: now.saturating_add(pause),
                    failures: failures.saturating_add(1),
                };
                state.put(key, Entry { good, bad: Some(bad) }, self.limits);
                Err(error)
            }
        }
    }

    fn fall_back(&self, key: &K, error: DirectoryError) -> Result<Answer<V>, DirectoryError> {
        let now = self.pace.now_ms();
        match lock(&self.state).entries.get(key) {
            Some(entry) => self.usable(entry, now, error),
            None => Err(error),
        }
    }

    /// The older answer if it may still be used in spite of `error`.
    fn usable(&self, entry: &Entry<V>, now: u64, error: DirectoryError) -> Result<Answer<V>, DirectoryError> {
        match &entry.good {
            Some(good) if age(now, good.at_ms) < self.limits.usable_ms => {
                Ok(Answer { value: good.value.clone(), stale: Some(error) })
            }
            _ => Err(error),
        }
    }
}

impl<K: Clone + Eq + Hash, V> State<K, V> {
    fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let entry = self.entries.remove(key)?;
        self.weight = self.weight.saturating_sub(entry.weight());
        Some(entry)
    }

    fn put(&mut self, key: &K, entry: Entry<V>, limits: Limits) {
        self.weight = self.weight.saturating_add(entry.weight());
        self.entries.insert(key.clone(), entry);
        if self.entries.len() <= limits.entries && self.weight <= limits.weight {
            return;
        }
        // The oldest eighth goes at once, so that this happens seldom.
        let mut ages: Vec<(u64, K)> = self.entries.iter().map(|(k, e)| (e.touched(), k.clone())).collect();
        ages.sort_by_key(|(at, _)| *at);
        let (goal, weight_goal) = (
            limits.entries.saturating_sub(limits.entries / 8),
            limits.weight.saturating_sub(limits.weight / 8),
        );
        for (_, old) in ages {
            if self.entries.len() <= goal.max(1) && self.weight <= weight_goal {
                break;
            }
            self.remove(&old);
        }
    }
}

impl<V> Entry<V> {
    /// Failures weigh a fixed amount.
    fn weight(&self) -> usize {
        self.good.as_ref().map_or(512, |good| good.weight)
    }

    fn touched(&self) -> u64 {
        let good = self.good.as_ref().map_or(0, |good| good.at_ms);
        self.bad.as_ref().map_or(good, |bad| bad.at_ms.max(good))
    }
}

impl Limits {
    /// How long after a failure somebody who needs a new answer may ask again: events, of which anybody can make a
    /// million, must not keep a silent server busy; and one that is back must not wait for an hour.
    fn refresh_after(self, bad: &Bad) -> u64 {
        let backoff = bad.retry_at_ms.saturating_sub(bad.at_ms);
        backoff.min(self.refresh_ms.saturating_mul(10)).max(self.refresh_ms)
    }

    /// The pause after one more failure: doubled each time.
    fn pause(self, failures: u32) -> u64 {
        self.pause_ms.saturating_mul(2_u64.saturating_pow(failures)).min(self.max_pause_ms)
    }
}

/// A clock that was set back makes answers old, not young.
fn age(now: u64, at: u64) -> u64 {
    now.checked_sub(at).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Nothing panics while the lock is held; the state is valid at any point.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
