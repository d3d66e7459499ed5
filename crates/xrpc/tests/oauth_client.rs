//! The network's own OAuth client, unmodified, signs in to this host, writes within its scope, is refused outside of it,
//! refreshes and signs out, as a public and as a confidential client; and what the endpoints say on the wire.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

#[path = "../../host/tests/shared/mod.rs"]
mod shared;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Extension;
use p2pds_host::accounts::By;
use p2pds_net::NetConfig;
use p2pds_oauth::{Begun, LogIn, OAuth};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::Did;
use p2pds_testkit::dns;
use p2pds_testkit::script::Script;
use p2pds_testkit::secure::SecureSite;
use p2pds_xrpc::{PeerAddress, Xrpc, XrpcConfig, router};
use serde_json::{Value, json};
use shared::{Node, config, did};

const PASSWORD: &str = "correct horse battery";
const SCOPE: &str = "atproto repo:com.example.thing";

/// A host on a port of this machine, with one account.
struct World {
    node: Node,
    oauth: OAuth,
    url: String,
}

impl World {
    async fn new() -> Self {
        Self::reaching(NetConfig { allow_loopback: true, ..NetConfig::default() }).await
    }

    /// Its requests go out so.
    async fn reaching(net: NetConfig) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
        let config = p2pds_host::HostConfig { public_url: url.clone(), ..config() };
        let node = Node::reaching(dir, store, config, net);
        set_clock(&node, 0);
        node.account(&did(1)).await;
        node.host.admin_set_password(&By::Operator, &did(1), PASSWORD).await.unwrap();
        let oauth = node.host.authorization_server().unwrap();
        let door = Xrpc::new(node.host.reading().clone(), XrpcConfig::default())
            .with_host(Some(node.host.clone()))
            .with_oauth(Some(oauth.clone()));
        let peer = PeerAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let routes = router(Arc::new(door)).layer(Extension(peer));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { node, oauth, url }
    }

    /// The next thing that a script says; a `url` is where it sends somebody, who agrees.
    async fn hear(&self, script: &mut Script) -> Value {
        loop {
            // The client has a clock of its own.
            set_clock(&self.node, 0);
            let said = tokio::task::block_in_place(|| script.hear()).unwrap();
            let Some(address) = said["url"].as_str() else { return said };
            let answer = self.agree(address, &did(1)).await;
            set_clock(&self.node, 0);
            script.say(&answer).unwrap();
        }
    }

    /// What the page does when somebody signs in and agrees: the answer that his browser brings to the application.
    async fn agree(&self, address: &str, who: &Did) -> String {
        let address = url::Url::parse(address).unwrap();
        assert_eq!(address.path(), "/oauth/authorize");
        let param =
            |name: &str| address.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
        let (device, _) = self.oauth.new_device("a browser", "127.0.0.1").await.unwrap();
        let ask = LogIn {
            identifier: who.to_string(),
            password: PASSWORD.to_owned().into(),
            factor: None,
            address: "127.0.0.1".to_owned(),
        };
        let signed_in = self.oauth.sign_in(&device, ask, true).await.unwrap();
        let device = self.oauth.device(&signed_in.cookie, "127.0.0.1").await.unwrap().unwrap();
        let begun = self.oauth.begin(&param("client_id"), &param("request_uri"), &device).await.unwrap();
        let redirect = match begun {
            Begun::Show(asked) => self.oauth.accept(&asked, &device, who, &asked.scopes).await.unwrap(),
            // A confidential client to which he said yes before.
            Begun::Redirect(redirect) => redirect,
        };
        redirect.location().split_once('?').unwrap().1.to_owned()
    }
}

/// To what it is now, and so many seconds later.
fn set_clock(node: &Node, later: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(later);
    node.clock.store(i64::try_from(now.as_micros()).unwrap(), Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_network() {
    let world = World::new().await;
    let text = include_str!("../../testkit/tests/oauth/client.mjs");
    let Some(mut script) = Script::start(text, &[&world.url, did(1).as_str(), SCOPE]).unwrap() else {
        return;
    };
    let said = world.hear(&mut script).await;
    script.end().unwrap();
    assert_eq!(said["told"], json!({ "did": did(1), "state": "a state of the application", "scope": SCOPE }));
    assert_eq!(said["first"]["status"], 200, "{said}");
    assert_eq!(said["outside"]["status"], 403, "{said}");
    assert_eq!(said["outside"]["body"]["error"], "ScopeMissingError", "{said}");
    assert_eq!(said["renewed"], true);
    assert_eq!(said["second"]["status"], 200, "{said}");
    assert_eq!(said["replayed"], "refused");
    assert_ne!(said["after"], 200, "{said}");
    assert_eq!(world.oauth.grants(&did(1)).await.unwrap(), []);
}

/// Its documents stand at its own address, which is fetched over https as the network's are: from a name, with a
/// certificate that is checked.
#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_client() {
    let site = SecureSite::start("app.example.com").unwrap();
    let names = dns::Server::start().unwrap();
    names.set_addresses("app.example.com", &[Ipv4Addr::LOCALHOST.into()]);
    let net = NetConfig {
        nameservers: vec![names.addr()],
        extra_roots: vec![site.root.clone()],
        ..NetConfig::development()
    };
    let world = World::reaching(net).await;
    let text = include_str!("../../testkit/tests/oauth/confidential.mjs");
    let who = did(1);
    let arguments = [world.url.as_str(), who.as_str(), SCOPE, &site.url];
    let Some(mut script) = Script::start(text, &arguments).unwrap() else { return };

    let said = world.hear(&mut script).await;
    assert_eq!(said["jwks"]["keys"].as_array().map(Vec::len), Some(2), "{said}");
    site.put("/client.json", &said["metadata"]);
    site.put("/jwks.json", &said["jwks"]);
    script.say("published").unwrap();

    let said = world.hear(&mut script).await;
    let grants = world.oauth.grants(&did(1)).await.unwrap();
    let known = |client: &str| grants.iter().filter(|grant| grant.client_id == client).count();
    assert_eq!(known(&format!("{}/client.json", site.url)), 2);
    assert!(grants.iter().all(|grant| grant.client_name == "A service"));
    assert_eq!((site.asked("/client.json"), site.asked("/jwks.json")), (1, 1), "remembered for a while");
    assert!(said["withdraw"].is_string(), "{said}");
    site.put("/jwks.json", &said["jwks"]);
    set_clock(&world.node, 301);
    world.oauth.look_for_keys().await.unwrap();
    set_clock(&world.node, 0);
    assert_eq!(world.oauth.grants(&did(1)).await.unwrap(), [], "they began with the key that is gone");
    script.say("withdrawn").unwrap();

    let said = world.hear(&mut script).await;
    script.end().unwrap();
    let answer = |status: u16, error: Value| json!({ "status": status, "error": error });
    assert_eq!(said["first"], answer(200, Value::Null), "{said}");
    assert_eq!(said["outside"], answer(403, json!("ScopeMissingError")), "{said}");
    assert_eq!(said["renewed"], true, "{said}");
    assert_eq!(said["second"], answer(200, Value::Null), "{said}");
    // RFC 9101: what was asked for in the signed object, which another key cannot sign.
    assert_eq!(said["granted"], "atproto", "{said}");
    assert_eq!(said["forged"], "invalid_request_object", "{said}");
    assert_eq!(said["withdrawn"]["status"], 401, "{said}");
    assert_ne!(said["refreshed"], "accepted", "{said}");
    assert_eq!(said["again"], "invalid_client", "{said}");
    assert_eq!(said["next"], "accepted", "with the key that is still published: {said}");
}

/// One request, as it goes over the wire; status, headers in lower case, body.
fn send(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let reply = p2pds_testkit::http::request(method, &format!("{url}{path}"), headers, Some(body.as_bytes()))
        .unwrap();
    (reply.status, reply.headers.clone(), reply.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_endpoints_say() {
    let world = World::new().await;
    let url = world.url.clone();
    tokio::task::spawn_blocking(move || {
        let header = |headers: &[(String, String)], name: &str| {
            headers
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        };
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource",
            "/oauth/jwks",
        ] {
            let (status, headers, body) = send(&url, "GET", path, &[], "");
            assert_eq!(status, 200, "{path}");
            assert_eq!(header(&headers, "access-control-allow-origin"), "*");
            let body: Value = serde_json::from_slice(&body).unwrap();
            match path {
                "/.well-known/oauth-authorization-server" => assert_eq!(body["issuer"], json!(url)),
                "/oauth/jwks" => assert_eq!(body, json!({ "keys": [] })),
                _ => assert_eq!(body["authorization_servers"], json!([url])),
            }
        }
        let form = ("content-type", "application/x-www-form-urlencoded");
        for path in ["/oauth/par", "/oauth/token", "/oauth/revoke"] {
            let (status, headers, body) = send(&url, "POST", path, &[form], "a=b");
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{path} {body}");
            assert!(body["error_description"].is_string());
            assert!(!header(&headers, "dpop-nonce").is_empty(), "RFC 9449 8.2");
            assert_eq!(header(&headers, "cache-control"), "no-store", "RFC 6749 5.1");
            assert_eq!(header(&headers, "access-control-allow-origin"), "*");
            let (status, ..) = send(&url, "GET", path, &[], "");
            assert_eq!(status, 405, "RFC 9126 2.3");
            let (status, headers, _) =
                send(&url, "OPTIONS", path, &[("origin", "https://app.example.com")], "");
            assert_eq!(status, 204);
            assert!(header(&headers, "access-control-allow-headers").contains('*'));
            let (status, _, body) = send(&url, "POST", path, &[("content-type", "text/plain")], "a=b");
            assert_eq!((status, error(&body)), (400, "invalid_request".to_owned()));
            let (status, _, body) = send(
                &url,
                "POST",
                path,
                &[form, ("authorization", "Basic YTpi")],
                "client_id=http://localhost",
            );
            assert_eq!((status, error(&body)), (401, "invalid_client".to_owned()), "RFC 6749 2.3.1");
            let (status, ..) = send(&url, "POST", path, &[form], &"a".repeat(70_000));
            assert_eq!(status, 413);
            let json = ("content-type", "application/json");
            let (status, _, body) = send(&url, "POST", path, &[json], r#"{"client_id":"a","client_id":"b"}"#);
            assert_eq!((status, error(&body)), (400, "invalid_request".to_owned()));
        }
    })
    .await
    .unwrap();
}

fn error(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["error"].as_str().unwrap_or_default().to_owned()
}
