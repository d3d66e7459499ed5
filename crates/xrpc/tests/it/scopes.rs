//! Every method × every scope. What should come out is said by the reference: which permission a method asks for is
//! written down here once more, as its sources have it, and whether a grant has that permission its own package judges.

use std::io::Write as _;
use std::process::{Command, Stdio};

use axum::http::Method as Http;
use p2pds_syntax::Did;
use p2pds_testkit::need;
use p2pds_testkit::oracle::node;
use p2pds_xrpc::proxy::{ProxyConfig, Service};
use p2pds_xrpc::{Kind, XrpcConfig, methods};
use serde_json::{Value, json};

use crate::apps::{App, Apps};
use crate::hosting::did;

const VIEW: &str = "did:web:api.example.com";
const VIEW_ENTRY: &str = "did:web:api.example.com#bsky_appview";
const MOD_ENTRY: &str = "did:web:mod.example.com#atproto_labeler";
const OTHER: &str = "did:web:other.example#svc";
const POST: &str = "app.bsky.feed.post";
const LIKE: &str = "app.bsky.feed.like";

/// What is granted, each beside `atproto`.
const GRANTS: &str = "
    -
    transition:generic
    transition:email
    transition:chat.bsky
    transition:generic transition:chat.bsky
    transition:generic transition:email transition:chat.bsky
    repo:*
    repo:*?action=create
    repo:*?action=update
    repo:*?action=delete
    repo:*?action=create&action=update
    repo:app.bsky.feed.post
    repo:app.bsky.feed.post?action=create
    repo:app.bsky.feed.post?action=update
    repo:app.bsky.feed.post?action=delete
    repo:app.bsky.feed.post?action=create&action=update
    repo:app.bsky.feed.post?action=create repo:app.bsky.feed.like?action=delete
    repo:app.bsky.feed.like
    repo?collection=app.bsky.feed.post&collection=app.bsky.feed.like
    repo?collection=app.bsky.feed.like&collection=app.bsky.graph.follow&action=create
    repo:app.bsky.feed.postgate
    repo:app.bsky.feed.POST
    repo:com.example.thing
    blob:*/*
    blob:image/*
    blob:image/png
    blob:image/jpeg
    blob:video/*
    blob?accept=video/mp4&accept=image/png
    blob:text/plain
    account:email
    account:email?action=manage
    account:email?action=read&action=manage
    account:repo
    account:repo?action=manage
    account:status
    account:status?action=manage
    identity:handle
    identity:*
    rpc:*?aud=did:web:api.example.com%23bsky_appview
    rpc:*?aud=did:web:api.example.com%23bsky_notif
    rpc:*?aud=did:web:other.example%23svc
    rpc:*?aud=did:web:mod.example.com%23atproto_labeler
    rpc:app.bsky.feed.getTimeline?aud=*
    rpc:app.bsky.feed.getTimeline?aud=did:web:api.example.com%23bsky_appview
    rpc:app.bsky.feed.getTimeline?aud=did:web:other.example%23svc
    rpc:APP.bsky.feed.getTimeline?aud=*
    rpc:app.bsky.actor.getPreferences?aud=*
    rpc:app.bsky.actor.putPreferences?aud=did:web:api.example.com%23bsky_appview
    rpc?lxm=app.bsky.actor.getProfile&lxm=app.bsky.actor.getProfiles&aud=*
    rpc:app.bsky.feed.getFeed?aud=*
    rpc:app.bsky.feed.getFeedSkeleton?aud=*
    rpc?lxm=app.bsky.feed.getFeed&lxm=app.bsky.feed.getFeedSkeleton&aud=did:web:api.example.com%23bsky_appview
    rpc:chat.bsky.convo.getLog?aud=*
    rpc:com.atproto.moderation.createReport?aud=*
    rpc:com.atproto.moderation.createReport?aud=did:web:api.example.com%23bsky_appview
    rpc:com.atproto.server.createAccount?aud=did:web:new.example%23atproto_pds
    rpc:app.bsky.notification.registerPush?aud=*
    rpc:tools.ozone.team.listMembers?aud=*
    rpc:com.example.thing?aud=*
    repo:* blob:*/* account:email?action=manage account:repo?action=manage account:status?action=manage identity:*
    transition:generic identity:handle account:repo
";

/// What comes of a call.
enum Opens {
    /// Everybody: public data.
    Public,
    /// No session at all: the operator's, or a token of another sort.
    Other,
    /// It is not served.
    Absent,
    /// No application, whatever it was granted.
    Never,
    /// An application that was granted all of these, as the reference's package has them.
    Granted(Vec<Value>),
}

fn rpc(lxm: &str, aud: &str) -> Value {
    json!(["rpc", { "lxm": lxm, "aud": aud }])
}

fn write(collection: &str, action: &str) -> Value {
    json!(["repo", { "collection": collection, "action": action }])
}

/// What each method asks for, as the sources of the reference server have it (`authorize` of each of its routes).
fn opens(nsid: &str) -> Opens {
    let one = |need: Value| Opens::Granted(vec![need]);
    let manage = |attr: &str| Opens::Granted(vec![json!(["account", { "attr": attr, "action": "manage" }])]);
    match nsid {
        "com.atproto.identity.getRecommendedDidCredentials"
        | "com.atproto.identity.refreshIdentity"
        | "com.atproto.repo.listMissingBlobs"
        | "com.atproto.server.checkAccountStatus"
        | "com.atproto.server.getSession"
        | "com.atproto.sync.getBlob"
        | "com.atproto.sync.getBlocks"
        | "com.atproto.sync.getCheckout"
        | "com.atproto.sync.getHead"
        | "com.atproto.sync.getLatestCommit"
        | "com.atproto.sync.getRecord"
        | "com.atproto.sync.getRepo"
        | "com.atproto.sync.listBlobs" => Opens::Granted(Vec::new()),
        "com.atproto.identity.requestPlcOperationSignature"
        | "com.atproto.identity.signPlcOperation"
        | "com.atproto.identity.submitPlcOperation" => one(json!(["identity", { "attr": "*" }])),
        "com.atproto.identity.updateHandle" => one(json!(["identity", { "attr": "handle" }])),
        "com.atproto.repo.importRepo" => manage("repo"),
        "com.atproto.server.deactivateAccount" => manage("status"),
        "com.atproto.server.confirmEmail" | "com.atproto.server.requestEmailConfirmation" => manage("email"),
        "com.atproto.server.activateAccount"
        | "com.atproto.server.createAppPassword"
        | "com.atproto.server.getAccountInviteCodes"
        | "com.atproto.server.listAppPasswords"
        | "com.atproto.server.requestAccountDelete"
        | "com.atproto.server.requestEmailUpdate"
        | "com.atproto.server.revokeAppPassword"
        | "com.atproto.server.updateEmail"
        | "com.atproto.temp.checkSignupQueue" => Opens::Never,
        "app.bsky.feed.getFeed" => {
            Opens::Granted(vec![rpc(nsid, VIEW_ENTRY), rpc("app.bsky.feed.getFeedSkeleton", VIEW_ENTRY)])
        }
        "com.atproto.moderation.createReport" => one(rpc(nsid, MOD_ENTRY)),
        _ if nsid.starts_with("app.bsky.") => one(rpc(nsid, VIEW_ENTRY)),
        "com.atproto.label.queryLabels"
        | "com.atproto.lexicon.resolveLexicon"
        | "com.atproto.temp.addReservedHandle"
        | "com.atproto.temp.checkHandleAvailability"
        | "com.atproto.temp.dereferenceScope"
        | "com.atproto.temp.fetchLabels"
        | "com.atproto.temp.requestPhoneVerification"
        | "com.atproto.temp.revokeAccountCredentials" => one(rpc(nsid, VIEW_ENTRY)),
        "com.atproto.admin.updateAccountSigningKey"
        | "com.atproto.label.subscribeLabels"
        | "com.atproto.sync.getHostStatus"
        | "com.atproto.sync.listHosts"
        | "com.atproto.sync.notifyOfUpdate"
        | "com.atproto.sync.requestCrawl" => Opens::Absent,
        "com.atproto.server.createInviteCode"
        | "com.atproto.server.createInviteCodes"
        | "com.atproto.server.createAccount"
        | "com.atproto.server.deleteSession"
        | "com.atproto.server.refreshSession" => Opens::Other,
        _ if nsid.starts_with("com.atproto.admin.") => Opens::Other,
        "com.atproto.identity.resolveDid"
        | "com.atproto.identity.resolveHandle"
        | "com.atproto.identity.resolveIdentity"
        | "com.atproto.repo.describeRepo"
        | "com.atproto.repo.getRecord"
        | "com.atproto.repo.listRecords"
        | "com.atproto.server.createSession"
        | "com.atproto.server.deleteAccount"
        | "com.atproto.server.describeServer"
        | "com.atproto.server.requestPasswordReset"
        | "com.atproto.server.reserveSigningKey"
        | "com.atproto.server.resetPassword"
        | "com.atproto.sync.getRepoStatus"
        | "com.atproto.sync.listRepos"
        | "com.atproto.sync.listReposByCollection"
        | "com.atproto.sync.subscribeRepos"
        | "org.p2pds.lexicon.list"
        | "org.p2pds.lexicon.search"
        | "org.p2pds.lexicon.stats"
        | "org.p2pds.plc.getLog" => Opens::Public,
        _ => panic!("{nsid} has no entry here: say what an application must have been granted for it"),
    }
}

/// One call, and what opens it.
struct Probe {
    http: Http,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    opens: Opens,
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Methods whose entry alone decides. Their bodies are no good, so that nothing happens when they are let in.
fn by_entry(nsid: &str, kind: Kind) -> Probe {
    let (http, headers, body) = match kind {
        Kind::Procedure => (Http::POST, vec![JSON], b"[]".to_vec()),
        _ => (Http::GET, Vec::new(), Vec::new()),
    };
    Probe { http, path: format!("/xrpc/{nsid}"), headers, body, opens: opens(nsid) }
}

fn get(path: &str, headers: &[(&'static str, &'static str)], needs: Vec<Value>) -> Probe {
    let path = format!("/xrpc/{path}");
    let headers = headers.to_vec();
    Probe { http: Http::GET, path, headers, body: Vec::new(), opens: Opens::Granted(needs) }
}

fn post(path: &str, body: Value, needs: Vec<Value>) -> Probe {
    let (path, body) = (format!("/xrpc/{path}"), body.to_string().into_bytes());
    Probe { http: Http::POST, path, headers: vec![JSON], body, opens: Opens::Granted(needs) }
}

fn upload(kind: &'static str, bytes: &[u8], mimes: &[&str]) -> Probe {
    let needs = mimes.iter().map(|mime| json!(["blob", { "mime": mime }])).collect();
    let (path, headers) = ("/xrpc/com.atproto.repo.uploadBlob".to_owned(), vec![("content-type", kind)]);
    Probe { http: Http::POST, path, headers, body: bytes.to_vec(), opens: Opens::Granted(needs) }
}

/// Calls of which the request says what they are for.
fn by_request(did: &Did) -> Vec<Probe> {
    const RKEY: &str = "3jzfcijpj2z2a";
    let record = |kind: &str| json!({ "$type": kind, "text": "x", "createdAt": "2026-01-01T00:00:00.000Z" });
    let create = |collection: &str| json!({ "repo": did, "collection": collection, "validate": false, "record": record(collection) });
    let item = |action: &str, collection: &str| {
        json!({
            "$type": format!("com.atproto.repo.applyWrites#{action}"), "collection": collection,
            "rkey": RKEY, "value": record(collection),
        })
    };
    let apply = |items: Vec<Value>| json!({ "repo": did, "validate": false, "writes": items });
    let at = |aud: &str| aud.replace('#', "%23");
    let ask = |lxm: &str, aud: &str| {
        let lxm_query = if lxm == "*" { String::new() } else { format!("&lxm={lxm}") };
        get(
            &format!("com.atproto.server.getServiceAuth?aud={}{lxm_query}", at(aud)),
            &[],
            vec![rpc(lxm, aud)],
        )
    };
    let push = |nsid: &str, service: &str| {
        let body = json!({ "serviceDid": service, "token": "x", "platform": "web", "appId": "x" });
        post(nsid, body, vec![rpc(nsid, &format!("{service}#bsky_notif"))])
    };
    let timeline = "app.bsky.feed.getTimeline";
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    vec![
        post("com.atproto.repo.createRecord", create(POST), vec![write(POST, "create")]),
        post("com.atproto.repo.createRecord", create(LIKE), vec![write(LIKE, "create")]),
        post(
            "com.atproto.repo.createRecord",
            create("com.example.thing"),
            vec![write("com.example.thing", "create")],
        ),
        post(
            "com.atproto.repo.putRecord",
            json!({ "repo": did, "collection": POST, "rkey": RKEY, "validate": false, "record": record(POST) }),
            vec![write(POST, "create"), write(POST, "update")],
        ),
        post(
            "com.atproto.repo.deleteRecord",
            json!({ "repo": did, "collection": POST, "rkey": "3jzfcijpj2z2b" }),
            vec![write(POST, "delete")],
        ),
        post("com.atproto.repo.applyWrites", apply(vec![item("update", POST)]), vec![write(POST, "update")]),
        post(
            "com.atproto.repo.applyWrites",
            apply(vec![item("create", POST), item("delete", LIKE)]),
            vec![write(POST, "create"), write(LIKE, "delete")],
        ),
        post(
            "com.atproto.repo.applyWrites",
            apply(vec![item("create", POST), item("update", POST), item("delete", POST)]),
            vec![write(POST, "create"), write(POST, "update"), write(POST, "delete")],
        ),
        upload("image/png", png, &["image/png"]),
        upload("Text/Plain; charset=utf-8", b"only words", &["text/plain"]),
        upload("video/mp4", b"nothing that anybody knows", &["video/mp4"]),
        // More than the reference asks: what the bytes say is a media type as well.
        upload("text/plain", png, &["text/plain", "image/png"]),
        upload("image/jpeg", png, &["image/jpeg", "image/png"]),
        ask(timeline, VIEW_ENTRY),
        ask(timeline, VIEW),
        ask(timeline, OTHER),
        ask("*", VIEW_ENTRY),
        ask("*", OTHER),
        ask("chat.bsky.convo.getLog", OTHER),
        ask("com.atproto.server.createAccount", "did:web:new.example#atproto_pds"),
        push("app.bsky.notification.registerPush", VIEW),
        push("app.bsky.notification.unregisterPush", VIEW),
        push("app.bsky.notification.registerPush", "did:web:other.example"),
        get(timeline, &[("atproto-proxy", OTHER)], vec![rpc(timeline, OTHER)]),
        get(timeline, &[("atproto-proxy", VIEW_ENTRY)], vec![rpc(timeline, VIEW_ENTRY)]),
        get(
            "app.bsky.actor.getPreferences",
            &[("atproto-proxy", OTHER)],
            vec![rpc("app.bsky.actor.getPreferences", OTHER)],
        ),
        get("app.bsky.feed.searchPosts?q=x", &[], vec![rpc("app.bsky.feed.searchPosts", VIEW_ENTRY)]),
        get("chat.bsky.convo.getLog", &[], vec![rpc("chat.bsky.convo.getLog", VIEW_ENTRY)]),
        get(
            "chat.bsky.convo.getLog",
            &[("atproto-proxy", OTHER)],
            vec![rpc("chat.bsky.convo.getLog", OTHER)],
        ),
        get("tools.ozone.team.listMembers", &[], vec![rpc("tools.ozone.team.listMembers", MOD_ENTRY)]),
        get("com.example.thing", &[("atproto-proxy", OTHER)], vec![rpc("com.example.thing", OTHER)]),
        get("com.example.thing", &[], vec![rpc("com.example.thing", VIEW_ENTRY)]),
    ]
}

/// Methods of which the entry does not say enough.
const BY_REQUEST: [&str; 8] = [
    "app.bsky.notification.registerPush",
    "app.bsky.notification.unregisterPush",
    "com.atproto.repo.applyWrites",
    "com.atproto.repo.createRecord",
    "com.atproto.repo.deleteRecord",
    "com.atproto.repo.putRecord",
    "com.atproto.repo.uploadBlob",
    "com.atproto.server.getServiceAuth",
];

/// The reference's judgement: for each grant, for each probe.
fn judged(grants: &[String], probes: &[Probe]) -> Option<Vec<Vec<bool>>> {
    let oracle = need::oracle()?;
    let lists: Vec<&[Value]> = probes
        .iter()
        .map(|probe| match &probe.opens {
            Opens::Granted(needs) => needs.as_slice(),
            _ => &[],
        })
        .collect();
    let needs: Vec<&Value> = lists.iter().copied().flatten().collect();
    let questions = json!({
        "scopes": [], "needed": [], "sets": [],
        "grants": grants.iter().map(|grant| json!({
            "scopes": grant.split(' ').collect::<Vec<_>>(), "needs": needs,
        })).collect::<Vec<_>>(),
    });
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(oracle.join("node_modules"), dir.path().join("node_modules")).unwrap();
    let script = dir.path().join("scopes.mjs");
    std::fs::write(&script, include_str!("../../../testkit/tests/oauth/scopes.mjs")).unwrap();
    let mut child = Command::new(node(&oracle))
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(questions.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of_grant = |answer: &Value| {
        let mut said = answer.as_array().unwrap().iter().map(|one| one.as_bool().unwrap());
        // All of them are taken, also behind the first refusal.
        lists.iter().map(|needs| needs.iter().fold(true, |all, _| said.next().unwrap() && all)).collect()
    };
    Some(answers["grants"].as_array().unwrap().iter().map(of_grant).collect())
}

fn proxy() -> ProxyConfig {
    // Nobody listens there: what was let in ends with that.
    let service =
        |did: &str| Some(Service { did: Did::parse(did).unwrap(), url: "http://127.0.0.1:1".to_owned() });
    let moderation = service("did:web:mod.example.com");
    ProxyConfig { app_view: service(VIEW), reports: moderation.clone(), moderation, ..ProxyConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_and_every_scope() {
    let grants: Vec<String> = GRANTS
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| if line == "-" { "atproto".to_owned() } else { format!("atproto {line}") })
        .collect();
    assert!(grants.len() >= 60, "{}", grants.len());
    let mut probes: Vec<Probe> = methods()
        .filter(|method| !BY_REQUEST.contains(&method.nsid))
        .map(|method| by_entry(method.nsid, method.kind))
        .collect();
    probes.extend(by_request(&did(1)));
    let Some(judged) = judged(&grants, &probes) else { return };
    let apps = Apps::new(1, XrpcConfig { proxy: proxy(), ..XrpcConfig::default() }).await;
    let (mut opened, mut refused) = (0, 0);
    for (grant, judged) in grants.iter().zip(judged) {
        let app = apps.sign_in(1, grant).await;
        for (probe, granted) in probes.iter().zip(judged) {
            let reply = apps.call(&app, &probe.http, &probe.path, &probe.headers, probe.body.clone()).await;
            let at = || format!("{grant} | {} {:?} | {reply:?}", probe.path, probe.headers);
            let name = if reply.status == 200 { String::new() } else { reply.error() };
            match probe.opens {
                Opens::Absent => assert_eq!(reply.status, 501, "{}", at()),
                Opens::Other => {
                    assert_eq!((reply.status, name.as_str()), (401, "AuthenticationRequired"), "{}", at())
                }
                Opens::Never => assert_eq!((reply.status, name.as_str()), (403, "Forbidden"), "{}", at()),
                Opens::Public => {
                    assert!(
                        !["ScopeMissingError", "Forbidden", "invalid_token"].contains(&name.as_str()),
                        "{}",
                        at()
                    );
                }
                Opens::Granted(_) if granted => {
                    assert!(![401, 403].contains(&reply.status), "{}", at());
                    opened += 1;
                }
                Opens::Granted(_) => {
                    assert_eq!((reply.status, name.as_str()), (403, "ScopeMissingError"), "{}", at());
                    assert!(reply.header("www-authenticate").contains("insufficient_scope"), "{}", at());
                    refused += 1;
                }
            }
            assert!(!reply.header("dpop-nonce").is_empty(), "{}", at());
        }
    }
    assert!(opened > 800 && refused > 2_000, "{opened} let in, {refused} refused");
}

async fn session(apps: &Apps, app: &App) -> Value {
    let reply = apps.get(app, "/xrpc/com.atproto.server.getSession").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// The address is told to those who were granted it.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_the_address() {
    let apps = Apps::new(1, XrpcConfig::default()).await;
    for (scope, told) in [
        ("atproto", false),
        ("atproto transition:generic", false),
        ("atproto account:repo?action=manage account:status", false),
        ("atproto transition:email", true),
        ("atproto account:email", true),
        ("atproto account:email?action=manage", true),
    ] {
        let app = apps.sign_in(1, scope).await;
        let seen = session(&apps, &app).await;
        assert_eq!(seen["did"], did(1).as_str());
        assert_eq!(seen.get("emailConfirmed").is_some(), told, "{scope}: {seen}");
        let fields = seen.as_object().unwrap().keys().filter(|name| name.starts_with("email")).count();
        assert_eq!(fields > 0, told, "{scope}: {seen}");
    }
}
