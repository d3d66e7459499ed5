//! A consumer's place in the stream, over a real store: where it begins, and that nothing is lost, repeated or out of
//! order on the way from the store to memory, through gaps, erasures and pruning.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod shared;

use std::sync::Arc;
use std::time::Duration;

use p2pds_host::events;
use p2pds_host::firehose::{Opening, Subscription};
use p2pds_host::relay::RelayConfig;
use p2pds_host::relay::pace::PaceConfig;
use p2pds_replica::decode;
use p2pds_store::{Applied, Unit};
use p2pds_store_sqlite::{Options, SqliteStore};
use shared::{Node, START, config, did, post};
use tempfile::TempDir;

/// A host whose memory holds few events, so that most are read from the store.
fn node(tail: usize) -> Node {
    let dir = TempDir::new().unwrap();
    let options = Options { tail_events: tail, ..Options::default() };
    let store = Arc::new(SqliteStore::open(dir.path(), options).unwrap());
    Node::over(dir, store)
}

/// Emits an event about an account; its number.
async fn emit(node: &Node, who: u32, at: i64) -> i64 {
    let unit = events::identity(&did(who), None, at).unwrap();
    match node.store.apply(unit).await.unwrap() {
        Applied::Event { seq } => seq,
        other => panic!("{other:?}"),
    }
}

async fn open(node: &Node, cursor: Option<u64>) -> Opening {
    node.host.subscribe(cursor, "192.0.2.1".to_owned(), "a test".to_owned()).await.unwrap()
}

async fn here(node: &Node, cursor: Option<u64>) -> Subscription {
    match open(node, cursor).await {
        Opening::Here(place) => place,
        other => panic!("{other:?}"),
    }
}

/// Numbers up to this one, each checked against what its frame says.
async fn until(place: &mut Subscription, last: i64) -> Vec<i64> {
    let mut seqs = Vec::new();
    while seqs.last().is_none_or(|seq| *seq < last) {
        for (seq, frame) in place.next().await.unwrap().frames {
            assert_eq!(decode(&frame).unwrap().seq(), u64::try_from(seq).ok());
            seqs.push(seq);
        }
    }
    seqs
}

#[tokio::test]
async fn cursors_begin_where_the_protocol_says() {
    let node = node(4);
    assert!(matches!(open(&node, Some(1)).await, Opening::Future));
    let mut first = here(&node, Some(0)).await;
    let mut live = here(&node, None).await;
    for n in 0..20 {
        emit(&node, n % 3, START).await;
    }
    assert_eq!(until(&mut first, 20).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(until(&mut live, 20).await, (1..=20).collect::<Vec<_>>(), "it was there before them");
    let mut part = here(&node, Some(7)).await;
    assert_eq!(until(&mut part, 20).await, (8..=20).collect::<Vec<_>>(), "greater than the cursor");
    assert!(matches!(open(&node, Some(21)).await, Opening::Future));
    let mut newest = here(&node, Some(20)).await;
    let mut now = here(&node, None).await;
    emit(&node, 1, START).await;
    assert_eq!(until(&mut newest, 21).await, [21]);
    assert_eq!(until(&mut now, 21).await, [21]);
    let seen = node.host.consumers();
    assert_eq!(seen.len(), 5);
    assert_eq!((seen[4].at(), seen[4].agent.as_str()), (21, "a test"));
    drop((first, live, part, newest, now));
    assert!(node.host.consumers().is_empty());
}

#[tokio::test]
async fn what_is_past_its_time_is_outdated_whether_it_was_pruned_or_not() {
    let node = node(4);
    let day = i64::try_from(config().event_window.as_micros()).unwrap();
    for n in 0..5 {
        emit(&node, n, START - day - 1_000_000).await;
    }
    for n in 0..5 {
        emit(&node, n, START).await;
    }
    for pruned in [false, true] {
        if pruned {
            let unit = Unit::PruneEvents { before_at: START - day, keep_count: 99, max_bytes: 1 << 20 };
            node.store.apply(unit).await.unwrap();
        }
        for cursor in [0, 1, 4] {
            let Opening::Outdated(mut place) = open(&node, Some(cursor)).await else { panic!("{cursor}") };
            assert_eq!(until(&mut place, 10).await, [6, 7, 8, 9, 10]);
        }
        let mut place = here(&node, Some(5)).await;
        assert_eq!(until(&mut place, 10).await, [6, 7, 8, 9, 10]);
    }
    let unit = Unit::PruneEvents { before_at: i64::MAX, keep_count: 0, max_bytes: 0 };
    node.store.apply(unit).await.unwrap();
    let Opening::Outdated(mut place) = open(&node, Some(3)).await else { panic!("nothing is left") };
    emit(&node, 1, START).await;
    assert_eq!(until(&mut place, 11).await, [11]);
}

#[tokio::test]
async fn gaps_under_a_reader_are_passed_over() {
    let node = node(4);
    for n in 0..3_000 {
        emit(&node, n % 2, START).await;
    }
    let mut place = here(&node, Some(0)).await;
    let begun = place.next().await.unwrap();
    assert_eq!(begun.frames[0].0, 1);
    let seen = begun.frames.last().unwrap().0;
    // An account is erased while it is read: its number are gaps, the others come all the same.
    while !matches!(
        node.store.apply(Unit::EraseEvents { did: did(0) }).await.unwrap(),
        Applied::Chunk { done: true, .. }
    ) {}
    let rest = until(&mut place, 3_000).await;
    let expected: Vec<i64> = (seen + 1..=3_000).filter(|seq| seq % 2 == 0).collect();
    assert_eq!(rest, expected);
    // Numbers that jump are waited past, not spun on.
    let Applied::Event { seq } =
        node.store.apply(Unit::JumpSeq(p2pds_store::Jump::To(1_000_000))).await.unwrap()
    else {
        panic!("a number")
    };
    assert_eq!(seq, 1_000_000);
    let next = tokio::spawn(async move { until(&mut place, 1_000_001).await });
    emit(&node, 1, START).await;
    assert_eq!(next.await.unwrap(), [1_000_001]);
}

#[tokio::test]
async fn readers_of_all_speeds_get_the_same() {
    let node = node(8);
    let mut readers = Vec::new();
    for pace in [0_u64, 1, 3] {
        let mut place = here(&node, Some(0)).await;
        readers.push(tokio::spawn(async move {
            let mut seqs = Vec::new();
            while seqs.last().is_none_or(|seq| *seq < 600) {
                seqs.extend(place.next().await.unwrap().frames.into_iter().map(|(seq, _)| seq));
                for _ in 0..pace * 20 {
                    tokio::task::yield_now().await;
                }
            }
            seqs
        }));
    }
    // So many at a time as the writer's lanes take.
    for part in 0..3 {
        let one = |n: u32| node.store.submit(events::identity(&did(n % 7), None, START).unwrap());
        let waiting: Vec<_> = (part * 200..(part + 1) * 200).map(one).collect();
        for receipt in waiting {
            receipt.await.unwrap();
        }
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), (1..=600).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_reader_overtaken_by_the_pruning_is_told() {
    let node = node(4);
    for n in 0..4_000 {
        emit(&node, n % 2, START).await;
    }
    let mut place = here(&node, Some(0)).await;
    let begun = place.next().await.unwrap();
    assert!(!begun.outdated);
    let seen = begun.frames.last().unwrap().0;
    let unit = || Unit::PruneEvents { before_at: 0, keep_count: 100, max_bytes: 1 << 30 };
    while !matches!(node.store.apply(unit()).await.unwrap(), Applied::Chunk { done: true, .. }) {}
    let next = place.next().await.unwrap();
    assert_eq!((next.outdated, next.frames[0].0), (true, 3_901));
    assert!(seen < 3_900);
}

#[tokio::test]
async fn a_bulk_writer_waits_or_is_told_when_and_nobody_else_is() {
    let pace = PaceConfig { per_second: 40, per_hour: 60, allowance: 5, ..PaceConfig::default() };
    let relay = RelayConfig { relays: vec!["http://127.0.0.1:1".to_owned()], pace, ..RelayConfig::default() };
    let dir = TempDir::new().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
    let node = Node::with(dir, store, p2pds_host::HostConfig { relay, ..config() });
    let writes = |n: u32| {
        vec![p2pds_host::write::Write::Create {
            collection: "app.bsky.feed.post".parse().unwrap(),
            rkey: None,
            record: post(&format!("post {n}")),
        }]
    };
    for who in [1, 2] {
        node.account(&did(who)).await;
    }
    let mut written = 0;
    let error = loop {
        match node.host.write(&did(1), writes(written), Default::default()).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "nobody stops it");
    };
    assert_eq!((error.name, error.kind()), ("RateLimitExceeded", p2pds_syntax::ErrorKind::Limited));
    assert!(error.retry_after.is_some_and(|seconds| seconds > 60), "{error:?}");
    assert!(error.message.contains("applyWrites"), "{error}");
    let events = node.store.last_seq().await.unwrap();
    node.host.write(&did(2), writes(0), Default::default()).await.unwrap();
    assert_eq!(
        node.store.last_seq().await.unwrap(),
        events + 1,
        "an event for each commit, and none without"
    );
    node.clock.fetch_add(
        i64::try_from(Duration::from_secs(3_600).as_micros()).unwrap(),
        std::sync::atomic::Ordering::Relaxed,
    );
    node.host.write(&did(1), writes(0), Default::default()).await.unwrap();
}
