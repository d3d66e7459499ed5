//! The catalogue of hostile clients against a running host of accounts: nothing of it is accepted, nobody else is kept
//! out meanwhile, the host's memory stays bounded, and it does not fall.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use p2pds_crypto::jwt::{sign, sign_secret};
use p2pds_crypto::{Curve, PrivateKey, PublicKey};
use p2pds_testkit::hosted::{ADMIN, Hosted, PASSWORD};
use p2pds_testkit::hostile::{Known, Step, clients};
use p2pds_testkit::http::request;
use p2pds_testkit::oracle::{Account, Network, Options, POST, image, post_record};
use serde_json::{Map, Value, json};

/// What the host may need at most in MiB over what it needed before.
const MEMORY: u64 = 160;

fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// The host's own API, for what the test itself wants.
struct Api<'a>(&'a str);

impl Api<'_> {
    fn call(&self, nsid: &str, token: &str, body: Option<&Value>) -> Value {
        let method = if body.is_some() { "POST" } else { "GET" };
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str())];
        if token.is_empty() {
            headers.clear();
        }
        headers.push(("content-type", "application/json"));
        let bytes = body.filter(|body| !body.is_null()).map(|body| body.to_string().into_bytes());
        let bytes = if body.is_some() && bytes.is_none() { Some(Vec::new()) } else { bytes };
        let reply = request(method, &format!("{}/xrpc/{nsid}", self.0), &headers, bytes.as_deref()).unwrap();
        assert_eq!(reply.status, 200, "{nsid}: {}", String::from_utf8_lossy(&reply.body));
        if reply.body.is_empty() { Value::Null } else { reply.json().unwrap() }
    }

    fn session(&self, identifier: &str, password: &str) -> (String, String) {
        let session = self.call(
            "com.atproto.server.createSession",
            "",
            Some(&json!({ "identifier": identifier, "password": password })),
        );
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        (text("accessJwt"), text("refreshJwt"))
    }

    fn service(&self, token: &str, query: &str) -> String {
        let answer = self.call(&format!("com.atproto.server.getServiceAuth?{query}"), token, None);
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Everything that must stay as it is.
    fn state(&self, accounts: &[&Account]) -> Vec<Value> {
        let heads = accounts.iter().flat_map(|account| {
            [
                "com.atproto.sync.getLatestCommit?did=",
                "com.atproto.sync.listBlobs?did=",
                "com.atproto.repo.describeRepo?repo=",
            ]
            .map(|path| self.call(&format!("{path}{}", account.did), "", None))
        });
        let lists = ["com.atproto.sync.listRepos?limit=1000"].map(|path| self.call(path, "", None));
        heads.chain(lists).collect()
    }
}

fn claims_of(token: &str) -> Map<String, Value> {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

/// Tokens that are wrong in one thing each.
fn forged(
    api: &Api<'_>,
    secret: &[u8],
    alice: &Account,
    access: &str,
    refresh: &str,
) -> BTreeMap<String, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let with = |token: &str, name: &str, value: Value| {
        let mut claims = claims_of(token);
        claims.insert(name.to_owned(), value);
        claims
    };
    let headed = |header: &str| {
        format!("{}.{}.", BASE64URL_NOPAD.encode(header.as_bytes()), access.split('.').nth(1).unwrap())
    };
    let service = claims_of(access)["aud"].as_str().unwrap().to_owned();
    let stranger = PrivateKey::from_entropy(Curve::K256, [9; 32]);
    let upload = "com.atproto.repo.uploadBlob";
    let word = |typ: &str, kid: Option<&str>, change: Value| {
        let mut claims = json!({ "iss": alice.did, "aud": service, "iat": now, "exp": now + 60, "lxm": upload, "jti": "x" });
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        sign(&stranger, typ, kid, claims.as_object().unwrap()).unwrap()
    };
    let key = {
        let described = api.call(&format!("com.atproto.repo.describeRepo?repo={}", alice.did), "", None);
        let methods = described["didDoc"]["verificationMethod"].as_array().unwrap().clone();
        PublicKey::from_multibase(methods[0]["publicKeyMultibase"].as_str().unwrap()).unwrap()
    };
    let access_claims = claims_of(access);
    let tokens = [
        ("alg-none", headed(r#"{"typ":"at+jwt","alg":"none"}"#)),
        ("alg-None", headed(r#"{"typ":"at+jwt","alg":"None"}"#)),
        ("unsigned", headed(r#"{"typ":"at+jwt","alg":"HS256"}"#)),
        ("hs256-public", sign_secret(&key.to_sec1(), "at+jwt", &access_claims).unwrap()),
        ("secret-empty", sign_secret(b"", "at+jwt", &access_claims).unwrap()),
        ("secret-guessed", sign_secret(b"secret", "at+jwt", &access_claims).unwrap()),
        ("refresh-as-access", sign_secret(secret, "at+jwt", &claims_of(refresh)).unwrap()),
        ("dpop-claims", sign_secret(secret, "at+jwt", &with(access, "cnf", json!({ "jkt": "x" }))).unwrap()),
        (
            "other-audience",
            sign_secret(secret, "at+jwt", &with(access, "aud", "did:web:other.example".into())).unwrap(),
        ),
        (
            "other-account",
            sign_secret(secret, "at+jwt", &with(access, "sub", "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".into()))
                .unwrap(),
        ),
        ("expired", sign_secret(secret, "at+jwt", &with(access, "exp", (now - 60).into())).unwrap()),
        ("service-other-method", word("JWT", None, json!({ "lxm": "com.example.other" }))),
        ("service-no-method", word("JWT", None, json!({ "lxm": null }))),
        ("service-other-audience", word("JWT", None, json!({ "aud": "did:web:other.example" }))),
        ("service-expired", word("JWT", None, json!({ "exp": now - 1 }))),
        ("service-long", word("JWT", None, json!({ "exp": now + 86_400 }))),
        ("service-text-exp", word("JWT", None, json!({ "exp": (now + 60).to_string() }))),
        ("service-other-key", word("JWT", None, json!({}))),
        ("service-typ", word("at+jwt", None, json!({}))),
        ("service-kid", word("JWT", Some("#atproto_pds"), json!({}))),
        ("service-fragment", word("JWT", None, json!({ "iss": format!("{}#atproto_labeler", alice.did) }))),
        ("service-stranger", word("JWT", None, json!({ "iss": "did:web:stranger.invalid" }))),
        ("service", api.service(access, "aud=did:web:other.example")),
        (
            "service-create",
            api.service(access, &format!("aud={service}&lxm=com.atproto.server.createAccount")),
        ),
        ("service-used", api.service(access, &format!("aud={service}&lxm={upload}"))),
    ];
    // With the right secret and nothing changed, the forger's token is good: it is the change that is refused.
    api.call("com.atproto.server.getSession", &sign_secret(secret, "at+jwt", &access_claims).unwrap(), None);
    tokens.into_iter().map(|(name, token)| (name.to_owned(), format!("Bearer {token}"))).collect()
}

#[test]
fn nothing_hostile_is_accepted() {
    let options = Options { pdses: 0, ..Options::default() };
    let Some(network) = Network::start(&options).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = [("PDS_RATE_LIMITS_ENABLED", "true"), ("PDS_BLOB_UPLOAD_LIMIT", "1000000")];
    let mut hosted = Hosted::start(&network, &dir.path().join("data"), &settings).unwrap();
    let (alice, bob) = (hosted.sign_up(&network, "alice").unwrap(), hosted.sign_up(&network, "bob").unwrap());
    let api = Api(&hosted.url);
    let mut written = Vec::new();
    for (account, seed) in [(&alice, 1), (&bob, 2)] {
        let blob = account.post_image(&image(seed, 5_000)).unwrap();
        let put = account.create(POST, &post_record("true")).unwrap();
        written.push((put.rkey().to_owned(), blob));
    }
    let (access, refresh) = api.session("alice.test", PASSWORD);
    let (theirs, _) = api.session("bob.test", PASSWORD);
    let app = api.call("com.atproto.server.createAppPassword", &access, Some(&json!({ "name": "phone" })));
    let (app, _) = api.session("alice.test", app["password"].as_str().unwrap());
    let (ended, last) = api.session("alice.test", PASSWORD);
    api.call("com.atproto.server.deleteSession", &last, Some(&Value::Null));
    let secret = "5f".repeat(32);
    let mut credentials = forged(&api, secret.as_bytes(), &alice, &access, &refresh);
    for (name, token) in
        [("alice", &access), ("bob", &theirs), ("refresh", &refresh), ("app", &app), ("ended", &ended)]
    {
        credentials.insert(name.to_owned(), format!("Bearer {token}"));
    }
    credentials.insert("dpop".to_owned(), format!("DPoP {access}"));
    credentials
        .insert("admin".to_owned(), format!("Basic {}", BASE64.encode(format!("admin:{ADMIN}").as_bytes())));
    // Used once, as it should be.
    let used = credentials["service-used"].clone();
    let headers = [("authorization", used.as_str()), ("content-type", "image/png")];
    let reply =
        request("POST", &format!("{}/xrpc/com.atproto.repo.uploadBlob", hosted.url), &headers, Some(b"once"))
            .unwrap();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let car =
        request("GET", &format!("{}/xrpc/com.atproto.sync.getRepo?did={}", hosted.url, bob.did), &[], None)
            .unwrap();
    let port = hosted.url.rsplit(':').next().unwrap().to_owned();
    let words = [
        ("ALICE", alice.did.clone()),
        ("BOB", bob.did.clone()),
        ("RKEY-OF-ALICE", written[0].0.clone()),
        ("RKEY-OF-BOB", written[1].0.clone()),
        ("BLOB-OF-BOB", written[1].1.clone()),
        ("CAR-OF-BOB", HEXLOWER.encode(&car.body)),
        ("BEARER-OF-ALICE", format!("Bearer {access}")),
        ("BEARER-OF-BOB", format!("Bearer {theirs}")),
        ("TOKEN-OF-ALICE", access.clone()),
        ("PORT", port.clone()),
        ("MEGABYTE", "a".repeat(999_900)),
        ("64-KIB", "x".repeat(65_536)),
        ("100-KB", "p".repeat(100_000)),
    ];
    let known = Known {
        address: format!("127.0.0.1:{port}").parse().unwrap(),
        words: words.into_iter().map(|(word, meaning)| (word.to_owned(), meaning)).collect(),
        credentials,
    };
    let pid = hosted.pid().unwrap();
    let (before, state) = (peak(pid), api.state(&[&alice, &bob]));
    let (mut open, mut wrong, all) = (Vec::new(), Vec::new(), clients());
    let mut high = before;
    let (only, mut asked) = (std::env::var("P2PDS_ONLY").ok(), 0);
    for (number, client) in (1_u8..).zip(&all) {
        if only.as_ref().is_some_and(|only| *only != client.name) {
            continue;
        }
        for step in &client.steps {
            let from = Ipv4Addr::new(127, 0, 1, number);
            match step {
                Step::Call(call) => {
                    for _ in 0..call.times.unwrap_or(1) {
                        let came = call.perform(&known, from).unwrap();
                        asked += 1;
                        let named = |name: &String| came.text.contains(&format!("\"error\":\"{name}\""));
                        if !call.status.contains(&came.status)
                            || !(call.error.is_empty() || call.error.iter().any(named))
                        {
                            let body = serde_json::to_string(call).unwrap();
                            wrong.push(format!(
                                "{}: {body:.300}\n    came: {:.400}",
                                client.name,
                                came.text.replace("\r\n", " | ")
                            ));
                        }
                    }
                }
                Step::Raw(raw) => {
                    let (came, connections) = raw.perform(&known, from).unwrap();
                    open.extend(connections);
                    asked += 1;
                    if let Some(came) = came.filter(|came| !raw.status.contains(&came.status)) {
                        wrong.push(format!(
                            "{}: {:.200}\n    came: {:.300}",
                            client.name,
                            raw.text,
                            came.text.replace("\r\n", " | ")
                        ));
                    }
                }
            }
        }
        let grown = peak(pid);
        if grown > high + 8 {
            println!("{}: {high} to {grown} MiB", client.name);
        }
        high = grown;
        // Nothing was taken, and everybody else is answered.
        let now = api.state(&[&alice, &bob]);
        if now != state {
            wrong.push(format!("{}: it changed something: {now:?}", client.name));
            break;
        }
    }
    let after = peak(pid);
    println!("{} behaviours, {asked} requests; memory {before} MiB before, {after} MiB at most", all.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(after < before + MEMORY, "{before} MiB before, {after} MiB at most");
    // Its people come and go as before.
    api.call("com.atproto.server.getSession", &access, None);
    alice.create(POST, &post_record("still here")).unwrap();
    drop(open);
    let ended = hosted.stop().unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
}
