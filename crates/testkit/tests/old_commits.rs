//! Old commits, again and again and in any order, on every way into the archive: the head never moves back, and a second
//! commit under a stored revision is reported each time. `P2PDS_OLD_COMMITS` is how many (2,000); half of them go to the
//! store as units, half through the rules for streams. `P2PDS_OLD_OFFERS` (6) are offered to the whole program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use p2pds_crypto::PublicKey;
use p2pds_ipld::Cid;
use p2pds_replica::{
    Context, Decision, Frame, Head as StreamHead, Key, Origin as From, State as Follower, Status,
};
use p2pds_store::view::{Stager, block_on};
use p2pds_store::{
    Account, Applied, BucketUpdate, Change, Head, Kind, Origin, Role, Seen, StagedRow, Store, Unit, Version,
};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{Did, ErrorKind, RecordPath, Tid};
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{bulk_key, post_record};
use p2pds_testkit::program::Program;
use p2pds_testkit::random::Random;
use p2pds_testkit::source::{Source, Trick};
use p2pds_testkit::stream::{Host, Plan};
use std::sync::Arc;

/// Commits of the history that is replayed.
const HISTORY: usize = 50;

fn head(state: &State, key: &str) -> Head {
    Head {
        rev: Tid::parse(&state.rev).unwrap(),
        data: state.data.parse().unwrap(),
        commit: state.commit.parse().unwrap(),
        sig: state.signature,
        key: key.to_owned(),
        raw: None,
    }
}

fn added(step: usize) -> (RecordPath, Vec<u8>) {
    let mut content = Content::default();
    content.put(&bulk_key("step", step), &post_record(&format!("step {step}")));
    let (path, bytes) = content.records().iter().next().unwrap();
    (RecordPath::parse(path).unwrap(), bytes.clone())
}

/// A history of signed states, each with one record more, and one more under the last revision.
fn history(account: &MadeUp) -> (Vec<State>, State) {
    let mut content = Content::posts("old", 20);
    let mut states = vec![account.sign(0, &content)];
    for step in 1..HISTORY {
        content.put(&bulk_key("step", step), &post_record(&format!("step {step}")));
        states.push(account.sign(step as u64, &content));
    }
    content.put(&bulk_key("twin", 1), &post_record("the other history"));
    let twin = account.sign(HISTORY as u64 - 1, &content);
    (states, twin)
}

/// The commit of a step as a unit, made for the head `expect`.
fn unit(did: &Did, head: Head, expect: Tid, step: usize) -> Unit {
    let (key, body) = added(step);
    let new = Version { cid: Cid::of_cbor(&body), body: Some(body), blobs: Vec::new() };
    Unit::ApplyCommit {
        did: did.clone(),
        expect,
        head: Box::new(head),
        changes: vec![Change { key, old: None, new: Some(new) }],
        buckets: BucketUpdate::MarkDirty,
        seen: Seen { at: 0, since: None },
    }
}

#[test]
fn units_never_move_a_head_back() {
    let count = need::count("P2PDS_OLD_COMMITS", 2_000) / 2;
    let account = MadeUp::new(3, "https://pds.example");
    let (states, twin) = history(&account);
    let did: Did = account.did.parse().unwrap();
    let key = account.signing_key();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(":memory:", Options::default()).unwrap());
    block_on(store.apply(Unit::AddAccount(Box::new(Account::new(did.clone(), Origin::File, 1))))).unwrap();
    let mut stager =
        Stager::begin(Arc::clone(&store), did.clone(), Tid::parse(&states[0].rev).unwrap()).unwrap();
    for (path, body) in &states[0].records {
        let row = StagedRow {
            key: RecordPath::parse(path).unwrap(),
            cid: Cid::of_cbor(body),
            body: Some(body.clone()),
            blobs: Vec::new(),
        };
        stager.push(row).unwrap();
    }
    let staged = stager.finish().unwrap();
    let flip = |repo, head: Head, expect| Unit::Flip {
        did: did.clone(),
        repo,
        expect,
        head: Box::new(head),
        role: Role::Archived,
        accept_older: false,
        at: 0,
    };
    block_on(store.apply(flip(staged.repo, head(&states[0], &key), None))).unwrap();
    let rev = |state: &State| Tid::parse(&state.rev).unwrap();
    for step in 1..HISTORY {
        block_on(store.apply(unit(&did, head(&states[step], &key), rev(&states[step - 1]), step))).unwrap();
    }
    let staging = Unit::BeginStaging { did: did.clone(), kind: Kind::Mst, rev: rev(&states[1]) };
    let Applied::Staging(other) = block_on(store.apply(staging)).unwrap() else { panic!("no staging repo") };
    let newest = states.last().unwrap();
    let before = block_on(store.live_repo(&did)).unwrap().unwrap();

    let mut random = Random::from_environment();
    for n in 0..count {
        let step = 1 + usize::try_from(random.below(HISTORY as u64 - 1)).unwrap();
        let (old, at) = (&states[step], rev(newest));
        let replay = match random.below(5) {
            // As it came the first time.
            0 => unit(&did, head(old, &key), rev(&states[step - 1]), step),
            // As if it followed the head.
            1 => unit(&did, head(old, &key), at, step),
            2 => flip(other, head(old, &key), Some(at)),
            3 => flip(other, head(&twin, &key), Some(at)),
            _ => unit(&did, head(&twin, &key), at, HISTORY),
        };
        let error = block_on(store.apply(replay)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{n}: {error}");
        if n % 97 == 0 {
            assert_eq!(block_on(store.live_repo(&did)).unwrap().unwrap(), before);
        }
    }
    assert_eq!(block_on(store.live_repo(&did)).unwrap().unwrap(), before);
    assert_eq!(block_on(store.commits(&did, None, 1_000)).unwrap().len(), HISTORY);
    println!("{count} old units, the head stays at {}", newest.rev);
}

#[test]
fn a_stream_never_moves_a_head_back() {
    let count = need::count("P2PDS_OLD_COMMITS", 2_000) / 2;
    let host = Host::start(&Plan { seed: 9, accounts: 1, records: 12 }).unwrap();
    for _ in 0..HISTORY {
        host.post(0);
    }
    let events: Vec<Vec<u8>> = (1..=host.last()).map(|seq| host.event(seq)).collect();
    let keys = [Key { key: PublicKey::from_did_key(&host.signing_key(0)).unwrap(), until: None }];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_micros()).unwrap() + 3_600_000_000;
    let at = Context { now, origin: From::Host, keys: &keys, again: false };
    let frame = |bytes| p2pds_replica::decode(bytes).unwrap();
    let Frame::Commit(first) = frame(&events[0]) else { panic!("no commit") };
    let first = StreamHead {
        rev: first.event.rev,
        commit: first.event.commit,
        data: p2pds_repo::event::read_head(
            &first.event.repo.clone(),
            first.event.rev,
            first.event.commit,
            first.event.blocks,
        )
        .unwrap()
        .data,
    };
    let mut follower = Follower::new(Some(first), Status::Active);
    for event in &events[1..] {
        let decision = p2pds_replica::step(&mut follower, frame(event), &at);
        assert!(matches!(decision, Decision::Apply { .. }), "{decision:?}");
    }
    let head = follower.head();
    let mut random = Random::from_environment();
    for n in 0..count {
        let event = &events[usize::try_from(random.below(events.len() as u64)).unwrap()];
        let decision = p2pds_replica::step(&mut follower, frame(event), &at);
        assert!(matches!(decision, Decision::Ignore(_)), "{n}: {decision:?}");
        assert_eq!(follower.head(), head);
        assert_eq!(follower.lost(), None);
    }
    println!("{count} old events, nothing to do");
}

#[test]
fn offers_are_refused_and_counted_each_time() {
    let offers = need::count("P2PDS_OLD_OFFERS", 6);
    let source = Source::start().unwrap();
    let account = MadeUp::new(4, &source.url);
    let (states, twin) = history(&account);
    let newest = states.last().unwrap();
    source.serve(&account, newest);
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(source.environment());
    program.ok(&["archive", "add", &account.did]).unwrap();
    let mut random = Random::from_environment();
    let (mut twins, mut older) = (0_u64, std::collections::BTreeMap::new());
    for n in 0..offers {
        let state = if n % 2 == 0 {
            twins += 1;
            &twin
        } else {
            let old = &states[usize::try_from(random.below(3)).unwrap()];
            *older.entry(old.rev.clone()).or_insert(0_u64) += 1;
            old
        };
        if n % 3 == 2 {
            let file = dir.path().join("old.car");
            std::fs::write(&file, &state.car).unwrap();
            let outcome = program.run(&["import", file.to_str().unwrap()]).unwrap();
            assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        } else {
            source.serve(&account, state);
            source.play(&account, Some(Trick::Bytes(state.car.clone())));
            let outcome = program.run(&["archive", "sync", &account.did]).unwrap();
            assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        }
        let shown = program.json(&["archive", "show", &account.did]).unwrap();
        assert_eq!(shown["head"]["rev"], newest.rev.as_str(), "offer {n}");
        assert_eq!(shown["head"]["commit"], newest.commit.as_str(), "offer {n}");
        let times = |kind: &str| -> u64 {
            let rows = shown["evidence"].as_array().unwrap();
            rows.iter().filter(|row| row["kind"] == kind).map(|row| row["times"].as_u64().unwrap()).sum()
        };
        assert_eq!(times("equivocation"), twins, "offer {n}: {shown:#}");
        assert_eq!(times("older-head"), older.values().sum::<u64>(), "offer {n}: {shown:#}");
    }
    program.ok(&["verify", "--no-repair"]).unwrap();
    println!("{offers} offers: {twins} of another history, each counted");
}
