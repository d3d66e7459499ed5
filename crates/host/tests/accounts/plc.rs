//! A PLC directory that says no, says nothing, or goes on; and what is left of a sign-up then.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use p2pds_blobs::Blobs;
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_host::accounts::{By, NewAccount, UnfinishedJob};
use p2pds_host::jobs::Job as _;
use p2pds_host::keys::Keys;
use p2pds_host::{Host, HostDeps};
use p2pds_identity::plc::Operation;
use p2pds_net::{Client, NetConfig};
use p2pds_reading::Reading;
use p2pds_store::Store;
use p2pds_store_sqlite::{Options, SqliteStore};
use serde_json::{Value, json};

use crate::shared::{Node, START, config};
use crate::{HOUR, PASSWORD};

/// How the directory answers operations.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    Refuses,
    /// Takes them, and does not say so.
    Silent,
}

struct Plc {
    url: String,
    mood: Arc<Mutex<Mood>>,
    logs: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
}

impl Plc {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let (mood, logs) = (Arc::new(Mutex::new(Mood::Takes)), Arc::new(Mutex::new(BTreeMap::new())));
        let plc = Self { url, mood, logs };
        let (mood, logs) = (Arc::clone(&plc.mood), Arc::clone(&plc.logs));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                if reader.read_line(&mut line).is_err() {
                    continue;
                }
                let mut words = line.split_whitespace();
                let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("").to_owned());
                let mut length = 0;
                loop {
                    let mut header = String::new();
                    if reader.read_line(&mut header).unwrap_or(0) <= 2 {
                        break;
                    }
                    if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let did = path.trim_start_matches('/').split('/').next().unwrap().replace("%3A", ":");
                let answer = if method == "POST" {
                    let mood = *mood.lock().unwrap();
                    if mood != Mood::Refuses {
                        let operation: Value = serde_json::from_slice(&body).unwrap();
                        let cid = Operation::from_json(&operation).unwrap().cid().to_string();
                        let mut logs = logs.lock().unwrap();
                        let log = logs.entry(did.clone()).or_default();
                        let at = format!("2025-10-09T08:53:{:02}.000Z", 20 + log.len());
                        log.push(json!({ "did": did, "operation": operation, "cid": cid, "nullified": false, "createdAt": at }));
                    }
                    match mood {
                        Mood::Takes => (200, json!({})),
                        Mood::Refuses => (400, json!({ "message": "too many operations" })),
                        Mood::Silent => continue,
                    }
                } else {
                    match logs.lock().unwrap().get(&did) {
                        Some(log) if path.ends_with("/log/audit") => (200, json!(log)),
                        Some(_) => (404, json!({ "message": "not asked for here" })),
                        None => (404, json!({ "message": format!("DID not registered: {did}") })),
                    }
                };
                let body = answer.1.to_string();
                let head = format!(
                    "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.0,
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            }
        });
        plc
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn types(&self) -> Vec<Vec<String>> {
        let logs = self.logs.lock().unwrap();
        let kind = |entry: &Value| entry["operation"]["type"].as_str().unwrap().to_owned();
        logs.values().map(|log| log.iter().map(kind).collect()).collect()
    }

    fn node(&self) -> Node {
        let dir = tempfile::TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let net = Client::new(NetConfig { allow_loopback: true, ..NetConfig::default() }).unwrap();
        let asked = DirectoryConfig { plc_url: self.url.clone(), ..DirectoryConfig::default() };
        let directory = Directory::new(net.clone(), Arc::clone(&store), asked);
        let clock = Arc::new(AtomicI64::new(START));
        let time = Arc::clone(&clock);
        let deps = HostDeps {
            store: Arc::clone(&store),
            blobs: blobs.clone(),
            net,
            directory: Arc::new(directory),
            reading: Reading::new(Arc::clone(&store), blobs),
            clock: Arc::new(move || time.fetch_add(1, Ordering::Relaxed)),
            keys: Arc::new(Keys::in_memory().unwrap()),
        };
        let mut config = config();
        config.plc_url = self.url.clone();
        config.accounts.did_doc_with_session = false;
        Node { host: Host::new(deps, config), store, clock, dir }
    }
}

fn asked(name: &str) -> NewAccount {
    NewAccount {
        handle: format!("{name}.pds.test"),
        email: Some(format!("{name}@mail.example")),
        password: Some(PASSWORD.to_owned()),
        invite_code: None,
        recovery_key: None,
        requester: None,
        did: None,
        by: By::Owner,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_refuses_leaves_nothing() {
    let plc = Plc::start();
    let node = plc.node();
    plc.set(Mood::Refuses);
    let refused = node.host.create_account(asked("alice")).await.unwrap_err();
    assert!(refused.message.contains("too many operations"), "{refused}");
    assert!(node.store.accounts(None, 9).await.unwrap().is_empty());
    assert!(node.store.signups(i64::MAX).await.unwrap().is_empty());
    assert_eq!(node.store.last_seq().await.unwrap(), 0);
    plc.set(Mood::Takes);
    let made = node.host.create_account(asked("alice")).await.unwrap();
    assert!(made.account.active);
    let kinds: Vec<_> =
        node.store.events_after(0, 9, 1 << 20).await.unwrap().into_iter().map(|event| event.kind).collect();
    use p2pds_store::events::EventKind::{Account, Commit, Identity, Sync};
    assert_eq!(kinds, [Identity, Account, Commit, Sync]);
    assert!(node.store.signups(i64::MAX).await.unwrap().is_empty());
    assert_eq!(plc.types(), [["plc_operation"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_that_nobody_got_is_taken_back() {
    let plc = Plc::start();
    let node = plc.node();
    // As after a kill between the directory's answer and the store's: the identity is there, the account is not.
    let key = node.host.keys().new_signing_key().unwrap();
    let handle = p2pds_syntax::Handle::parse("bob.pds.test").unwrap();
    let public = p2pds_crypto::Signer::public_key(&key);
    let (did, operation) = node.host.new_identity(&handle, &public, None).unwrap();
    let row = p2pds_store::hosting::SignupRow {
        did: did.clone(),
        handle: handle.to_string(),
        operation: operation.cid().to_string(),
        at: node.host.now(),
    };
    let unit = p2pds_store::hosting::AccountsUnit::PutSignup(row);
    let unit = p2pds_store::HostingUnit::Accounts(unit);
    node.store.apply(p2pds_store::Unit::Hosting(Box::new(unit))).await.unwrap();
    node.host.submit_plc(&did, &operation).await.unwrap();
    UnfinishedJob.round(&node.host).await.unwrap();
    assert_eq!(plc.types(), [["plc_operation"]], "a sign-up may take its time");
    crate::later(&node, HOUR);
    UnfinishedJob.round(&node.host).await.unwrap();
    UnfinishedJob.round(&node.host).await.unwrap();
    assert_eq!(plc.types(), [["plc_operation", "plc_tombstone"]]);
    assert!(node.store.signups(i64::MAX).await.unwrap().is_empty());
    // The handle is free, and who tries again gets an account.
    assert!(node.host.create_account(asked("bob")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_takes_and_does_not_answer_is_asked_again() {
    let plc = Plc::start();
    let node = plc.node();
    plc.set(Mood::Silent);
    let made = node.host.create_account(asked("carol")).await;
    assert!(made.is_ok(), "its log says that it arrived: {:?}", made.err());
    let (a, b) =
        tokio::join!(node.host.create_account(asked("dora")), node.host.create_account(asked("dora")));
    assert!(a.is_ok() != b.is_ok(), "one of two gets the handle");
    assert_eq!(plc.types().len(), 2, "and the other no identity");
}
