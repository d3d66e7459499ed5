//! SIGKILL at random moments while accounts hosted here are written to at full speed: records, batches, blobs, imports.
//! Nothing that was acknowledged is lost, no event is without its commit and no commit without its event, and no sequence
//! number is ever used twice. `P2PDS_HOST_KILLS` is how many (50), `P2PDS_SEED` makes the moments the same again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use p2pds_crypto::PublicKey;
use p2pds_ipld::sha256;
use p2pds_net::{Client, NetConfig, WsOptions};
use p2pds_replica::frame::{Frame, decode};
use p2pds_repo::event::{prove, read_sync};
use p2pds_syntax::Tid;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, image, post_record};
use p2pds_testkit::random::Random;
use serde_json::{Value, json};

/// Accounts, each with a writer of its own.
const ACCOUNTS: usize = 4;

/// What a key may hold: after an acknowledgement one thing, after a broken connection one of two.
type Possible = BTreeSet<Option<String>>;

#[derive(Default)]
struct Ledger {
    keys: BTreeMap<String, Possible>,
    /// Keys that a request without an answer may have filled with a record whose CID nobody told us.
    unsure: BTreeSet<String>,
    revs: BTreeSet<String>,
    blobs: BTreeSet<String>,
}

struct Writer {
    account: Mutex<Account>,
    ledger: Mutex<Ledger>,
    refused: AtomicU64,
}

impl Writer {
    fn write(&self, stop: &AtomicBool) {
        for n in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let account = self.account.lock().unwrap().clone();
            let done = match n % 9 {
                4 => self.put(&account, n),
                6 => self.delete(&account, n),
                7 => self.batch(&account, n),
                8 if n % 27 == 8 => self.blob(&account, n),
                8 if n % 81 == 17 => self.import(&account),
                _ => self.create(&account, n),
            };
            if let Err(error) = done {
                let said = format!("{error:#}");
                assert!(!said.contains(": 4") || said.contains("Expired"), "refused: {said}");
                self.refused.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// A request that may put something at `keys`; what is there after it is known only with an answer.
    fn asked(&self, keys: &[String], deletes: bool) {
        let mut ledger = self.ledger.lock().unwrap();
        for key in keys {
            let possible = ledger.keys.entry(key.clone()).or_insert_with(|| Possible::from([None]));
            if deletes {
                possible.insert(None);
            } else {
                ledger.unsure.insert(key.clone());
            }
        }
    }

    fn answered(&self, key: &str, cid: Option<&str>) {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.keys.insert(key.to_owned(), Possible::from([cid.map(str::to_owned)]));
        ledger.unsure.remove(key);
    }

    fn rev(&self, answer: &Value) {
        if let Some(rev) = answer["commit"]["rev"].as_str() {
            self.ledger.lock().unwrap().revs.insert(rev.to_owned());
        }
    }

    fn create(&self, account: &Account, n: u64) -> anyhow::Result<()> {
        let rkey = format!("k{n}");
        self.asked(std::slice::from_ref(&rkey), false);
        let body = json!({"repo": account.did, "collection": POST, "rkey": rkey, "validate": false,
                          "record": post_record(&format!("number {n}"))});
        let answer = account.call("com.atproto.repo.createRecord", &body)?;
        self.answered(&rkey, answer["cid"].as_str());
        self.rev(&answer);
        Ok(())
    }

    /// A key that is known to hold a record.
    fn known(&self, n: u64) -> Option<String> {
        let ledger = self.ledger.lock().unwrap();
        let sure = |key: &String, possible: &Possible| {
            possible.iter().all(Option::is_some) && !ledger.unsure.contains(key)
        };
        let keys: Vec<_> = ledger.keys.iter().filter(|(key, p)| sure(key, p)).map(|(key, _)| key).collect();
        keys.get(n as usize % keys.len().max(1)).map(|key| (*key).clone())
    }

    fn put(&self, account: &Account, n: u64) -> anyhow::Result<()> {
        let Some(rkey) = self.known(n) else { return Ok(()) };
        self.asked(std::slice::from_ref(&rkey), false);
        let body = json!({"repo": account.did, "collection": POST, "rkey": rkey, "validate": false,
                          "record": post_record(&format!("changed {n}"))});
        let answer = account.call("com.atproto.repo.putRecord", &body)?;
        self.answered(&rkey, answer["cid"].as_str());
        self.rev(&answer);
        Ok(())
    }

    fn delete(&self, account: &Account, n: u64) -> anyhow::Result<()> {
        let Some(rkey) = self.known(n) else { return Ok(()) };
        self.asked(std::slice::from_ref(&rkey), true);
        let body = json!({"repo": account.did, "collection": POST, "rkey": rkey});
        let answer = account.call("com.atproto.repo.deleteRecord", &body)?;
        self.answered(&rkey, None);
        self.rev(&answer);
        Ok(())
    }

    fn batch(&self, account: &Account, n: u64) -> anyhow::Result<()> {
        let keys: Vec<String> = (0..12).map(|i| format!("b{n}x{i}")).collect();
        self.asked(&keys, false);
        let write = |key: &String| {
            json!({"$type": "com.atproto.repo.applyWrites#create", "collection": POST, "rkey": key,
                   "value": post_record(key)})
        };
        let writes: Vec<_> = keys.iter().map(write).collect();
        let body = json!({"repo": account.did, "writes": writes, "validate": false});
        let answer = account.call("com.atproto.repo.applyWrites", &body)?;
        for (key, result) in keys.iter().zip(answer["results"].as_array().unwrap()) {
            self.answered(key, result["cid"].as_str());
        }
        self.rev(&answer);
        Ok(())
    }

    fn blob(&self, account: &Account, n: u64) -> anyhow::Result<()> {
        let bytes = image(n, 20_000);
        let answer = account.upload("com.atproto.repo.uploadBlob", "image/png", &bytes)?;
        let blob = serde_json::from_slice::<Value>(&answer)?["blob"].clone();
        let mut record = post_record("with an image");
        record["embed"] =
            json!({"$type": "app.bsky.embed.images", "images": [{"alt": "noise", "image": blob}]});
        let rkey = format!("i{n}");
        self.asked(std::slice::from_ref(&rkey), false);
        let body = json!({"repo": account.did, "collection": POST, "rkey": rkey, "validate": false, "record": record});
        let answer = account.call("com.atproto.repo.createRecord", &body)?;
        self.answered(&rkey, answer["cid"].as_str());
        self.rev(&answer);
        // Nobody deletes these records, because only known keys of others are chosen for that.
        let mut ledger = self.ledger.lock().unwrap();
        ledger.keys.remove(&rkey);
        ledger.blobs.insert(blob["ref"]["$link"].as_str().unwrap().to_owned());
        Ok(())
    }

    /// The account's own repo once more: it changes nothing, in many steps.
    fn import(&self, account: &Account) -> anyhow::Result<()> {
        let car = account.repo_car(None)?;
        account.upload("com.atproto.repo.importRepo", "application/vnd.ipld.car", &car).map(drop)
    }
}

/// All frames from the beginning to the commit `end` of an account, by sequence number.
fn replay(url: &str, did: &str, end: &str) -> BTreeMap<u64, Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(NetConfig::development()).unwrap();
        let url =
            format!("{}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", url.replace("http://", "ws://"));
        let mut stream = client.ws(&url, &WsOptions::default()).await.unwrap();
        let mut frames = BTreeMap::new();
        let mut ended = false;
        while !ended {
            let bytes = stream.next().await.unwrap().expect("the stream goes on");
            let frame = decode(&bytes).unwrap();
            ended = matches!(&frame, Frame::Commit(commit) if commit.event.repo.as_str() == did && commit.event.rev.to_string() == end);
            let Some(seq) = frame.seq() else { continue };
            assert!(frames.last_key_value().is_none_or(|(before, _)| *before < seq), "{seq} is not greater");
            frames.insert(seq, bytes.to_vec());
        }
        frames
    })
}

/// Listens until the node is killed; what was heard is kept over all lives.
fn listen(url: &str, heard: &Mutex<BTreeMap<u64, [u8; 32]>>, stop: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(NetConfig::development()).unwrap();
        let url = format!("{}/xrpc/com.atproto.sync.subscribeRepos", url.replace("http://", "ws://"));
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut stream) = client.ws(&url, &WsOptions::default()).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            loop {
                tokio::select! {
                    frame = stream.next() => match frame {
                        Ok(Some(bytes)) => {
                            let seq = decode(&bytes).unwrap().seq().expect("no errors and notes here");
                            let before = heard.lock().unwrap().insert(seq, sha256(&bytes));
                            assert!(before.is_none_or(|before| before == sha256(&bytes)), "{seq} was used twice");
                        }
                        _ => break,
                    },
                    () = tokio::time::sleep(Duration::from_millis(100)) => {
                        if stop.load(Ordering::Relaxed) { return; }
                    }
                }
            }
        }
    });
}

/// The events of one account lead from nothing to its head, without a gap.
fn chain(frames: &BTreeMap<u64, Vec<u8>>, account: &Account, key: &PublicKey) -> (BTreeSet<String>, String) {
    let (mut at, mut revs): (Option<(Tid, p2pds_ipld::Cid)>, _) = (None, BTreeSet::new());
    for bytes in frames.values() {
        match decode(bytes).unwrap() {
            Frame::Commit(commit) if commit.event.repo.as_str() == account.did => {
                let (since, prev) = (commit.event.since, commit.event.prev_data);
                let proved = prove(commit.event).unwrap().signed_by(key).map_err(|(_, error)| error).unwrap();
                let head = proved.commit();
                if let Some((rev, data)) = at {
                    assert_eq!((since, prev), (Some(rev), Some(data)), "{}: an event is missing", head.rev);
                }
                assert!(revs.insert(head.rev.to_string()), "{} twice", head.rev);
                at = Some((head.rev, head.data));
            }
            Frame::Sync(sync) if sync.did.as_str() == account.did => {
                let head = read_sync(&sync.did, sync.rev, sync.blocks).unwrap();
                head.verify(key).unwrap();
                assert!(at.is_none_or(|(rev, _)| rev <= head.rev));
                revs.insert(head.rev.to_string());
                at = Some((head.rev, head.data));
            }
            _ => {}
        }
    }
    (revs, at.expect("events").0.to_string())
}

fn signing_key(network: &Network, did: &str) -> PublicKey {
    let reply =
        p2pds_testkit::http::request("GET", &format!("{}/{did}/data", network.plc), &[], None).unwrap();
    let key = reply.json().unwrap()["verificationMethods"]["atproto"].as_str().unwrap().to_owned();
    PublicKey::from_did_key(&key).unwrap()
}

fn check(writer: &Writer) {
    let account = writer.account.lock().unwrap().clone();
    let truth = account.truth().unwrap();
    let ledger = writer.ledger.lock().unwrap();
    for (key, possible) in ledger.keys.iter().filter(|(key, _)| !ledger.unsure.contains(*key)) {
        let found = truth.records.get(&format!("{POST}/{key}")).cloned();
        assert!(possible.contains(&found), "{} {key}: {found:?} is none of {possible:?}", account.handle);
    }
    for cid in &ledger.blobs {
        assert!(truth.blobs.contains_key(cid), "{}: blob {cid} is lost", account.handle);
    }
}

#[test]
fn killed_anywhere_nothing_acknowledged_is_lost() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let kills = need::count("P2PDS_HOST_KILLS", 50);
    let mut random = Random::from_environment();
    let dir = tempfile::tempdir().unwrap();
    let mut host = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let names: Vec<String> = (0..ACCOUNTS).map(|n| format!("writer{n}-p2pds")).collect();
    let writers: Vec<Arc<Writer>> = names
        .iter()
        .map(|name| {
            let account = Mutex::new(host.sign_up(&network, name).unwrap());
            Arc::new(Writer { account, ledger: Mutex::default(), refused: AtomicU64::default() })
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let heard = Arc::new(Mutex::new(BTreeMap::new()));
    let mut threads: Vec<_> = writers
        .iter()
        .map(|writer| {
            let (writer, stop) = (Arc::clone(writer), Arc::clone(&stop));
            std::thread::spawn(move || writer.write(&stop))
        })
        .collect();
    let (url, ears, over) = (host.url.clone(), Arc::clone(&heard), Arc::clone(&stop));
    threads.push(std::thread::spawn(move || listen(&url, &ears, &over)));
    let started = Instant::now();
    let mut signed_in = Instant::now();
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(200).mul_f64(random.fraction()));
        host.kill().unwrap();
        host.begin().unwrap();
        // Sessions are short-lived.
        if signed_in.elapsed() > Duration::from_secs(600) {
            for (writer, name) in writers.iter().zip(&names) {
                *writer.account.lock().unwrap() = host.sign_in(&format!("{name}.test")).unwrap();
            }
            signed_in = Instant::now();
        }
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let first = writers[0].account.lock().unwrap().clone();
    let last = first.create(POST, &post_record("the end")).unwrap();
    let took = started.elapsed();
    println!("{} kills in {:.1} s; the end is {}", kills, took.as_secs_f64(), last.uri);
    writers.iter().for_each(|writer| check(writer));
    let frames = replay(&host.url, &first.did, &first.latest_commit().unwrap().1);
    assert!(!heard.lock().unwrap().is_empty(), "nothing was heard");
    for (seq, hash) in heard.lock().unwrap().iter() {
        assert_eq!(
            frames.get(seq).map(|bytes| sha256(bytes)),
            Some(*hash),
            "{seq} was heard and is another now"
        );
    }
    for writer in &writers {
        let account = writer.account.lock().unwrap().clone();
        let (revs, head) = chain(&frames, &account, &signing_key(&network, &account.did));
        let (_, rev) = account.latest_commit().unwrap();
        let ledger = writer.ledger.lock().unwrap();
        assert!(head == rev, "{}: the events end at {head}, the repo at {rev}", account.handle);
        let missing: Vec<_> = ledger.revs.difference(&revs).collect();
        assert!(missing.is_empty(), "{}: no event for {missing:?}", account.handle);
        let refused = writer.refused.load(Ordering::Relaxed);
        println!(
            "{}: {} commits acknowledged, {} events, {refused} refused",
            account.handle,
            ledger.revs.len(),
            revs.len()
        );
    }
    let ended = host.stop().unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}
