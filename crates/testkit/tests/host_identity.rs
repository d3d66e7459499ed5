//! Identities of hosted accounts against a real PLC directory: handles, documents, names, keys; and the preset for one
//! account.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_testkit::hosted::{ADMIN, Hosted, PASSWORD};
use p2pds_testkit::http;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, node, post_record};
use p2pds_testkit::ports::free_port;
use p2pds_testkit::website::{Website, service_token};
use serde_json::{Value, json};

/// `hunter22`, as bcrypt keeps it.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuunBMgByaIAZYuFgMUjBx8aaeU/9We5xa";

fn network() -> Option<Network> {
    Network::start(&Options { pdses: 0, ..Options::default() }).unwrap()
}

/// A GET under a name of its own: its status and body.
fn get_as(hosted: &Hosted, name: &str, path: &str) -> (u16, String) {
    let address = hosted.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn call(
    hosted: &Hosted,
    method: &str,
    nsid: &str,
    authorization: Option<&str>,
    body: Option<&Value>,
) -> (u16, Value) {
    let bytes = body.map(|body| serde_json::to_vec(body).unwrap());
    let mut headers = Vec::new();
    headers.extend(bytes.is_some().then_some(("Content-Type", "application/json")));
    headers.extend(authorization.map(|value| ("Authorization", value)));
    let url = format!("{}/xrpc/{nsid}", hosted.url);
    let reply = http::request(method, &url, &headers, bytes.as_deref()).unwrap();
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
}

fn query(hosted: &Hosted, nsid: &str) -> (u16, Value) {
    call(hosted, "GET", nsid, None, None)
}

fn last_operation(network: &Network, did: &str) -> Value {
    let log: Vec<Value> = serde_json::from_slice(&network.audit_log(did).unwrap()).unwrap();
    log.last().unwrap()["operation"].clone()
}

fn operations(network: &Network, did: &str) -> usize {
    serde_json::from_slice::<Vec<Value>>(&network.audit_log(did).unwrap()).unwrap().len()
}

/// What the reference packages make of an account.
fn resolved(dir: &Path, hosted: &Hosted, network: &Network, did: &str) -> Value {
    let oracle = need::oracle().unwrap();
    let modules = dir.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(oracle.join("node_modules"), &modules).unwrap();
    }
    let script = dir.join("resolve.mjs");
    std::fs::write(&script, include_str!("identity/resolve.mjs")).unwrap();
    let mut command = Command::new(node(&oracle));
    let output = command.arg(&script).args([&hosted.url, did, &network.plc]).output().unwrap();
    assert!(output.status.success(), "{did}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rename(account: &Account, handle: &str) -> Result<(), String> {
    let done = account.call("com.atproto.identity.updateHandle", &json!({ "handle": handle }));
    done.map(drop).map_err(|error| error.to_string())
}

#[test]
fn handles_are_given_changed_and_proved() {
    let Some(network) = network() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let alice = hosted.sign_up(&network, "alice").unwrap();
    let bob = hosted.sign_up(&network, "bob").unwrap();
    assert_eq!(last_operation(&network, &alice.did)["alsoKnownAs"], json!(["at://alice.test"]));

    // Who is called what, by method, by name, by document.
    let resolve =
        |handle: &str| query(&hosted, &format!("com.atproto.identity.resolveHandle?handle={handle}"));
    assert_eq!(resolve("alice.test"), (200, json!({ "did": alice.did })));
    assert_eq!(resolve("ALICE.test"), (200, json!({ "did": alice.did })));
    assert_eq!(resolve("nobody.test").1["error"], "HandleNotFound");
    assert_eq!(resolve("no_handle").1["error"], "InvalidHandle");
    assert_eq!(get_as(&hosted, "alice.test", "/.well-known/atproto-did"), (200, alice.did.clone()));
    assert_eq!(get_as(&hosted, "nobody.test", "/.well-known/atproto-did").0, 404);
    assert_eq!(get_as(&hosted, "localhost", "/tls-check?domain=alice.test").0, 200);
    assert_eq!(get_as(&hosted, "localhost", "/tls-check?domain=localhost").0, 200);
    assert_eq!(get_as(&hosted, "localhost", "/tls-check?domain=evil.example.com").0, 404);
    assert_eq!(get_as(&hosted, "localhost", "/tls-check").0, 400);
    let (status, service) = get_as(&hosted, "localhost", "/.well-known/did.json");
    let service: Value = serde_json::from_str(&service).unwrap();
    assert_eq!((status, &service["service"][0]["serviceEndpoint"]), (200, &json!(hosted.url)));

    // Refusals, each by its name.
    for (handle, name) in [
        ("bob.test", "HandleNotAvailable"),
        ("admin.test", "HandleNotAvailable"),
        ("al.test", "InvalidHandle"),
        ("a.b.test", "InvalidHandle"),
        ("abcdefghijklmnopqrstuv.test", "InvalidHandle"),
        ("alice.local", "InvalidHandle"),
        ("alice", "InvalidHandle"),
        ("alice.elsewhere.example.com", "InvalidHandle"),
    ] {
        let refused = rename(&alice, handle).unwrap_err();
        assert!(refused.contains(name), "{handle}: {refused}");
    }
    assert_eq!(operations(&network, &alice.did), 1, "nothing was sent to the directory");

    // Another handle here, twice: one operation.
    rename(&alice, "Alice2.test").unwrap();
    rename(&alice, "alice2.test").unwrap();
    assert_eq!(operations(&network, &alice.did), 2);
    assert_eq!(last_operation(&network, &alice.did)["alsoKnownAs"], json!(["at://alice2.test"]));
    assert_eq!(resolve("alice2.test").1["did"], json!(alice.did));
    assert_eq!(resolve("alice.test").1["error"], "HandleNotFound");
    // The name is free for others at once.
    rename(&bob, "alice.test").unwrap();
    assert_eq!(resolve("alice.test").1["did"], json!(bob.did));

    // A domain of one's own, once it leads here.
    let own = "alice.custom.dev";
    network.names.set_txt(&format!("_atproto.{own}"), &[&format!("did={}", bob.did)]);
    assert!(rename(&alice, own).unwrap_err().contains("leads to"));
    network.names.set_txt(&format!("_atproto.{own}"), &[&format!("did={}", alice.did)]);
    rename(&alice, own).unwrap();
    let info = query(&hosted, &format!("com.atproto.identity.resolveIdentity?identifier={own}"));
    assert_eq!((info.0, &info.1["handle"], &info.1["did"]), (200, &json!(own), &json!(alice.did)));
    assert_eq!(get_as(&hosted, "localhost", &format!("/tls-check?domain={own}")).0, 200);
    let document = query(&hosted, &format!("com.atproto.identity.resolveDid?did={}", alice.did)).1;
    assert_eq!(document["didDoc"]["alsoKnownAs"], json!([format!("at://{own}")]));
    let unknown = query(&hosted, "com.atproto.identity.resolveDid?did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa").1;
    assert_eq!(unknown["error"], "DidNotFound");
    let fresh =
        alice.call("com.atproto.identity.refreshIdentity", &json!({ "identifier": bob.did })).unwrap();
    assert_eq!(fresh["handle"], "alice.test");

    // The operator may give what is reserved; nobody else may use his method.
    let admin = format!("Basic {}", data_encoding::BASE64.encode(format!("admin:{ADMIN}").as_bytes()));
    let give = json!({ "did": alice.did, "handle": "support.test" });
    let method = "com.atproto.admin.updateAccountHandle";
    assert_eq!(call(&hosted, "POST", method, Some(&format!("Bearer {}", alice.token())), Some(&give)).0, 401);
    assert_eq!(call(&hosted, "POST", method, Some(&admin), Some(&give)).0, 200);
    assert_eq!(last_operation(&network, &alice.did)["alsoKnownAs"], json!(["at://support.test"]));

    // An app password changes no handle.
    let app = alice.call("com.atproto.server.createAppPassword", &json!({ "name": "app" })).unwrap();
    let login = json!({ "identifier": alice.did, "password": app["password"] });
    let session = call(&hosted, "POST", "com.atproto.server.createSession", None, Some(&login)).1;
    let app = Account::from_session(&hosted.url, &session).unwrap();
    assert!(rename(&app, "alice9.test").is_err());

    // Reserved keys: the same for the same account, and none for one that is here.
    let reserve =
        |body: Value| call(&hosted, "POST", "com.atproto.server.reserveSigningKey", None, Some(&body));
    let stranger = json!({ "did": "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb" });
    let key = reserve(stranger.clone());
    assert!(key.1["signingKey"].as_str().unwrap().starts_with("did:key:z"), "{key:?}");
    assert_eq!(reserve(stranger), key);
    assert_ne!(reserve(json!({})), key);
    assert_eq!(reserve(json!({ "did": alice.did })).0, 400);

    // Another signing key, by the operator.
    let before = last_operation(&network, &alice.did)["verificationMethods"]["atproto"].clone();
    let rotated = hosted.program.json(&["account", "rotate-key", "support.test"]).unwrap();
    let named = last_operation(&network, &alice.did)["verificationMethods"]["atproto"].clone();
    assert_ne!(before, named);
    assert!(rotated.to_string().contains(named.as_str().unwrap()), "{rotated}");

    // The reference packages see one account.
    alice.create(POST, &post_record("signed")).unwrap();
    let seen = resolved(dir.path(), &hosted, &network, &alice.did);
    assert_eq!((&seen["handle"], &seen["pds"]), (&json!("support.test"), &json!(hosted.url)));
    assert_eq!((&seen["rev"], &seen["records"]), (&seen["head"]["rev"], &json!(1)));
}

#[test]
fn the_host_for_one_account() {
    let Some(network) = network() else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().unwrap();
    let did = format!("did:web:localhost%3A{port}");
    let secret = "a7".repeat(32);
    let settings = |secret: &str| {
        [
            ("DID", did.clone()),
            ("HANDLE", "me.test".to_owned()),
            ("SIGNING_KEY", secret.to_owned()),
            ("AUTH_TOKEN", "the-token-of-the-owner".to_owned()),
            ("PASSWORD_HASH", HASH.to_owned()),
        ]
    };
    let start = |secret: &str| {
        let settings = settings(secret);
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Hosted::prepare(&network, &dir.path().join("data"), port, &settings).unwrap()
    };
    let mut hosted = start(&secret);
    hosted.begin().unwrap();

    let key = PrivateKey::from_bytes(Curve::K256, &[0xa7; 32]).unwrap().public_key();
    let document: Value =
        serde_json::from_str(&get_as(&hosted, &format!("localhost:{port}"), "/.well-known/did.json").1)
            .unwrap();
    assert_eq!(document["id"], did);
    assert_eq!(document["alsoKnownAs"], json!(["at://me.test"]));
    assert_eq!(document["verificationMethod"][0]["publicKeyMultibase"], key.to_multibase());
    assert_eq!(document["service"][0]["serviceEndpoint"], hosted.url);
    assert_eq!(get_as(&hosted, "me.test", "/.well-known/atproto-did"), (200, did.clone()));

    let record = json!({ "repo": did, "collection": POST, "record": post_record("mine") });
    let create = |authorization: Option<&str>| {
        call(&hosted, "POST", "com.atproto.repo.createRecord", authorization, Some(&record)).0
    };
    assert_eq!(create(Some("Bearer the-token-of-the-owner")), 200);
    for wrong in
        [None, Some("Bearer the-token-of-the-owne"), Some("Bearer the-token-of-the-owner2"), Some("Bearer ")]
    {
        assert!(matches!(create(wrong), 400 | 401), "{wrong:?}");
    }
    let status = call(
        &hosted,
        "GET",
        "com.atproto.server.checkAccountStatus",
        Some("Bearer the-token-of-the-owner"),
        None,
    );
    assert_eq!((&status.1["activated"], &status.1["validDid"]), (&json!(true), &json!(true)), "{status:?}");
    let seen = resolved(dir.path(), &hosted, &network, &did);
    assert_eq!((&seen["handle"], &seen["pds"]), (&json!("me.test"), &json!(hosted.url)));
    assert_eq!((&seen["rev"], &seen["records"]), (&seen["head"]["rev"], &json!(1)));

    let login = json!({ "identifier": "me.test", "password": "hunter22" });
    let session = call(&hosted, "POST", "com.atproto.server.createSession", None, Some(&login));
    assert_eq!((session.0, &session.1["did"]), (200, &json!(did)), "{session:?}");
    assert_eq!(hosted.stop().unwrap().code, Some(0));

    // Another key is a mistake, and said to be one before anything is served.
    let mut other = start(&"b8".repeat(32));
    let refused = other.begin().unwrap_err().to_string();
    assert!(refused.contains("SIGNING_KEY") && refused.contains(&key.to_did_key()), "{refused}");
    assert!(!refused.contains(&"b8".repeat(32)) && !refused.contains(&secret), "{refused}");
    hosted.begin().unwrap();
    let again = resolved(dir.path(), &hosted, &network, &did);
    assert_eq!(again["head"], seen["head"], "a start changes nothing");
}

#[test]
fn an_account_with_a_did_web_of_its_own_moves_in() {
    let Some(network) = network() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let key = PrivateKey::from_entropy(Curve::K256, [3; 32]);
    let site =
        Website::start("webby.test", &key.public_key().to_did_key(), "https://old.example.com").unwrap();
    let reserve = json!({ "did": site.did });
    let reserved = call(&hosted, "POST", "com.atproto.server.reserveSigningKey", None, Some(&reserve)).1;
    let reserved = reserved["signingKey"].as_str().unwrap();

    let body =
        json!({"handle": "webby.test", "email": "webby@mail.test", "password": PASSWORD, "did": site.did});
    let lxm = "com.atproto.server.createAccount";
    let create = |authorization: Option<&str>| call(&hosted, "POST", lxm, authorization, Some(&body));
    assert_eq!(create(None).0, 401);
    let stranger = PrivateKey::from_entropy(Curve::K256, [4; 32]);
    let forged = service_token(&stranger, &site.did, "did:web:localhost", lxm);
    assert_eq!(create(Some(&format!("Bearer {forged}"))).0, 401);
    let token = service_token(&key, &site.did, "did:web:localhost", lxm);
    let made = create(Some(&format!("Bearer {token}")));
    assert_eq!((made.0, &made.1["did"]), (200, &json!(site.did)), "{made:?}");
    let account = Account::from_session(&hosted.url, &made.1).unwrap();

    let wanted = account.query("com.atproto.identity.getRecommendedDidCredentials", &[]).unwrap();
    assert_eq!(wanted["verificationMethods"]["atproto"], reserved, "the key that was promised");
    assert_eq!(wanted["rotationKeys"], Value::Null, "there is nothing to rotate");
    let state = || account.query("com.atproto.server.checkAccountStatus", &[]).unwrap();
    let bodiless =
        |nsid: &str| call(&hosted, "POST", nsid, Some(&format!("Bearer {}", account.token())), None);
    let early = bodiless("com.atproto.server.activateAccount");
    assert!(early.1["message"].as_str().unwrap().contains("endpoint"), "{early:?}");
    assert_eq!((&state()["activated"], &state()["validDid"]), (&json!(false), &json!(false)));
    let sign = bodiless("com.atproto.identity.requestPlcOperationSignature");
    assert!(sign.1["message"].as_str().unwrap().contains("not a did:plc"), "{sign:?}");

    // Its owner changes the document where he serves it.
    site.say(&key.public_key().to_did_key(), &hosted.url);
    let wrong_key = bodiless("com.atproto.server.activateAccount");
    assert!(wrong_key.1["message"].as_str().unwrap().contains(reserved), "{wrong_key:?}");
    site.say(reserved, &hosted.url);
    assert_eq!(bodiless("com.atproto.server.activateAccount").0, 200);
    assert_eq!((&state()["activated"], &state()["validDid"]), (&json!(true), &json!(true)));
    account.create(POST, &post_record("from my own name")).unwrap();
    let seen = resolved(dir.path(), &hosted, &network, &site.did);
    assert_eq!((&seen["pds"], &seen["rev"]), (&json!(hosted.url), &seen["head"]["rev"]));
    let renamed = rename(&account, "webby2.test").unwrap_err();
    assert!(renamed.contains("alsoKnownAs"), "{renamed}");
}
