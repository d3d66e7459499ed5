//! SIGKILL at random moments while a node follows accounts that are written to at full speed, and restarts of their PDS:
//! the archive ends equal to the PDS, knows every revision that its stream brought, and has caught up a moment after each
//! start. `P2PDS_LIVE_KILLS` is how many (50), `P2PDS_SEED` makes the moments the same again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use p2pds_store::Store;
use p2pds_store::view::block_on;
use p2pds_store_sqlite::{Options as StoreOptions, SqliteStore};
use p2pds_syntax::{Did, Tid};
use p2pds_testkit::exported::Exported;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, image, post_record};
use p2pds_testkit::program::Program;
use p2pds_testkit::random::Random;
use serde_json::json;

/// Accounts, each with a writer of its own.
const ACCOUNTS: usize = 2;
/// The PDS is started anew after so many kills.
const PDS_EVERY: u64 = 20;

/// One account with its writer and the revisions that the PDS acknowledged.
struct Written {
    account: Account,
    revs: Mutex<BTreeSet<String>>,
    refused: AtomicU64,
}

impl Written {
    /// Writes until it is told to stop: creates, updates, deletes, several at once, now and then an image.
    fn write(&self, stop: &AtomicBool) {
        let mut keys: Vec<String> = Vec::new();
        for n in 0_usize.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let record = post_record(&format!("{} number {n}", self.account.handle));
            let (did, old) = (&self.account.did, keys.get(n / 2 % keys.len().max(1)).cloned());
            let answer = match (n % 7, old) {
                (3, Some(rkey)) => {
                    let body = json!({"repo": did, "collection": POST, "rkey": rkey, "record": record});
                    self.account.call("com.atproto.repo.putRecord", &body)
                }
                (5, Some(rkey)) => {
                    keys.retain(|key| *key != rkey);
                    let body = json!({"repo": did, "collection": POST, "rkey": rkey});
                    self.account.call("com.atproto.repo.deleteRecord", &body)
                }
                (6, _) => {
                    let write = |n: usize| {
                        json!({
                            "$type": "com.atproto.repo.applyWrites#create", "collection": POST,
                            "value": post_record(&format!("one of several, {n}")),
                        })
                    };
                    let writes: Vec<_> = (0..5).map(write).collect();
                    self.account.call("com.atproto.repo.applyWrites", &json!({"repo": did, "writes": writes}))
                }
                _ if n % 50 == 49 => self.account.post_image(&image(n as u64, 2_000)).map(|_| json!({})),
                _ => {
                    let body = json!({"repo": did, "collection": POST, "record": record});
                    self.account.call("com.atproto.repo.createRecord", &body)
                }
            };
            let Ok(answer) = answer else {
                // The PDS is being started anew.
                self.refused.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            if let Some(rkey) = answer["uri"].as_str().and_then(|uri| uri.rsplit('/').next()) {
                keys.push(rkey.to_owned());
            }
            if let Some(rev) = answer["commit"]["rev"].as_str() {
                self.revs.lock().unwrap().insert(rev.to_owned());
            }
        }
    }

    fn newest(&self) -> Option<String> {
        self.revs.lock().unwrap().last().cloned()
    }
}

/// The stored head's rev.
fn stored(program: &Program, did: &str) -> String {
    let shown = program.json(&["archive", "show", did]).unwrap();
    shown["head"]["rev"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the archive has a revision or a later one.
fn until(program: &Program, did: &str, rev: &str) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let now = stored(program, did);
        if now.as_str() >= rev {
            return;
        }
        if Instant::now() > deadline {
            let shown = program.json(&["archive", "show", did]).unwrap();
            panic!("{did} stays at {now}, the PDS is at {rev}: {shown:#}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn equal_to_the_pds(program: &Program, account: &Account) {
    program.ok(&["verify", &account.did, "--read-data", "--no-repair"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("export");
    program.ok(&["export", &account.did, "--out", out.to_str().unwrap()]).unwrap();
    Exported::read(&out).unwrap().compare(&account.truth().unwrap()).unwrap();
}

/// All revisions in the archive's log.
fn logged(program: &Program, did: &str) -> BTreeSet<String> {
    let did = Did::parse(did).unwrap();
    let store = SqliteStore::open(program.data(), StoreOptions::default()).unwrap();
    let (mut all, mut after) = (BTreeSet::new(), None::<Tid>);
    loop {
        let page = block_on(store.commits(&did, after, 1_000)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.head.rev);
        all.extend(page.iter().map(|row| row.head.rev.to_string()));
    }
    block_on(store.close()).unwrap();
    all
}

#[test]
fn killed_anywhere_it_catches_up_and_misses_nothing() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let kills = need::count("P2PDS_LIVE_KILLS", 50);
    let mut random = Random::from_environment();
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    let written: Vec<Arc<Written>> = (0..ACCOUNTS)
        .map(|n| {
            let account = network.account(0, &format!("writer{n}-p2pds"), None).unwrap();
            Arc::new(Written { account, revs: Mutex::default(), refused: AtomicU64::new(0) })
        })
        .collect();
    let mut node = program.serve().unwrap();
    for one in &written {
        program.ok(&["archive", "add", &one.account.did]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        while program.json(&["archive", "show", &one.account.did]).unwrap()["live"]["state"] != "live" {
            assert!(Instant::now() < deadline, "not followed");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // From the first event on, a restart goes on where the process before it stopped.
    let first = written[0].account.create(POST, &post_record("first")).unwrap();
    let (_, rev) = written[0].account.latest_commit().unwrap();
    until(&program, &written[0].account.did, &rev);
    println!("following, from {} on", first.uri);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = written
        .iter()
        .map(|one| {
            let (one, stop) = (Arc::clone(one), Arc::clone(&stop));
            std::thread::spawn(move || one.write(&stop))
        })
        .collect();
    let started = Instant::now();
    let mut caught_up = Vec::new();
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(20).mul_f64(random.fraction() * 20.0));
        node.kill().unwrap();
        if kill % PDS_EVERY == PDS_EVERY - 1 {
            network.pdses[0].restart().unwrap();
        }
        let one = &written[(kill as usize) % ACCOUNTS];
        let newest = one.newest();
        let begun = Instant::now();
        node = program.serve().unwrap();
        // Asking costs more than catching up does, so not every start is measured.
        if kill % 4 == 0
            && let Some(newest) = newest
        {
            until(&program, &one.account.did, &newest);
            caught_up.push(begun.elapsed());
        }
    }
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    for one in &written {
        let (_, head) = one.account.latest_commit().unwrap();
        until(&program, &one.account.did, &head);
        equal_to_the_pds(&program, &one.account);
    }
    let ended = node.terminate(Duration::from_secs(600)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    caught_up.sort_unstable();
    println!(
        "{kills} kills in {:.1} s; caught up after a start: median {} ms, longest {} ms, of {}",
        started.elapsed().as_secs_f64(),
        caught_up[caught_up.len() / 2].as_millis(),
        caught_up[caught_up.len() - 1].as_millis(),
        caught_up.len(),
    );
    for one in &written {
        let acknowledged = one.revs.lock().unwrap().clone();
        let stored = logged(&program, &one.account.did);
        let missing: Vec<_> = acknowledged.difference(&stored).collect();
        println!(
            "{}: {} revisions acknowledged, {} stored, {} refused",
            one.account.handle,
            acknowledged.len(),
            stored.len(),
            one.refused.load(Ordering::Relaxed)
        );
        assert!(missing.is_empty(), "{} revisions were not seen: {missing:?}", missing.len());
        let proved = program.json(&["history", &one.account.did, "--prove", "all"]).unwrap();
        assert!(proved["proved"].as_u64() >= Some(stored.len() as u64), "not all are proved: {proved:#}");
    }
}
