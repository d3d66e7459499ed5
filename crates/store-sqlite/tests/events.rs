//! Events across kills, full disks, damage and copies: never a number twice, never an event without its commit or a
//! commit without its event.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p2pds_ipld::Cid;
use p2pds_repo::mst::empty_root;
use p2pds_store::view::{block_on, purge};
use p2pds_store::{
    Account, Applied, BucketUpdate, Change, EventKind, Head, Jump, Login, NewEvent, Origin, Role, Store,
    Unit, Version, commit_cid,
};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore, salvage};
use p2pds_syntax::{Did, RecordPath, Tid};

fn did(letter: char) -> Did {
    Did::parse(&format!("did:plc:{}", letter.to_string().repeat(24))).unwrap()
}

fn rev(n: u64) -> Tid {
    Tid::from_micros(1_700_000_000_000_000 + n, 1)
}

fn open(dir: &Path) -> Arc<dyn Store> {
    let options = Options { ballast: 0, ..Options::default() };
    Arc::new(SqliteStore::open(dir, options).unwrap())
}

fn head(who: char, rev: Tid, data: Cid) -> Box<Head> {
    let (did, sig) = (did(who), [3; 64]);
    let commit = commit_cid(&did, rev, &data, &sig).unwrap();
    Box::new(Head { rev, data, commit, sig, key: String::new(), raw: None })
}

/// Text that does not compress, and that is found again in a file.
fn secret(who: char, n: u64) -> String {
    let mut state = n.wrapping_mul(977).wrapping_add(u64::from(u32::from(who)));
    let mut text = String::new();
    while text.len() < 120 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(char::from(b'!' + u8::try_from((state >> 40) % 90).unwrap()));
    }
    text
}

/// The n-th write of a hosted account: commit and event, whose frame says what it tells of.
fn write(who: char, n: u64) -> Unit {
    let mut body = vec![0xa1, 0x61, b't', 0x78, 120];
    body.extend(secret(who, n).as_bytes());
    let commit = Unit::ApplyCommit {
        did: did(who),
        expect: rev(n - 1),
        head: head(who, rev(n), Cid::of_cbor(&body)),
        changes: vec![Change {
            key: RecordPath::parse(&format!("app.test.note/{n:06}")).unwrap(),
            old: None,
            new: Some(Version { cid: Cid::of_cbor(&body), body: Some(body), blobs: vec![] }),
        }],
        buckets: BucketUpdate::MarkDirty,
        seen: p2pds_store::Seen::default(),
    };
    let after = format!("rev={} {}", rev(n), secret(who, n)).into_bytes();
    let event = NewEvent { did: did(who), kind: EventKind::Commit, at: 1, before: vec![], after };
    Unit::Batch { did: did(who), units: vec![commit, Unit::Emit(event)] }
}

fn host(store: &Arc<dyn Store>, who: char) {
    let login = Login {
        did: did(who),
        email: format!("{who}@mail.example"),
        email_confirmed_at: None,
        password: secret(who, 1_000_000),
        created_at: 1,
        deactivated_at: None,
        delete_after: None,
        takedown: None,
        invites_disabled: false,
        invited_by: None,
        signing_key: vec![1],
        signing_did_key: "did:key:z".into(),
    };
    let open =
        Unit::OpenRepo { did: did(who), head: head(who, rev(1), empty_root()), role: Role::Hosted, at: 1 };
    let account = Unit::AddAccount(Box::new(Account::new(did(who), Origin::Network, 1)));
    let units = vec![account, open, Unit::PutLogin(Box::new(login))];
    block_on(store.apply(Unit::Batch { did: did(who), units })).unwrap();
}

/// What is stored: revs of the commits, and revs and numbers of the events, each by account.
type Told = BTreeMap<(Did, String), i64>;

fn told(store: &Arc<dyn Store>) -> Told {
    let events = block_on(store.events_after(0, 1_000_000, usize::MAX)).unwrap();
    let rev = |frame: &[u8]| {
        let at = frame.windows(4).position(|w| w == b"rev=").unwrap();
        String::from_utf8_lossy(&frame[at + 4..at + 17]).into_owned()
    };
    let of: Vec<_> = events.iter().map(|e| ((e.did.clone(), rev(&e.frame)), e.seq)).collect();
    let told: Told = of.iter().cloned().collect();
    assert_eq!(told.len(), of.len(), "an event is stored twice");
    told
}

/// Commits after the first, which opens the repo and is not told here.
fn commits(store: &Arc<dyn Store>, who: char) -> BTreeSet<(Did, String)> {
    let mut found = BTreeSet::new();
    let mut after = Some(rev(1));
    loop {
        let page = block_on(store.commits(&did(who), after, 500)).unwrap();
        let Some(last) = page.last() else { return found };
        after = Some(last.head.rev);
        found.extend(page.iter().map(|c| (did(who), c.head.rev.to_string())));
    }
}

/// The child of the test below: writes until it is killed, and says what was confirmed.
#[test]
#[ignore = "started by kills_leave_commits_and_events_in_step"]
fn child_that_writes_until_it_is_killed() {
    let dir = std::env::var("P2PDS_EVENTS_DIR").unwrap();
    let store = open(Path::new(&dir));
    let mut next: BTreeMap<char, u64> =
        ['a', 'b', 'c'].map(|who| (who, 2 + u64::try_from(commits(&store, who).len()).unwrap())).into();
    let mut out = std::io::stdout().lock();
    loop {
        // Several of each account at a time, so that a kill meets groups.
        let sent: Vec<_> = (0..4)
            .flat_map(|_| ['a', 'b', 'c'])
            .map(|who| {
                let n = next[&who];
                *next.get_mut(&who).unwrap() += 1;
                (who, n, store.submit(write(who, n)))
            })
            .collect();
        for (who, n, receipt) in sent {
            let Applied::Batch(answers) = block_on(receipt).unwrap() else { panic!() };
            let Applied::Event { seq } = answers[1] else { panic!() };
            writeln!(out, "told {who} {} {seq}", rev(n)).unwrap();
        }
        out.flush().unwrap();
        block_on(store.apply(Unit::PruneEvents { before_at: 0, keep_count: 400, max_bytes: 1 << 40 }))
            .unwrap();
    }
}

#[test]
fn kills_leave_commits_and_events_in_step() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    ['a', 'b', 'c'].iter().for_each(|who| host(&store, *who));
    drop(store);
    let rounds = std::env::var("P2PDS_EVENT_KILLS").map_or(5, |n| n.parse().unwrap());
    let mut confirmed: Told = Told::new();
    let mut numbers: BTreeSet<i64> = BTreeSet::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env("P2PDS_EVENTS_DIR", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut read = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| {
            let line = lines.next()?.ok()?;
            if let ["told", who, rev, seq] = line.split(' ').collect::<Vec<_>>()[..] {
                let (who, seq) = (did(who.chars().next().unwrap()), seq.parse().unwrap());
                assert!(numbers.insert(seq), "number {seq} was given twice");
                confirmed.insert((who, rev.to_owned()), seq);
            }
            Some(())
        };
        // At a different place each time.
        for _ in 0..40 + round * 37 % 1_000 {
            read(&mut lines).expect("the child goes on until it is killed");
        }
        child.kill().unwrap();
        while read(&mut lines).is_some() {}
        child.wait().unwrap();

        let store = open(dir.path());
        let told = told(&store);
        let written: BTreeSet<_> = ['a', 'b', 'c'].iter().flat_map(|who| commits(&store, *who)).collect();
        assert!(told.keys().all(|event| written.contains(event)), "an event without its commit");
        let oldest = block_on(store.first_event()).unwrap().unwrap().seq;
        let pruned = |key: &(Did, String)| confirmed.get(key).is_some_and(|seq| *seq < oldest);
        assert!(
            written.iter().all(|key| told.contains_key(key) || pruned(key)),
            "a commit without its event"
        );
        for (key, seq) in &confirmed {
            assert!(written.contains(key), "what was confirmed is lost: {key:?}");
            assert!(*seq < oldest || told.get(key) == Some(seq), "{key:?} has another number");
        }
        // What was durable and could not be confirmed any more counts as given.
        numbers.extend(told.values());
        confirmed.extend(told);
        let last = block_on(store.last_seq()).unwrap();
        assert_eq!(Some(&last), numbers.last());
        assert_eq!(store.tail().last(), last, "the tail goes on from there");
        assert_eq!(block_on(store.check_structure()).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn numbers_go_on_after_everything_was_pruned_and_the_store_was_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let emit = |store: &Arc<dyn Store>| {
        let event = NewEvent { did: did('a'), kind: EventKind::Sync, at: 5, before: vec![], after: vec![] };
        match block_on(store.apply(Unit::Emit(event))).unwrap() {
            Applied::Event { seq } => seq,
            other => panic!("{other:?}"),
        }
    };
    let store = open(dir.path());
    assert_eq!((emit(&store), emit(&store)), (1, 2));
    block_on(store.apply(Unit::PruneEvents { before_at: 9, keep_count: 0, max_bytes: 0 })).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!((block_on(store.last_seq()).unwrap(), store.tail().last()), (2, 2));
    assert_eq!(emit(&store), 3);
    block_on(store.apply(Unit::EraseEvents { did: did('a') })).unwrap();
    block_on(store.apply(Unit::JumpSeq(Jump::By(1_000_000)))).unwrap();
    block_on(store.hygiene(9)).unwrap();
    drop(store);
    assert_eq!(emit(&open(dir.path())), 1_000_004, "also after a rewrite of the file");
}

#[test]
fn an_erased_account_is_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for who in ['a', 'b'] {
        host(&store, who);
        (2..200).for_each(|n| drop(block_on(store.apply(write(who, n))).unwrap()));
    }
    let others = (told(&store), commits(&store, 'a'));
    let report = block_on(purge(&*store, &did('b'), "its owner deleted it", 5)).unwrap();
    assert_eq!(report.left, 0, "{report}");
    let kept: Told =
        others.0.iter().filter(|((of, _), _)| *of == did('a')).map(|(k, v)| (k.clone(), *v)).collect();
    assert_eq!((told(&store), commits(&store, 'a')), (kept, others.1), "others are untouched");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let windows: std::collections::HashSet<&[u8]> = bytes.windows(24).collect();
        let has = |who, n| windows.contains(&secret(who, n).as_bytes()[40..64]);
        for n in (2..200).chain([1_000_000]) {
            assert!(!has('b', n), "a trace of write {n}");
            seen += usize::from(has('a', n));
        }
    }
    assert!(seen > 190, "the search is able to find what is there: {seen}");
}

#[test]
fn a_mended_file_gives_no_number_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    host(&store, 'a');
    (2..100).for_each(|n| drop(block_on(store.apply(write('a', n))).unwrap()));
    let last = block_on(store.last_seq()).unwrap();
    drop(store);
    salvage::mark(dir.path(), "a test");
    salvage::mend(dir.path(), &Options::default(), "now", 7).unwrap();
    let store = open(dir.path());
    assert_eq!(block_on(store.last_seq()).unwrap(), last + 1_000_000);
    assert_eq!(told(&store).len(), 98);
    assert_eq!(block_on(store.check_structure()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_copy_is_one_state_and_nobody_waits_for_it() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    for who in ['a', 'b'] {
        host(&store, who);
    }
    // Some bulk, so that the copy takes many steps.
    for n in 0..60 {
        let value = Some(secret('x', n).repeat(800));
        block_on(store.apply(Unit::PutSetting { name: format!("bulk{n}"), value })).unwrap();
    }
    let (stop, began) = (Arc::new(AtomicBool::new(false)), std::sync::mpsc::channel());
    let writing = std::thread::spawn({
        let (store, stop, began) = (Arc::clone(&store), Arc::clone(&stop), began.0);
        move || {
            let mut n = 2;
            while !stop.load(Ordering::Relaxed) {
                for who in ['a', 'b'] {
                    block_on(store.apply(write(who, n))).unwrap();
                }
                if n == 20 {
                    began.send(()).unwrap();
                }
                n += 1;
            }
            n - 2
        }
    });
    began.1.recv().unwrap();
    let before = told(&store);
    let copied = out.path().join(FILE_NAME);
    // The copy needs tokio only to flush.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bytes = runtime.block_on(store.copy_database(&copied)).unwrap().bytes;
    let during = told(&store).len() - before.len();
    stop.store(true, Ordering::Relaxed);
    let written = writing.join().unwrap();
    assert!(during > 0, "writes went on meanwhile");
    assert!(bytes > 5 << 20, "{bytes}");
    let again = runtime.block_on(store.copy_database(&copied));
    assert!(again.is_err(), "an existing file is not written over");

    let copy = open(out.path());
    assert_eq!(block_on(copy.check_structure()).unwrap(), Vec::<String>::new());
    let copied = told(&copy);
    let written_there: BTreeSet<_> = ['a', 'b'].iter().flat_map(|who| commits(&copy, *who)).collect();
    assert_eq!(copied.keys().cloned().collect::<BTreeSet<_>>(), written_there, "commits and events in step");
    assert!(before.iter().all(|(key, seq)| copied.get(key) == Some(seq)), "all that was there when it began");
    assert!(copied.len() as u64 <= 2 * written);
    let now = told(&store);
    assert!(copied.iter().all(|(key, seq)| now.get(key) == Some(seq)));
    assert!(block_on(copy.login(&did('a'))).unwrap().is_some());
}
