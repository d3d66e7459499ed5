//! The PDS is gone for good. From an export alone, and a rotation key that its owner holds, the account comes back on
//! another reference PDS, by the steps of the exported `RESTORE.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_identity::plc::{Log, Operation, parse_audit, validate_log};
use p2pds_syntax::Did;
use p2pds_testkit::exported::Exported;
use p2pds_testkit::http;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Truth, bulk_key, image, post_record};
use p2pds_testkit::program::Program;
use serde_json::{Value, json};

fn key(name: u8) -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [name; 32])
}

/// The log as the directory has it now, validated.
fn log(network: &Network, did: &str) -> Log {
    let did: Did = did.parse().unwrap();
    validate_log(&did, &parse_audit(&network.audit_log(did.as_str()).unwrap()).unwrap()).unwrap()
}

fn submit(network: &Network, did: &str, operation: &Operation) {
    let body = serde_json::to_vec(&operation.to_json()).unwrap();
    let url = format!("{}/{did}", network.plc);
    let reply = http::request("POST", &url, &[("Content-Type", "application/json")], Some(&body)).unwrap();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
}

/// A service token for `createAccount`, as the account's own key signs it.
fn service_token(did: &str, audience: &str, key: &PrivateKey) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let body = json!({
        "iss": did, "aud": audience, "iat": now, "exp": now + 60,
        "lxm": "com.atproto.server.createAccount", "jti": "3f1c0a9b77d2",
    });
    let text = format!("{}.{}", part(json!({"typ": "JWT", "alg": "ES256K"})), part(body));
    let signature = key.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn create_account(pds: &str, token: &str, body: &Value) -> Account {
    let bearer = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let url = format!("{pds}/xrpc/com.atproto.server.createAccount");
    let reply = http::request("POST", &url, &headers, Some(body.to_string().as_bytes())).unwrap();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    Account::from_session(pds, &reply.json().unwrap()).unwrap()
}

/// The command lines of a numbered step of the text: those that are indented by two blanks.
fn commands(text: &str, step: &str) -> String {
    let from = text.find(&format!("\n{step}. ")).unwrap_or_else(|| panic!("no step {step} in:\n{text}"));
    let step = &text[from + 1..];
    let until = step[1..].find("\n\n").and_then(|_| {
        (1..step.len()).find(|&at| {
            step[at..].starts_with('\n')
                && step[at + 1..].starts_with(|c: char| c.is_ascii_digit() || c == 'N')
        })
    });
    let lines = step[..until.unwrap_or(step.len())].lines();
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   ") || line.starts_with("    -"))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Runs command lines of the text as they stand there, in the exported folder.
fn run_as_written(exported: &Exported, lines: &str, settings: &[(&str, &str)]) -> String {
    assert!(lines.contains("curl"), "no commands: {lines}");
    let mut shell = Command::new("sh");
    shell.arg("-ec").arg(lines.replace("curl ", "curl -sS --fail-with-body ")).current_dir(&exported.dir);
    let output = shell.envs(settings.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{lines}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn leaving(network: &Network, owner: &PrivateKey) -> Account {
    let account = network.account(0, "robert-p2pds", Some(&owner.public_key().to_did_key())).unwrap();
    account.bulk("bulk", 800).unwrap();
    for seed in 0..6 {
        account.post_image(&image(seed, 30_000)).unwrap();
    }
    let post = account.create(POST, &post_record("first words")).unwrap();
    account.put(POST, post.rkey(), &post_record("better words")).unwrap();
    account.delete(POST, &bulk_key("bulk", 3)).unwrap();
    account
}

#[test]
fn an_account_comes_back_from_the_export_alone() {
    let options = Options { pdses: 2, ..Options::default() };
    let Some(network) = Network::start(&options).unwrap() else { return };
    let owner = key(1);
    let account = leaving(&network, &owner);
    let did = account.did.clone();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("export");
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    program.ok(&["archive", "add", &account.handle]).unwrap();
    program.ok(&["export", &did, "--out", out.to_str().unwrap()]).unwrap();
    let before = account.truth().unwrap();

    network.destroy_pds(0).unwrap();
    std::fs::remove_dir_all(dir.path().join("data")).unwrap();
    let exported = Exported::read(&out).unwrap();
    let text = std::str::from_utf8(exported.file("RESTORE.txt").unwrap()).unwrap();
    let new = network.pdses[1].url.clone();

    // 1. The identity in hand: a fresh #atproto key, signed for by the owner's rotation key.
    let known =
        validate_log(&did.parse().unwrap(), &parse_audit(exported.file("plc.json").unwrap()).unwrap())
            .unwrap();
    assert_eq!(log(&network, &did).head(), known.head(), "nobody changed the identity since");
    assert!(text.contains(&owner.public_key().to_did_key()) && text.contains(&known.head().to_string()));
    assert!(known.can_sign(&owner.public_key()));
    let temporary = key(2);
    let first = known.update(|data| data.set_signing_key(&temporary.public_key())).unwrap();
    submit(&network, &did, &first.sign(&owner).unwrap());

    // 2. The account on the new server, with a token signed by that key.
    let about = format!("{new}/xrpc/com.atproto.server.describeServer");
    let about = http::request("GET", &about, &[], None).unwrap().json().unwrap();
    let token = service_token(&did, about["did"].as_str().unwrap(), &temporary);
    let handle = exported.manifest().unwrap()["handle"].as_str().unwrap().to_owned();
    let body = json!({"did": did, "handle": handle, "email": "robert@mail.test", "password": "hunter33"});
    let restored = create_account(&new, &token, &body);
    assert_eq!(restored.did, did);

    // 3. and 4. Records and blobs, by the text's own command lines.
    let settings = [("NEW", new.as_str()), ("DID", &did), ("JWT", restored.token())];
    run_as_written(&exported, &commands(text, "3"), &settings);
    let said = run_as_written(&exported, &commands(text, "4"), &settings);
    for cid in before.blobs.keys() {
        assert!(said.contains(cid), "{cid} was not taken: {said}");
    }
    assert!(said.contains("\"blobs\":[]"), "nothing is missing: {said}");

    // 5. The identity points at the new server; the owner's key stays first.
    let wanted = restored.query("com.atproto.identity.getRecommendedDidCredentials", &[]).unwrap();
    let old = log(&network, &did).data().unwrap().rotation_keys[1].clone();
    let second =
        log(&network, &did).update(|data| data.adopt(&wanted, &[owner.public_key()]).unwrap()).unwrap();
    submit(&network, &did, &second.sign(&owner).unwrap());

    // 6. On.
    let said = run_as_written(&exported, &commands(text, "6"), &settings);
    let status: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!((&status["activated"], &status["validDid"]), (&json!(true), &json!(true)), "{status}");
    assert_eq!(status["indexedRecords"], before.records.len());

    let after = restored.truth().unwrap();
    assert_eq!(after.commit, before.commit);
    assert_eq!((&after.records, &after.blobs), (&before.records, &before.blobs));
    let data = log(&network, &did).data().unwrap();
    assert_eq!(data.pds().as_deref(), Some(new.as_str()));
    assert_eq!(data.rotation_keys[0], owner.public_key().to_did_key());
    assert!(!data.rotation_keys.contains(&old), "the old server has no say any more");

    // 7. The first write is signed by the new server, and the network can take up the account: so can p2pds.
    let seventh = restored.create(POST, &post_record("back again")).unwrap();
    follow_again(&network, &restored, &before, seventh.rkey());
}

/// A fresh archive of the restored account: all old records, the new one, a head signed by the new key.
fn follow_again(network: &Network, restored: &Account, before: &Truth, rkey: &str) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("export");
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    program.ok(&["archive", "add", &restored.did]).unwrap();
    program.ok(&["export", &restored.did, "--out", out.to_str().unwrap()]).unwrap();
    let truth = restored.truth().unwrap();
    assert_eq!(truth.records.len(), before.records.len() + 1);
    assert!(truth.records.contains_key(&format!("{POST}/{rkey}")));
    Exported::read(&out).unwrap().compare(&truth).unwrap();
}
