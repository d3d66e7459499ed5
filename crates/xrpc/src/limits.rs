//! What one caller may cost: requests in five minutes, unknown CIDs in five minutes, expensive requests at a time.
//!
//! Callers are told apart by address (IPv6 by /64, which is what one customer gets). The table of callers is bounded.
//! Peers are not counted, because their operator chose them; what they may do at a time is bounded all the same.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use p2pds_reading::Viewer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::asked::Asked;
use crate::config::XrpcConfig;
use crate::error::XrpcError;
use crate::meter::Hits;

/// Counters begin anew after this long.
pub const WINDOW: Duration = Duration::from_secs(300);
/// Callers remembered.
const MOST_CALLERS: usize = 50_000;
/// Whole repos sent at a time, to all.
const REPOS: usize = 32;
/// Whole repos sent at a time to one caller.
const REPOS_EACH: u32 = 4;
/// Other expensive requests at a time, of all.
const HEAVY: usize = 32;
/// Other expensive requests at a time of one caller.
const HEAVY_EACH: u32 = 8;
/// Requests that cost a page of records or a proof at a time, of all.
const USUAL: usize = 256;
/// An expensive request waits this long for its turn.
const TURN: Duration = Duration::from_secs(5);

/// One caller.
#[derive(Debug)]
struct Caller {
    since: Instant,
    requests: u32,
    unknown: u32,
    repos: u32,
    heavy: u32,
}

type Callers = Arc<Mutex<HashMap<IpAddr, Caller>>>;

/// The limits and who has used them up how far.
#[derive(Debug)]
pub struct Limits {
    hits: Hits,
    counted: bool,
    requests: u32,
    unknown: u32,
    callers: Callers,
    repos: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    usual: Arc<Semaphore>,
}

/// A limit of this file, for the operator's page: its name in metrics, how much, and in how many seconds; `None`: at a time.
pub type InForce = (&'static str, u32, Option<u64>);

/// The limits that hold for all methods together.
#[must_use]
pub fn in_force(config: &XrpcConfig) -> Vec<InForce> {
    let most = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut all = Vec::new();
    if config.rate_limits {
        all.push(("requests", config.requests.max(1), Some(WINDOW.as_secs())));
        all.push(("unknown", config.unknown_cids.max(1), Some(WINDOW.as_secs())));
    }
    // What is done at a time is bounded whatever the settings say.
    all.extend([("repos", most(REPOS), None), ("heavy", most(HEAVY), None), ("usual", most(USUAL), None)]);
    all
}

/// How much is left for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Requests in a window.
    pub limit: u32,
    /// Requests left in this one.
    pub remaining: u32,
    /// Seconds until the next one.
    pub reset: u64,
    /// Length of a window, seconds.
    pub window: u64,
}

/// Which count of things at a time.
#[derive(Debug, Clone, Copy)]
enum Sort {
    Repo,
    Heavy,
}

/// A place that is held while a request is answered.
#[derive(Debug)]
pub struct Held {
    callers: Callers,
    caller: IpAddr,
    sort: Sort,
    _place: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(caller) = callers.get_mut(&self.caller) {
            let count = match self.sort {
                Sort::Repo => &mut caller.repos,
                Sort::Heavy => &mut caller.heavy,
            };
            *count = count.saturating_sub(1);
        }
    }
}

/// The address that stands for a caller.
#[must_use]
pub fn caller(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

impl Limits {
    /// The limits of these settings.
    #[must_use]
    pub fn new(config: &XrpcConfig) -> Self {
        Self {
            hits: config.hits.clone(),
            counted: config.rate_limits,
            requests: config.requests.max(1),
            unknown: config.unknown_cids.max(1),
            callers: Callers::default(),
            repos: Arc::new(Semaphore::new(REPOS)),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            usual: Arc::new(Semaphore::new(USUAL)),
        }
    }

    fn with<T>(&self, address: IpAddr, now: Instant, change: impl FnOnce(&mut Caller) -> T) -> T {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MOST_CALLERS {
            let old = |caller: &Caller| now.saturating_duration_since(caller.since) >= WINDOW;
            callers.retain(|_, caller| !old(caller) || caller.repos > 0 || caller.heavy > 0);
            if callers.len() >= MOST_CALLERS {
                // More callers than can be remembered: only what they do at a time still counts.
                callers.retain(|_, caller| caller.repos > 0 || caller.heavy > 0);
            }
        }
        let fresh = || Caller { since: now, requests: 0, unknown: 0, repos: 0, heavy: 0 };
        let entry = callers.entry(caller(address)).or_insert_with(fresh);
        if now.saturating_duration_since(entry.since) >= WINDOW {
            (entry.since, entry.requests, entry.unknown) = (now, 0, 0);
        }
        change(entry)
    }

    /// Counts a request.
    ///
    /// # Errors
    /// There were too many.
    pub fn request(&self, address: IpAddr, now: Instant) -> Result<Option<Left>, XrpcError> {
        if !self.counted {
            return Ok(None);
        }
        let (used, since) = self.with(address, now, |caller| {
            caller.requests = caller.requests.saturating_add(1);
            (caller.requests, caller.since)
        });
        let reset = reset(since, now);
        if used > self.requests {
            self.hits.note("requests");
            return Err(XrpcError::too_many(reset, "Rate Limit Exceeded"));
        }
        Ok(Some(Left {
            limit: self.requests,
            remaining: self.requests.saturating_sub(used),
            reset,
            window: WINDOW.as_secs(),
        }))
    }

    /// Counts a CID that is not served, asked for without naming an account.
    pub fn unknown_cid(&self, asked: &Asked) {
        if self.counted && asked.viewer == Viewer::Public {
            self.with(asked.from, Instant::now(), |caller| caller.unknown = caller.unknown.saturating_add(1));
        }
    }

    /// Whether a caller may ask for CIDs without naming an account.
    ///
    /// # Errors
    /// Too many of them were not here.
    pub fn may_look(&self, asked: &Asked) -> Result<(), XrpcError> {
        if !self.counted || asked.viewer != Viewer::Public {
            return Ok(());
        }
        let now = Instant::now();
        let (unknown, since) = self.with(asked.from, now, |caller| (caller.unknown, caller.since));
        if unknown >= self.unknown {
            self.hits.note("unknown");
            return Err(XrpcError::too_many(reset(since, now), "too many CIDs that are not served here"));
        }
        Ok(())
    }

    /// A place for sending a whole repo.
    ///
    /// # Errors
    /// All of them, or all of this caller's, are taken.
    pub fn repo(&self, asked: &Asked) -> Result<Held, XrpcError> {
        let busy = || {
            self.hits.note("repos");
            XrpcError::too_many(10, "too many repos are being sent; try again later")
        };
        let place = Arc::clone(&self.repos).try_acquire_owned().map_err(|_| busy())?;
        self.hold(asked.from, Sort::Repo, place).ok_or_else(busy)
    }

    /// A place for another expensive request, after waiting for a short while.
    ///
    /// # Errors
    /// None came free, or all of this caller's are taken.
    pub async fn heavy(&self, asked: &Asked) -> Result<Held, XrpcError> {
        let busy = || {
            self.hits.note("heavy");
            XrpcError::too_many(1, "too many such requests at a time; try again later")
        };
        // One caller's share is judged first, so that nobody fills the queue.
        if self.with(asked.from, Instant::now(), |caller| caller.heavy >= HEAVY_EACH) {
            return Err(busy());
        }
        let place = tokio::time::timeout(TURN, Arc::clone(&self.heavy).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or_else(busy)?;
        self.hold(asked.from, Sort::Heavy, place).ok_or_else(busy)
    }

    /// A place for a request that costs a page of records or a proof: others wait for it, nobody is turned away for
    /// having several.
    ///
    /// # Errors
    /// None came free.
    pub async fn usual(&self) -> Result<OwnedSemaphorePermit, XrpcError> {
        let place = tokio::time::timeout(TURN, Arc::clone(&self.usual).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            self.hits.note("usual");
            XrpcError::too_many(1, "too many such requests at a time; try again later")
        })
    }

    fn hold(&self, address: IpAddr, sort: Sort, place: OwnedSemaphorePermit) -> Option<Held> {
        let taken = self.with(address, Instant::now(), |caller| {
            let (count, most) = match sort {
                Sort::Repo => (&mut caller.repos, REPOS_EACH),
                Sort::Heavy => (&mut caller.heavy, HEAVY_EACH),
            };
            let free = *count < most;
            *count = count.saturating_add(u32::from(free));
            free
        });
        let callers = Arc::clone(&self.callers);
        taken.then(|| Held { callers, caller: caller(address), sort, _place: place })
    }
}

/// Seconds until a window that began at `since` ends.
fn reset(since: Instant, now: Instant) -> u64 {
    WINDOW.saturating_sub(now.saturating_duration_since(since)).as_secs().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32) -> Limits {
        Limits::new(&XrpcConfig { requests, ..XrpcConfig::default() })
    }

    #[test]
    fn requests_are_counted_for_each_caller_and_window() {
        let (limits, now) = (limits(3), Instant::now());
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for left in [2, 1, 0] {
            assert_eq!(limits.request(a, now).unwrap().unwrap().remaining, left);
        }
        let refused = limits.request(a, now).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.retry_after), (429, Some(301)));
        assert!(limits.request(b, now).is_ok(), "another caller");
        assert!(limits.request(a, now + WINDOW).is_ok(), "the next window");
        let off = Limits::new(&XrpcConfig { rate_limits: false, requests: 1, ..XrpcConfig::default() });
        assert!((0..10).all(|_| off.request(a, now).is_ok()));
    }

    #[test]
    fn one_customer_is_one_caller() {
        let same = |a: &str, b: &str| caller(a.parse().unwrap()) == caller(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1") && !same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn the_table_of_callers_is_bounded() {
        let (limits, now) = (limits(3), Instant::now());
        for n in 0..u32::try_from(MOST_CALLERS).unwrap() + 10 {
            let _ = limits.request(IpAddr::V4(n.into()), now);
        }
        assert!(limits.callers.lock().unwrap().len() <= MOST_CALLERS);
    }

    #[tokio::test]
    async fn places_are_given_back() {
        let limits = limits(3);
        let asked = |from: &str| Asked::made_up(from.parse().unwrap());
        let (one, two) = (asked("192.0.2.1"), asked("192.0.2.2"));
        let held: Vec<_> = (0..REPOS_EACH).map(|_| limits.repo(&one).unwrap()).collect();
        assert!(limits.repo(&one).is_err() && limits.repo(&two).is_ok());
        drop(held);
        assert!(limits.repo(&one).is_ok());
        let mut heavy = Vec::new();
        for _ in 0..HEAVY_EACH {
            heavy.push(limits.heavy(&one).await.unwrap());
        }
        assert!(limits.heavy(&one).await.is_err() && limits.heavy(&two).await.is_ok());
    }
}
