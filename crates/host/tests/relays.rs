//! Relays: when they are asked to follow, and what is known of whether they do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod shared;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use p2pds_host::jobs::Job;
use p2pds_host::relay::{ASK_EVERY, RelayConfig};
use p2pds_host::{HostConfig, events};
use p2pds_store_sqlite::{Options, SqliteStore};
use shared::{Node, START, config, did};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// What the relay says next to each method, and what it was asked.
#[derive(Default)]
struct Says {
    crawl: u16,
    status: String,
    asked: Vec<String>,
}

/// A relay that says what it is told to say.
async fn relay() -> (String, Arc<Mutex<Says>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let says = Arc::new(Mutex::new(Says { crawl: 200, status: "404 {}".to_owned(), asked: Vec::new() }));
    let shared = Arc::clone(&says);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut head, mut length) = (String::new(), 0);
                while stream.read_line(&mut head).await.unwrap() > 2 {
                    let line = head.lines().last().unwrap().to_ascii_lowercase();
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let path =
                    head.split(' ').nth(1).unwrap().trim_start_matches("/xrpc/com.atproto.sync.").to_owned();
                let answer = {
                    let mut says = shared.lock().unwrap();
                    says.asked.push(format!("{path} {}", String::from_utf8_lossy(&body)).trim().to_owned());
                    if path == "requestCrawl" { format!("{} {{}}", says.crawl) } else { says.status.clone() }
                };
                let (status, body) = answer.split_once(' ').unwrap();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    (url, says)
}

struct Scene {
    node: Node,
    job: Arc<dyn Job>,
    says: Arc<Mutex<Says>>,
}

impl Scene {
    async fn new() -> Self {
        let (url, says) = relay().await;
        let dir = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
        let relay = RelayConfig { relays: vec![url], ..RelayConfig::default() };
        let node = Node::with(dir, store, HostConfig { relay, ..config() });
        let job = p2pds_host::jobs::all(&node.host).into_iter().find(|job| job.name() == "relays").unwrap();
        Self { node, job, says }
    }

    async fn event(&self) {
        self.node.store.apply(events::identity(&did(1), None, START).unwrap()).await.unwrap();
    }

    /// One look of the job after so many seconds; what the relay was asked.
    async fn look(&self, seconds: u64) -> Vec<String> {
        self.node.clock.fetch_add(i64::try_from(seconds * 1_000_000).unwrap(), Ordering::Relaxed);
        self.job.round(&self.node.host).await.unwrap();
        let asked = std::mem::take(&mut self.says.lock().unwrap().asked);
        asked.into_iter().map(|line| line.split(['?', ' ']).next().unwrap().to_owned()).collect()
    }

    async fn state(&self) -> (String, Option<String>, bool) {
        let all = self.node.host.relays().await.unwrap();
        (all[0].state.clone(), all[0].last_error.clone(), all[0].notes.lost_at.is_some())
    }

    fn status(&self, status: &str) {
        status.clone_into(&mut self.says.lock().unwrap().status);
    }
}

#[tokio::test]
async fn a_relay_is_asked_after_events_and_not_too_often() {
    let scene = Scene::new().await;
    assert_eq!(scene.look(0).await, [""; 0], "nothing has happened yet");
    scene.event().await;
    assert_eq!(scene.look(1).await, ["requestCrawl", "getHostStatus"]);
    let every = ASK_EVERY.as_secs();
    scene.event().await;
    assert!(!scene.look(60).await.contains(&"requestCrawl".to_owned()), "it was asked just now");
    assert_eq!(scene.look(every).await, ["requestCrawl", "getHostStatus"]);
    assert_eq!(scene.look(every).await, ["getHostStatus"], "nothing new happened");
    // A relay that refuses is asked again, less and less often.
    scene.says.lock().unwrap().crawl = 503;
    scene.event().await;
    let mut asked = Vec::new();
    for minute in 0..240 {
        if scene.look(60).await.contains(&"requestCrawl".to_owned()) {
            asked.push(minute);
        }
    }
    let pauses: Vec<i32> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.is_sorted() && pauses.len() >= 5 && *pauses.last().unwrap() > 60, "{asked:?}");
    let (_, error, _) = scene.state().await;
    assert!(error.unwrap().contains("asked to follow"));
    // Restarted in between, it is no different: what is known is kept.
    scene.says.lock().unwrap().crawl = 200;
    scene.look(6 * 3_600).await;
    assert_eq!(scene.state().await.1, None);
}

#[tokio::test]
async fn whether_it_follows_is_seen_and_said() {
    let scene = Scene::new().await;
    scene.event().await;
    scene.status(r#"200 {"hostname":"pds.test","seq":1,"status":"active"}"#);
    scene.look(1).await;
    assert_eq!(scene.state().await, ("follows, up to event 1 of 1".to_owned(), None, false));
    for _ in 0..5 {
        scene.event().await;
    }
    scene.look(601).await;
    assert!(!scene.state().await.2, "those came a moment ago");
    scene.look(601).await;
    let (state, _, lost) = scene.state().await;
    assert!(lost && state.contains("event 1") && state.contains('6'), "{state}");
    scene.status(r#"200 {"hostname":"pds.test","seq":6,"status":"throttled"}"#);
    scene.look(601).await;
    let (state, _, lost) = scene.state().await;
    assert!(lost && state.contains("throttled"), "{state}");
    scene.status(r#"200 {"hostname":"pds.test","seq":6,"status":"active"}"#);
    scene.look(601).await;
    assert!(!scene.state().await.2);
    scene.status(r#"400 {"error":"HostNotFound","message":"no such host"}"#);
    scene.look(601).await;
    let (state, _, lost) = scene.state().await;
    assert!(lost && state.contains("does not know this host"), "{state}");
    // One that answers no such question follows when somebody reads the stream up to its end.
    scene.status("404 {}");
    let _reader =
        scene.node.host.subscribe(None, "192.0.2.1".to_owned(), "a relay".to_owned()).await.unwrap();
    scene.look(601).await;
    assert!(!scene.state().await.2);
}

/// Between being asked and its first connection a relay has read nothing, and says so: that is no fault, unless it lasts.
#[tokio::test]
async fn a_relay_may_take_a_moment_to_begin() {
    let scene = Scene::new().await;
    scene.event().await;
    let known = |seq: i64| format!(r#"200 {{"hostname":"pds.test","seq":{seq},"status":"active"}}"#);
    scene.status(&known(-1));
    assert_eq!(scene.look(1).await, ["requestCrawl", "getHostStatus"]);
    let (state, error, lost) = scene.state().await;
    assert!(state.contains("may not have begun") && error.is_none() && !lost, "{state} {error:?}");
    assert_eq!(scene.look(61).await, ["getHostStatus"], "it is looked at again soon");
    let (state, error, lost) = scene.state().await;
    assert!(lost && state.contains("it has read nothing") && error.is_some(), "{state} {error:?}");
    scene.status(&known(1));
    assert_eq!(scene.look(61).await, ["getHostStatus"]);
    assert_eq!(scene.state().await, ("follows, up to event 1 of 1".to_owned(), None, false));
}

/// Whoever asks gets what is true now, and asking often forgives nothing: relays say only every few seconds how far they are.
#[tokio::test]
async fn relays_are_looked_at_when_somebody_asks() {
    let scene = Scene::new().await;
    let seen = async || {
        let all = scene.node.host.look_at_relays().await.unwrap();
        (all[0].state.clone(), all[0].notes.lost_at.is_some())
    };
    scene.event().await;
    let status =
        |seq: i64| scene.status(&format!(r#"200 {{"hostname":"pds.test","seq":{seq},"status":"active"}}"#));
    status(1);
    scene.look(1).await;
    scene.event().await;
    scene.look(601).await;
    scene.event().await;
    assert_eq!(seen().await, ("follows, up to event 1 of 3".to_owned(), false), "those came a moment ago");
    scene.look(601).await;
    assert!(scene.state().await.2, "it stands still");
    for _ in 0..3 {
        let (state, lost) = seen().await;
        assert!(lost && state.contains("it has read up to event 1"), "{state}");
    }
    status(3);
    assert_eq!(seen().await, ("follows, up to event 3 of 3".to_owned(), false));
}
