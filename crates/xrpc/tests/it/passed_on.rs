//! What is passed on for an application: the service sees the account's word for one method and nothing of the session;
//! and what the account has just written is there.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use p2pds_crypto::PublicKey;
use p2pds_crypto::jwt::{Algorithm, Unverified};
use p2pds_syntax::Did;
use p2pds_xrpc::XrpcConfig;
use p2pds_xrpc::proxy::{ProxyConfig, Service};
use serde_json::{Value, json};

use crate::apps::{App, Apps};
use crate::hosting::did;

const VIEW: &str = "did:web:api.example.com";

/// An AppView that has heard nothing for a while, and keeps what it was asked.
#[derive(Clone)]
struct View {
    rev: String,
    asked: Arc<Mutex<Vec<(String, axum::http::HeaderMap)>>>,
}

async fn answer(State(view): State<View>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    view.asked.lock().unwrap().push((path, request.headers().clone()));
    let body = json!({ "did": did(1), "handle": "user1.example", "displayName": "as it was" });
    ([("atproto-repo-rev", view.rev)], axum::Json(body)).into_response()
}

impl View {
    async fn start(rev: String) -> (Self, String) {
        let view = Self { rev, asked: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(view.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (view, url)
    }

    fn last(&self) -> (String, axum::http::HeaderMap) {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Host, AppView, and an application that reads profiles and writes its own.
async fn begin(scope: &str) -> (Apps, View, App) {
    // The rev that the account begins with is older than all that follows.
    let (view, url) = View::start("3kaaaaaaaaa2a".to_owned()).await;
    let app_view = Some(Service { did: Did::parse(VIEW).unwrap(), url });
    let proxy = ProxyConfig { app_view, ..ProxyConfig::default() };
    let apps = Apps::new(1, XrpcConfig { proxy, ..XrpcConfig::default() }).await;
    let app = apps.sign_in(1, scope).await;
    (apps, view, app)
}

async fn signing_key(apps: &Apps) -> PublicKey {
    let login = apps.node.store.login(&did(1)).await.unwrap().unwrap();
    PublicKey::from_did_key(&login.signing_did_key).unwrap()
}

/// What a service token of the account says, once its signature is checked.
fn says(token: &str, key: &PublicKey) -> Value {
    let token = Unverified::parse(token, &[Algorithm::Es256k]).unwrap();
    let claims = token.verify_key(key).unwrap().0;
    json!({ "iss": claims.text("iss").unwrap(), "aud": claims.text("aud").unwrap(), "lxm": claims.text("lxm").unwrap() })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_application_wrote_it_reads() {
    let scope = "atproto repo:app.bsky.actor.profile rpc:app.bsky.actor.getProfile?aud=did:web:api.example.com%23bsky_appview";
    let (apps, view, app) = begin(scope).await;
    let profile = json!({ "$type": "app.bsky.actor.profile", "displayName": "as it is" });
    let write =
        json!({ "repo": did(1), "collection": "app.bsky.actor.profile", "rkey": "self", "record": profile });
    let reply = apps.post(&app, "/xrpc/com.atproto.repo.putRecord", write).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let path = format!("/xrpc/app.bsky.actor.getProfile?actor={}", did(1));
    let reply = apps.get(&app, &path).await;
    assert_eq!((reply.status, &reply.json()["displayName"]), (200, &json!("as it is")), "{reply:?}");
    assert!(!reply.header("atproto-upstream-lag").is_empty() && !reply.header("dpop-nonce").is_empty());
    // The service got the account's word for this one method, and nothing with which it could come back here.
    let (asked, headers) = view.last();
    assert_eq!(asked, "/xrpc/app.bsky.actor.getProfile");
    assert!(!headers.contains_key("dpop"));
    let bearer = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    assert_ne!(bearer, app.token);
    let expected = json!({ "iss": did(1), "aud": VIEW, "lxm": "app.bsky.actor.getProfile" });
    assert_eq!(says(bearer, &signing_key(&apps).await), expected);
    // What was not granted does not get as far as that.
    let before = view.count();
    assert_eq!(apps.get(&app, "/xrpc/app.bsky.feed.getTimeline").await.error(), "ScopeMissingError");
    assert_eq!(view.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_messages_are_for_those_who_were_granted_them() {
    let (apps, view, app) = begin("atproto transition:generic").await;
    let log = "/xrpc/chat.bsky.convo.getLog";
    assert_eq!(apps.get(&app, log).await.error(), "ScopeMissingError");
    assert_eq!(view.count(), 0);
    let app = apps.sign_in(1, "atproto transition:generic transition:chat.bsky").await;
    assert_eq!(apps.get(&app, log).await.status, 200);
    let (_, headers) = view.last();
    let bearer = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(says(bearer, &signing_key(&apps).await)["lxm"], "chat.bsky.convo.getLog");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_for_services_are_for_what_was_granted() {
    let scope =
        "atproto rpc:com.example.do?aud=did:web:svc.example%23do rpc:com.atproto.server.createAccount?aud=*";
    let (apps, _view, app) = begin(scope).await;
    let ask =
        async |query: &str| apps.get(&app, &format!("/xrpc/com.atproto.server.getServiceAuth?{query}")).await;
    let key = signing_key(&apps).await;
    let reply = ask("aud=did:web:svc.example%23do&lxm=com.example.do").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let token = reply.json()["token"].as_str().unwrap().to_owned();
    let expected = json!({ "iss": did(1), "aud": "did:web:svc.example#do", "lxm": "com.example.do" });
    assert_eq!(says(&token, &key), expected);
    // Moving away is for whoever was granted it.
    assert_eq!(ask("aud=did:web:new.example&lxm=com.atproto.server.createAccount").await.status, 200);
    for (query, name) in [
        ("aud=did:web:svc.example&lxm=com.example.do", "ScopeMissingError"),
        ("aud=did:web:svc.example%23do&lxm=com.example.other", "ScopeMissingError"),
        ("aud=did:web:svc.example%23do", "ScopeMissingError"),
        ("aud=did:web:svc.example%23do&lxm=", "ScopeMissingError"),
        ("lxm=com.example.do", "InvalidRequest"),
        ("aud=did:web:other.example&aud=did:web:svc.example%23do&lxm=com.example.do", "ScopeMissingError"),
    ] {
        let reply = ask(query).await;
        assert_eq!(reply.error(), name, "{query}: {reply:?}");
    }
    // Methods about the account itself are nobody's, whatever was granted.
    let app = apps.sign_in(1, "atproto rpc:com.atproto.server.createAppPassword?aud=*").await;
    let path = "/xrpc/com.atproto.server.getServiceAuth?aud=did:web:pds.test&lxm=com.atproto.server.createAppPassword";
    let reply = apps.get(&app, path).await;
    assert_eq!((reply.status, reply.error().as_str()), (400, "InvalidRequest"), "{reply:?}");
}

/// Preferences are kept here, and personal ones are for the password.
#[tokio::test(flavor = "multi_thread")]
async fn preferences_of_applications() {
    let (apps, view, app) = begin("atproto transition:generic").await;
    let get = "/xrpc/app.bsky.actor.getPreferences";
    let tags = json!({ "$type": "app.bsky.actor.defs#interestsPref", "tags": ["tea"] });
    let put = json!({ "preferences": [tags] });
    let reply = apps.post(&app, "/xrpc/app.bsky.actor.putPreferences", put).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(apps.get(&app, get).await.json()["preferences"], json!([tags]));
    let personal = json!({ "preferences": [{ "$type": "app.bsky.actor.defs#personalDetailsPref", "birthDate": "1980-01-01T00:00:00Z" }] });
    assert_eq!(apps.post(&app, "/xrpc/app.bsky.actor.putPreferences", personal).await.status, 400);
    assert_eq!(view.count(), 0);
}
