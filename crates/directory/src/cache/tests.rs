//! Ages, failures, limits and dedup of the cache, on a scripted clock.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2pds_net::{NetError, Pace, Pause};
use p2pds_syntax::Did;
use tokio::sync::Notify;

use super::{Answer, Cache, Found, Want};
use crate::config::DirectoryConfig;
use crate::error::DirectoryError;

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

struct Clock(AtomicU64);

impl Clock {
    fn pass(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Pace for Clock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn sleep(&self, _: Duration) -> Pause {
        Box::pin(std::future::ready(()))
    }
    fn random(&self) -> u64 {
        0
    }
}

/// A cache, its clock, and the number of times that anything was asked.
struct Bench {
    cache: Arc<Cache<u32, u64>>,
    clock: Arc<Clock>,
    asked: Arc<AtomicU64>,
    /// Whether answers only stand in for better ones.
    makeshift: bool,
}

impl Bench {
    fn new(config: &DirectoryConfig) -> Self {
        let clock = Arc::new(Clock(AtomicU64::new(1_000 * HOUR)));
        Self {
            cache: Arc::new(Cache::new(config, clock.clone())),
            clock,
            asked: Arc::default(),
            makeshift: false,
        }
    }

    /// Asks for `key`; the answer is the number of the question, or `failure`.
    async fn ask(
        &self,
        key: u32,
        want: Want,
        failure: Option<DirectoryError>,
    ) -> Result<Answer<u64>, DirectoryError> {
        let (asked, makeshift) = (Arc::clone(&self.asked), self.makeshift);
        let ask = || async move {
            let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
            failure.map_or(Ok(Found { value: number, weight: 100, makeshift }), Err)
        };
        self.cache.get(&key, want, ask).await
    }

    async fn fresh(&self, failure: Option<DirectoryError>) -> Result<(u64, bool), bool> {
        let outcome = self.ask(1, Want::Fresh, failure).await;
        outcome.map(|a| (a.value, a.stale.is_some())).map_err(|e| e.is_verdict())
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

fn silence() -> Option<DirectoryError> {
    let source = NetError::Timeout { host: "plc.directory".to_owned(), phase: "answer" };
    Some(DirectoryError::Net { what: "it".to_owned(), source })
}

fn verdict() -> Option<DirectoryError> {
    let did = Did::parse("did:plc:z72i7hdynmk6r22z27h6tvur").unwrap();
    Some(DirectoryError::DidNotFound { did, asked: "plc.directory".to_owned() })
}

#[tokio::test]
async fn an_answer_is_fresh_for_an_hour() {
    let bench = Bench::new(&DirectoryConfig::default());
    assert_eq!(bench.fresh(None).await, Ok((1, false)));
    bench.clock.pass(HOUR - 1);
    assert_eq!(bench.fresh(None).await, Ok((1, false)));
    bench.clock.pass(1);
    assert_eq!(bench.fresh(None).await, Ok((2, false)));
}

#[tokio::test]
async fn an_old_answer_bridges_silence_for_a_day() {
    let bench = Bench::new(&DirectoryConfig::default());
    assert_eq!(bench.fresh(None).await, Ok((1, false)));
    bench.clock.pass(2 * HOUR);
    assert_eq!(bench.fresh(silence()).await, Ok((1, true)), "marked as stale");
    assert_eq!(bench.fresh(silence()).await, Ok((1, true)));
    assert_eq!(bench.asked(), 2, "not asked again during the pause");
    bench.clock.pass(22 * HOUR);
    assert_eq!(bench.fresh(silence()).await, Err(false), "a day is over");
    bench.clock.pass(2 * HOUR);
    assert_eq!(bench.fresh(None).await, Ok((4, false)));
}

#[tokio::test]
async fn a_verdict_replaces_an_old_answer_at_once() {
    let bench = Bench::new(&DirectoryConfig::default());
    assert_eq!(bench.fresh(None).await, Ok((1, false)));
    bench.clock.pass(2 * HOUR);
    assert_eq!(bench.fresh(verdict()).await, Err(true));
    assert_eq!(bench.fresh(None).await, Err(true), "and is remembered");
    bench.clock.pass(30 * SECOND);
    assert_eq!(bench.fresh(None).await, Ok((3, false)), "but not for long");
}

#[tokio::test]
async fn pauses_after_failures_double_up_to_an_hour() {
    let bench = Bench::new(&DirectoryConfig::default());
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let before = bench.asked();
        assert!(bench.fresh(silence()).await.is_err());
        assert_eq!(bench.asked(), before + 1);
        let mut pause = 0;
        while bench.asked() == before + 1 && pause < 2 * HOUR {
            bench.clock.pass(15 * SECOND);
            pause += 15 * SECOND;
            if bench.cache.look(&1, Want::Fresh).is_unknown() {
                break;
            }
        }
        pauses.push(pause / SECOND);
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
}

impl<V> super::Seen<V> {
    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

#[tokio::test]
async fn a_million_events_for_one_unknown_account_are_one_question() {
    let bench = Bench::new(&DirectoryConfig::default());
    for _ in 0..1_000_000 {
        assert!(bench.ask(7, Want::New, silence()).await.is_err());
    }
    assert_eq!(bench.asked(), 1);
    assert_eq!(bench.cache.len(), (1, 0, 512));
    bench.clock.pass(59 * SECOND);
    assert!(bench.ask(7, Want::New, silence()).await.is_err());
    assert_eq!(bench.asked(), 1, "a refresh is tried once a minute at most");
    bench.clock.pass(SECOND);
    assert!(bench.ask(7, Want::New, silence()).await.is_err());
    assert_eq!(bench.asked(), 2);
}

#[tokio::test]
async fn a_refresh_asks_again_once_a_minute() {
    let bench = Bench::new(&DirectoryConfig::default());
    let refresh = || bench.ask(1, Want::New, None);
    assert_eq!(refresh().await.ok().map(|a| a.value), Some(1));
    bench.clock.pass(59 * SECOND);
    assert_eq!(refresh().await.ok().map(|a| a.value), Some(1));
    bench.clock.pass(SECOND);
    assert_eq!(refresh().await.ok().map(|a| a.value), Some(2));
    bench.cache.forget(&1);
    assert_eq!(refresh().await.ok().map(|a| a.value), Some(3), "a person may insist");
}

#[tokio::test]
async fn a_clock_set_back_makes_answers_old() {
    let bench = Bench::new(&DirectoryConfig::default());
    assert_eq!(bench.fresh(None).await, Ok((1, false)));
    bench.clock.0.store(5 * HOUR, Ordering::SeqCst);
    assert_eq!(bench.fresh(None).await, Ok((2, false)));
}

#[tokio::test]
async fn what_only_stands_in_for_a_better_answer_is_asked_for_soon_and_less_and_less_often() {
    let mut bench = Bench::new(&DirectoryConfig::default());
    bench.makeshift = true;
    let mut pauses = Vec::new();
    let mut last = 0;
    for second in 0..4 * 3_600_u64 {
        let before = bench.asked();
        assert!(bench.fresh(None).await.is_ok());
        if bench.asked() > before {
            pauses.push(second - last);
            last = second;
        }
        bench.clock.pass(SECOND);
    }
    assert_eq!(pauses, [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    bench.makeshift = false;
    bench.clock.pass(HOUR);
    let asked = bench.asked();
    for _ in 0..3_599 {
        assert!(bench.fresh(None).await.is_ok());
        bench.clock.pass(SECOND);
    }
    assert_eq!(bench.asked(), asked + 1, "a good one is believed for its hour");
}

#[tokio::test]
async fn a_million_events_of_one_silent_identity_are_one_question_for_each_pause() {
    let bench = Bench::new(&DirectoryConfig::default());
    // Eleven and a half days of one event each second.
    for _ in 0..1_000_000 {
        assert!(bench.ask(1, Want::New, silence()).await.is_err());
        bench.clock.pass(SECOND);
    }
    assert!((1_600..1_700).contains(&bench.asked()), "one in ten minutes at last: {}", bench.asked());
    let (entries, flights, weight) = bench.cache.len();
    assert_eq!((entries, flights), (1, 0));
    assert!(weight <= 512, "{weight}");
}

#[tokio::test]
async fn number_and_weight_are_bounded() {
    let few = DirectoryConfig { max_entries: 16, ..DirectoryConfig::default() };
    let light = DirectoryConfig { max_bytes: 1600, ..DirectoryConfig::default() };
    for config in [few, light] {
        let bench = Bench::new(&config);
        for key in 0..1000 {
            bench.clock.pass(1);
            let failure = if key % 3 == 0 { silence() } else { None };
            let _ = bench.ask(key, Want::Fresh, failure).await;
            let (entries, flights, weight) = bench.cache.len();
            assert!(
                entries <= 16 && flights == 0 && weight <= config.max_bytes.min(16 * 512),
                "{entries} {weight}"
            );
        }
        let before = bench.asked();
        assert!(bench.ask(998, Want::Fresh, None).await.is_ok());
        assert_eq!(bench.asked(), before, "the newest are kept");
    }
}

/// A question that stays open until it is released.
fn open_question(
    bench: &Bench,
    key: u32,
    release: &Arc<Notify>,
) -> impl Future<Output = Result<Answer<u64>, DirectoryError>> + use<> {
    let (cache, asked, release) = (Arc::clone(&bench.cache), Arc::clone(&bench.asked), Arc::clone(release));
    async move {
        let ask = || async move {
            let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
            release.notified().await;
            Ok(Found { value: number, weight: 100, makeshift: false })
        };
        cache.get(&key, Want::Fresh, ask).await
    }
}

#[tokio::test]
async fn the_same_question_is_asked_once_at_a_time() {
    let bench = Bench::new(&DirectoryConfig::default());
    let release = Arc::new(Notify::new());
    let mut waiting: Vec<_> = (0..1000).map(|_| Box::pin(open_question(&bench, 1, &release))).collect();
    for question in &mut waiting {
        assert!(futures::poll!(question).is_pending());
    }
    assert_eq!(bench.asked(), 1);
    release.notify_one();
    for question in waiting {
        assert_eq!(question.await.ok().map(|a| a.value), Some(1));
    }
    assert_eq!(bench.asked(), 1);
    assert_eq!(bench.cache.len(), (1, 0, 100));
}

#[tokio::test]
async fn a_question_given_up_by_all_is_asked_anew() {
    let bench = Bench::new(&DirectoryConfig::default());
    let release = Arc::new(Notify::new());
    for _ in 0..3 {
        let mut question = Box::pin(open_question(&bench, 1, &release));
        assert!(futures::poll!(&mut question).is_pending());
    }
    assert_eq!(bench.asked(), 3);
    let mut first = Box::pin(open_question(&bench, 1, &release));
    let mut second = Box::pin(open_question(&bench, 1, &release));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    drop(first);
    release.notify_one();
    assert_eq!(second.await.ok().map(|a| a.value), Some(4), "one who still waits keeps it going");
}

#[tokio::test]
async fn so_many_questions_are_under_way_and_no_more() {
    let bench = Bench::new(&DirectoryConfig { max_in_flight: 3, ..DirectoryConfig::default() });
    let release = Arc::new(Notify::new());
    let mut waiting: Vec<_> = (0..10).map(|key| Box::pin(open_question(&bench, key, &release))).collect();
    for question in &mut waiting {
        assert!(futures::poll!(question).is_pending());
    }
    assert_eq!(bench.asked(), 3);
    release.notify_one();
    assert!(futures::poll!(&mut waiting[0]).is_ready());
    assert!(futures::poll!(&mut waiting[3]).is_pending());
    assert_eq!(bench.asked(), 4);
}
