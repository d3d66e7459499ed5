//! A small identity world on loopback: DNS, a PLC directory, web hosts, a store, a clock.
#![allow(dead_code)]

#[path = "../../../testkit/src/dns.rs"]
pub mod dns;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_directory::{Directory, DirectoryConfig, DirectoryError, Identity};
use p2pds_identity::plc::{Data, LogEntry, Operation, Unsigned, write_audit};
use p2pds_net::{Client, NetConfig, Pace, Pause};
use p2pds_store::{Account, Evidence, Finding, Origin, Store, Unit};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{AtIdentifier, Datetime, Did, Handle};
use tokio::net::TcpListener;

pub const START_MS: u64 = 1_795_000_000_000;
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A clock that stands still until it is moved.
pub struct Clock(AtomicU64);

impl Clock {
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Pace for Clock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn sleep(&self, _: Duration) -> Pause {
        Box::pin(std::future::ready(()))
    }
    fn random(&self) -> u64 {
        0
    }
}

/// Pages by `host path`, and how often each was asked for.
#[derive(Default)]
struct Pages {
    pages: HashMap<String, (u16, Vec<u8>)>,
    asked: HashMap<String, u64>,
}

pub struct World {
    pub dns: dns::Server,
    pub clock: Arc<Clock>,
    pub store: Arc<dyn Store>,
    pub directory: Directory,
    pages: Arc<Mutex<Pages>>,
    port: u16,
}

impl World {
    pub async fn new() -> Self {
        let store = SqliteStore::open(":memory:", Options::default()).unwrap();
        Self::with_store(Arc::new(store)).await
    }

    pub async fn with_store(store: Arc<dyn Store>) -> Self {
        let dns = dns::Server::start().unwrap();
        let pages = Arc::new(Mutex::new(Pages::default()));
        let port = serve(Arc::clone(&pages)).await.port();
        let clock = Arc::new(Clock(AtomicU64::new(START_MS)));
        let net = NetConfig { nameservers: vec![dns.addr()], ..NetConfig::development() };
        let client = Client::with_pace(net, clock.clone()).unwrap();
        dns.set_addresses("plc.test", &[LOOPBACK]);
        let config = DirectoryConfig {
            plc_url: format!("http://plc.test:{port}"),
            development_http_port: Some(port),
            ..DirectoryConfig::default()
        };
        let directory = Directory::with_pace(client, Arc::clone(&store), config, clock.clone());
        Self { dns, clock, store, directory, pages, port }
    }

    /// The same world seen by a process that was just started.
    pub fn restarted(&self) -> Directory {
        let net = NetConfig { nameservers: vec![self.dns.addr()], ..NetConfig::development() };
        let client = Client::with_pace(net, self.clock.clone()).unwrap();
        let config = self.directory.config().clone();
        Directory::with_pace(client, Arc::clone(&self.store), config, self.clock.clone())
    }

    pub fn plc_url(&self) -> String {
        format!("http://plc.test:{}", self.port)
    }

    /// Puts a page on a host, which then exists in DNS.
    pub fn page(&self, host: &str, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.dns.set_addresses(host, &[LOOPBACK]);
        self.pages.lock().unwrap().pages.insert(format!("{host} {path}"), (status, body.into()));
    }

    pub fn asked(&self, host: &str, path: &str) -> u64 {
        self.pages.lock().unwrap().asked.get(&format!("{host} {path}")).copied().unwrap_or(0)
    }

    /// Publishes a log at the PLC directory.
    pub fn publish(&self, log: &History) {
        let path = format!("/{}/log/audit", log.did());
        self.page("plc.test", &path, 200, write_audit(&log.0));
    }

    pub fn plc_answers(&self, did: &Did, status: u16, body: &str) {
        self.page("plc.test", &format!("/{did}/log/audit"), status, body);
    }

    pub fn log_requests(&self, did: &Did) -> u64 {
        self.asked("plc.test", &format!("/{did}/log/audit"))
    }

    pub fn prove_by_dns(&self, handle: &str, did: &Did) {
        self.dns.set_txt(&format!("_atproto.{handle}"), &[&format!("did={did}")]);
    }

    pub async fn resolve(&self, who: &str) -> Result<Identity, DirectoryError> {
        self.directory.resolve(&who.parse::<AtIdentifier>().unwrap()).await
    }

    pub async fn add_account(&self, did: &Did) {
        self.store
            .apply(Unit::AddAccount(Box::new(Account::new(did.clone(), Origin::Network, 1))))
            .await
            .unwrap();
    }

    pub async fn findings(&self, did: &Did) -> Vec<Finding> {
        self.store.findings(did, 100).await.unwrap()
    }

    pub async fn evidence(&self, did: &Did) -> Vec<Evidence> {
        self.store.evidence(did, 100).await.unwrap()
    }
}

async fn serve(pages: Arc<Mutex<Pages>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answer = move |request: Request| {
        let host = request.headers().get("host").map_or("", |h| h.to_str().unwrap());
        let host = host.split(':').next().unwrap();
        let key = format!("{host} {}", request.uri().path());
        let mut pages = pages.lock().unwrap();
        *pages.asked.entry(key.clone()).or_default() += 1;
        let (status, body) = pages.pages.get(&key).cloned().unwrap_or((404, b"{}".to_vec()));
        let answer: Response = match String::from_utf8(body.clone()).ok().filter(|_| status / 100 == 3) {
            Some(location) => {
                (StatusCode::from_u16(status).unwrap(), [("location", location)]).into_response()
            }
            None => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        };
        std::future::ready(answer)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    addr
}

pub fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [seed; 32])
}

/// A PLC log under construction: rotation keys 1 (highest), 2 and 3.
#[derive(Clone)]
pub struct History(pub Vec<LogEntry>);

impl History {
    pub fn new(handle: &str) -> Self {
        Self::of_seed(handle, 9)
    }

    /// Another account for another seed.
    pub fn of_seed(handle: &str, seed: u8) -> Self {
        let mut data = Data::default();
        for number in [3, 2, 1] {
            data.put_rotation_key_first(&key(number).public_key());
        }
        data.set_signing_key(&key(seed).public_key());
        data.set_pds("https://pds.example.com");
        data.set_handle(&Handle::parse(handle).unwrap());
        let operation = Unsigned::genesis(data).sign(&key(3)).unwrap();
        let did = operation.created_did().unwrap();
        let mut log = Self(Vec::new());
        log.push(did, operation, 0);
        log
    }

    pub fn did(&self) -> Did {
        self.0[0].did.clone()
    }

    /// One more operation after entry `from`, `hours` after the beginning.
    pub fn fork_from(mut self, from: usize, signer: u8, hours: i64, change: impl FnOnce(&mut Data)) -> Self {
        let mut data = self.0[from].operation.data().unwrap();
        change(&mut data);
        let operation = Unsigned::update(&self.0[from].cid, data).sign(&key(signer)).unwrap();
        for entry in self.0.iter_mut().skip(from + 1) {
            entry.nullified = true;
        }
        self.push(self.did(), operation, hours);
        self
    }

    pub fn then(self, hours: i64, change: impl FnOnce(&mut Data)) -> Self {
        let last = self.0.len() - 1;
        self.fork_from(last, 3, hours, change)
    }

    pub fn tombstone(mut self, hours: i64) -> Self {
        let operation = Unsigned::tombstone(&self.0.last().unwrap().cid).sign(&key(3)).unwrap();
        self.push(self.did(), operation, hours);
        self
    }

    fn push(&mut self, did: Did, operation: Operation, hours: i64) {
        let start = i64::try_from(START_MS).unwrap() * 1000 - 1000 * 3_600_000_000;
        let created_at = Datetime::from_unix_micros(start + hours * 3_600_000_000).unwrap();
        let cid = operation.cid();
        self.0.push(LogEntry { did, operation, cid, nullified: false, created_at });
    }
}
