//! Manners towards each host: so many requests at a time, so many a second,
//! none while the host asks for quiet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::NetConfig;
use crate::error::NetError;
use crate::pace::Pace;

/// All hosts that requests went to lately.
pub(crate) struct Hosts {
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    rules: Rules,
    pace: Arc<dyn Pace>,
}

/// The part of the configuration that counts here.
#[derive(Debug, Clone, Copy)]
struct Rules {
    slots: usize,
    rate: f64,
    burst: f64,
    max_hosts: usize,
    max_wait: Duration,
    max_pause: Duration,
}

struct Host {
    slots: Arc<Semaphore>,
    bucket: Mutex<Bucket>,
}

/// A token bucket and the time until which the host wants quiet.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at_ms: u64,
    quiet_until_ms: u64,
}

/// The right to one request; the host's slot is free again when it is dropped.
pub(crate) struct Pass {
    host: Arc<Host>,
    _slot: OwnedSemaphorePermit,
    /// Those of the addresses behind the host.
    _also: Vec<Pass>,
}

impl Pass {
    /// The same, held together with others.
    pub(crate) fn with(mut self, also: Vec<Self>) -> Self {
        self._also = also;
        self
    }
}

impl Hosts {
    /// Manners towards each host by its name.
    pub(crate) fn by_name(config: &NetConfig, pace: Arc<dyn Pace>) -> Self {
        let (slots, rate, burst) = (config.per_host_concurrency, config.per_host_rate, config.per_host_burst);
        Self::new(config, slots, rate, burst, pace)
    }

    /// Manners towards each address, however many names lead there.
    pub(crate) fn by_address(config: &NetConfig, pace: Arc<dyn Pace>) -> Self {
        let (slots, rate, burst) =
            (config.per_address_concurrency, config.per_address_rate, config.per_address_burst);
        Self::new(config, slots, rate, burst, pace)
    }

    /// Places for requests of others, without a rate of ours.
    pub(crate) fn for_others(config: &NetConfig, pace: Arc<dyn Pace>) -> Self {
        Self::new(config, crate::forward::AT_A_TIME, f64::from(u32::MAX), f64::from(u32::MAX), pace)
    }

    fn new(config: &NetConfig, slots: usize, rate: f64, burst: f64, pace: Arc<dyn Pace>) -> Self {
        Self {
            hosts: Mutex::new(HashMap::new()),
            rules: Rules {
                slots: slots.max(1),
                rate: rate.max(0.001),
                burst: burst.max(1.0),
                max_hosts: config.max_hosts.max(1),
                max_wait: config.max_rate_wait,
                max_pause: config.max_host_pause,
            },
            pace,
        }
    }

    /// Waits for a free slot, a token and the end of the quiet that the host asked for.
    ///
    /// # Errors
    /// [`NetError::RateLimited`] when the wait would be longer than the configured one.
    pub(crate) async fn enter(&self, name: &str) -> Result<Pass, NetError> {
        let host = self.host(name);
        let slot = Arc::clone(&host.slots)
            .acquire_owned()
            .await
            .map_err(|e| NetError::Setup { detail: e.to_string() })?;
        loop {
            let now = self.pace.now_ms();
            let wait = lock(&host.bucket).take(now, self.rules);
            if wait == Duration::ZERO {
                return Ok(Pass { host, _slot: slot, _also: Vec::new() });
            }
            if wait > self.rules.max_wait {
                let wait_ms = millis(wait);
                return Err(NetError::RateLimited {
                    host: name.to_owned(),
                    until_ms: now.saturating_add(wait_ms),
                    wait_ms,
                });
            }
            self.pace.sleep(wait).await;
        }
    }

    /// Notes that the host wants no request before `until_ms`; returns the time that was noted.
    pub(crate) fn quiet(&self, pass: &Pass, until_ms: u64) -> u64 {
        let latest = self.pace.now_ms().saturating_add(millis(self.rules.max_pause));
        let mut bucket = lock(&pass.host.bucket);
        bucket.quiet_until_ms = bucket.quiet_until_ms.max(until_ms.min(latest));
        bucket.quiet_until_ms
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        let now = self.pace.now_ms();
        if hosts.len() >= self.rules.max_hosts {
            self.forget(&mut hosts, now);
        }
        let host = Arc::new(Host {
            slots: Arc::new(Semaphore::new(self.rules.slots)),
            bucket: Mutex::new(Bucket { tokens: self.rules.burst, at_ms: now, quiet_until_ms: 0 }),
        });
        hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }

    /// Forgets hosts that have nothing to remember; if all have, the one idle for longest.
    fn forget(&self, hosts: &mut HashMap<String, Arc<Host>>, now: u64) {
        hosts.retain(|_, host| {
            let mut bucket = lock(&host.bucket);
            bucket.refill(now, self.rules);
            Arc::strong_count(host) > 1 || bucket.quiet_until_ms > now || bucket.tokens < self.rules.burst
        });
        if hosts.len() < self.rules.max_hosts {
            return;
        }
        let oldest = hosts
            .iter()
            .filter(|(_, host)| Arc::strong_count(host) == 1)
            .min_by_key(|(_, host)| lock(&host.bucket).quiet_until_ms)
            .map(|(name, _)| name.clone());
        if let Some(name) = oldest {
            hosts.remove(&name);
        }
    }
}

impl Bucket {
    /// Takes a token, or says how long to wait before asking again.
    fn take(&mut self, now: u64, rules: Rules) -> Duration {
        if self.quiet_until_ms > now {
            return Duration::from_millis(self.quiet_until_ms.saturating_sub(now));
        }
        self.refill(now, rules);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.tokens) / rules.rate).max(Duration::from_millis(1))
    }

    fn refill(&mut self, now: u64, rules: Rules) {
        // A clock that was set back must not stop the refilling.
        let elapsed = Duration::from_millis(now.saturating_sub(self.at_ms));
        self.tokens = (self.tokens + elapsed.as_secs_f64() * rules.rate).min(rules.burst);
        self.at_ms = now;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Nothing panics while one of these locks is held; the state is valid at any point.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use crate::config::NetConfig;
    use crate::error::NetError;
    use crate::pace::{Pace, Pause};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// A clock that moves when somebody sleeps, and notes for how long.
    #[derive(Default)]
    struct Script {
        now: AtomicU64,
        slept: Mutex<Vec<u64>>,
    }

    impl Pace for Script {
        fn now_ms(&self) -> u64 {
            self.now.load(Ordering::SeqCst)
        }
        fn sleep(&self, d: Duration) -> Pause {
            let ms = u64::try_from(d.as_millis()).unwrap();
            self.now.fetch_add(ms, Ordering::SeqCst);
            self.slept.lock().unwrap().push(ms);
            Box::pin(std::future::ready(()))
        }
        fn random(&self) -> u64 {
            0
        }
    }

    fn hosts(config: NetConfig) -> (Hosts, Arc<Script>) {
        let pace = Arc::new(Script { now: AtomicU64::new(1_000_000), slept: Mutex::default() });
        (Hosts::by_name(&config, pace.clone()), pace)
    }

    #[tokio::test]
    async fn a_burst_goes_at_once_and_then_the_rate_counts() {
        let (hosts, pace) =
            hosts(NetConfig { per_host_burst: 3.0, per_host_rate: 2.0, ..NetConfig::default() });
        for _ in 0..3 {
            hosts.enter("a:443").await.unwrap();
        }
        assert!(pace.slept.lock().unwrap().is_empty());
        hosts.enter("a:443").await.unwrap();
        hosts.enter("b:443").await.unwrap();
        hosts.enter("a:443").await.unwrap();
        assert_eq!(*pace.slept.lock().unwrap(), [500, 500]);
    }

    #[tokio::test]
    async fn one_host_gets_so_many_at_a_time() {
        let (hosts, _) = hosts(NetConfig { per_host_concurrency: 2, ..NetConfig::default() });
        let first = hosts.enter("a:443").await.unwrap();
        let _second = hosts.enter("a:443").await.unwrap();
        let mut third = Box::pin(hosts.enter("a:443"));
        assert!(futures::poll!(&mut third).is_pending());
        assert!(hosts.enter("b:443").await.is_ok(), "another host is not concerned");
        drop(first);
        third.await.unwrap();
    }

    #[tokio::test]
    async fn quiet_is_kept_up_to_the_limits() {
        let (hosts, pace) = hosts(NetConfig::default());
        let pass = hosts.enter("a:443").await.unwrap();
        assert_eq!(hosts.quiet(&pass, 1_030_000), 1_030_000);
        drop(pass);
        drop(hosts.enter("a:443").await.unwrap());
        assert_eq!(*pace.slept.lock().unwrap(), [30_000], "a short quiet is waited for");

        let pass = hosts.enter("a:443").await.unwrap();
        let ten_years = 315_000_000_000;
        assert_eq!(
            hosts.quiet(&pass, ten_years),
            1_030_000 + 3_600_000,
            "no host can silence us for longer than an hour"
        );
        assert_eq!(hosts.quiet(&pass, 5), 1_030_000 + 3_600_000, "quiet is never shortened");
        drop(pass);
        match hosts.enter("a:443").await.map(|_| ()) {
            Err(NetError::RateLimited { until_ms, wait_ms, .. }) => {
                assert_eq!((until_ms, wait_ms), (4_630_000, 3_600_000));
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn memory_of_hosts_is_bounded() {
        let (hosts, _) = hosts(NetConfig { max_hosts: 10, ..NetConfig::default() });
        let kept = hosts.enter("kept:443").await.unwrap();
        hosts.quiet(&kept, 2_000_000);
        for i in 0..1000 {
            drop(hosts.enter(&format!("h{i}:443")).await.unwrap());
        }
        let map = hosts.hosts.lock().unwrap();
        assert!(map.len() <= 10, "{}", map.len());
        assert!(map.contains_key("kept:443"), "a host in use is not forgotten");
    }

    #[tokio::test]
    async fn a_clock_set_back_does_not_stop_requests() {
        let (hosts, pace) =
            hosts(NetConfig { per_host_burst: 1.0, per_host_rate: 1.0, ..NetConfig::default() });
        drop(hosts.enter("a:443").await.unwrap());
        pace.now.store(10, Ordering::SeqCst);
        drop(hosts.enter("a:443").await.unwrap());
        assert_eq!(*pace.slept.lock().unwrap(), [1000]);
    }
}
