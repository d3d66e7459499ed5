//! Accounts move here and away by the documented flow, with the reference PDS at the other end and `@atproto/api` as it
//! comes in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::process::Command;

use p2pds_testkit::hosted::{Hosted, PASSWORD};
use p2pds_testkit::http::request;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, image, node, post_record};
use p2pds_testkit::ports::free_port;
use serde_json::{Value, json};

/// What the accounts have before they move.
fn busy(account: &Account) {
    has(account, 450);
}

fn has(account: &Account, records: usize) {
    account.bulk("move", records).unwrap();
    for seed in 0..3 {
        account.post_image(&image(seed, 30_000)).unwrap();
    }
    let post = account.create(POST, &post_record("first words")).unwrap();
    account.put(POST, post.rkey(), &post_record("better words")).unwrap();
    let preferences = json!({"preferences": [
        {"$type": "app.bsky.actor.defs#adultContentPref", "enabled": false},
    ]});
    account.call("app.bsky.actor.putPreferences", &preferences).unwrap();
}

/// Runs the flow.
fn migrate(dir: &Path, given: &Value) -> Value {
    let oracle = need::oracle().unwrap();
    let modules = dir.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(oracle.join("node_modules"), &modules).unwrap();
    }
    let script = dir.join("migrate.mjs");
    std::fs::write(&script, include_str!("migration/migrate.mjs")).unwrap();
    let output = Command::new(node(&oracle)).arg(&script).arg(given.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "from {} to {}: {said}", given["from"], given["to"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What holds after a move, whichever way it went. `blobs` had to be uploaded.
fn moved(network: &Network, seen: &Value, to: &str, blobs: u64) {
    assert_eq!(seen["refused"], "AuthenticationRequired", "without service auth: {}", seen["refused"]);
    assert_ne!(seen["early"], "accepted", "activated before its document says so");
    assert_eq!(seen["blobs"], blobs);
    assert_eq!(seen["between"]["activated"], false);
    assert_eq!(seen["between"]["validDid"], false);
    assert_eq!(seen["between"]["indexedRecords"], seen["before"]["indexedRecords"]);
    assert_eq!(seen["between"]["importedBlobs"], seen["before"]["importedBlobs"]);
    assert_eq!(seen["between"]["expectedBlobs"], 3);
    assert_eq!(seen["wrongToken"], "InvalidToken");
    assert_eq!(seen["twice"], "InvalidToken", "the token works once");
    assert!(seen["spoilt"].as_str().unwrap().contains("ndpoint"), "{}", seen["spoilt"]);
    assert_eq!(seen["after"]["activated"], true);
    assert_eq!(seen["after"]["validDid"], true);
    assert_eq!(seen["preferences"], seen["kept"]);
    assert_eq!(seen["old"]["status"], "deactivated");
    assert_eq!(seen["now"]["active"], true);
    assert_eq!(seen["records"].as_u64().unwrap(), seen["before"]["indexedRecords"].as_u64().unwrap() + 1);
    let log: Vec<Value> =
        serde_json::from_slice(&network.audit_log(seen["did"].as_str().unwrap()).unwrap()).unwrap();
    let last = &log.last().unwrap()["operation"];
    assert_eq!(last, &seen["operation"]);
    assert_eq!(last["services"]["atproto_pds"]["endpoint"], to);
}

#[test]
fn accounts_move_here_and_away_with_the_ordinary_client() {
    let smtp = free_port().unwrap();
    let mail = format!("smtp://127.0.0.1:{smtp}");
    let settings =
        vec![format!("PDS_EMAIL_SMTP_URL={mail}"), "PDS_EMAIL_FROM_ADDRESS=pds@mail.test".to_owned()];
    let Some(network) = Network::start(&Options { settings, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = [("PDS_EMAIL_SMTP_URL", mail.as_str()), ("PDS_EMAIL_FROM_ADDRESS", "pds@mail.test")];
    let hosted = Hosted::start(&network, &dir.path().join("data"), &ours).unwrap();
    let reference = &network.pdses[0].url;

    let coming = network.account(0, "coming-p2pds", None).unwrap();
    busy(&coming);
    let given = |account: &Account, from: &str, to: &str, password: &str| {
        json!({
            "from": from, "to": to, "identifier": account.did, "password": password, "handle": account.handle,
            "email": format!("{}@mail.test", account.handle.trim_end_matches(".test")),
            "newPassword": "another-password", "smtp": smtp,
        })
    };
    let seen = migrate(dir.path(), &given(&coming, reference, &hosted.url, "hunter22"));
    moved(&network, &seen, &hosted.url, 3);
    // What the reference leaves as it is: the head is our own commit, under our key, and its rev is higher.
    assert!(seen["head"]["rev"].as_str() > seen["between"]["repoRev"].as_str());

    let going = hosted.sign_up(&network, "going-p2pds").unwrap();
    busy(&going);
    let seen = migrate(dir.path(), &given(&going, &hosted.url, reference, PASSWORD));
    moved(&network, &seen, reference, 3);

    archived_here(&network, &hosted, dir.path(), given);
    given_up(&network, &hosted);
}

/// Somebody whose account this node has archived moves here in the same way: what is archived stays, and need not be sent
/// again.
fn archived_here(
    network: &Network,
    hosted: &Hosted,
    dir: &Path,
    given: impl Fn(&Account, &str, &str, &str) -> Value,
) {
    let account = network.account(0, "known-p2pds", None).unwrap();
    has(&account, 40);
    let did = account.did.as_str();
    hosted.program.ok(&["archive", "add", did]).unwrap();
    let (_, archived) = account.latest_commit().unwrap();
    // What the archive has not seen when the move begins comes with the repo.
    account.create(POST, &post_record("not archived yet")).unwrap();

    let seen = migrate(dir, &given(&account, &network.pdses[0].url, &hosted.url, "hunter22"));
    moved(network, &seen, &hosted.url, 0);
    assert!(seen["head"]["rev"].as_str() > Some(archived.as_str()));

    let history = hosted.program.json(&["history", did, "--prove", "all"]).unwrap();
    let revs = history["revisions"].as_array().unwrap();
    assert!(revs.iter().any(|line| line["rev"] == archived.as_str()), "{history}");
    let refused = hosted.program.run(&["archive", "sync", did]).unwrap();
    assert!(refused.stderr.contains("hosted by this node"), "{refused}");
    let workers = hosted.program.json(&["workers"]).unwrap();
    let about: Vec<&Value> =
        workers.as_array().unwrap().iter().filter(|row| row.to_string().contains(did)).collect();
    let noted = format!("moved-in:{did}");
    assert!(
        matches!(about[..], [row] if row["name"] == noted.as_str()),
        "nothing goes on with it: {about:?}"
    );
}

/// Somebody who may speak for an archived account at its old host begins to move it here and does not go on: the archive
/// has it again, with all that it had, and follows its host as before.
fn given_up(network: &Network, hosted: &Hosted) {
    let account = network.account(0, "undecided-p2pds", None).unwrap();
    has(&account, 20);
    let did = account.did.as_str();
    hosted.program.ok(&["archive", "add", did]).unwrap();
    let (_, archived) = account.latest_commit().unwrap();
    // What is written now the archive is not to have before the move begins.
    hosted.program.ok(&["archive", "pause", did]).unwrap();
    account.create(POST, &post_record("before the move")).unwrap();

    let described = format!("{}/xrpc/com.atproto.server.describeServer", hosted.url);
    let server = request("GET", &described, &[], None).unwrap().json().unwrap();
    let lxm = ("lxm", "com.atproto.server.createAccount");
    let aud = server["did"].as_str().unwrap();
    let auth = account.query("com.atproto.server.getServiceAuth", &[("aud", aud), lxm]).unwrap();
    let asked = json!({
        "did": did, "handle": account.handle, "email": "undecided@mail.test", "password": "another-password",
    });
    let bearer = format!("Bearer {}", auth["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let url = format!("{}/xrpc/com.atproto.server.createAccount", hosted.url);
    let made = request("POST", &url, &headers, Some(asked.to_string().as_bytes())).unwrap().json().unwrap();
    let moving = Account::from_session(&hosted.url, &made).unwrap();
    let car = account.repo_car(None).unwrap();
    moving.upload("com.atproto.repo.importRepo", "application/vnd.ipld.car", &car).unwrap();
    let refused = hosted.program.run(&["archive", "sync", did]).unwrap();
    assert!(refused.stderr.contains("hosted by this node"), "{refused}");

    let said = hosted.program.ok(&["account", "delete", did, "--yes"]).unwrap();
    assert!(said.to_string().contains("archived account again"), "{said}");
    assert!(moving.query("com.atproto.server.getSession", &[]).is_err(), "its session is over");
    hosted.program.ok(&["archive", "resume", did]).unwrap();
    // Its host has written nothing since, so that its head is older than the one that was made here.
    current(hosted, &account);
    account.create(POST, &post_record("after the move")).unwrap();
    current(hosted, &account);

    // What was made here meanwhile is history by a key that the identity never named; what was archived is as it was.
    let proved =
        hosted.program.run(&["history", did, "--prove", "all", "--json"]).unwrap().expect(3).unwrap();
    let history = proved.json().unwrap();
    assert_eq!(history["failed"], 2, "{history}");
    let revs = history["revisions"].as_array().unwrap();
    let kept = revs.iter().find(|line| line["rev"] == archived.as_str()).unwrap();
    assert_eq!(kept["proof"]["ok"], true, "{kept}");
    let alerts = hosted.program.run(&["alerts", "--json"]).unwrap();
    assert!(!alerts.to_string().contains(did), "{alerts}");
}

/// The archive has what the account's host has.
fn current(hosted: &Hosted, account: &Account) {
    let did = account.did.as_str();
    hosted.program.ok(&["archive", "sync", did]).unwrap();
    hosted.program.ok(&["verify", did]).unwrap();
    let (commit, rev) = account.latest_commit().unwrap();
    let shown = hosted.program.json(&["archive", "show", did]).unwrap().to_string();
    assert!(shown.contains(&commit) && shown.contains(&rev), "{commit} {rev} {shown}");
}
