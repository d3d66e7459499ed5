//! `p2pds import-pds` on what the real reference PDS leaves behind: its owners log in with their passwords, their repos
//! are the same block by block, and subscribers go on where they were.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::http;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Truth, car_blocks, image, post_record};
use p2pds_testkit::ports::free_port;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// How the accounts of the other server log in.
const PASSWORD: &str = "hunter22";

/// What the reference PDS held before it was stopped.
struct Fixture {
    network: Network,
    busy: Account,
    paused: Account,
    down: Account,
    truth: Truth,
    /// Name, password, privileged.
    app_passwords: Vec<(String, String, bool)>,
    preferences: Value,
    hidden_blob: String,
    invite: String,
    /// Frames by number.
    frames: BTreeMap<i64, Vec<u8>>,
}

fn admin(url: &str, nsid: &str, body: &Value) -> Value {
    let basic = format!("Basic {}", BASE64.encode(b"admin:admin-pass"));
    let headers = [("Content-Type", "application/json"), ("Authorization", basic.as_str())];
    let body = serde_json::to_vec(body).unwrap();
    let reply = http::request("POST", &format!("{url}/xrpc/{nsid}"), &headers, Some(&body)).unwrap();
    assert_eq!(reply.status, 200, "{nsid}: {}", String::from_utf8_lossy(&reply.body));
    if reply.body.is_empty() { Value::Null } else { reply.json().unwrap() }
}

/// All frames after a number, until nothing comes for a moment that is long enough for what is stored.
fn frames(url: &str, after: i64, until: i64) -> BTreeMap<i64, Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = p2pds_net::Client::new(p2pds_net::NetConfig::development()).unwrap();
        let socket =
            format!("{}/xrpc/com.atproto.sync.subscribeRepos?cursor={after}", url.replace("http", "ws"));
        let mut stream = client.ws(&socket, &p2pds_net::WsOptions::default()).await.unwrap();
        let mut found = BTreeMap::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(120), stream.next()).await;
            let frame = next.expect("the next frame").unwrap().expect("the stream goes on");
            let seq = seq_of(&frame);
            found.insert(seq, frame.to_vec());
            if seq >= until {
                return found;
            }
        }
    })
}

/// The number in a frame: the integer after the key `seq`.
fn seq_of(frame: &[u8]) -> i64 {
    use p2pds_ipld::cbor::{Limits, Reader, Value as Cbor, decode};
    let mut reader = Reader::new(frame);
    reader.skip(&Limits::STRICT).unwrap();
    let limits = Limits { max_len: 8 << 20, ..Limits::STRICT };
    match decode(reader.rest(), &limits).unwrap().get("seq") {
        Some(Cbor::Int(seq)) => *seq,
        other => panic!("no number: {other:?}"),
    }
}

fn fixture() -> Option<Fixture> {
    let network = Network::start(&Options::default()).unwrap()?;
    let url = network.pdses[0].url.clone();
    let busy = network.account(0, "busy-p2pds", None).unwrap();
    busy.bulk("old", 300).unwrap();
    for seed in 0..3 {
        busy.post_image(&image(seed, 40_000)).unwrap();
    }
    let hidden_blob = busy.post_image(&image(9, 5_000)).unwrap();
    let post = busy.create(POST, &post_record("one")).unwrap();
    busy.put(POST, post.rkey(), &post_record("another")).unwrap();
    busy.delete(POST, busy.create(POST, &post_record("gone")).unwrap().rkey()).unwrap();
    let mut app_passwords = Vec::new();
    for (name, privileged) in [("phone", false), ("desk", true)] {
        let made = busy
            .call("com.atproto.server.createAppPassword", &json!({"name": name, "privileged": privileged}))
            .unwrap();
        app_passwords.push((name.to_owned(), made["password"].as_str().unwrap().to_owned(), privileged));
    }
    let preferences = json!([
        {"$type": "app.bsky.actor.defs#adultContentPref", "enabled": true},
        {"$type": "app.bsky.actor.defs#feedViewPref", "feed": "home", "hideReplies": true},
    ]);
    busy.call("app.bsky.actor.putPreferences", &json!({"preferences": preferences})).unwrap();
    let preferences = busy.query("app.bsky.actor.getPreferences", &[]).unwrap()["preferences"].take();
    let paused = network.account(0, "paused-p2pds", None).unwrap();
    paused.create(POST, &post_record("before")).unwrap();
    paused.call("com.atproto.server.deactivateAccount", &json!({})).unwrap();
    let down = network.account(0, "down-p2pds", None).unwrap();
    down.create(POST, &post_record("bad")).unwrap();
    let truth = busy.truth().unwrap();
    for subject in [
        json!({"$type": "com.atproto.admin.defs#repoRef", "did": down.did}),
        json!({"$type": "com.atproto.admin.defs#repoBlobRef", "did": busy.did, "cid": hidden_blob}),
    ] {
        let body = json!({"subject": subject, "takedown": {"applied": true, "ref": "test-1"}});
        admin(&url, "com.atproto.admin.updateSubjectStatus", &body);
    }
    let made = admin(&url, "com.atproto.server.createInviteCode", &json!({"useCount": 5}));
    let invite = made["code"].as_str().unwrap().to_owned();
    let last = busy.create(POST, &post_record("the last")).unwrap();
    busy.delete(POST, last.rkey()).unwrap();
    let truth = Truth { blobs: truth.blobs, ..busy_truth(&busy) };
    let frames = frames(&url, 0, last_seq(&network));
    Some(Fixture {
        network,
        busy,
        paused,
        down,
        truth,
        app_passwords,
        preferences,
        hidden_blob,
        invite,
        frames,
    })
}

/// What the account says now; its blobs were read before one of them was hidden.
fn busy_truth(account: &Account) -> Truth {
    let (commit, rev) = account.latest_commit().unwrap();
    let (_, blocks) = car_blocks(&account.repo_car(None).unwrap()).unwrap();
    Truth { commit, rev, blocks, records: BTreeMap::new(), blobs: BTreeMap::new() }
}

/// The last number that the reference gave.
fn last_seq(network: &Network) -> i64 {
    let path = network.pdses[0].data_dir().join("sequencer.sqlite");
    let database = rusqlite::Connection::open(path).unwrap();
    database.query_row("SELECT max(seq) FROM repo_seq", [], |row| row.get(0)).unwrap()
}

/// Every file with its hash and time of change.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let hash = Sha256::digest(std::fs::read(&path).unwrap()).to_vec();
                found.insert(path.clone(), (hash, path.metadata().unwrap().modified().unwrap()));
            }
        }
    }
    found
}

/// The environment that the reference ran with, as its installer would have written it.
fn env_file(fixture: &Fixture, dir: &Path) -> (PathBuf, String) {
    let port = fixture.network.pdses[0].port();
    let key = HEXLOWER.encode(&Sha256::digest(format!("oracle:plc-rotation-{port}")));
    let text = format!(
        "# as installed\nPDS_HOSTNAME=localhost\nPDS_DATA_DIRECTORY=/pds\nPDS_BLOBSTORE_DISK_LOCATION=/pds/blobs\n\
         PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX={key}\nPDS_ADMIN_PASSWORD=\"admin-pass\"\n"
    );
    let path = dir.join("pds.env");
    std::fs::write(&path, text).unwrap();
    (path, key)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn line<'a>(report: &'a Value, account: &Account) -> &'a Value {
    let accounts = report["accounts"].as_array().unwrap();
    accounts.iter().find(|line| line["did"] == account.did.as_str()).unwrap()
}

fn query(url: &str, path: &str, token: Option<&str>) -> http::Reply {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.as_deref().map(|bearer| ("Authorization", bearer)).into_iter().collect();
    http::request("GET", &format!("{url}/xrpc/{path}"), &headers, None).unwrap()
}

fn log_in(url: &str, who: &str, password: &str) -> http::Reply {
    let body = json!({"identifier": who, "password": password, "allowTakendown": true}).to_string();
    let headers = [("Content-Type", "application/json")];
    let url = format!("{url}/xrpc/com.atproto.server.createSession");
    http::request("POST", &url, &headers, Some(body.as_bytes())).unwrap()
}

#[test]
fn a_stopped_reference_pds_is_taken_over() {
    let Some(fixture) = fixture() else { return };
    let dir = tempfile::tempdir().unwrap();
    let pds = &fixture.network.pdses[0];
    let (env, key) = env_file(&fixture, dir.path());
    let rotation =
        [("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", key.as_str()), ("PDS_ADMIN_PASSWORD", "admin-pass")];
    let mut node =
        Hosted::prepare(&fixture.network, &dir.path().join("data"), pds.port(), &rotation).unwrap();
    let (from, env) = (text(&pds.data_dir()), text(&env));
    let command = ["import-pds", from.as_str(), "--env-file", env.as_str()];

    let running = node.program.run(&command).unwrap();
    assert_eq!(running.code, Some(1), "{running}");
    assert!(running.stderr.contains("still runs"), "{running}");

    // Killed, so that its databases have their logs beside them.
    pds.stop(false).unwrap();
    assert!(pds.data_dir().join("account.sqlite-wal").metadata().unwrap().len() > 0);
    let before = snapshot(&pds.data_dir());
    let dry = node.program.json(&[&command[..], &["--dry-run"]].concat()).unwrap();
    assert_eq!(line(&dry, &fixture.busy)["outcome"], "ready", "{dry}");
    assert_eq!(line(&dry, &fixture.busy)["blobs"], 4);
    assert_eq!(line(&dry, &fixture.busy)["commit"], fixture.truth.commit.as_str());

    let took = node.program.ok(&command).unwrap();
    let said = String::from_utf8_lossy(&took.stdout);
    assert!(said.contains("3 accounts") && said.contains("3 taken over now"), "{said}");
    assert!(!said.contains("does not have the rotation key"), "{said}");
    let again = node.program.json(&command).unwrap();
    for account in [&fixture.busy, &fixture.paused, &fixture.down] {
        assert_eq!(line(&again, account)["outcome"], "already-here", "{again}");
    }
    assert!(snapshot(&pds.data_dir()) == before, "the source was changed");

    node.begin().unwrap();
    same_repo(&node, &fixture);
    same_owners(&node, &fixture);
    same_stream(&node, &fixture);
    node.stop().unwrap();

    let copy = copied(&pds.data_dir(), dir.path());
    killed_at_any_moment(&fixture, &copy, dir.path());
    elsewhere(&fixture, &copy, dir.path());
    damaged(&fixture, &copy, dir.path());
}

/// A copy whose databases were closed in order.
fn copied(from: &Path, dir: &Path) -> PathBuf {
    let to = dir.join("copy");
    let status = std::process::Command::new("cp").arg("-r").arg(from).arg(&to).status().unwrap();
    assert!(status.success());
    for name in ["account.sqlite", "sequencer.sqlite"] {
        let database = rusqlite::Connection::open(to.join(name)).unwrap();
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    assert!(!to.join("account.sqlite-wal").exists(), "closed in order");
    to
}

/// A node that is not started, on a port that nobody uses.
fn fresh(fixture: &Fixture, data: &Path) -> Hosted {
    let settings = [("PDS_ADMIN_PASSWORD", "admin-pass")];
    Hosted::prepare(&fixture.network, data, fixture.network.pdses[0].port(), &settings).unwrap()
}

/// Killed again and again, each time a little later, the same command ends where one run ends.
fn killed_at_any_moment(fixture: &Fixture, from: &Path, dir: &Path) {
    let node = fresh(fixture, &dir.join("killed"));
    let from = text(from);
    let (mut wait, mut kills) = (20, 0);
    loop {
        let mut running = node.program.spawn(&["import-pds", from.as_str(), "--json"]).unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        if !running.alive().unwrap() {
            let report = running.wait(Duration::from_secs(60)).unwrap().expect(0).unwrap().json().unwrap();
            assert_eq!(report["accounts"].as_array().unwrap().len(), 3);
            break;
        }
        running.kill().unwrap();
        (wait, kills) = (wait + 25, kills + 1);
    }
    println!("killed {kills} times");
    assert!(kills >= 3, "killed {kills} times");
    let mut node = node;
    node.begin().unwrap();
    same_repo(&node, fixture);
    same_owners(&node, fixture);
    same_stream(&node, fixture);
    node.stop().unwrap();
}

/// What the network believes somebody else about is switched off, named, and switched on when it fits.
fn elsewhere(fixture: &Fixture, from: &Path, dir: &Path) {
    let port = free_port().unwrap();
    let (data, from) = (dir.join("elsewhere"), text(from));
    let settings = [("PDS_ADMIN_PASSWORD", "admin-pass")];
    let mut other = Hosted::prepare(&fixture.network, &data, port, &settings).unwrap();
    let command = ["import-pds", from.as_str(), "--json"];
    for more in [&["--dry-run"][..], &[], &[]] {
        let command = [&command[..], more].concat();
        let report = other.program.run(&command).unwrap().expect(3).unwrap().json().unwrap();
        let why = line(&report, &fixture.busy)["elsewhere"].as_str().unwrap();
        assert!(why.contains(&fixture.network.pdses[0].url), "{why}");
        assert!(line(&report, &fixture.paused)["elsewhere"].is_null(), "its owner switched it off: {report}");
    }
    other.begin().unwrap();
    let session = log_in(&other.url, &fixture.busy.did, PASSWORD).json().unwrap();
    assert_eq!(session["active"], false, "{session}");
    let account = Account::from_session(&other.url, &session).unwrap();
    assert!(account.create(POST, &post_record("by two hosts")).is_err());
    other.stop().unwrap();

    let mut node = fresh(fixture, &data);
    let report = node.program.json(&command[..2]).unwrap();
    assert_eq!(line(&report, &fixture.busy)["outcome"], "taken", "{report}");
    assert_eq!(line(&report, &fixture.paused)["outcome"], "already-here", "{report}");
    node.begin().unwrap();
    same_repo(&node, fixture);
    node.stop().unwrap();
    let report = node.program.json(&command[..2]).unwrap();
    assert_eq!(line(&report, &fixture.busy)["outcome"], "already-here", "{report}");
}

/// What is damaged or missing there is named, and keeps nobody else from being taken over.
fn damaged(fixture: &Fixture, from: &Path, dir: &Path) {
    let actor = |account: &Account| {
        let hash = HEXLOWER.encode(&Sha256::digest(&account.did));
        from.join("actors").join(&hash[..2]).join(&account.did)
    };
    let shown: Vec<&String> = fixture.truth.blobs.keys().filter(|cid| **cid != fixture.hidden_blob).collect();
    let blobs = from.join("blobs").join(&fixture.busy.did);
    let mut bytes = std::fs::read(blobs.join(shown[0])).unwrap();
    bytes[7] ^= 1;
    std::fs::write(blobs.join(shown[0]), bytes).unwrap();
    std::fs::remove_file(blobs.join(shown[1])).unwrap();
    std::fs::remove_file(actor(&fixture.paused).join("key")).unwrap();
    let store = rusqlite::Connection::open(actor(&fixture.busy).join("store.sqlite")).unwrap();
    let record: String = store
        .query_row(
            "SELECT cid FROM record WHERE uri LIKE '%/app.bsky.feed.post/%' ORDER BY uri LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    store.execute("UPDATE repo_block SET content = x'a0' WHERE cid = ?1", [&record]).unwrap();
    drop(store);
    let other = rusqlite::Connection::open(actor(&fixture.down).join("store.sqlite")).unwrap();
    let head: String = other.query_row("SELECT cid FROM repo_root", [], |row| row.get(0)).unwrap();
    other.execute("DELETE FROM repo_block WHERE cid <> ?1", [&head]).unwrap();
    drop(other);

    let node = fresh(fixture, &dir.join("damaged"));
    for dry in [true, false] {
        let from = text(from);
        let mut command = vec!["import-pds", from.as_str(), "--json"];
        command.extend(dry.then_some("--dry-run"));
        let report = node.program.run(&command).unwrap().expect(3).unwrap().json().unwrap();
        let busy = line(&report, &fixture.busy);
        assert_eq!(busy["outcome"], if dry { "ready" } else { "taken" }, "{report}");
        for (list, name) in [("damaged", shown[0]), ("missing", shown[1]), ("damaged", &record)] {
            assert!(busy[list].to_string().contains(name.as_str()), "{name} in {busy}");
        }
        let paused = line(&report, &fixture.paused);
        assert_eq!(paused["outcome"], "failed");
        assert!(paused["why"].as_str().unwrap().contains("signing key"), "{paused}");
        assert_eq!(line(&report, &fixture.down)["outcome"], "failed", "{report}");
    }
}

fn same_repo(node: &Hosted, fixture: &Fixture) {
    let (url, did) = (&node.url, &fixture.busy.did);
    let car = query(url, &format!("com.atproto.sync.getRepo?did={did}"), None);
    assert_eq!(car.status, 200, "{}", String::from_utf8_lossy(&car.body));
    let (root, blocks) = car_blocks(&car.body).unwrap();
    assert_eq!(root, fixture.truth.commit);
    // The reference keeps blocks that nothing reaches any more; what is reached is the same.
    assert!(blocks.iter().all(|(cid, bytes)| fixture.truth.blocks.get(cid) == Some(bytes)));
    assert_eq!(blocks.len(), fixture.truth.blocks.len());
    for (cid, bytes) in &fixture.truth.blobs {
        let reply = query(url, &format!("com.atproto.sync.getBlob?did={did}&cid={cid}"), None);
        if *cid == fixture.hidden_blob {
            assert_eq!(reply.status, 400, "a blob that was taken down");
        } else {
            assert_eq!((reply.status, &reply.body), (200, bytes));
        }
    }
    for (account, status) in [(&fixture.paused, "deactivated"), (&fixture.down, "takendown")] {
        let reply = query(url, &format!("com.atproto.sync.getRepoStatus?did={}", account.did), None);
        assert_eq!(reply.json().unwrap()["status"], status);
    }
}

fn same_owners(node: &Hosted, fixture: &Fixture) {
    let url = &node.url;
    for account in [&fixture.busy, &fixture.paused, &fixture.down] {
        let reply = log_in(url, &account.handle, PASSWORD);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.json().unwrap()["did"], account.did.as_str());
    }
    assert_eq!(log_in(url, &fixture.busy.handle, "hunter23").status, 401);
    // A second time: the password is kept in another way now.
    let session = log_in(url, &fixture.busy.did, PASSWORD).json().unwrap();
    let token = session["accessJwt"].as_str().unwrap();
    for (name, password, privileged) in &fixture.app_passwords {
        let reply = log_in(url, &fixture.busy.handle, password);
        assert_eq!(reply.status, 200, "{name}");
        let listed = query(url, "com.atproto.server.listAppPasswords", Some(token)).json().unwrap();
        let listed = listed["passwords"].as_array().unwrap();
        let entry = listed.iter().find(|entry| entry["name"] == name.as_str()).unwrap();
        assert_eq!(entry["privileged"].as_bool().unwrap_or(false), *privileged);
    }
    let preferences = query(url, "app.bsky.actor.getPreferences", Some(token)).json().unwrap();
    assert_eq!(preferences["preferences"], fixture.preferences);
    let basic = format!("Basic {}", BASE64.encode(b"admin:admin-pass"));
    let codes = format!("{url}/xrpc/com.atproto.admin.getInviteCodes");
    let codes = http::request("GET", &codes, &[("Authorization", &basic)], None).unwrap().json().unwrap();
    let code = codes["codes"].as_array().unwrap().iter().find(|code| code["code"] == fixture.invite.as_str());
    assert_eq!(code.unwrap()["available"], 5);
}

fn same_stream(node: &Hosted, fixture: &Fixture) {
    let last = *fixture.frames.keys().last().unwrap();
    let session = log_in(&node.url, &fixture.busy.handle, PASSWORD).json().unwrap();
    let account = Account::from_session(&node.url, &session).unwrap();
    account.create(POST, &post_record("after the move")).unwrap();
    for cursor in [0, last / 2, last - 1] {
        let now = frames(&node.url, cursor, last + 1);
        for (seq, frame) in fixture.frames.range(cursor + 1..) {
            assert!(now.get(seq) == Some(frame), "frame {seq} after {cursor}");
        }
        assert_eq!(now.keys().last(), Some(&(last + 1)), "the next number");
    }
}
