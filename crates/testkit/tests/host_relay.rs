//! Bluesky's own relay and `tap` follow a node that hosts accounts: through everything that happens to accounts, through
//! ends and kills of the node and of the relay. The relay repeats what it believes, and drops what it does not: so what it
//! repeats is compared with what was sent, event for event, and what `tap` holds with what is stored, record for record.
//!
//! `P2PDS_RELAY` and `P2PDS_TAP` name the programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod lives;

use std::collections::BTreeMap;

use p2pds_replica::{Frame, decode};
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::indigo::{Relay, Tap};
use p2pds_testkit::oracle::{POST, Written, bulk_key, post_record};
use p2pds_testkit::subscriber::Subscriber;
use serde_json::Value;

use lives::{lives, network, takedown};

/// What an event says, apart from its number, by account.
fn said(bytes: &[u8]) -> (String, String) {
    let frame = decode(bytes).unwrap();
    let did = frame.did().expect("an event").to_string();
    let words = match frame {
        Frame::Commit(frame) => format!("commit {} {}", frame.event.rev, frame.event.commit),
        Frame::Sync(frame) => format!("sync {}", frame.rev),
        Frame::Identity(_) => "identity".to_owned(),
        Frame::Account(frame) => format!("account {} {:?}", frame.active, frame.status),
        other => panic!("{other:?}"),
    };
    (did, words)
}

fn by_account(frames: &[Vec<u8>]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for bytes in frames {
        let (did, words) = said(bytes);
        all.entry(did).or_default().push(words);
    }
    all
}

#[test]
fn the_relay_repeats_every_event_and_tap_holds_every_record() {
    let Some(network) = network() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut host = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let Some(mut relay) = Relay::start(dir.path(), &network.plc, &host.url).unwrap() else { return };
    let mut heard = Subscriber::open(&relay.url, None).unwrap();
    let Some(tap) = Tap::start(dir.path(), &network.plc, &relay.url).unwrap() else { return };
    let mut told = Subscriber::at(&tap.url, "/channel", &[]).unwrap();

    let alice = lives(&host, &network);
    let carol = host.sign_up(&network, "carol-relay").unwrap();
    tap.add(&[&alice.did, &carol.did]).unwrap();
    for account in [&alice, &carol] {
        tap.active(&account.did).unwrap();
    }
    carol.bulk("relay", 250).unwrap();
    // The node ends and comes back; is killed and comes back; the relay does the same.
    host.stop().unwrap();
    host.begin().unwrap();
    relay.connected(2).unwrap();
    carol.create(POST, &post_record("after the end")).unwrap();
    host.kill().unwrap();
    host.begin().unwrap();
    let carol = host.sign_in(&carol.did).unwrap();
    let mark = carol.create(POST, &post_record("after the kill")).unwrap();
    relay.connected(3).unwrap();
    let mut repeated = Vec::new();
    until(&mut heard, &mark, &mut repeated);
    relay.stop().unwrap();
    carol.create(POST, &post_record("while the relay was away")).unwrap();
    takedown(&host, &carol.did, true);
    takedown(&host, &carol.did, false);
    relay.begin().unwrap();
    let mut heard = Subscriber::open(&relay.url, Some(&heard.seq.to_string())).unwrap();
    let carol = host.sign_in(&carol.did).unwrap();
    carol.delete(POST, &bulk_key("relay", 7)).unwrap();
    let mark = carol.create(POST, &post_record("last words")).unwrap();
    let mut sent = Vec::new();
    until(&mut Subscriber::open(&host.url, Some("0")).unwrap(), &mark, &mut sent);
    until(&mut heard, &mark, &mut repeated);

    // Event for event, but for what was erased here since with its account.
    let (sent, repeated) = (by_account(&sent), by_account(&repeated));
    for (did, words) in &sent {
        let theirs = &repeated[did];
        if words.len() == 1 {
            assert_eq!(theirs.last(), words.last(), "the account that is gone");
        } else {
            assert_eq!(theirs, words, "{did}\n{}", relay.log());
        }
    }
    assert_eq!(relay.complaints(), Vec::<String>::new());
    let status = relay.host_status(&host.url).unwrap();
    assert_eq!(status["status"], "active", "{status}");

    // Record for record.
    let mut compare = |host: &Hosted, lost: Option<&Written>| {
        for account in [&alice, &carol] {
            let mut records = host.sign_in(&account.did).unwrap().truth().unwrap().records;
            if let Some(lost) = lost.filter(|lost| lost.uri.contains(&account.did)) {
                records.insert(format!("{POST}/{}", lost.rkey()), lost.cid.clone());
            }
            same(&mut told, &tap, &account.did, &records);
        }
    };
    compare(&host, None);

    // A new signing key; and the node is lost and restored, with what it had written since the backup.
    let after = last_number(&host, &mark);
    host.program.ok(&["account", "rotate-key", &carol.did]).unwrap();
    carol.create(POST, &post_record("with a new key")).unwrap();
    let out = dir.path().join("backup").display().to_string();
    host.program.ok(&["backup", &out, "--with-keys", "--plain-keys"]).unwrap();
    let lost = carol.create(POST, &post_record("lost with the node")).unwrap();
    let (mut sent, mut repeated) = (Vec::new(), Vec::new());
    until(&mut Subscriber::open(&host.url, Some(&after)).unwrap(), &lost, &mut sent);
    let seen = last_number(&host, &lost);
    until(&mut heard, &lost, &mut repeated);
    let ended = host.stop().unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    let port = host.url.rsplit(':').next().unwrap().parse().unwrap();
    let mut host = Hosted::prepare(&network, &dir.path().join("restored"), port, &[]).unwrap();
    host.program.ok(&["restore", &out]).unwrap();
    host.begin().unwrap();
    let carol = host.sign_in(&carol.did).unwrap();
    let mark = carol.create(POST, &post_record("after the restore")).unwrap();
    until(&mut Subscriber::open(&host.url, Some(&seen)).unwrap(), &mark, &mut sent);
    // The relay handles accounts side by side: theirs come in any order.
    while repeated.len() < sent.len() {
        repeated.push(heard.next().unwrap().expect("the stream goes on"));
    }
    let (sent, repeated) = (by_account(&sent), by_account(&repeated));
    assert!(sent[&carol.did].iter().any(|words| words.starts_with("sync")), "{sent:?}");
    assert_eq!(sent, repeated, "{}", relay.log());
    assert_eq!(relay.complaints(), Vec::<String>::new());
    // Fetching anew after a `#sync`, tap takes what is there and forgets nothing that is not there any more.
    compare(&host, Some(&lost));
    let ended = host.stop().unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}

/// The number of the event about this record.
fn last_number(host: &Hosted, written: &Written) -> String {
    let mut stream = Subscriber::open(&host.url, Some("0")).unwrap();
    until(&mut stream, written, &mut Vec::new());
    stream.seq.to_string()
}

/// Reads events, whose numbers are the stream's own, up to the one about this record.
fn until(stream: &mut Subscriber, written: &Written, all: &mut Vec<Vec<u8>>) {
    loop {
        let bytes = stream.next().unwrap().expect("the stream goes on");
        let last = match decode(&bytes).unwrap() {
            Frame::Info(_) => continue,
            Frame::Commit(frame) => frame.event.ops.iter().any(|op| written.uri.ends_with(op.path.as_str())),
            _ => false,
        };
        all.push(bytes);
        if last {
            return;
        }
    }
}

/// Reads what tap tells until it holds just these records of the account.
fn same(told: &mut Subscriber, tap: &Tap, did: &str, records: &BTreeMap<String, String>) {
    static SEEN: std::sync::Mutex<BTreeMap<String, BTreeMap<String, String>>> =
        std::sync::Mutex::new(BTreeMap::new());
    let mut seen = SEEN.lock().unwrap();
    while seen.get(did) != Some(records) {
        let bytes = told.next().unwrap_or_else(|error| {
            panic!(
                "{error}: {did} has {records:?}, tap {:?}, {:?}\n{}",
                seen.get(did),
                tap.info(did),
                tap.log()
            )
        });
        let event: Value = serde_json::from_slice(&bytes.expect("tap goes on")).unwrap();
        let record = &event["record"];
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let Some(of) = text("did") else { continue };
        let held = seen.entry(of).or_default();
        let path = format!("{}/{}", text("collection").unwrap(), text("rkey").unwrap());
        match text("action").as_deref() {
            Some("delete") => drop(held.remove(&path)),
            _ => drop(held.insert(path, text("cid").unwrap())),
        }
    }
}
