//! `p2pds promote` beside the real reference PDS and PLC directory: the account's host is gone, its owner has a rotation
//! key, and goes on here.
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
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use data_encoding::HEXLOWER;
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_ipld::cbor::{Limits, Reader, Value as Cbor, decode};
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::oracle::{Account, Network, Options, POST, image, node, post_record};
use p2pds_testkit::ports::free_port;
use p2pds_testkit::program::{Outcome, Program};
use p2pds_testkit::website::Website;
use p2pds_testkit::{http, need};
use serde_json::{Value, json};

/// The rotation key of the account's owner, on either curve.
fn owners_key(curve: Curve) -> (PrivateKey, String) {
    let key = PrivateKey::from_entropy(curve, [0x5a; 32]);
    let hex = HEXLOWER.encode(&*key.to_secret_bytes());
    (key, hex)
}

/// A network whose first PDS has an account with posts and pictures, and a node that has archived it.
struct Scene {
    network: Network,
    account: Account,
    dir: tempfile::TempDir,
    hex: String,
    key_file: PathBuf,
    node: Hosted,
}

fn scene(name: &str, curve: Curve) -> Option<Scene> {
    let network = Network::start(&Options { pdses: 2, ..Options::default() }).unwrap()?;
    let (key, hex) = owners_key(curve);
    let account = network.account(0, name, Some(&key.public_key().to_did_key())).unwrap();
    account.bulk("old", 120).unwrap();
    for seed in 0..3 {
        account.post_image(&image(seed, 30_000)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("owner.key");
    std::fs::write(&key_file, format!("{hex}\n")).unwrap();
    let port = free_port().unwrap();
    let node = Hosted::prepare(&network, &dir.path().join("data"), port, &[]).unwrap();
    node.program.ok(&["archive", "add", &account.handle]).unwrap();
    Some(Scene { network, account, dir, hex, key_file, node })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn log(network: &Network, did: &str) -> Vec<Value> {
    serde_json::from_slice(&network.audit_log(did).unwrap()).unwrap()
}

/// What the stream says about an account: the kinds, in order.
fn said(url: &str, did: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = p2pds_net::Client::new(p2pds_net::NetConfig::development()).unwrap();
        let socket = format!("{}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", url.replace("http", "ws"));
        let mut stream = client.ws(&socket, &p2pds_net::WsOptions::default()).await.unwrap();
        let mut kinds = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(120), stream.next()).await;
            let frame = next.expect("a frame").unwrap().expect("the stream goes on");
            let mut reader = Reader::new(&frame);
            let limits = Limits { max_len: 8 << 20, ..Limits::STRICT };
            let start = frame.len() - reader.rest().len();
            reader.skip(&limits).unwrap();
            let end = frame.len() - reader.rest().len();
            let head = decode(&frame[start..end], &limits).unwrap();
            let body = decode(reader.rest(), &limits).unwrap();
            let whose = body.get("did").or_else(|| body.get("repo")).and_then(Cbor::as_text);
            if whose == Some(did) {
                kinds.push(head.get("t").and_then(Cbor::as_text).unwrap().to_owned());
            }
            if kinds.last().is_some_and(|kind| kind == "#sync") {
                return kinds;
            }
        }
    })
}

/// Every file under a directory that holds these bytes.
fn files_with(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && bytes.windows(needle.len()).any(|window| window == needle)
            {
                found.push(path);
            }
        }
    }
    found
}

/// The owner with the ordinary client.
fn owner(dir: &Path, service: &str, handle: &str, password: &str) -> Value {
    let oracle = need::oracle().unwrap();
    let modules = dir.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(oracle.join("node_modules"), &modules).unwrap();
    }
    let script = dir.join("owner.mjs");
    std::fs::write(&script, include_str!("promote/owner.mjs")).unwrap();
    let output = Command::new(node(&oracle)).arg(&script).args([service, handle, password]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_account_whose_host_is_gone_goes_on_here() {
    let Some(mut scene) = scene("alice-p2pds", Curve::K256) else { return };
    let (did, handle) = (scene.account.did.clone(), scene.account.handle.clone());
    scene.node.begin().unwrap();
    let mut outputs: Vec<Outcome> = Vec::new();
    let mut run = |args: &[&str], code: i32| -> String {
        let outcome = scene.node.program.run(args).unwrap().expect(code).unwrap();
        let words = format!("{}{}", String::from_utf8_lossy(&outcome.stdout), outcome.stderr);
        outputs.push(outcome);
        words
    };
    let key = text(&scene.key_file).to_owned();
    let dry = ["promote", &handle, "--dry-run", "--rotation-key-file", &key];
    let go = ["promote", &handle, "--rotation-key-file", &key, "--yes", "--confirm", &handle];

    // While its host answers.
    let words = run(&dry, 3);
    assert!(words.contains("STILL ANSWERS") && words.contains("--force"), "{words}");
    assert!(run(&go, 1).contains("nothing was changed"));
    let truth = scene.account.truth().unwrap();
    let before = log(&scene.network, &did);
    scene.network.pdses[0].stop(true).unwrap();

    // The plan, and everything that is not enough.
    let words = run(&dry, 0);
    for part in [
        "the key you gave: it signs this",
        "host changed from",
        "signing key changed from",
        "rotation key added at place 3",
        "does not answer",
        "All is ready",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    let wrong = scene.dir.path().join("wrong.key");
    std::fs::write(&wrong, "11".repeat(32)).unwrap();
    assert!(
        run(&["promote", &handle, "--dry-run", "--rotation-key-file", text(&wrong)], 3)
            .contains("none of the identity's")
    );
    assert!(run(&["promote", &handle, "--rotation-key-file", &key], 2).contains("--confirm"));
    assert!(run(&["promote", &handle, "--rotation-key-file", &key, "--yes"], 2).contains("--confirm"));
    assert!(run(&["promote", &handle, "--yes", "--confirm", &handle], 1).contains("rotation key"));
    let other = ["promote", &handle, "--rotation-key-file", &key, "--yes", "--confirm", "bob.test"];
    assert!(run(&other, 1).contains("typed exactly"));
    assert_eq!(log(&scene.network, &did), before, "nothing was changed");

    assert!(run(&go, 0).contains("is hosted here now"));
    assert!(run(&go, 0).contains("hosted here already"));

    // The identity: only what had to change.
    let after = log(&scene.network, &did);
    assert_eq!(after.len(), before.len() + 1);
    let (was, now) = (&before.last().unwrap()["operation"], &after.last().unwrap()["operation"]);
    assert_eq!(now["services"]["atproto_pds"]["endpoint"], scene.node.url.as_str());
    assert_eq!(now["alsoKnownAs"], was["alsoKnownAs"]);
    assert_ne!(now["verificationMethods"]["atproto"], was["verificationMethods"]["atproto"]);
    let keys = |operation: &Value| -> Vec<Value> { operation["rotationKeys"].as_array().unwrap().clone() };
    assert_eq!(keys(now)[..2], keys(was)[..], "all keys stay, in their order");
    assert_eq!(keys(now).len(), 3, "and this node's comes last");
    assert_eq!(said(&scene.node.url, &did), ["#identity", "#account", "#commit", "#sync"]);

    // The records are the same; the commit is newer and by the new key.
    let url = format!("{}/xrpc/com.atproto.sync.getRepo?did={did}", scene.node.url);
    let car = http::request("GET", &url, &[], None).unwrap();
    let (root, blocks) = p2pds_testkit::oracle::car_blocks(&car.body).unwrap();
    assert_ne!(root, truth.commit);
    let same: BTreeMap<_, _> = blocks.iter().filter(|(cid, _)| **cid != root).collect();
    let old: BTreeMap<_, _> = truth.blocks.iter().filter(|(cid, _)| **cid != truth.commit).collect();
    assert!(same == old, "records and tree are the same, block by block");

    // Its owner, with the ordinary client.
    let password = "correct horse battery";
    let file = scene.dir.path().join("password");
    std::fs::write(&file, password).unwrap();
    run(&["account", "reset-password", &handle, "--password-file", text(&file)], 0);
    let seen = owner(scene.dir.path(), &scene.node.url, &handle, password);
    assert_eq!((seen["did"].as_str(), seen["active"].as_bool()), (Some(did.as_str()), Some(true)));
    assert_eq!(seen["pds"], scene.node.url.as_str(), "the client was led here by the identity");
    assert!(seen["rev"].as_str().unwrap() > truth.rev.as_str());

    // A stranger archives it from here, and verifies it against the identity.
    let stranger = Program::new(&scene.dir.path().join("stranger")).unwrap();
    let stranger = stranger.with_env(scene.network.environment());
    let added = stranger.json(&["archive", "add", &did]).unwrap();
    assert_eq!(added["rev"], seen["rev"], "{added}");
    stranger.ok(&["verify", &did]).unwrap();

    old_host_comes_back(&scene, &stranger, &seen);
    scene.node.stop().unwrap();

    // The key went nowhere.
    for outcome in &outputs {
        assert!(!outcome.to_string().contains(&scene.hex), "the key was printed");
    }
    let (key, _) = owners_key(Curve::K256);
    for needle in [scene.hex.as_bytes(), &*key.to_secret_bytes()] {
        assert_eq!(files_with(&scene.dir.path().join("data"), needle), Vec::<PathBuf>::new());
    }
}

/// The old host is up again and believes that the account is its own. Everybody asks the identity, which names this node.
fn old_host_comes_back(scene: &Scene, stranger: &Program, seen: &Value) {
    let did = scene.account.did.as_str();
    scene.network.pdses[0].restart().unwrap();
    scene.account.create(POST, &post_record("said by the old host")).unwrap();
    let (old, _) = scene.account.latest_commit().unwrap();
    stranger.ok(&["archive", "sync", did]).unwrap();
    let shown = stranger.json(&["archive", "show", did]).unwrap();
    assert!(shown.to_string().contains(seen["rev"].as_str().unwrap()), "{shown}");
    assert!(!shown.to_string().contains(&old), "what the old host says does not count: {shown}");
    let url = format!("{}/xrpc/com.atproto.identity.resolveIdentity?identifier={did}", scene.node.url);
    let resolved = http::request("GET", &url, &[], None).unwrap().json().unwrap();
    assert_eq!(resolved["didDoc"]["service"][0]["serviceEndpoint"], scene.node.url.as_str());
    let here = format!("{}/xrpc/com.atproto.sync.getLatestCommit?did={did}", scene.node.url);
    let here = http::request("GET", &here, &[], None).unwrap().json().unwrap();
    assert_eq!(here["rev"], seen["rev"], "this node does not fetch its own account from elsewhere");
    // The other reference PDS looks where the identity points.
    let other = &scene.network.pdses[1].url;
    let asked = format!("{other}/xrpc/com.atproto.identity.resolveHandle?handle={}", scene.account.handle);
    let answer = http::request("GET", &asked, &[], None).unwrap();
    assert!(answer.status != 200 || answer.json().unwrap()["did"] == did, "{}", answer.status);
}

/// A did:web has no rotation keys: its owner publishes the document that he is told, and the promotion waits for that.
#[test]
fn a_did_web_goes_on_here_once_its_document_says_so() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut old = Hosted::start(&network, &dir.path().join("old"), &[]).unwrap();
    let key = PrivateKey::from_entropy(Curve::K256, [3; 32]);
    let site = Website::start("webby.test", &key.public_key().to_did_key(), &old.url).unwrap();
    let (did, handle) = (site.did.as_str(), "webby.test");
    network.names.set_txt(&format!("_atproto.{handle}"), &[&format!("did={did}")]);
    let account = site.moves_to(&old, &key).unwrap();
    account.bulk("web", 60).unwrap();
    for seed in 0..2 {
        account.post_image(&image(seed, 30_000)).unwrap();
    }
    let mut node = Hosted::prepare(&network, &dir.path().join("data"), free_port().unwrap(), &[]).unwrap();
    node.program.ok(&["archive", "add", did]).unwrap();
    let truth = account.truth().unwrap();
    old.kill().unwrap();
    node.begin().unwrap();

    let plan = node.program.ok(&["promote", handle, "--dry-run"]).unwrap().to_string();
    assert!(plan.contains("did.json") && plan.contains(&node.url), "{plan}");
    let go = ["promote", handle, "--yes", "--confirm", handle, "--json"];
    // It waits, however often it is begun, and whatever happens to the node meanwhile.
    let mut told = None;
    for _ in 0..2 {
        let waits = node.program.run(&go).unwrap();
        let said = waits.json().unwrap()["waiting_for"].as_str().map(str::to_owned);
        let said = said.unwrap_or_else(|| panic!("{waits}"));
        let document: Value = serde_json::from_str(&said[said.find('{').unwrap()..]).unwrap();
        assert!(told.replace(document.clone()).is_none_or(|before| before == document), "{said}");
        assert!(said.contains(".well-known/did.json"), "{said}");
        node.kill().unwrap();
        node.begin().unwrap();
    }
    let document = told.unwrap();
    // A document that names the node and still the old key is not enough.
    let mut half = document.clone();
    half["verificationMethod"][0]["publicKeyMultibase"] =
        json!(key.public_key().to_did_key().trim_start_matches("did:key:"));
    site.publish(half);
    assert!(node.program.run(&go).unwrap().json().unwrap()["waiting_for"].is_string());
    site.publish(document);
    let done = node.program.ok(&go).unwrap().json().unwrap();
    assert!(done["waiting_for"].is_null() && done["already"] == false, "{done}");
    assert_eq!(node.program.ok(&go).unwrap().json().unwrap()["already"], true);

    let url = format!("{}/xrpc/com.atproto.sync.getRepo?did={}", node.url, http::escape(did));
    let car = http::request("GET", &url, &[], None).unwrap();
    let (root, blocks) = p2pds_testkit::oracle::car_blocks(&car.body).unwrap();
    let same: BTreeMap<_, _> = blocks.iter().filter(|(cid, _)| **cid != root).collect();
    let before: BTreeMap<_, _> = truth.blocks.iter().filter(|(cid, _)| **cid != truth.commit).collect();
    assert!(root != truth.commit && same == before, "records and tree are the same, block by block");
    let (password, file) = ("correct horse battery", dir.path().join("password"));
    std::fs::write(&file, password).unwrap();
    node.program.ok(&["account", "reset-password", handle, "--password-file", text(&file)]).unwrap();
    let seen = owner(dir.path(), &node.url, handle, password);
    assert_eq!((seen["did"].as_str(), seen["active"].as_bool()), (Some(did), Some(true)));
    let stranger = Program::new(&dir.path().join("stranger")).unwrap().with_env(network.environment());
    let added = stranger.json(&["archive", "add", did]).unwrap();
    assert_eq!(added["rev"], seen["rev"], "{added}");
    stranger.ok(&["verify", did]).unwrap();
    node.stop().unwrap();
}

#[test]
fn killed_at_any_moment_it_ends_in_the_same_state() {
    let Some(mut scene) = scene("killed-p2pds", Curve::P256) else { return };
    let (did, handle) = (scene.account.did.clone(), scene.account.handle.clone());
    let before = log(&scene.network, &did).len();
    scene.network.destroy_pds(0).unwrap();
    let (mut wait, mut kills) = (40, 0);
    let ended = loop {
        // The key comes by standard input, as JWK, and is not there any more once the operation is signed.
        let args =
            ["promote", &handle, "--rotation-key-file", text(&scene.key_file), "--yes", "--confirm", &handle];
        let mut running = scene.node.program.spawn(&args).unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        if !running.alive().unwrap() {
            break running.wait(Duration::from_secs(60)).unwrap().expect(0).unwrap();
        }
        running.kill().unwrap();
        // Each time a little later; more kills, smaller steps.
        let step = 5 + wait * 240 / (100 * need::count("P2PDS_PROMOTE_KILLS", 8));
        (wait, kills) = (wait + step, kills + 1);
    };
    println!("killed {kills} times");
    assert!(kills >= 3, "killed {kills} times: {ended}");
    assert_eq!(log(&scene.network, &did).len(), before + 1, "one operation, however often it was tried");
    scene.node.begin().unwrap();
    assert_eq!(said(&scene.node.url, &did), ["#identity", "#account", "#commit", "#sync"], "said once");
    let url = format!("{}/xrpc/com.atproto.sync.getRepoStatus?did={did}", scene.node.url);
    assert_eq!(http::request("GET", &url, &[], None).unwrap().json().unwrap()["active"], true);
    scene.node.stop().unwrap();
}

#[test]
fn a_drill_promotes_and_opens_no_connection() {
    let Some(scene) = scene("drill-p2pds", Curve::K256) else { return };
    let (program, did) = (&scene.node.program, scene.account.did.as_str());
    let calls = scene.dir.path().join("calls");
    let watched = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,bind", "-o", text(&calls)];
    let alone = ["unshare", "--net", "--"];
    for prefix in [&watched[..], &alone[..]] {
        if !need::have(prefix[0], "--version") || (prefix[0] == "unshare" && !need::root()) {
            need::skip(&format!("{} cannot be used here", prefix[0]), false);
            continue;
        }
        let report = program.under(prefix).json(&["drill", did]).unwrap();
        for step in ["export", "restore", "promote", "identity", "re-export", "re-blobs", "owner"] {
            let found = report["steps"].as_array().unwrap().iter().find(|found| found["name"] == step);
            assert_eq!(found.unwrap_or_else(|| panic!("{step} in {report}"))["ok"], true, "{report}");
        }
        assert!(report["not_proved"].to_string().contains("rotation keys"));
    }
    if let Ok(calls) = std::fs::read_to_string(&calls) {
        let outside: Vec<&str> = calls.lines().filter(|line| line.contains("AF_INET")).collect();
        assert_eq!(outside, Vec::<&str>::new(), "a drill opened sockets");
    }
    assert_eq!(log(&scene.network, did).len(), 1, "the real directory heard nothing");
}

#[test]
fn a_promotion_can_be_given_up_until_the_directory_knows() {
    let Some(scene) = scene("cancel-p2pds", Curve::K256) else { return };
    let handle = scene.account.handle.clone();
    scene.network.pdses[0].stop(true).unwrap();
    // A directory that answers and takes nothing: every operation is refused.
    let plc = deaf_directory(&scene.network.plc);
    let program = scene.node.program.clone().with_env([("P2PDS_PLC_URL".to_owned(), plc)]);
    let key = text(&scene.key_file).to_owned();
    let go = ["promote", &handle, "--rotation-key-file", &key, "--yes", "--confirm", &handle];
    let refused = program.run(&go).unwrap().expect(1).unwrap();
    assert!(refused.stderr.contains("not today"), "{refused}");
    let plan = program.json(&["promote", &handle, "--dry-run"]);
    assert!(plan.unwrap()["under_way"].as_str().unwrap().contains("prepared"));
    program.ok(&["promote", &handle, "--cancel"]).unwrap();
    // It is an archived account again, which its host may update.
    scene.network.pdses[0].restart().unwrap();
    scene.account.create(POST, &post_record("back")).unwrap();
    let program = &scene.node.program;
    program.ok(&["archive", "sync", &handle]).unwrap();
    let (_, rev) = scene.account.latest_commit().unwrap();
    let shown = program.json(&["archive", "show", &handle]).unwrap();
    assert!(shown.to_string().contains(&rev), "{shown}");
    let again = program.run(&["promote", &handle, "--cancel"]).unwrap().expect(1).unwrap();
    assert!(again.stderr.contains("no promotion"), "{again}");
}

/// Passes questions on to the directory, and refuses what is sent to it.
fn deaf_directory(plc: &str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let plc = plc.to_owned();
    std::thread::spawn(move || {
        use std::io::{BufRead as _, BufReader};
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
            let (status, body) = if first.starts_with("GET") {
                let reply = http::request("GET", &format!("{plc}{path}"), &[], None).unwrap();
                (reply.status, reply.body)
            } else {
                (400, json!({"message": "not today"}).to_string().into_bytes())
            };
            let head = format!(
                "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = (&stream).write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}
