//! `p2pds backup` and `p2pds restore` of a node with hosted accounts: made while somebody writes, restored elsewhere, and
//! what relays see of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p2pds_replica::{Frame, decode};
use p2pds_testkit::bucket::S3Server;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::oracle::{Account, Network, Options, POST, image, post_record};
use p2pds_testkit::subscriber::Subscriber;

/// An event, as far as these tests look.
struct Told {
    seq: u64,
    kind: &'static str,
    did: String,
    rev: String,
}

/// Events after a number, up to the first commit of `last`.
fn told(host: &Hosted, after: u64, last: &Account) -> Vec<Told> {
    let mut stream = Subscriber::open(&host.url, Some(&after.to_string())).unwrap();
    let mut found = Vec::new();
    loop {
        let bytes = stream.next().unwrap().expect("the stream goes on");
        let (kind, did, rev) = match decode(&bytes).unwrap() {
            Frame::Commit(commit) => ("commit", commit.event.repo.to_string(), commit.event.rev.to_string()),
            Frame::Sync(sync) => ("sync", sync.did.to_string(), sync.rev.to_string()),
            other => panic!("{other:?}"),
        };
        let ends = kind == "commit" && did == last.did;
        found.push(Told { seq: stream.seq, kind, did, rev });
        if ends {
            return found;
        }
    }
}

fn last_seq(host: &Hosted, by: &Account) -> u64 {
    let mut stream = Subscriber::open(&host.url, None).unwrap();
    by.create(POST, &post_record("the last one")).unwrap();
    stream.next().unwrap().expect("the stream goes on");
    stream.seq
}

#[test]
fn a_restored_node_goes_on_and_is_followed() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (data, out, new) = (path("data"), path("out"), path("new"));
    let mut old = Hosted::start(&network, &data, &[]).unwrap();
    let alice = old.sign_up(&network, "alice-backup").unwrap();
    let bob = old.sign_up(&network, "bob-backup").unwrap();
    let picture = alice.post_image(&image(5, 40_000)).unwrap();
    let kept = bob.create(POST, &post_record("before the backup")).unwrap();
    std::fs::write(path("passphrase"), "a phrase for the test\n").unwrap();
    let seal = ["--passphrase-file", path("passphrase").to_str().unwrap()].map(str::to_owned);
    let run = |host: &Hosted, command: &str, at: &Path, more: &[&str]| {
        let mut args = vec![command.to_owned(), at.display().to_string(), "--json".into()];
        args.extend(seal.clone());
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        host.program.run(&args).unwrap()
    };

    // Made while alice writes.
    let stop = Arc::new(AtomicBool::new(false));
    let writing = std::thread::spawn({
        let (stop, alice) = (Arc::clone(&stop), old.sign_in("alice-backup.test").unwrap());
        move || {
            let mut posts = 0;
            while !stop.load(Ordering::Relaxed) {
                alice.create(POST, &post_record(&format!("meanwhile {posts}"))).unwrap();
                posts += 1;
            }
            posts
        }
    });
    let made = run(&old, "backup", &out, &["--with-keys"]).expect(0).unwrap().json().unwrap();
    stop.store(true, Ordering::Relaxed);
    assert!(writing.join().unwrap() > 0);
    assert_eq!(
        (&made["hosted"], &made["keys"], &made["sealed"]),
        (&2.into(), &true.into(), &"passphrase".into())
    );
    assert_eq!((&made["blobs"], &made["newBlobs"]), (&1.into(), &1.into()));
    let again = run(&old, "backup", &out, &["--with-keys"]).expect(0).unwrap().json().unwrap();
    assert_eq!((&again["blobs"], &again["newBlobs"]), (&1.into(), &0.into()));

    // What the old node did afterwards is lost, and was seen.
    let lost = alice.create(POST, &post_record("after the backup")).unwrap();
    let seen = last_seq(&old, &bob);
    let revs: BTreeMap<String, String> =
        [&alice, &bob].map(|who| (who.did.clone(), who.latest_commit().unwrap().1)).into();
    // Not into a directory that is in use.
    let refused = run(&old, "restore", &out, &[]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("is not empty"), "{refused}");
    old.stop().unwrap().expect(0).unwrap();

    let port: u16 = old.url.rsplit(':').next().unwrap().parse().unwrap();
    let mut restored = Hosted::prepare(&network, &new, port, &[]).unwrap();
    run(&restored, "restore", &out, &[]).expect(0).unwrap();
    restored.begin().unwrap();
    assert!(!new.join("restored.json").exists(), "once");
    let now: BTreeMap<String, String> =
        [&alice, &bob].map(|who| (who.did.clone(), who.latest_commit().unwrap().1)).into();
    for (did, rev) in &revs {
        assert!(now[did] > *rev, "{did}: {} is not newer than {rev}", now[did]);
    }
    let alice = restored.sign_in("alice-backup.test").unwrap();
    let get = |who: &Account, rkey: &str| {
        who.query("com.atproto.repo.getRecord", &[("repo", &who.did), ("collection", POST), ("rkey", rkey)])
    };
    assert!(get(&bob, kept.rkey()).is_ok(), "what was backed up is there");
    assert!(get(&alice, lost.rkey()).is_err(), "what came later is not");
    assert_eq!(alice.blob(&picture).unwrap(), image(5, 40_000));
    alice.create(POST, &post_record("after the restore")).unwrap();

    // Who follows with the cursor of the old node hears where to begin, once for each account.
    let frames = told(&restored, seen, &alice);
    assert!(frames.iter().all(|told| told.seq > seen + 900_000), "the numbers jumped");
    let syncs: BTreeMap<String, String> = frames
        .iter()
        .filter(|told| told.kind == "sync")
        .map(|told| (told.did.clone(), told.rev.clone()))
        .collect();
    assert_eq!(syncs, now, "a #sync of the new head of each account");
    let before = frames.last().unwrap().seq;
    // Only the first start does so.
    restored.stop().unwrap().expect(0).unwrap();
    restored.begin().unwrap();
    assert_eq!(bob.latest_commit().unwrap().1, now[&bob.did]);
    let alice = restored.sign_in("alice-backup.test").unwrap();
    alice.create(POST, &post_record("and on")).unwrap();
    let frames = told(&restored, before, &alice);
    assert_eq!(frames.iter().map(|told| (told.kind, told.seq)).collect::<Vec<_>>(), [("commit", before + 1)]);
}

#[test]
fn without_its_keys_a_restored_node_reads_and_gets_new_ones() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut old = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let carol = old.sign_up(&network, "carol-backup").unwrap();
    let kept = carol.create(POST, &post_record("before the backup")).unwrap();
    old.program.ok(&["backup".to_owned(), path("out")]).unwrap();
    old.stop().unwrap().expect(0).unwrap();
    let port: u16 = old.url.rsplit(':').next().unwrap().parse().unwrap();
    let mut restored = Hosted::prepare(&network, &dir.path().join("new"), port, &[]).unwrap();
    restored.program.ok(&["restore".to_owned(), path("out")]).unwrap();

    // What is missing is said, and what to do about it; then the node starts.
    let refused = restored.program.run(&["serve"]).unwrap();
    assert!(refused.code == Some(1) && refused.stderr.contains("node.key"), "{refused}");
    let keys = dir.path().join("new/keys");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::write(keys.join("node.key"), "5e".repeat(32)).unwrap();
    restored.begin().unwrap();
    let query = [("repo", carol.did.as_str()), ("collection", POST), ("rkey", kept.rkey())];
    assert!(carol.query("com.atproto.repo.getRecord", &query).is_ok(), "everything can be read");
    let shown = restored.program.json(&["archive", "show", &carol.did]).unwrap().to_string();
    assert!(shown.contains("rotate-key"), "{shown}");
    let carol = restored.sign_in("carol-backup.test").unwrap();
    assert!(carol.create(POST, &post_record("with no key")).is_err());
    restored.program.ok(&["account", "rotate-key", &carol.did]).unwrap();
    carol.create(POST, &post_record("with a new key")).unwrap();
    let shown = restored.program.json(&["archive", "show", &carol.did]).unwrap().to_string();
    assert!(!shown.contains("rotate-key"), "{shown}");

    // A restore that was cut off is no node's data.
    let half = dir.path().join("half");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("restoring.sqlite"), "cut off").unwrap();
    let refused = restored.program.at(&half).run(&["archive", "list"]).unwrap();
    assert!(refused.code != Some(0) && !half.join("p2pds.sqlite").exists(), "{refused}");
    restored.stop().unwrap();
}

/// Files anywhere under a directory.
fn files(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let count = |path: &Path| if path.is_dir() { files(path) } else { 1 };
    entries.map(|entry| count(&entry.unwrap().path())).sum()
}

/// Uploads a blob of any size and names it in a record: its CID.
fn keep(account: &Account, bytes: &[u8]) -> String {
    let answer = account.upload("com.atproto.repo.uploadBlob", "image/png", bytes).unwrap();
    let blob = serde_json::from_slice::<serde_json::Value>(&answer).unwrap()["blob"].clone();
    let record = serde_json::json!({ "$type": "com.example.file", "file": blob });
    account.create("com.example.file", &record).unwrap();
    blob["ref"]["$link"].as_str().unwrap().to_owned()
}

#[test]
fn blobs_in_a_bucket_go_out_and_come_back_into_a_bucket_or_onto_a_disk() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let Some(mut first) = S3Server::start().unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let host = |at: &str, port: Option<u16>, settings: &[(&'static str, String)]| {
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match port {
            None => Hosted::start(&network, &dir.path().join(at), &settings).unwrap(),
            Some(port) => Hosted::prepare(&network, &dir.path().join(at), port, &settings).unwrap(),
        }
    };
    let mut old = host("data", None, &first.settings());
    let port: u16 = old.url.rsplit(':').next().unwrap().parse().unwrap();
    let dora = old.sign_up(&network, "dora-backup").unwrap();
    // The second one goes up and comes down in several pieces.
    let pictures = [image(1, 40_000), image(2, 9 << 20), image(3, 50_000)];
    let cids = pictures.clone().map(|bytes| keep(&dora, &bytes));
    let object = |server: &S3Server, cid: &str| server.files().join(format!("blocks/{}/{cid}", dora.did));
    let backup =
        |host: &Hosted| host.program.run(&["backup", &path("out"), "--with-keys", "--plain-keys", "--json"]);

    // One that is gone from the bucket is named, and does not keep the others from the backup.
    let (lost, aside) = (object(&first, &cids[2]), dir.path().join("aside"));
    std::fs::rename(&lost, &aside).unwrap();
    let made = backup(&old).unwrap().expect(3).unwrap().json().unwrap();
    assert_eq!((&made["blobs"], &made["newBlobs"]), (&2.into(), &2.into()));
    assert_eq!(made["missing"], serde_json::json!([format!("{} {}", dora.did, cids[2])]));
    std::fs::copy(&aside, &lost).unwrap();
    let made = backup(&old).unwrap().expect(0).unwrap().json().unwrap();
    assert_eq!((&made["blobs"], &made["newBlobs"]), (&3.into(), &1.into()));

    // Without the bucket there is no backup of what is new, and the earlier one is as it was.
    let later: Vec<String> = (10..14).map(|seed| keep(&dora, &image(seed, 20_000))).collect();
    first.stop();
    let refused = backup(&old).unwrap();
    assert_eq!(refused.code, Some(1), "{refused}");
    for words in ["bucket blobs", "the earlier one", "run it again"] {
        assert!(refused.stderr.contains(words), "{refused}");
    }
    old.stop().unwrap();
    let checked = old.program.run(&["restore", &path("out"), "--dry-run", "--json"]).unwrap();
    assert_eq!(checked.expect(0).unwrap().json().unwrap()["blobs"], 3);

    // Not into a bucket that is away; nothing that looks like a node is left.
    let away = host("away", Some(port), &first.settings());
    let refused = away.program.run(&["restore", &path("out")]).unwrap();
    assert!(refused.code == Some(1) && refused.stderr.contains("bucket blobs"), "{refused}");
    assert!(away.program.run(&["serve"]).unwrap().code != Some(0));

    let Some(second) = S3Server::start().unwrap() else { return };
    for (at, settings) in [("bucket", second.settings()), ("disk", Vec::new())] {
        let mut restored = host(at, Some(port), &settings);
        restored.program.ok(&["restore", &path("out")]).unwrap();
        restored.begin().unwrap();
        let dora = restored.sign_in(&dora.did).unwrap();
        for (cid, bytes) in cids.iter().zip(&pictures) {
            assert!(dora.blob(cid).unwrap() == *bytes, "{at}: {cid}");
        }
        let new = keep(&dora, &image(20, 30_000));
        assert_eq!(dora.blob(&new).unwrap(), image(20, 30_000));
        assert!(dora.blob(&later[0]).is_err(), "it came after the backup");
        let here = files(&dir.path().join(at).join("blobs"));
        if at == "bucket" {
            assert!(cids.iter().chain([&new]).all(|cid| object(&second, cid).is_file()));
            assert_eq!(here, 0, "all are in the bucket");
        } else {
            assert!(here >= 4, "{here} files on the disk");
        }
        restored.stop().unwrap().expect(0).unwrap();
    }
}
