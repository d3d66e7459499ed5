//! Bodies that are too large, too slow, too long, broken or compressed beyond measure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_ENCODING;
use axum::routing::get;
use futures::stream;
use p2pds_net::{Client, GetOptions, NetConfig, NetError};
use p2pds_syntax::ErrorKind;
use tokio::io::AsyncWriteExt;

fn options(max_bytes: u64) -> GetOptions {
    GetOptions { max_bytes, retries: 0, ..GetOptions::metadata() }
}

/// A client that loses patience soon.
fn hasty() -> Client {
    let config = NetConfig {
        header_timeout: Duration::from_millis(300),
        rate_window: Duration::from_millis(400),
        ..NetConfig::development()
    };
    Client::new(config).unwrap()
}

async fn drain(client: &Client, url: &str, options: &GetOptions) -> Result<u64, NetError> {
    let mut response = client.get(url, options).await?;
    while response.chunk().await?.is_some() {}
    Ok(response.received())
}

#[tokio::test]
async fn an_announced_size_above_the_limit_is_refused_unread() {
    let addr = support::serve(Router::new().route("/", get(|| async { vec![7_u8; 5000] }))).await;
    let url = format!("http://{addr}/");
    let client = support::local();
    assert_eq!(drain(&client, &url, &options(5000)).await.unwrap(), 5000);
    let mut response = client.get(&url, &options(4999)).await.unwrap();
    assert_eq!(response.announced_length(), Some(5000));
    assert!(matches!(response.chunk().await.unwrap_err(), NetError::TooLarge { limit: 4999, .. }));
    assert_eq!(response.received(), 0);
    let response = client.get(&url, &options(5000)).await.unwrap();
    assert_eq!(
        response.bytes(10).await.unwrap_err().kind(),
        ErrorKind::Limited,
        "a tighter limit of the reader"
    );
}

#[tokio::test]
async fn a_size_not_announced_is_counted() {
    let endless = || async {
        Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0_u8; 1000]))))
    };
    let addr = support::serve(Router::new().route("/", get(endless))).await;
    let error = drain(&support::local(), &format!("http://{addr}/"), &options(1_000_000)).await.unwrap_err();
    assert!(matches!(error, NetError::TooLarge { limit: 1_000_000, .. }), "{error:?}");
}

#[tokio::test]
async fn a_compression_bomb_is_counted_after_decompression() {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..16 {
        gz.write_all(&vec![0_u8; 1 << 20]).unwrap();
    }
    let bomb = Bytes::from(gz.finish().unwrap());
    assert!(bomb.len() < 20_000, "small on the wire: {}", bomb.len());
    let routes = Router::new().route("/", get(move || async move { ([(CONTENT_ENCODING, "gzip")], bomb) }));
    let addr = support::serve(routes).await;
    let url = format!("http://{addr}/");
    let client = support::local();
    let mut response = client.get(&url, &options(100_000)).await.unwrap();
    let error = loop {
        if let Err(e) = response.chunk().await {
            break e;
        }
    };
    assert!(matches!(error, NetError::TooLarge { limit: 100_000, .. }), "{error:?}");
    assert!(response.received() < 300_000, "stopped at once: {}", response.received());
    assert_eq!(drain(&client, &url, &options(16 << 20)).await.unwrap(), 16 << 20, "and it is decompressed");
}

#[tokio::test]
async fn a_trickle_is_given_up() {
    let addr = support::raw(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        // 10 bytes each 50 ms: 200 bytes a second.
        while stream.write_all(b"0123456789").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let error = drain(&hasty(), &format!("http://{addr}/"), &options(u64::MAX)).await.unwrap_err();
    assert!(matches!(error, NetError::TooSlow { min_rate: 1024, .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_body_that_falls_silent_is_given_up_although_it_began_fast() {
    let addr = support::raw(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let _ = stream.write_all(&vec![1_u8; 300_000]).await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = drain(&hasty(), &format!("http://{addr}/"), &options(u64::MAX)).await.unwrap_err();
    assert!(matches!(error, NetError::TooSlow { received: 300_000, .. }), "{error:?}");
}

#[tokio::test]
async fn a_slow_reader_is_not_mistaken_for_a_slow_host() {
    let addr = support::serve(Router::new().route("/", get(|| async { vec![7_u8; 2_000_000] }))).await;
    let client =
        Client::new(NetConfig { rate_window: Duration::from_millis(150), ..NetConfig::development() })
            .unwrap();
    let mut response = client.get(&format!("http://{addr}/"), &options(u64::MAX)).await.unwrap();
    response.chunk().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    while response.chunk().await.unwrap().is_some() {}
    assert_eq!(response.received(), 2_000_000);
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_given_up() {
    let addr = support::raw(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = hasty().get(&format!("http://{addr}/"), &options(10)).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { phase: "answer", .. }), "{error:?}");
}

#[tokio::test]
async fn the_deadline_holds_for_the_body_however_busy() {
    let endless = || async {
        Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0_u8; 1000]))))
    };
    let addr = support::serve(Router::new().route("/", get(endless))).await;
    let options = GetOptions::stream(u64::MAX, Duration::from_millis(300));
    let error = drain(&support::local(), &format!("http://{addr}/"), &options).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { phase: "finish its answer", .. }), "{error:?}");
}

#[tokio::test]
async fn broken_bodies_are_errors_and_never_short_answers() {
    for text in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-encoding: gzip\r\n\r\nnogzip",
    ] {
        let addr = support::raw(move |stream, _| support::say(stream, text)).await;
        let error = drain(&support::local(), &format!("http://{addr}/"), &options(1000)).await.unwrap_err();
        assert!(matches!(error, NetError::Body { .. }), "{text:?}: {error:?}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let addr = support::raw(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(format!("x: {}\r\n", "y".repeat(1000)).as_bytes()).await.is_ok() {}
    })
    .await;
    let error = support::local().get(&format!("http://{addr}/"), &options(10)).await.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_reader_that_pauses_makes_the_host_pause() {
    const TOTAL: u64 = 256 << 20;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let body = move || {
        let counted = Arc::clone(&counted);
        async move {
            let pieces = stream::repeat_with(move || {
                counted.fetch_add(65_536, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65_536]))
            });
            Body::from_stream(futures::StreamExt::take(pieces, (TOTAL / 65_536) as usize))
        }
    };
    let addr = support::serve(Router::new().route("/", get(body))).await;
    let mut response = support::local().get(&format!("http://{addr}/"), &options(TOTAL)).await.unwrap();
    response.chunk().await.unwrap().unwrap();
    // Until nothing more is taken from the host, or it has got rid of everything.
    let mut before = u64::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = sent.load(Ordering::SeqCst);
        if now == before || now >= TOTAL {
            break;
        }
        before = now;
    }
    assert!(
        sent.load(Ordering::SeqCst) < TOTAL / 4,
        "{} bytes were taken ahead",
        sent.load(Ordering::SeqCst)
    );
    while response.chunk().await.unwrap().is_some() {}
    assert_eq!(response.received(), TOTAL);
}
