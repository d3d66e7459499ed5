//! The firehose of a node that hosts accounts: cursors, the lives of accounts as consumers see them, and consumers that
//! do not behave. Every frame is read by the reference's packages and by our own rules for following.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod lives;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use p2pds_crypto::PublicKey;
use p2pds_replica::follow::Resync;
use p2pds_replica::{Context, Decision, Frame, Head, Key, Origin, State, Status, decode, step};
use p2pds_repo::event::{CommitEvent, prove, read_sync};
use p2pds_syntax::Datetime;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::oracle::{Account, Network, POST, dying_with_parent, node, post_record};
use p2pds_testkit::subscriber::Subscriber;
use p2pds_testkit::{http, need};
use serde_json::{Value, json};

use lives::{lives, network};

/// The two consumers of the reference.
fn reference(dir: &Path, host: &Hosted, network: &Network) -> Child {
    let oracle = need::oracle().unwrap();
    std::os::unix::fs::symlink(oracle.join("node_modules"), dir.join("node_modules")).unwrap();
    let script = dir.join("verify.mjs");
    std::fs::write(&script, include_str!("firehose/verify.mjs")).unwrap();
    dying_with_parent(&node(&oracle))
        .arg(&script)
        .args([&host.url.replace("http://", "ws://"), &network.plc, &host.url])
        .env("LOG_ENABLED", "false")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Every signing key that an account ever had.
fn keys(network: &Network, did: &str) -> Vec<Key> {
    let log: Vec<Value> = serde_json::from_slice(&network.audit_log(did).unwrap()).unwrap();
    let keys: BTreeSet<&str> = log
        .iter()
        .filter_map(|entry| entry["operation"]["verificationMethods"]["atproto"].as_str())
        .collect();
    keys.into_iter().map(|key| Key { key: PublicKey::from_did_key(key).unwrap(), until: None }).collect()
}

fn head(event: CommitEvent<'_>) -> Head {
    let (rev, commit) = (event.rev, event.commit);
    Head { rev, commit, data: prove(event).unwrap().commit().data }
}

/// Follows every account from frames, by our own rules; the heads in the end, and what was counted.
fn follow(frames: &[Vec<u8>], network: &Network) -> (BTreeMap<String, State>, BTreeMap<&'static str, u32>) {
    let mut states: BTreeMap<String, (State, Vec<Key>)> = BTreeMap::new();
    let (mut counts, mut last) = (BTreeMap::new(), 0);
    for bytes in frames {
        let frame = decode(bytes).unwrap();
        let seq = frame.seq().expect("an event");
        assert!(seq > last, "{seq} after {last}");
        last = seq;
        let did = frame.did().unwrap().to_string();
        let (state, keys) = states
            .entry(did.clone())
            .or_insert_with(|| (State::new(None, Status::Active), keys(network, &did)));
        let now = i64::try_from(
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros(),
        )
        .unwrap();
        let context = Context { now, origin: Origin::Host, keys, again: true };
        let known = match &frame {
            Frame::Commit(frame) => Some(head(frame.event.clone())),
            Frame::Sync(frame) => {
                let commit = read_sync(&frame.did, frame.rev, frame.blocks).unwrap();
                let root =
                    p2pds_ipld::car::SliceReader::new(frame.blocks, p2pds_ipld::car::CarLimits::DEFAULT);
                let root = root.unwrap().header().roots[0];
                Some(Head { rev: frame.rev, commit: root, data: commit.data })
            }
            _ => None,
        };
        let counted = match step(state, frame, &context) {
            Decision::Apply { skipped, .. } => {
                assert!(!skipped, "{seq}");
                "applied"
            }
            Decision::Resync { why: Resync::Unknown, .. } => {
                state.resynced(known.unwrap());
                "begun"
            }
            Decision::Resync { why: Resync::Sync, .. } => {
                state.resynced(known.unwrap());
                "synced"
            }
            Decision::Touch { .. } => "touched",
            Decision::Status { .. } => "status",
            Decision::Ignore(_) | Decision::Refresh { .. } => "known",
            other => panic!("event {seq} of {did}: {other:?}"),
        };
        *counts.entry(counted).or_insert(0) += 1;
    }
    (states.into_iter().map(|(did, (state, _))| (did, state)).collect(), counts)
}

#[test]
fn lives_are_told_so_that_everybody_can_follow() {
    let Some(network) = network() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut host = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let verifier = reference(dir.path(), &host, &network);
    let mut ours = Subscriber::open(&host.url, Some("0")).unwrap();
    let alice = lives(&host, &network);
    let end = alice.create("com.example.end", &json!({"$type": "com.example.end"})).unwrap();

    // Ours: every frame decodes, proves itself, and follows the one before.
    let mut frames = Vec::new();
    let ends = |bytes: &[u8]| matches!(decode(bytes), Ok(Frame::Commit(commit)) if commit.event.ops.iter().any(|op| end.uri.ends_with(op.path.as_str())));
    while !frames.last().is_some_and(|bytes: &Vec<u8>| ends(bytes)) {
        frames.push(ours.next().unwrap().expect("the stream goes on"));
    }
    let (states, counts) = follow(&frames, &network);
    assert_eq!(states.len(), 3);
    assert!(counts["applied"] > 10 && counts["begun"] == 3, "{counts:?}");
    let (commit, rev) = alice.latest_commit().unwrap();
    let state = &states[&alice.did];
    assert_eq!(state.head().map(|head| (head.commit.to_string(), head.rev.to_string())), Some((commit, rev)));
    let statuses: Vec<(bool, Option<String>)> = frames
        .iter()
        .filter_map(|bytes| match decode(bytes).unwrap() {
            Frame::Account(frame) => Some((frame.active, frame.status.map(str::to_owned))),
            _ => None,
        })
        .collect();
    for wanted in ["deactivated", "takendown", "deleted"] {
        assert!(statuses.contains(&(false, Some(wanted.to_owned()))), "{wanted}: {statuses:?}");
    }

    // The reference's.
    let output = verifier.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["errors"], json!([]), "{seen:#}");
    assert_eq!(seen["proved"], seen["ops"], "{seen:#}");
    assert!(seen["ops"].as_u64().unwrap() > 650 && seen["diffs"].as_u64().unwrap() > 10, "{seen:#}");
    assert_eq!(seen["heads"][&alice.did], alice.latest_commit().unwrap().0);
    assert_eq!(seen["last"], ours.seq);

    // After a restart everything is as it was, but for what was erased with its account; the numbers go on.
    host.stop().unwrap();
    host.begin().unwrap();
    let again = Subscriber::open(&host.url, Some("0")).unwrap().until(ours.seq).unwrap();
    let gone = decode(
        frames
            .iter()
            .rev()
            .find(
                |bytes| matches!(decode(bytes), Ok(Frame::Account(frame)) if frame.status == Some("deleted")),
            )
            .unwrap(),
    )
    .unwrap()
    .did()
    .unwrap()
    .clone();
    let kept: Vec<&Vec<u8>> = frames
        .iter()
        .filter(|bytes| {
            let frame = decode(bytes).unwrap();
            frame.did() != Some(&gone)
                || matches!(frame, Frame::Account(frame) if frame.status == Some("deleted"))
        })
        .collect();
    let again: Vec<&Vec<u8>> =
        again.iter().filter(|bytes| !matches!(decode(bytes), Ok(Frame::Info(_)))).collect();
    assert_eq!(again, kept);
    let alice = host.sign_in(&alice.did).unwrap();
    let mut live = Subscriber::open(&host.url, None).unwrap();
    let mut more = Subscriber::open(&host.url, Some(&ours.seq.to_string())).unwrap();
    alice.create(POST, &post_record("after the restart")).unwrap();
    let frame = live.next().unwrap().unwrap();
    assert!(decode(&frame).unwrap().seq().unwrap() > ours.seq);
    assert_eq!(more.next().unwrap().unwrap(), frame);
    let ended = host.stop().unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}

#[test]
fn cursors_and_consumers_of_every_kind() {
    let Some(network) = network() else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = [("PDS_REPO_BACKFILL_LIMIT_MS", "3600000")];
    let mut host = Hosted::start(&network, &dir.path().join("data"), &settings).unwrap();
    let alice = host.sign_up(&network, "alice-cursors").unwrap();
    for n in 0..6 {
        alice.create(POST, &post_record(&format!("post {n}"))).unwrap();
    }
    let mut all = Subscriber::open(&host.url, Some("0")).unwrap();
    let last = {
        let mut frames = Vec::new();
        while frames.len() < 10 {
            frames.push(all.next().unwrap().unwrap());
        }
        all.seq
    };
    assert_eq!(last, 10, "identity, account, commit, sync, six posts");

    let mut part = Subscriber::open(&host.url, Some("7")).unwrap();
    part.next().unwrap().unwrap();
    assert_eq!(part.seq, 8, "greater than the cursor");
    for (cursor, word) in [
        ("11", "FutureCursor"),
        ("9007199254740991", "FutureCursor"),
        ("9007199254740992", "InvalidRequest"),
        ("99999999999999999999999999", "InvalidRequest"),
        ("-1", "InvalidRequest"),
        ("1.5", "InvalidRequest"),
        ("abc", "InvalidRequest"),
        ("+1", "InvalidRequest"),
        ("0x1", "InvalidRequest"),
    ] {
        let mut refused = Subscriber::open(&host.url, Some(cursor)).unwrap();
        assert_eq!(refused.word().unwrap(), word, "{cursor}");
        assert_eq!(refused.next().unwrap(), None, "{cursor}");
        assert_eq!(refused.closed, Some(1008), "{cursor}");
    }
    let mut newest = Subscriber::open(&host.url, Some("10")).unwrap();
    let mut live = Subscriber::open(&host.url, None).unwrap();
    alice.create(POST, &post_record("live")).unwrap();
    for stream in [&mut newest, &mut live, &mut all] {
        assert_eq!(stream.next().unwrap().map(|_| stream.seq), Some(11));
    }

    // What is no stream is an ordinary answer, and says what to do.
    let plain =
        http::request("GET", &format!("{}/xrpc/com.atproto.sync.subscribeRepos", host.url), &[], None)
            .unwrap();
    assert_eq!((plain.status, plain.header("upgrade")), (426, Some("websocket")));
    assert_eq!(plain.json().unwrap()["error"], "InvalidRequest");
    let posted =
        http::request("POST", &format!("{}/xrpc/com.atproto.sync.subscribeRepos", host.url), &[], None)
            .unwrap();
    assert_eq!(posted.status, 405, "{}", String::from_utf8_lossy(&posted.body));

    // One who compresses gets no compression; one who talks is cut off; pings are answered.
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let mut plain = Subscriber::open_with(&host.url, Some("9"), &offer).unwrap();
    plain.say(0x89, b"are you there").unwrap();
    plain.next().unwrap().unwrap();
    let unmasked: &[u8] = &[0x82, 1, 1];
    let huge: &[u8] = &[0x82, 0xff, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
    for (what, bytes, code) in [("unmasked", unmasked, 1002), ("64 MiB", huge, 1009)] {
        let mut rude = Subscriber::open(&host.url, None).unwrap();
        rude.raw(bytes).unwrap();
        assert_eq!((rude.next().unwrap(), rude.closed), (None, Some(code)), "{what}");
    }
    let mut flood = Subscriber::open(&host.url, None).unwrap();
    let pings: Vec<u8> = [0x89, 0x80, 0, 0, 0, 0].repeat(500);
    flood.raw(&pings).unwrap();
    assert_eq!((flood.next().unwrap(), flood.closed), (None, Some(1008)));

    // A stop is said, and everybody may come back with a cursor.
    let ended = host.stop().unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    assert_eq!((live.next().unwrap(), live.closed), (None, Some(1001)));
    host.begin().unwrap();
    let alice = host.sign_in(&alice.did).unwrap();
    alice.create(POST, &post_record("again")).unwrap();
    let mut back = Subscriber::open(&host.url, Some("11")).unwrap();
    back.next().unwrap().unwrap();
    assert_eq!(back.seq, 12, "no number twice, none left out");
    host.stop().unwrap();
}

/// Accounts that are written to at once.
const WRITERS: u64 = 24;

/// Memory of the node's own, in bytes.
fn memory(host: &Hosted) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Reads so many commits and says how long after its event each one came; whoever is sent away comes back with a cursor.
fn hear(mut live: Subscriber, url: &str, commits: u64) -> (Vec<Duration>, u64) {
    let (mut took, mut away, mut last) = (Vec::new(), 0, None);
    while (took.len() as u64) < commits {
        let Some(bytes) = live.next().unwrap() else {
            let cursor = last.map(|seq: u64| seq.to_string());
            live = Subscriber::open(url, Some(cursor.as_deref().expect("something was heard"))).unwrap();
            away += 1;
            continue;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let frame = match decode(&bytes).unwrap() {
            Frame::Commit(frame) => frame,
            Frame::Error(error) => {
                assert_eq!(error.error, "ConsumerTooSlow");
                continue;
            }
            other => panic!("{other:?}"),
        };
        assert!(last.is_none_or(|last| frame.seq == last + 1), "{} after {last:?}", frame.seq);
        last = Some(frame.seq);
        let sent = u64::try_from(Datetime::parse(frame.time).unwrap().unix_micros()).unwrap();
        took.push(now.saturating_sub(Duration::from_micros(sent)));
    }
    (took, away)
}

/// Writes so many records for many accounts, so many a second in all if the node can do it; how many it were.
fn offer(writers: &[Account], events: u64, rate: u64, record: impl Fn(u64) -> Value + Sync) -> f64 {
    let (next, begun) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= events {
                        return;
                    }
                    let due = begun + Duration::from_secs_f64(n as f64 / rate as f64);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    writer.create(lives::THING, &record(n)).unwrap();
                }
            });
        }
    });
    events as f64 / begun.elapsed().as_secs_f64()
}

#[test]
fn consumers_that_do_not_read_cost_little_and_hold_nobody_up() {
    let Some(network) = network() else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = [("PDS_MAX_SUBSCRIPTION_BUFFER", "100")];
    let mut host = Hosted::start(&network, &dir.path().join("data"), &settings).unwrap();
    let writers: Vec<Account> =
        (0..WRITERS).map(|n| host.sign_up(&network, &format!("writer{n}-stalled")).unwrap()).collect();
    // The first ones fill the buffers of the system, the others are as large as most are.
    let text = |n: u64| "x".repeat(if n < 100 { 60_000 } else { 4_000 });
    let record = |n: u64| json!({"$type": lives::THING, "n": n, "text": text(n)});
    offer(&writers, 200, 500, record);
    let before = memory(&host);
    let (stalled, old) = (need::count("P2PDS_STALLED", 60), need::count("P2PDS_OLD_CURSORS", 20));
    let (events, rate) = (need::count("P2PDS_STALLED_EVENTS", 400), need::count("P2PDS_STALLED_RATE", 500));
    let live: Vec<Subscriber> = (0..4).map(|_| Subscriber::open(&host.url, None).unwrap()).collect();
    let mut idle = Vec::new();
    for n in 0..stalled + old {
        let cursor = (n >= stalled).then_some("0");
        idle.push(Subscriber::open(&host.url, cursor).unwrap());
    }
    let (url, mut most) = (&host.url, 0);
    let (reached, heard) = std::thread::scope(|scope| {
        let hands = scope.spawn(|| offer(&writers, events, rate, record));
        let ears: Vec<_> =
            live.into_iter().map(|live| scope.spawn(move || hear(live, url, events))).collect();
        while !ears.iter().all(|ear| ear.is_finished()) {
            most = most.max(memory(&host));
            std::thread::sleep(Duration::from_millis(20));
        }
        let heard: Vec<_> =
            ears.into_iter().map(|ear| ear.join().expect("who reads gets everything")).collect();
        (hands.join().unwrap(), heard)
    });
    let away: u64 = heard.iter().map(|(_, away)| away).sum();
    let mut took: Vec<Duration> = heard.into_iter().flat_map(|(took, _)| took).collect();
    took.sort_unstable();
    let at = |q: usize| took[(took.len() - 1) * q / 100];
    let grown = most.saturating_sub(before);
    println!(
        "{stalled} stalled and {old} old consumers, {events} events, {rate} a second offered, {reached:.0} written: {} KiB more; 4 who read have \
         an event after {:?} (p50), {:?} (p99), {:?} at most; {away} times one of them was sent away and came back",
        grown >> 10,
        at(50),
        at(99),
        at(100)
    );
    assert!(grown < 64 << 20, "{grown} bytes");
    // Whoever begins to read finds everything in order, whether he was sent away meanwhile or not.
    for stream in idle.iter_mut().skip(usize::try_from(stalled).unwrap()) {
        let mut last = 0;
        while let Ok(Some(bytes)) = stream.next() {
            let Some(seq) = decode(&bytes).unwrap().seq() else { break };
            assert!(seq == last + 1, "{seq} after {last}");
            last = seq;
            if seq == WRITERS * 4 + 200 + events {
                break;
            }
        }
        assert!(last > 0);
    }
    drop(idle);
    let ended = host.stop().unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    let sent_away = ended.stderr.matches("firehose.too-slow").count();
    // Whoever takes nothing is sent away after ten seconds.
    println!("the log names {sent_away} that were sent away");
}
