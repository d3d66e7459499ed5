//! With the PDS stopped, those who read accounts with the reference's own tools read them from the archive as they did
//! from the PDS: `@atproto/api`, the reference's CAR verification, `goat`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use p2pds_testkit::goat::Goat;
use p2pds_testkit::http;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Truth, car_blocks, image, node, post_record};
use p2pds_testkit::program::{Program, Served};
use serde_json::{Value, json};

/// Runs the reading script against a server.
fn read(dir: &Path, service: &str, account: &Account, key: &str) -> Value {
    let oracle = need::oracle().unwrap();
    let modules = dir.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(oracle.join("node_modules"), &modules).unwrap();
    }
    let script = dir.join("read.mjs");
    std::fs::write(&script, include_str!("readers/read.mjs")).unwrap();
    let output =
        Command::new(node(&oracle)).arg(&script).args([service, &account.did, key]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{service}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn signing_key(network: &Network, did: &str) -> String {
    let log: Vec<Value> = serde_json::from_slice(&network.audit_log(did).unwrap()).unwrap();
    log.last().unwrap()["operation"]["verificationMethods"]["atproto"].as_str().unwrap().to_owned()
}

fn busy(network: &Network) -> Account {
    let account = network.account(0, "reader-p2pds", None).unwrap();
    account.bulk("read", 700).unwrap();
    for seed in 0..5 {
        account.post_image(&image(seed, 40_000)).unwrap();
    }
    let post = account.create(POST, &post_record("first words")).unwrap();
    account.put(POST, post.rkey(), &post_record("better words")).unwrap();
    let gone = account.create(POST, &post_record("gone")).unwrap();
    account.delete(POST, gone.rkey()).unwrap();
    let like = json!({"$type": "app.bsky.feed.like", "createdAt": "2026-11-21T00:00:00.000Z",
        "subject": {"uri": post.uri, "cid": post.cid}});
    account.create("app.bsky.feed.like", &like).unwrap();
    account
}

#[test]
fn the_reference_tools_read_from_the_archive_as_from_the_pds() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let account = busy(&network);
    let dir = tempfile::tempdir().unwrap();
    let key = signing_key(&network, &account.did);
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    program.ok(&["archive", "add", &account.handle]).unwrap();
    let mut before = read(dir.path(), &account.pds, &account, &key);
    let truth = account.truth().unwrap();
    network.destroy_pds(0).unwrap();

    let node = program.serve_at("127.0.0.1").unwrap();
    let repo = format!("/xrpc/com.atproto.sync.getRepo?did={}", account.did);
    let refused = node.get(&repo).unwrap();
    assert_eq!(refused.json().unwrap()["error"], "RepoNotFound", "nobody was chosen yet");
    let without = program.run(&["archive", "serve", &account.did, "public"]).unwrap();
    assert_eq!(without.code, Some(1), "{without}");
    assert!(without.stderr.contains("--basis"), "{without}");
    program.ok(&["archive", "serve", &account.handle, "public", "--basis", "it is a test account"]).unwrap();
    let shown = program.json(&["archive", "show", &account.did]).unwrap();
    assert_eq!(shown["serving"]["serve"], "public");
    assert_eq!(shown["serving"]["basis"], "it is a test account");
    // What is found by CID alone comes with the next look at the accounts.
    node.get_until(&format!("/.well-known/rasl/{}", truth.commit), 200).unwrap();

    let mut after = read(dir.path(), &node.url, &account, &key);
    // The directory of the reference writes keys in an older form; all else in the document is the same.
    let (theirs, ours) = (before["about"]["didDoc"].take(), after["about"]["didDoc"].take());
    for part in ["id", "alsoKnownAs", "service"] {
        assert_eq!(ours[part], theirs[part], "{part}");
    }
    assert_eq!(ours["verificationMethod"][0]["publicKeyMultibase"], key.trim_start_matches("did:key:"));
    // The archive answers as the PDS did.
    for part in ["about", "head", "status", "blobs", "blocks", "nobody"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    assert!(after["records"] == before["records"], "the records differ");
    assert_eq!(after["records"].as_object().unwrap().len(), truth.records.len());
    let car = node.get(&repo).unwrap();
    let mirror = format!("{}; rev={}", account.pds.trim_start_matches("http://"), truth.rev);
    assert_eq!(car.header("x-p2pds-mirror"), Some(mirror.as_str()));
    assert_eq!(car_blocks(&car.body).unwrap(), (truth.commit.clone(), truth.blocks.clone()));
    goat(&network, &node, &account, &truth);

    program.ok(&["archive", "serve", &account.did, "nobody"]).unwrap();
    assert_eq!(node.get(&repo).unwrap().json().unwrap()["error"], "RepoNotFound", "at once");
    assert_eq!(node.get(&format!("/.well-known/rasl/{}", truth.commit)).unwrap().status, 404);
    node.end().unwrap();
}

/// A directory that names the archive as the account's host, for a tool that looks for the host itself.
fn directory(network: &Network, account: &Account, host: &str) -> String {
    let document = http::request("GET", &format!("{}/{}", network.plc, account.did), &[], None).unwrap();
    let mut document = document.json().unwrap();
    document["service"][0]["serviceEndpoint"] = json!(host);
    let (body, listener) = (document.to_string(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/did+ld+json\r\nContent-Length: {}\r\nConnection: close",
                body.len()
            );
            let _ = write!(&stream, "{head}\r\n\r\n{body}");
        }
    });
    url
}

/// Reads the account with `goat`, to which the directory names the archive as the account's host.
fn goat(network: &Network, node: &Served, account: &Account, truth: &Truth) {
    let Some(goat) = Goat::new(network, &directory(network, account, &node.url)).unwrap() else { return };
    let run = |args: &[&str]| goat.ok(args).unwrap();
    run(&["repo", "export", "-o", "repo.car", &account.did]);
    let car = std::fs::read(goat.dir().join("repo.car")).unwrap();
    assert_eq!(car_blocks(&car).unwrap(), (truth.commit.clone(), truth.blocks.clone()));
    let listed = run(&["repo", "ls", "repo.car"]);
    assert_eq!(listed.lines().count(), truth.records.len(), "{listed}");
    let inspected = run(&["repo", "inspect", "repo.car"]);
    assert!(inspected.contains(&account.did) && inspected.contains(&truth.rev), "{inspected}");
    let path = truth.records.keys().next().unwrap();
    let record: Value =
        serde_json::from_str(&run(&["record", "get", &format!("at://{}/{path}", account.did)])).unwrap();
    assert_eq!(record["$type"], path.split('/').next().unwrap());
    let cids = run(&["blob", "ls", &account.did]);
    assert_eq!(
        cids.lines().filter(|line| truth.blobs.contains_key(line.trim())).count(),
        truth.blobs.len(),
        "{cids}"
    );
    run(&["blob", "export", "-o", "blobs", &account.did]);
    for (cid, bytes) in &truth.blobs {
        let found = std::fs::read_dir(goat.dir().join("blobs")).unwrap().map(|entry| entry.unwrap().path());
        let file = found.into_iter().find(|path| path.to_string_lossy().contains(cid)).unwrap();
        assert_eq!(&std::fs::read(file).unwrap(), bytes);
    }
}
