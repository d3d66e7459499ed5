//! How often: every rule of the table, who is counted as whom, and what callers are told.

use std::sync::Arc;

use axum::http::Method as Http;
use p2pds_host::sessions::AppPassword;
use p2pds_xrpc::meter::By as Whom;
use p2pds_xrpc::{Kind, Method, Net, Secret, Xrpc, XrpcConfig, methods, router};

use crate::hosting::{Node, did};
use crate::house::{Door, Reply};

fn door(node: &Node, config: XrpcConfig) -> Door {
    let xrpc = Xrpc::new(node.host.reading().clone(), config).with_host(Some(node.host.clone()));
    Door::over(router(Arc::new(xrpc)))
}

fn plenty() -> XrpcConfig {
    XrpcConfig { requests: u32::MAX, ..XrpcConfig::default() }
}

async fn token(node: &Node, number: u32) -> String {
    let session = node.host.new_session(&did(number), None::<AppPassword>, false).unwrap();
    node.store.apply(session.unit).await.unwrap();
    format!("Bearer {}", session.tokens.access.as_str())
}

/// Asks so that no handler gets far: its input is missing.
async fn ask(door: &Door, method: &Method, token: &str) -> Reply {
    let verb = if method.kind == Kind::Procedure { Http::POST } else { Http::GET };
    let given: &[(&str, &str)] = if token.is_empty() { &[] } else { &[("authorization", token)] };
    door.send(verb, &format!("/xrpc/{}", method.nsid), given).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_of_the_table_ends_somewhere() {
    let node = Node::new();
    for number in [1, 2] {
        node.account(&did(number)).await;
    }
    let mut seen = 0;
    for method in methods().filter(|method| !method.rules.is_empty()) {
        let least = method.rules.iter().min_by_key(|rule| rule.points).unwrap();
        let (one, two) = match least.by {
            Whom::Account => (token(&node, 1).await, token(&node, 2).await),
            Whom::Address | Whom::Handler => (String::new(), String::new()),
        };
        let door = door(&node, plenty());
        for n in 0..least.points {
            let reply = ask(&door, method, &one).await;
            assert_ne!(reply.status, 429, "{} {n}", method.nsid);
            if n == 0 {
                assert_eq!(reply.header("ratelimit-limit"), least.points.to_string(), "{}", method.nsid);
                assert_eq!(reply.header("ratelimit-remaining"), (least.points - 1).to_string());
                let policy = format!("{};w={}", least.points, least.seconds);
                assert_eq!(reply.header("ratelimit-policy"), policy);
            }
        }
        let reply = ask(&door, method, &one).await;
        assert_eq!((reply.status, reply.error().as_str()), (429, "RateLimitExceeded"), "{}", method.nsid);
        assert_eq!(reply.header("ratelimit-remaining"), "0");
        assert!(reply.header("retry-after").parse::<u64>().unwrap() <= least.seconds + 1);
        let other = if least.by == Whom::Account {
            ask(&door, method, &two).await
        } else {
            ask(&door.seen_from("192.0.2.99"), method, "").await
        };
        assert_ne!(other.status, 429, "{}: somebody else", method.nsid);
        seen += 1;
    }
    assert!(seen >= 12, "{seen} methods with rules");
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_repos_have_a_count_of_their_own() {
    let node = Node::new();
    let door = door(&node, XrpcConfig { requests: 2, ..XrpcConfig::default() });
    let repo = "/xrpc/com.atproto.sync.getRepo?did=did:web:nobody.example";
    for _ in 0..4 {
        let reply = door.get(repo).await;
        assert_eq!((reply.error().as_str(), reply.header("ratelimit-limit")), ("RepoNotFound", "6000"));
    }
    for wanted in [200, 200, 429] {
        assert_eq!(door.xrpc("com.atproto.sync.listRepos", "").await.status, wanted);
    }
    assert_eq!(door.get(repo).await.error(), "RepoNotFound");
    for near in ["/xrpc/com.atproto.sync.getrepo", "/xrpc/com.atproto.sync.getRepo%20"] {
        assert_eq!(door.get(near).await.status, 429, "{near} is counted as all are");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_on_this_machine_is_believed_for_the_count_only() {
    let node = Node::new();
    let config = || XrpcConfig {
        requests: 2,
        bypass: vec![Net::parse("203.0.113.7").unwrap()],
        ..XrpcConfig::default()
    };
    let ask = async |door: &Door, said: &str| {
        let given = [("x-forwarded-for", said)];
        door.send(Http::GET, "/xrpc/com.atproto.sync.listRepos", &given).await.status
    };
    let here = door(&node, config()).seen_from("127.0.0.1");
    for (said, wanted) in [
        ("198.51.100.1", 200),
        ("198.51.100.1", 200),
        ("198.51.100.1", 429),
        ("198.51.100.2", 200),
        // What the caller wrote before the proxy's own word is nobody's.
        ("198.51.100.9, 198.51.100.1", 429),
        ("198.51.100.1, 198.51.100.3", 200),
        // The operator's friends are known by their own address, not by what is said of it.
        ("203.0.113.7", 200),
        ("203.0.113.7", 200),
        ("203.0.113.7", 429),
    ] {
        assert_eq!(ask(&here, said).await, wanted, "{said}");
    }
    let friend = door(&node, config()).seen_from("203.0.113.7");
    for _ in 0..5 {
        assert_eq!(ask(&friend, "198.51.100.1").await, 200);
    }
    let trusting = XrpcConfig { trusted_proxies: vec![Net::parse("127.0.0.0/8").unwrap()], ..config() };
    let configured = door(&node, trusting).seen_from("127.0.0.1");
    for _ in 0..5 {
        assert_eq!(ask(&configured, "203.0.113.7").await, 200, "a configured proxy's word counts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lets_through_and_a_wrong_one_does_not() {
    let node = Node::new();
    let config =
        XrpcConfig { requests: 1, bypass_key: Some(Secret::new("let-me-in")), ..XrpcConfig::default() };
    let door = door(&node, config);
    let ask = async |key: &str| {
        let given = [("x-ratelimit-bypass", key)];
        door.send(Http::GET, "/xrpc/com.atproto.sync.listRepos", &given).await.status
    };
    for (key, wanted) in
        [("x", 200), ("x", 429), ("", 429), ("let-me-in", 200), ("let-me-in", 200), ("let-me-i", 429)]
    {
        assert_eq!(ask(key).await, wanted, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_can_be_switched_off() {
    let node = Node::new();
    node.account(&did(1)).await;
    let off = door(&node, XrpcConfig { rate_limits: false, requests: 1, ..XrpcConfig::default() });
    let method =
        methods().find(|method| method.nsid == "com.atproto.server.requestEmailConfirmation").unwrap();
    let token = token(&node, 1).await;
    for _ in 0..20 {
        let reply = ask(&off, method, &token).await;
        assert!(reply.status != 429 && reply.header("ratelimit-limit").is_empty());
    }
}

#[tokio::test]
async fn web_pages_may_ask() {
    let node = Node::new();
    let door = door(&node, plenty());
    for path in [
        "/xrpc/com.atproto.server.createSession",
        "/xrpc/app.bsky.feed.getTimeline",
        "/xrpc/com.atproto.sync.getRepo",
    ] {
        let reply = door
            .send(
                Http::OPTIONS,
                path,
                &[("origin", "https://bsky.app"), ("access-control-request-method", "POST")],
            )
            .await;
        assert_eq!(reply.status, 204);
        assert!(reply.header("access-control-allow-methods").contains("POST"));
        assert!(reply.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(reply.header("access-control-allow-credentials").is_empty(), "no cookies, ever");
    }
    let reply = door.send(Http::HEAD, "/xrpc/com.atproto.sync.listRepos", &[]).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    for (verb, path) in [
        (Http::GET, "/xrpc/com.atproto.server.createSession"),
        (Http::POST, "/xrpc/com.atproto.sync.listRepos"),
        (Http::PUT, "/xrpc/com.atproto.repo.createRecord"),
        (Http::DELETE, "/xrpc/com.atproto.repo.getRecord"),
        (Http::PATCH, "/xrpc/app.bsky.feed.getTimeline"),
    ] {
        let reply = door.send(verb.clone(), path, &[]).await;
        assert_eq!((reply.status, reply.error().as_str()), (405, "InvalidRequest"), "{verb} {path}");
    }
}
