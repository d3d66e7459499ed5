//! What the tests of the client share: servers on loopback, clients, a scripted clock.
#![allow(dead_code)]

#[path = "../../../testkit/src/dns.rs"]
pub mod dns;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use p2pds_net::{Client, NetConfig, Pace, Pause};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server with these routes on a free loopback port; it lives as long as the test's runtime.
pub async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    addr
}

/// A server that reads the head of each request and then does what `act` says with the raw connection.
pub async fn raw<F, Fut>(act: F) -> SocketAddr
where
    F: Fn(TcpStream, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0_u8; 4096];
            let _ = stream.read(&mut head).await;
            tokio::spawn(act(stream, number));
        }
    });
    addr
}

/// Sends `text` and closes.
pub async fn say(mut stream: TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The development client.
pub fn local() -> Client {
    Client::new(NetConfig::development()).unwrap()
}

/// The client as it is in production, asking the given DNS server.
pub fn strict(dns: SocketAddr) -> Client {
    Client::new(NetConfig { nameservers: vec![dns], ..NetConfig::default() }).unwrap()
}

/// A clock that stands at 1,000,000 s and moves only when somebody sleeps; it notes for how long.
pub struct Script {
    now: AtomicU64,
    pub slept: Mutex<Vec<u64>>,
}

impl Script {
    pub const START_MS: u64 = 1_800_000_000_000;

    pub fn new() -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(Self::START_MS), slept: Mutex::default() })
    }

    pub fn slept(&self) -> Vec<u64> {
        self.slept.lock().unwrap().clone()
    }
}

impl Pace for Script {
    fn now_ms(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }
    fn sleep(&self, duration: Duration) -> Pause {
        let ms = u64::try_from(duration.as_millis()).unwrap();
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.slept.lock().unwrap().push(ms);
        Box::pin(std::future::ready(()))
    }
    fn random(&self) -> u64 {
        0
    }
}
