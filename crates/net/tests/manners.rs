//! Retries, rate limits, redirects, XRPC errors: on a scripted clock where time counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response as Reply};
use axum::routing::{any, get};
use p2pds_net::{Client, GetOptions, NetConfig, NetError};
use p2pds_syntax::ErrorKind;
use support::Script;

fn scripted() -> (Client, Arc<Script>) {
    let script = Script::new();
    (Client::with_pace(NetConfig::development(), script.clone()).unwrap(), script)
}

fn options(retries: u8) -> GetOptions {
    GetOptions { retries, ..GetOptions::metadata() }
}

/// A server that gives one reply after the other, the last one for ever, and counts.
async fn replies(list: Vec<(u16, Vec<(&'static str, String)>)>) -> (String, Arc<AtomicU64>) {
    let hits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&hits);
    let reply = move || {
        let number = counted.fetch_add(1, Ordering::SeqCst) as usize;
        let (status, headers) = list[number.min(list.len() - 1)].clone();
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::try_from(v).unwrap()))
            .collect();
        async move { (StatusCode::from_u16(status).unwrap(), headers, "body") }
    };
    let addr = support::serve(Router::new().route("/", any(reply))).await;
    (format!("http://{addr}/"), hits)
}

#[tokio::test]
async fn server_errors_are_retried_with_growing_pauses() {
    let (url, hits) = replies(vec![(503, vec![]), (500, vec![]), (502, vec![]), (200, vec![])]).await;
    let (client, script) = scripted();
    assert_eq!(client.get(&url, &options(3)).await.unwrap().status(), 200);
    assert_eq!(script.slept(), [125, 250, 500]);
    assert_eq!(hits.load(Ordering::SeqCst), 4);

    let (url, hits) = replies(vec![(503, vec![])]).await;
    let answer = client.get(&url, &options(2)).await.unwrap();
    assert!(matches!(answer.success().unwrap_err(), NetError::Status { status: 503, .. }));
    assert_eq!(hits.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn other_errors_are_not_retried() {
    for status in [400, 401, 404, 410, 418] {
        let (url, hits) = replies(vec![(status, vec![])]).await;
        let (client, script) = scripted();
        assert_eq!(client.get(&url, &options(3)).await.unwrap().status(), status);
        assert_eq!(hits.load(Ordering::SeqCst), 1);
        assert!(script.slept().is_empty());
    }
}

#[tokio::test]
async fn connections_that_break_are_retried() {
    let addr = support::raw(|stream, number| async move {
        if number >= 2 {
            support::say(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let (client, script) = scripted();
    let answer = client.get(&format!("http://{addr}/"), &options(3)).await.unwrap();
    assert_eq!(answer.bytes(10).await.unwrap(), "ok");
    assert_eq!(script.slept(), [125, 250]);
}

#[tokio::test]
async fn a_closed_port_is_an_error_in_plain_words() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = scripted().0.get(&format!("http://{addr}/"), &options(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("could not connect to 127.0.0.1: "), "{error}");
}

#[tokio::test]
async fn posts_are_sent_once() {
    let (url, hits) = replies(vec![(503, vec![]), (200, vec![])]).await;
    let (client, _) = scripted();
    let answer = client.post_json(&url, &serde_json::json!({"a": 1}), &options(5)).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn later_means_later() {
    let soon = Script::START_MS / 1000 + 9;
    for (headers, wait) in [
        (vec![("retry-after", "7".to_owned())], 7000),
        (vec![("retry-after", "Fri, 15 Jan 2027 08:00:20 GMT".to_owned())], 20_000),
        (vec![("ratelimit-reset", soon.to_string())], 9000),
        (vec![("ratelimit-reset", "11".to_owned())], 11_000),
        (vec![], 5000),
    ] {
        let (url, hits) = replies(vec![(429, headers.clone()), (200, vec![])]).await;
        let (client, script) = scripted();
        assert_eq!(client.get(&url, &options(1)).await.unwrap().status(), 200);
        assert_eq!(script.slept(), [wait], "{headers:?}");
        assert_eq!(hits.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn much_later_is_an_error_for_all_requests_to_the_host() {
    let (url, hits) = replies(vec![(429, vec![("retry-after", "600".to_owned())])]).await;
    let (client, script) = scripted();
    for _ in 0..3 {
        let error = client.get(&url, &options(5)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limited);
        match error {
            NetError::RateLimited { until_ms, wait_ms, .. } => {
                assert_eq!((until_ms, wait_ms), (Script::START_MS + 600_000, 600_000));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(hits.load(Ordering::SeqCst), 1, "the host was left alone");
    assert!(script.slept().is_empty());
}

#[tokio::test]
async fn the_last_request_of_a_budget_is_noticed() {
    let budget = |left: &str| {
        (200, vec![("ratelimit-remaining", left.to_owned()), ("ratelimit-reset", "30".to_owned())])
    };
    let (url, hits) = replies(vec![budget("1"), budget("0"), budget("99")]).await;
    let (client, script) = scripted();
    for _ in 0..3 {
        client.get(&url, &options(0)).await.unwrap();
    }
    assert_eq!(script.slept(), [30_000]);
    assert_eq!(hits.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_open_body_holds_its_slot() {
    let addr = support::serve(Router::new().route("/", get(|| async { vec![1_u8; 100] }))).await;
    let url = format!("http://{addr}/");
    let config = NetConfig { per_host_concurrency: 1, ..NetConfig::development() };
    let client = Client::new(config).unwrap();
    let held = client.get(&url, &options(0)).await.unwrap();
    let short = GetOptions { deadline: std::time::Duration::from_millis(200), ..options(0) };
    let error = client.get(&url, &short).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { .. }), "{error:?}");
    drop(held);
    assert_eq!(client.get(&url, &options(0)).await.unwrap().status(), 200);
}

/// `/n` redirects to `/n-1`; `/0` tells which secret header came with the request.
async fn staircase() -> String {
    let step = |axum::extract::Path(n): axum::extract::Path<u8>, headers: HeaderMap| async move {
        if n == 0 {
            let secret = headers.get("authorization").map_or("none", |v| v.to_str().unwrap()).to_owned();
            return secret.into_response();
        }
        (StatusCode::TEMPORARY_REDIRECT, [("location", format!("/{}", n - 1))]).into_response()
    };
    let addr = support::serve(Router::new().route("/{n}", get(step))).await;
    format!("http://{addr}")
}

#[tokio::test]
async fn three_redirects_are_followed_and_not_four() {
    let base = staircase().await;
    let client = support::local();
    for n in 0..=3 {
        let answer = client.get(&format!("{base}/{n}"), &options(0)).await.unwrap();
        assert_eq!(answer.url(), format!("{base}/0"));
        assert_eq!(answer.status(), 200);
    }
    let generous = GetOptions { redirects: 200, ..options(0) };
    for options in [&options(0), &generous] {
        let error = client.get(&format!("{base}/4"), options).await.unwrap_err();
        assert!(matches!(error, NetError::Redirect { .. }), "{error:?}");
    }
    let answer = client.get(&format!("{base}/1"), &options(0).no_redirects()).await.unwrap();
    assert_eq!(answer.status(), 307, "without redirects they are answers");
}

#[tokio::test]
async fn secrets_stay_with_the_origin_they_were_meant_for() {
    let other = staircase().await;
    let target = format!("{other}/0");
    let away = move || async move { (StatusCode::FOUND, [("location", target.clone())]).into_response() };
    let addr = support::serve(Router::new().route("/", get(away))).await;
    let client = support::local();
    let with_secret =
        options(0).header(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer x"));
    let kept = client.get(&format!("{other}/2"), &with_secret).await.unwrap();
    assert_eq!(kept.bytes(100).await.unwrap(), "Bearer x");
    let dropped = client.get(&format!("http://{addr}/"), &with_secret).await.unwrap();
    assert_eq!(dropped.bytes(100).await.unwrap(), "none");
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_an_error() {
    let (url, _) = replies(vec![(302, vec![])]).await;
    let error = scripted().0.get(&url, &options(0)).await.unwrap_err();
    assert!(matches!(error, NetError::Redirect { .. }), "{error:?}");
}

/// A server whose every method answers the same.
async fn method(status: u16, body: &'static str) -> String {
    let reply = move || async move { (StatusCode::from_u16(status).unwrap(), body) };
    let addr = support::serve(Router::new().route("/xrpc/{nsid}", any(reply))).await;
    format!("http://{addr}")
}

#[tokio::test]
async fn xrpc_errors_are_decoded() {
    let client = support::local();
    let none = options(0);
    let nsid = "com.atproto.sync.getRepo";
    let base = method(400, r#"{"error":"RepoTakendown","message":"gone\u0000 for good"}"#).await;
    let error = client.xrpc_get(&base, nsid, &[], &none).await.unwrap_err();
    assert_eq!(error.xrpc_error(), Some("RepoTakendown"));
    assert_eq!(error.to_string(), "127.0.0.1 answered 400 RepoTakendown: gone  for good");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        client.xrpc_post(&base, nsid, &1, &none).await.unwrap_err().xrpc_error(),
        Some("RepoTakendown")
    );

    for (status, body, name, kind) in [
        (404, r#"{"error":"RepoNotFound"}"#, "RepoNotFound", ErrorKind::NotFound),
        (403, r#"{"error":"Forbidden","message":null}"#, "Forbidden", ErrorKind::Denied),
        (400, "<html>", "Unknown", ErrorKind::Invalid),
        (500, "", "Unknown", ErrorKind::Unavailable),
        (400, r#"{"message":"no name"}"#, "Unknown", ErrorKind::Invalid),
        (301, "", "Unknown", ErrorKind::Invalid),
    ] {
        let base = method(status, body).await;
        let error = client.xrpc_get(&base, nsid, &[], &none.clone().no_redirects()).await.unwrap_err();
        assert_eq!((error.xrpc_error(), error.kind()), (Some(name), kind), "{status} {body}");
    }

    let base = method(200, r#"{"rev":"x"}"#).await;
    let json: serde_json::Value =
        client.xrpc_json(&base, nsid, &[("did", "did:web:x")], &none).await.unwrap();
    assert_eq!(json["rev"], "x");
    let base = method(200, "{").await;
    let error = client.xrpc_json::<serde_json::Value>(&base, nsid, &[], &none).await.unwrap_err();
    assert!(matches!(error, NetError::Json { .. }), "{error:?}");
}

#[tokio::test]
async fn requests_carry_what_was_asked_for_and_nothing_from_the_environment() {
    let echo = |headers: HeaderMap| async move {
        let text = |n: &str| headers.get(n).map_or("-", |v| v.to_str().unwrap()).to_owned();
        let reply: Reply = [text("user-agent"), text("accept"), text("accept-encoding"), text("cookie")]
            .join("|")
            .into_response();
        reply
    };
    let addr = support::serve(Router::new().route("/", get(echo))).await;
    let answer =
        support::local().get(&format!("http://{addr}/"), &options(0).accept("text/plain")).await.unwrap();
    let text = answer.bytes(1000).await.unwrap();
    assert_eq!(text, format!("p2pds/{}|text/plain|gzip|-", env!("CARGO_PKG_VERSION")));
}
