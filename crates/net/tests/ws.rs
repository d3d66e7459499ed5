//! Streams: the same rules as every other request before they open, and an end for every way to abuse them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use p2pds_net::{Client, NetConfig, NetError, WsOptions, WsStream};
use p2pds_syntax::ErrorKind;
use support::{dns, local, raw, say, strict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Limits that a test can wait for.
fn quick() -> WsOptions {
    WsOptions {
        max_frame: 4096,
        handshake: Duration::from_secs(2),
        idle: Duration::from_millis(600),
        ping_every: Duration::from_millis(200),
        rate_window: Duration::from_millis(400),
        ..WsOptions::default()
    }
}

async fn open(addr: SocketAddr) -> Result<WsStream, NetError> {
    local().ws(&format!("ws://localhost:{}/xrpc/stream?cursor=1", addr.port()), &quick()).await
}

/// A server that answers every request with this text.
async fn saying(text: &'static str) -> SocketAddr {
    raw(move |stream, _| say(stream, text)).await
}

/// A server that opens the stream and then does what it is told; the key is that of the request it has read.
async fn upgraded<F, Fut>(act: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            tokio::spawn(act.clone()(stream));
        }
    });
    addr
}

#[tokio::test]
async fn addresses_are_refused_as_for_every_request() {
    let client = Client::new(NetConfig::default()).unwrap();
    for (url, kind) in [
        ("wss://127.0.0.1/", ErrorKind::Denied),
        ("wss://[::1]/", ErrorKind::Denied),
        ("wss://169.254.169.254/latest", ErrorKind::Denied),
        ("wss://0x7f.1/", ErrorKind::Denied),
        ("wss://[::ffff:10.0.0.1]/", ErrorKind::Denied),
        ("wss://localhost/", ErrorKind::Denied),
        ("wss://intranet/", ErrorKind::Denied),
        ("wss://example.com:22/", ErrorKind::Denied),
        ("ws://example.com/", ErrorKind::Denied),
        ("WS://example.com/", ErrorKind::Denied),
        ("wss://user@example.com/", ErrorKind::Invalid),
        ("ftp://example.com/", ErrorKind::Invalid),
        ("example.com", ErrorKind::Invalid),
        ("wss", ErrorKind::Invalid),
    ] {
        let error = client.ws(url, &quick()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error}");
    }
    // A name that DNS leads to a private address, and development's reach.
    let dns = dns::Server::start().unwrap();
    dns.set_addresses("inside.example", &["10.0.0.7".parse().unwrap()]);
    let error = strict(dns.addr()).ws("wss://inside.example/", &quick()).await.unwrap_err();
    assert!(matches!(error, NetError::Refused { .. }), "{error}");
    let error = local().ws("ws://10.0.0.7:80/", &quick()).await.unwrap_err();
    assert!(matches!(error, NetError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_a_stream_is_said() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let error = open(saying(moved).await).await.unwrap_err();
    assert!(matches!(&error, NetError::Redirect { why, .. } if why.contains("127.0.0.1:1")), "{error}");
    let error = open(saying("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").await).await.unwrap_err();
    assert!(matches!(error, NetError::Status { status: 404, .. }), "{error}");
    let error = open(saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await).await.unwrap_err();
    assert!(matches!(error, NetError::Status { status: 200, .. }), "{error}");
    let later = "HTTP/1.1 429 Later\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n";
    let error = open(saying(later).await).await.unwrap_err();
    assert!(matches!(error, NetError::RateLimited { wait_ms: 29_000..=30_000, .. }), "{error}");
    let wrong =
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n";
    let error = open(saying(wrong).await).await.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }), "{error}");
    let error = open(saying("\0\0\0\0\0\0\0\0\r\n\r\n").await).await.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }), "{error}");
    let error = open(saying("").await).await.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }), "{error}");
    // Nobody listens.
    let error = open(SocketAddr::from(([127, 0, 0, 1], 1))).await.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up() {
    // A head that is sent one line at a time, for ever.
    let addr = raw(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 101 X\r\n").await;
        while stream.write_all(b"X-More: yes\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let error = open(addr).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { .. } | NetError::Connect { .. }), "{error}");
    // One that is longer than any.
    let addr = raw(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 101 X\r\n").await;
        let line = [b"X-More: ".as_slice(), &[b'x'; 8000], b"\r\n"].concat();
        while stream.write_all(&line).await.is_ok() {}
    })
    .await;
    let error = open(addr).await.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn messages_come_as_they_were_sent_and_the_end_is_told() {
    let addr = upgraded(|mut stream| async move {
        // Two messages, the second in two fragments with a ping between them, then a goodbye.
        stream.write_all(b"\x82\x02hi\x02\x03abc\x89\x01p\x80\x02de\x88\x05\x03\xe9bye").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let mut stream = open(addr).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "hi");
    assert_eq!(stream.next().await.unwrap().unwrap(), "abcde");
    assert_eq!(stream.next().await.unwrap(), None);
    assert_eq!(stream.closed(), Some((1001, "bye")));
    assert_eq!(stream.next().await.unwrap(), None);
    assert!(stream.received() > 23, "the frames and the handshake");
}

#[tokio::test]
async fn a_quiet_host_is_pinged_and_a_dead_one_is_left() {
    // It answers pings and says something after a while.
    let addr = upgraded(|mut stream| async move {
        let mut ping = [0; 6];
        for _ in 0..5 {
            stream.read_exact(&mut ping).await.unwrap();
            assert_eq!(ping[0], 0x89);
            stream.write_all(b"\x8a\x00").await.unwrap();
        }
        stream.write_all(b"\x82\x02hi").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut stream = open(addr).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "hi", "five pings are longer than the silence allowed");
    // It reads and says nothing.
    let addr = upgraded(|mut stream| async move { drop(stream.read_to_end(&mut Vec::new()).await) }).await;
    let error = open(addr).await.unwrap().next().await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn waiting_can_be_given_up_and_taken_up_again() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let addr = upgraded(move |mut stream| {
        let mut gone = gone.clone();
        async move {
            stream.write_all(b"\x82\x05he").await.unwrap();
            gone.wait_for(|gone| *gone).await.unwrap();
            stream.write_all(b"llo").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let mut stream = open(addr).await.unwrap();
    tokio::select! {
        biased;
        message = stream.next() => panic!("{message:?}"),
        () = tokio::task::yield_now() => {}
    }
    go.send(true).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "hello");
}
