//! Secrets stay where they belong: passwords, tokens and keys go through a host in every way that a client, a mistaken
//! one and a thief would send them, and are found afterwards in no log line, metric, error, answer, database or backup.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

#[path = "canaries/oauth.rs"]
mod oauth;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_host::accounts::factors::{SignIn, SignedIn, totp};
use p2pds_host::keys::{Fresh, GivenKeys, Keys};
use p2pds_host::{Host, HostConfig, HostDeps};
use p2pds_net::{Client, NetConfig};
use p2pds_reading::Reading;
use p2pds_store::Store;
use p2pds_store_sqlite::{Options as StoreOptions, SqliteStore};
use p2pds_syntax::Did;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::http::{Reply, request};
use p2pds_testkit::oracle::{Network, Options, POST, post_record};
use p2pds_testkit::ports::free_port;
use serde_json::{Value, json};

const PASSWORD: &str = "canary-password-1f2e3d4c";
const CHANGED: &str = "canary-changed-5a6b7c8d";
const MISTYPED: &str = "canary-mistyped-9e8f7a6b";
const ADMIN: &str = "canary-admin-0c1d2e3f";
const WRONG_ADMIN: &str = "canary-wrongadmin-4d5e6f7a";
const JWT: &str = "canary-jwt-secret-of-enough-bytes-8b9c0d1e";
const BYPASS: &str = "canary-bypass-2f3a4b5c";
const PEER: &str = "canary-peer-token-6d7e8f9a0b1c";
const SMTP: &str = "canary-smtp-3e4f5a6b";
/// A key, so it is looked for as bytes too.
const ROTATION: &str = "c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55c0ffee66c0ffee77c0ffee88";

/// Everything that must not be found, and how it is called.
#[derive(Default)]
struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 12, "{name} is too short to be looked for");
        let bytes = secret.as_bytes();
        self.0.extend([
            (name.to_owned(), bytes.to_vec()),
            (format!("{name} in hex"), HEXLOWER.encode(bytes).into_bytes()),
            (format!("{name} in base64"), BASE64_NOPAD.encode(bytes).into_bytes()),
            (format!("{name} in base64url"), BASE64URL_NOPAD.encode(bytes).into_bytes()),
        ]);
    }

    /// Which of them are in these bytes.
    fn found(&self, bytes: &[u8]) -> Vec<&str> {
        let mut begins: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for (at, (_, secret)) in self.0.iter().enumerate() {
            begins.entry(&secret[..4]).or_default().push(at);
        }
        let mut found: BTreeSet<usize> = BTreeSet::new();
        for at in 0..bytes.len().saturating_sub(3) {
            if let Some(some) = begins.get(&bytes[at..at + 4]) {
                found.extend(some.iter().copied().filter(|n| bytes[at..].starts_with(&self.0[*n].1)));
            }
        }
        found.into_iter().map(|n| self.0[n].0.as_str()).collect()
    }

    /// In all files below a directory, except what is named.
    fn below(&self, dir: &Path, except: &[&str], wrong: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if except.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                self.below(&path, except, wrong);
            } else if path.is_file() {
                for found in self.found(&std::fs::read(&path).unwrap()) {
                    wrong.push(format!("{found} is in {}", path.display()));
                }
            }
        }
    }
}

/// Asks, and keeps every answer that should hold no secret.
struct Asking<'a> {
    url: &'a str,
    answers: Vec<(String, Vec<u8>)>,
}

impl Asking<'_> {
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let mut all = headers.to_vec();
        if body.is_some() {
            all.push(("content-type", "application/json"));
        }
        let bytes = body.map(|body| body.to_string().into_bytes());
        let url = format!("{}{path}", self.url);
        let reply = request(method, &url, &all, bytes.as_deref()).unwrap();
        if reply.status >= 400 {
            let head = format!("{:?}", reply.headers).into_bytes();
            self.answers.push((path.to_owned(), [head, reply.body.clone()].concat()));
        }
        reply
    }

    /// The same with a form, or with nothing.
    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], form: Option<&str>) -> Reply {
        let mut all = headers.to_vec();
        if form.is_some() {
            all.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let reply = request(method, &format!("{}{path}", self.url), &all, form.map(str::as_bytes)).unwrap();
        if reply.status >= 400 {
            let head = format!("{:?}", reply.headers).into_bytes();
            self.answers.push((path.to_owned(), [head, reply.body.clone()].concat()));
        }
        reply
    }

    fn call(&mut self, nsid: &str, token: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {token}");
        let headers: &[(&str, &str)] = if token.is_empty() { &[] } else { &[("authorization", &bearer)] };
        let body = (!body.is_null()).then_some(body);
        let reply = self.ask("POST", &format!("/xrpc/{nsid}"), headers, body);
        assert_eq!(reply.status, 200, "{nsid}: {}", String::from_utf8_lossy(&reply.body));
        if reply.body.is_empty() { Value::Null } else { reply.json().unwrap() }
    }

    fn session(&mut self, identifier: &str, password: &str) -> (String, String) {
        let given = json!({ "identifier": identifier, "password": password });
        let session = self.call("com.atproto.server.createSession", "", &given);
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        (text("accessJwt"), text("refreshJwt"))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// A secret, shown in every way that is wrong.
fn misplaced(asking: &mut Asking<'_>, secret: &str) {
    let basic = BASE64.encode(format!("admin:{secret}").as_bytes());
    for shown in [
        format!("Bearer {secret}"),
        format!("Basic {basic}"),
        format!("Basic {secret}"),
        format!("DPoP {secret}"),
        format!("Digest {secret}"),
        secret.to_owned(),
        format!("Bearer {secret}, {secret}"),
    ] {
        let headers = [("authorization", shown.as_str())];
        for path in [
            "com.atproto.server.getSession",
            "com.atproto.admin.getAccountInfo?did=did:web:a.example",
            "com.atproto.sync.listRepos",
            "app.bsky.feed.getTimeline",
        ] {
            asking.ask("GET", &format!("/xrpc/{path}"), &headers, None);
        }
        asking.ask("POST", "/xrpc/com.atproto.server.refreshSession", &headers, None);
        asking.ask(
            "POST",
            "/xrpc/com.atproto.server.createAccount",
            &headers,
            Some(&json!({ "handle": "x.test" })),
        );
    }
    for headers in [
        ("x-ratelimit-bypass", secret),
        ("atproto-proxy", secret),
        ("cookie", secret),
        ("x-forwarded-for", secret),
    ] {
        asking.ask("GET", "/xrpc/app.bsky.feed.getTimeline", &[headers], None);
    }
    asking.ask("GET", &format!("/xrpc/com.atproto.server.getSession?token={secret}"), &[], None);
    asking.ask("GET", &format!("/xrpc/{secret}"), &[], None);
    for body in [
        json!({ "identifier": "carol.test", "password": secret }),
        json!({ "identifier": "carol.test", "password": [secret] }),
        json!({ "identifier": { "x": secret } }),
        json!({ "token": secret, "password": secret, "did": "did:web:a.example" }),
        json!([secret]),
    ] {
        for nsid in ["createSession", "resetPassword", "deleteAccount"] {
            asking.ask("POST", &format!("/xrpc/com.atproto.server.{nsid}"), &[], Some(&body));
        }
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// The host of a data directory whose node does not run: what its pages call.
fn pages(data: &Path, url: &str) -> Host {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(data, StoreOptions::default()).unwrap());
    let blobs = p2pds_blobs::Blobs::open(&data.join("blobs")).unwrap();
    let net = Client::new(NetConfig::default()).unwrap();
    let directory = Directory::new(net.clone(), Arc::clone(&store), DirectoryConfig::default());
    let deps = HostDeps {
        store: Arc::clone(&store),
        blobs: blobs.clone(),
        net,
        directory: Arc::new(directory),
        reading: Reading::new(store, blobs),
        clock: Arc::new(now),
        keys: Arc::new(Keys::open(&data.join("keys"), &GivenKeys::default(), Fresh::MustExist).unwrap()),
    };
    let config = HostConfig {
        hostname: "localhost".to_owned(),
        public_url: url.to_owned(),
        service_did: Did::parse("did:web:localhost").unwrap(),
        dev_mode: true,
        handle_domains: vec![".test".to_owned()],
        recovery_key: None,
        plc_url: "http://127.0.0.1:1".to_owned(),
        invite_required: false,
        blob_limit: 5 << 20,
        blobs: p2pds_host::blobs::BlobsConfig::default(),
        import_limit: 1 << 30,
        fetch_limit: 512 << 10,
        imports: true,
        spool: data.join("spool"),
        event_window: std::time::Duration::from_secs(86_400),
        firehose: Default::default(),
        relay: Default::default(),
        single_user: None,
        accounts: Default::default(),
    };
    Host::new(deps, config)
}

/// What the pages do: sets up an app with backup codes, asks for a passkey, signs in for an application. The secret of the
/// app, the backup codes that are left, and the application's code.
fn on_the_pages(
    data: &Path,
    url: &str,
    did: &Did,
    password: &str,
    app: &oauth::App,
    canaries: &mut Canaries,
) -> (Vec<u8>, Vec<String>, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let host = pages(data, url);
        let new = host.begin_totp(did).await.unwrap();
        canaries.add("the secret of an app", &new.secret);
        canaries.add("an app's state", &new.state);
        let secret = BASE32_NOPAD.decode(new.secret.as_bytes()).unwrap();
        canaries.0.push(("the secret's bytes".to_owned(), secret.clone()));
        let code = totp::code(&secret, totp::step(now()));
        let code = std::str::from_utf8(&code).unwrap();
        let added = host.finish_totp(did, &new.state, code, password, "192.0.2.1").await.unwrap();
        let codes: Vec<String> = added.backup_codes.unwrap().expose().map(str::to_owned).collect();
        for (n, code) in codes.iter().enumerate() {
            canaries.add(&format!("backup code {n}"), code);
            canaries.add(&format!("backup code {n} without its dashes"), &code.replace('-', ""));
        }
        for options in [host.begin_passkey(did).await.unwrap(), host.begin_passkey_sign_in().unwrap()] {
            canaries.add("a challenge", options["challenge"].as_str().unwrap());
        }
        let given = SignIn {
            identifier: did.as_str(),
            password,
            factor: None,
            app_passwords: false,
            address: "192.0.2.1",
        };
        let Ok(SignedIn::FactorNeeded(needed)) = host.sign_in(given).await else {
            panic!("no factor is asked for")
        };
        canaries.add("a ticket", &needed.ticket);
        let code = app.agree(&host, did, password, &codes[9], canaries).await;
        (secret, codes, code)
    })
}

#[test]
fn secrets_are_found_nowhere() {
    let options = Options { pdses: 0, ..Options::default() };
    let Some(network) = Network::start(&options).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let metrics = free_port().unwrap().to_string();
    let smtp = format!("smtp://mailer:{SMTP}@127.0.0.1:1");
    let settings = [
        ("P2PDS_LOG_LEVEL", "trace"),
        ("P2PDS_LOG_FORMAT", "json"),
        ("P2PDS_METRICS_PORT", metrics.as_str()),
        ("PDS_ADMIN_PASSWORD", ADMIN),
        ("PDS_JWT_SECRET", JWT),
        ("PDS_RATE_LIMIT_BYPASS_KEY", BYPASS),
        ("P2PDS_PEER_TOKENS", PEER),
        ("PDS_EMAIL_SMTP_URL", &smtp),
        ("PDS_EMAIL_FROM_ADDRESS", "pds@mail.test"),
        ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", ROTATION),
    ];
    let mut hosted = Hosted::start(&network, &data, &settings).unwrap();
    let mut canaries = Canaries::default();
    for (name, secret) in [
        ("the password", PASSWORD),
        ("the changed password", CHANGED),
        ("a mistyped password", MISTYPED),
        ("the operator's password", ADMIN),
        ("a wrong operator's password", WRONG_ADMIN),
        ("the secret of sessions", JWT),
        ("the bypass key", BYPASS),
        ("a peer's token", PEER),
        ("the mail server's password", SMTP),
        ("the rotation key", ROTATION),
    ] {
        canaries.add(name, secret);
    }
    canaries.0.push(("the rotation key's bytes".to_owned(), HEXLOWER.decode(ROTATION.as_bytes()).unwrap()));
    let url = hosted.url.clone();
    let mut asking = Asking { url: &url, answers: Vec::new() };
    let given = json!({ "handle": "carol.test", "email": "carol@mail.test", "password": PASSWORD });
    let made = asking.call("com.atproto.server.createAccount", "", &given);
    for name in ["accessJwt", "refreshJwt"] {
        canaries.add(&format!("{name} of the sign-up"), text(&made, name));
    }
    let (access, refresh) = asking.session("carol.test", PASSWORD);
    let app = asking.call("com.atproto.server.createAppPassword", &access, &json!({ "name": "phone" }));
    canaries.add("the app password", text(&app, "password"));
    let (app_access, _) = asking.session("carol.test", text(&app, "password"));
    let renewed = asking.call("com.atproto.server.refreshSession", &refresh, &Value::Null);
    let bearer = format!("Bearer {access}");
    let service = asking.ask(
        "GET",
        "/xrpc/com.atproto.server.getServiceAuth?aud=did:web:a.example",
        &[("authorization", &bearer)],
        None,
    );
    for (name, token) in [
        ("an access token", access.as_str()),
        ("a refresh token", &refresh),
        ("an app's token", &app_access),
        ("a renewed token", text(&renewed, "refreshJwt")),
        ("a service token", text(&service.json().unwrap(), "token")),
    ] {
        canaries.add(name, token);
        // Its signature alone is as good as a name for it.
        canaries.add(&format!("the signature of {name}"), token.rsplit('.').next().unwrap());
    }
    let record =
        json!({ "repo": text(&made, "did"), "collection": POST, "record": post_record("in the open") });
    asking.call("com.atproto.repo.createRecord", &access, &record);
    asking.call("com.atproto.server.requestPasswordReset", "", &json!({ "email": "carol@mail.test" }));
    let admin = format!("Basic {}", BASE64.encode(format!("admin:{ADMIN}").as_bytes()));
    let change = json!({ "did": text(&made, "did"), "password": CHANGED });
    let reply = asking.ask(
        "POST",
        "/xrpc/com.atproto.admin.updateAccountPassword",
        &[("authorization", &admin)],
        Some(&change),
    );
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    asking.session("carol.test", CHANGED);
    let client = oauth::App::begin(&mut asking, &mut canaries);
    // The pages' part, by the same code on the same data.
    let first = hosted.stop().unwrap();
    let did = Did::parse(text(&made, "did")).unwrap();
    let (app_secret, backup_codes, code) = on_the_pages(&data, &url, &did, CHANGED, &client, &mut canaries);
    hosted.begin().unwrap();
    let oauth_tokens = client.live(&mut asking, &code, &mut canaries);
    let log_in = |asking: &mut Asking<'_>, factor: Option<&str>| {
        let given = json!({ "identifier": "carol.test", "password": CHANGED, "authFactorToken": factor });
        asking.ask("POST", "/xrpc/com.atproto.server.createSession", &[], Some(&given)).status
    };
    assert_eq!(log_in(&mut asking, None), 401);
    assert_eq!(log_in(&mut asking, Some(&backup_codes[0])), 200);
    assert_eq!(log_in(&mut asking, Some(&backup_codes[0])), 400, "once");
    // The code of the next half minute, which is good already: the present one has proved the app.
    let shown = totp::code(&app_secret, totp::step(now()) + 1);
    assert_eq!(log_in(&mut asking, Some(std::str::from_utf8(&shown).unwrap())), 200);
    let app_secret = BASE32_NOPAD.encode(&app_secret);
    for secret in [
        &app_secret,
        &backup_codes[1],
        &code,
        &oauth_tokens[0],
        &oauth_tokens[1],
        PASSWORD,
        MISTYPED,
        ADMIN,
        WRONG_ADMIN,
        JWT,
        BYPASS,
        PEER,
        ROTATION,
        &access,
        &refresh,
        text(&app, "password"),
    ] {
        misplaced(&mut asking, secret);
    }
    let answers = std::mem::take(&mut asking.answers);
    assert!(answers.len() > 400, "{} refusals", answers.len());
    let page = request("GET", &format!("http://127.0.0.1:{metrics}/metrics"), &[], None).unwrap();
    assert!(page.status == 200 && page.body.len() > 1_000);
    let backup = dir.path().join("backup");
    hosted.program.ok(&["backup".as_ref(), backup.as_os_str()]).unwrap();
    let said = hosted.program.ok(&["account", "list", "--json"]).unwrap();
    let ended = hosted.stop().unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
    assert!(first.stderr.lines().count() + ended.stderr.lines().count() > 50, "the log says something");

    let mut wrong = Vec::new();
    let places = [
        ("the log before", first.stderr.as_bytes()),
        ("the log", ended.stderr.as_bytes()),
        ("standard output", &ended.stdout),
        ("metrics", &page.body),
        ("account list", &said.stdout),
    ];
    for (place, bytes) in
        places.into_iter().chain(answers.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
    {
        // What stands in the question's own path is the caller's to know.
        wrong.extend(canaries.found(bytes).into_iter().map(|found| format!("{found} is in {place}")));
    }
    // The keys' own directory is where keys belong, and a backup without them has none.
    canaries.below(&data, &["keys"], &mut wrong);
    canaries.below(&backup, &[], &mut wrong);
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is no secret is found, in the database as everywhere.
    let (mut open, mut there) = (Canaries::default(), Vec::new());
    open.add("the address", "carol@mail.test");
    open.below(&data, &["keys"], &mut there);
    assert!(there.iter().any(|place| place.contains("sqlite")), "{there:?}");
}
