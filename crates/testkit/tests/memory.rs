//! What the archive remembers of an account on a reference PDS: each revision that it saw is what the PDS said then, can
//! be proved, and a record of before goes back to where it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::io::Write as _;

use p2pds_agent::{Agent, AgentError, Secret};
use p2pds_testkit::oracle::{Account, Network, Options, POST, Write, bulk_key, image, post_record};
use p2pds_testkit::program::Program;
use serde_json::{Value, json};

type Records = BTreeMap<String, String>;

/// Keys and CIDs that changed from one truth to another, as `diff` says it.
fn changes(old: &Records, new: &Records) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        match (old.get(key), new.get(key)) {
            (Some(_), None) => out.push(("deleted".to_owned(), key.clone())),
            (None, Some(_)) => out.push(("created".to_owned(), key.clone())),
            (Some(a), Some(b)) if a != b => out.push(("edited".to_owned(), key.clone())),
            _ => {}
        }
    }
    out
}

fn write_round(account: &Account, round: usize) {
    account
        .apply(&[
            Write::Create(POST.into(), bulk_key("round", round), post_record(&format!("new in {round}"))),
            Write::Update(POST.into(), bulk_key("bulk", 10), post_record(&format!("changed in {round}"))),
            Write::Delete(POST.into(), bulk_key("bulk", 20 + round)),
        ])
        .unwrap();
}

#[test]
fn every_revision_that_was_seen_is_what_the_pds_said_then() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let account = network.account(0, "mnemosyne", None).unwrap();
    account.bulk("bulk", 150).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let p = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    let did = account.did.as_str();
    p.ok(&["archive", "add", "--own", did]).unwrap();
    let mut truths = vec![account.truth().unwrap()];
    for round in 0..5 {
        write_round(&account, round);
        if round == 2 {
            continue; // A revision that the archive never sees.
        }
        p.ok(&["archive", "sync", did]).unwrap();
        truths.push(account.truth().unwrap());
    }

    let report = p.json(&["history", did, "--prove", "all"]).unwrap();
    let revisions = report["revisions"].as_array().unwrap();
    let revs: Vec<&str> = revisions.iter().map(|r| r["rev"].as_str().unwrap()).collect();
    let wanted: Vec<&str> = truths.iter().rev().map(|truth| truth.rev.as_str()).collect();
    assert_eq!(revs, wanted, "{report}");
    assert_eq!((&report["proved"], &report["failed"]), (&json!(truths.len()), &json!(0)), "{report}");
    assert_eq!(report["keep"], "all", "added as one's own");
    for (revision, truth) in revisions.iter().zip(truths.iter().rev()) {
        assert_eq!(revision["commit"], truth.commit.as_str());
        let root = revision["root"].as_str().unwrap();
        assert!(truth.blocks.contains_key(root), "{root} is the root of then");
        assert_eq!(revision["proof"]["records"], truth.records.len(), "{revision}");
    }
    assert!(revisions[1]["gap"].as_str().unwrap().contains("may not have been seen"), "{report}");
    let one = p.json(&["history", did, "--prove", wanted[2]]).unwrap();
    assert_eq!((&one["proved"], one["revisions"].as_array().unwrap().len()), (&json!(1), 1), "{one}");
    let text = String::from_utf8(p.ok(&["history", did, "--limit", "2"]).unwrap().stdout).unwrap();
    assert!(text.contains("gap:") && text.contains("--before"), "{text}");

    // Differences from each state to each other are those between what the PDS said.
    for from in 0..truths.len() {
        for to in from..truths.len() {
            let (a, b) = (&truths[from], &truths[to]);
            let diff = p.json(&["diff", did, "--from", &a.rev, "--to", &b.rev]).unwrap();
            let got: Vec<(String, String)> = diff["differences"]
                .as_array()
                .unwrap()
                .iter()
                .map(|d| (d["change"].as_str().unwrap().to_owned(), d["path"].as_str().unwrap().to_owned()))
                .collect();
            assert_eq!(got, changes(&a.records, &b.records), "{} to {}", a.rev, b.rev);
        }
    }
    // One record through time.
    let key = bulk_key("bulk", 10);
    let uri = format!("at://{}/{POST}/{key}", account.handle);
    for truth in &truths {
        let shown = p.json(&["show", &uri, "--at", &truth.rev]).unwrap();
        assert_eq!(shown["cid"], truth.records[&format!("{POST}/{key}")], "{shown}");
        assert_eq!(shown["as_of"]["rev"], truth.rev);
    }
    let never = p.run(&["show", &uri, "--at", "2020-01-01"]).unwrap();
    assert_eq!(never.code, Some(1), "{never}");
    assert!(never.stderr.contains("the oldest that is kept is"), "{never}");
}

#[test]
fn a_deleted_post_goes_back_with_its_picture() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let account = network.account(0, "lethe", None).unwrap();
    let bytes = image(7, 40_000);
    let blob = account.post_image(&bytes).unwrap();
    account.post_image(&image(8, 9_000)).unwrap();
    let before = account.truth().unwrap();
    let path = before.records.keys().find(|path| {
        let block = &before.blocks[&before.records[*path]];
        // The record that names the picture holds its digest.
        let (_, digest) = multibase(&blob);
        block.windows(digest.len()).any(|window| window == digest)
    });
    let path = path.unwrap().clone();
    let cid = before.records[&path].clone();
    let rkey = path.rsplit('/').next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let p = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    let did = account.did.as_str();
    p.ok(&["archive", "add", did]).unwrap();
    account.delete(POST, rkey).unwrap();
    p.ok(&["archive", "sync", did]).unwrap();
    assert!(account.blob(&blob).is_err(), "the PDS forgot the picture with its post");

    // Looking changes nothing, and says everything.
    let uri = format!("at://{}/{path}", account.handle);
    let old = p.json(&["restore-record", &uri]).unwrap();
    assert_eq!(
        (&old["cid"], &old["now"], &old["written"]),
        (&json!(cid), &Value::Null, &Value::Null),
        "{old}"
    );
    assert_eq!((&old["blobs"][0]["cid"], &old["blobs"][0]["held"]), (&json!(blob), &json!(true)), "{old}");
    let words = String::from_utf8(p.ok(&["restore-record", &uri]).unwrap().stdout).unwrap();
    assert!(words.contains("Nothing was written.") && words.contains("with an image"), "{words}");
    // To files: the block itself, and JSON; never over another file.
    let (block, text) = (dir.path().join("post.cbor"), dir.path().join("post.json"));
    for out in [&block, &text] {
        p.ok(&["restore-record", &uri, "--out", out.to_str().unwrap()]).unwrap();
    }
    assert_eq!(std::fs::read(&block).unwrap(), before.blocks[&cid]);
    let json: Value = serde_json::from_slice(&std::fs::read(&text).unwrap()).unwrap();
    assert_eq!(json["text"], "with an image");
    assert_ne!(p.run(&["restore-record", &uri, "--out", block.to_str().unwrap()]).unwrap().code, Some(0));

    // A wrong password changes nothing and is not shown.
    let file = dir.path().join("password");
    std::fs::write(&file, "wrong-wrong-wrong\n").unwrap();
    let args = ["restore-record", &uri, "--password-file", file.to_str().unwrap()];
    let refused = p.run(&args).unwrap();
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("does not accept this password"), "{refused}");
    assert!(!refused.to_string().contains("wrong-wrong-wrong"), "{refused}");
    assert!(!account.truth().unwrap().records.contains_key(&path));

    let made = account.call("com.atproto.server.createAppPassword", &json!({"name": "restore"})).unwrap();
    let password = made["password"].as_str().unwrap();
    writeln!(std::fs::File::create(&file).unwrap(), "{password}").unwrap();
    let put = p.json(&args).unwrap();
    assert_eq!((&put["written"]["cid"], &put["written"]["uploaded"]), (&json!(cid), &json!([blob])), "{put}");
    assert!(!put.to_string().contains(password));
    let after = account.truth().unwrap();
    assert_eq!(after.records[&path], cid, "the same record, to the byte");
    assert_eq!(after.blobs[&blob], bytes, "with its picture");
    // Again: nothing to do. Then an edit is undone, over what stands there.
    let again = p.json(&args).unwrap();
    assert_eq!(again["written"]["uploaded"], json!([]), "{again}");
    assert_eq!(account.latest_commit().unwrap().1, after.rev, "nothing was written");
    account.put(POST, rkey, &post_record("regretted")).unwrap();
    p.ok(&["archive", "sync", did]).unwrap();
    let undo = p
        .json(&["restore-record", &uri, "--at", &before.rev, "--password-file", file.to_str().unwrap()])
        .unwrap();
    assert_eq!(undo["written"]["cid"], json!(cid), "{undo}");
    assert!(undo["written"]["replaced"].is_string(), "{undo}");
    let end = account.truth().unwrap();
    assert_eq!(end.records, before.records, "all as it was");
    assert_eq!(end.blobs, before.blobs);
    p.ok(&["archive", "sync", did]).unwrap();
    let report = p.json(&["history", did, "--prove", "all"]).unwrap();
    assert_eq!(report["failed"], 0, "{report}");
}

#[test]
fn a_session_at_the_reference_pds_is_renewed() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let account = network.account(0, "hermes", None).unwrap();
    let post = account.create(POST, &post_record("as it is")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let net = p2pds_net::Client::new(p2pds_net::NetConfig::development()).unwrap();
        let did = p2pds_syntax::Did::parse(&account.did).unwrap();
        let password = Secret::new("hunter22");
        let mut agent = Agent::login(net, &account.pds, &did, &password).await.unwrap();
        agent.renew().await.unwrap();
        let path = p2pds_syntax::RecordPath::parse(&format!("{POST}/{}", post.rkey())).unwrap();
        let standing = agent.get_record(&path).await.unwrap().unwrap();
        assert_eq!(standing.cid.to_string(), post.cid);
        let put = agent.put_record(&path, &post_record("as it was"), Some(&standing.cid)).await.unwrap();
        // What stood there a moment ago does not any more.
        let late = agent.put_record(&path, &post_record("too late"), Some(&standing.cid)).await.unwrap_err();
        assert!(matches!(late, AgentError::Moved { .. }), "{late}");
        let now = agent.get_record(&path).await.unwrap().unwrap();
        assert_eq!(now.cid, put.cid);
        let absent = p2pds_syntax::RecordPath::parse(&format!("{POST}/3jzfcijpj2z2a")).unwrap();
        assert_eq!(agent.get_record(&absent).await.unwrap(), None);
    });
}

/// Waits until the archive has the PDS's head.
fn at_head(p: &Program, account: &Account) {
    let (_, rev) = account.latest_commit().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let shown = p.json(&["archive", "show", &account.did]).unwrap();
        if shown["head"]["rev"] == rev.as_str() {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{rev} did not come: {shown:#}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn followed_live_every_single_revision_is_seen_and_proved() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let account = network.account(0, "argus", None).unwrap();
    account.bulk("bulk", 100).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let p = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    let node = p.serve().unwrap();
    let did = account.did.as_str();
    p.ok(&["archive", "add", did]).unwrap();
    at_head(&p, &account);
    // The stream is followed once an event has come through it.
    account.create(POST, &post_record("the first to come live")).unwrap();
    at_head(&p, &account);
    let before = p.json(&["history", did]).unwrap()["revisions"].as_array().unwrap().len();
    let mut truths = vec![account.truth().unwrap()];
    for round in 0..40 {
        write_round(&account, round);
        truths.push(account.truth().unwrap());
    }
    at_head(&p, &account);
    let report = p.json(&["history", did, "--prove", "all"]).unwrap();
    let revisions = report["revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), before + 40, "each commit of the PDS is one revision here");
    assert_eq!(report["failed"], 0, "{report}");
    for (revision, truth) in revisions.iter().zip(truths.iter().rev()).take(40) {
        assert_eq!((&revision["rev"], &revision["commit"]), (&json!(truth.rev), &json!(truth.commit)));
        assert_eq!((&revision["follows"], &revision["gap"]), (&json!(true), &Value::Null), "{revision}");
        assert_eq!(revision["counts"], json!({"created": 1, "updated": 1, "deleted": 1}), "{revision}");
        assert_eq!(revision["proof"]["records"], truth.records.len());
    }
    let ended = node.terminate(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
}

/// Codec and digest of a CID as text.
fn multibase(cid: &str) -> (u8, Vec<u8>) {
    let bytes = data_encoding::BASE32_NOPAD.decode(cid[1..].to_uppercase().as_bytes()).unwrap();
    (bytes[1], bytes[4..].to_vec())
}
