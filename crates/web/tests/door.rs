//! Whose node it is, from the first claim to the last sign-out, over real connections; hosts are scripted, browsers are
//! sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

#[path = "../../agent/tests/authority/mod.rs"]
mod authority;
#[path = "door/hosted.rs"]
mod hosted;
#[path = "../../host/tests/shared/mod.rs"]
mod hosting;
mod shared;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use authority::Authority;
use p2pds_agent::{Agents, AgentsDeps, Seal, Us};
use p2pds_archive::{Archive, ArchiveConfig, ArchiveDeps, SystemClock};
use p2pds_blobs::Blobs;
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_net::{Client, NetConfig};
use p2pds_recovery::Recovery;
use p2pds_store::Store;
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_web::{Door, DoorConfig, DoorDeps, Web, WebConfig, WebDeps, router};
use shared::{Answer, Browser, Quiet, form};
use tokio::net::TcpListener;

struct Node {
    dir: tempfile::TempDir,
    store: Arc<dyn Store>,
    door: Door,
    now: Arc<AtomicI64>,
    port: u16,
}

impl Node {
    async fn start(plc: &str) -> Self {
        Self::start_with(plc, None).await
    }

    /// One on which accounts are hosted.
    async fn start_with(plc: &str, hosting: Option<&hosting::Node>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Options { ballast: 0, ..Options::default() };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), options).unwrap());
        let net = Client::new(NetConfig::development()).unwrap();
        let config = DirectoryConfig { plc_url: plc.to_owned(), ..DirectoryConfig::default() };
        let directory = Arc::new(Directory::new(net.clone(), Arc::clone(&store), config));
        let now = Arc::new(AtomicI64::new(1_795_000_000_000_000));
        let ticking = Arc::clone(&now);
        let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(move || ticking.load(Ordering::SeqCst));
        let public_url = Some("https://node.example".to_owned());
        let agents = Agents::new(AgentsDeps {
            net: net.clone(),
            directory: Arc::clone(&directory),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            seal: Seal::in_memory(),
            us: Us::of(public_url.as_deref(), port),
        });
        let config = DoorConfig { hostname: None, public_url, port };
        let door = Door::new(DoorDeps { store: Arc::clone(&store), agents, clock, config });
        let archive = Archive::new(
            ArchiveDeps {
                store: Arc::clone(&store),
                blobs: Blobs::open(&dir.path().join("blobs")).unwrap(),
                net,
                directory,
                data_dir: dir.path().to_owned(),
                clock: Arc::new(SystemClock),
            },
            ArchiveConfig::default(),
        );
        let recovery = Recovery::new(archive.clone());
        let web = Web::new(WebDeps {
            archive,
            recovery,
            host: hosting.map(|node| node.host.clone()),
            oauth: hosting.map(|node| node.host.authorization_server().unwrap()),
            door: door.clone(),
            node: Arc::new(Quiet),
            config: WebConfig::default(),
        });
        tokio::spawn(async move { axum::serve(listener, router(web)).await });
        Self { dir, store, door, now, port }
    }

    fn browser(&self) -> Browser {
        Browser::at(self.port)
    }

    /// The code that the node printed.
    async fn code(&self) -> String {
        let address = self.door.claim_address(false).await.unwrap().expect("it has no owner");
        let (base, code) = address.split_once("/claim?code=").unwrap();
        assert_eq!(base, "https://node.example");
        code.to_owned()
    }

    async fn owner(&self) -> Option<String> {
        self.store.owner().await.unwrap().map(|owner| owner.did.to_string())
    }
}

/// What an owner does at the door.
trait Owner {
    async fn claim(&mut self, code: &str) -> Answer;
    /// To the account's host and back.
    async fn sign_in(&mut self, host: &Authority) -> Answer;
    async fn leave(&mut self, host: &Authority, to: &str) -> String;
    /// Whether the owner's pages are shown.
    async fn is_in(&mut self) -> bool;
}

impl Owner for Browser {
    async fn claim(&mut self, code: &str) -> Answer {
        let csrf = self.get("/claim").await.csrf();
        self.post("/claim", &csrf, &[("code", code)]).await
    }

    async fn sign_in(&mut self, host: &Authority) -> Answer {
        let url = self.leave(host, "").await;
        let (state, code) = host.consent(&url);
        self.get(&callback(&state, &host.url, &code)).await
    }

    async fn leave(&mut self, host: &Authority, to: &str) -> String {
        let csrf = self.get("/sign-in").await.csrf();
        let went = self.post("/sign-in", &csrf, &[("who", host.did.as_str()), ("to", to)]).await;
        assert_eq!((went.status, went.location()), (303, "/sign-in/leave"), "{}", went.text());
        let between = self.get("/sign-in/leave").await;
        assert_eq!(between.status, 200);
        let url = between.header("refresh").unwrap().strip_prefix("0;url=").unwrap().to_owned();
        assert!(url.starts_with(&format!("{}/oauth/authorize?", host.url)), "{url}");
        url
    }

    async fn is_in(&mut self) -> bool {
        let shown = self.get("/sessions").await;
        assert!(matches!(shown.status, 200 | 303), "{}", shown.status);
        shown.status == 200
    }
}

fn callback(state: &str, iss: &str, code: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("state", state).append_pair("iss", iss).append_pair("code", code);
    format!("/oauth/callback?{}", query.finish())
}

async fn both() -> (Authority, Node) {
    let host = Authority::start(None).await;
    let node = Node::start(&host.url).await;
    (host, node)
}

#[tokio::test]
async fn a_code_is_used_by_a_button_and_once() {
    let (_host, node) = both().await;
    let code = node.code().await;
    let (mut alice, mut mallory) = (node.browser(), node.browser());
    assert!(!alice.is_in().await);
    for _ in 0..2 {
        let shown = alice.get(&format!("/claim?code={code}")).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text().contains(&code), "looking does not use it up");
    }
    assert!(!alice.is_in().await, "nor does it let anybody in");
    let went = alice.claim(&code.to_lowercase()).await;
    assert_eq!((went.status, went.location()), (303, "/"), "{}", went.text());
    assert!(alice.is_in().await);
    assert_eq!(node.owner().await, None, "who claimed it still has to sign in");
    // The same code again, from elsewhere.
    let shown = mallory.get(&format!("/claim?code={code}")).await;
    assert!(!shown.text().contains("name=\"csrf\""), "there is nothing to press");
    let csrf = mallory.get("/sign-in").await.csrf_or_none();
    let refused = mallory.post("/claim", &csrf, &[("code", &code)]).await;
    assert_eq!(refused.status, 403);
    assert!(!mallory.is_in().await && alice.is_in().await);
    // Nobody signed in yet, so the next start prints another, which ends the claimant's session.
    let next = node.code().await;
    assert_eq!(mallory.claim(&code).await.status, 403);
    assert_eq!(mallory.claim(&next).await.status, 303);
    assert!(mallory.is_in().await && !alice.is_in().await);
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let (_host, node) = both().await;
    let code = node.code().await;
    let mut bot = node.browser();
    for _ in 0..10 {
        assert_eq!(bot.claim("0000-1111-2222-3333-4444-5555").await.status, 403);
    }
    assert_eq!(bot.claim(&code).await.status, 429, "enough is enough");
    node.now.fetch_add(300_000_001, Ordering::SeqCst);
    assert_eq!(bot.claim(&code).await.status, 303);
}

#[tokio::test]
async fn nobody_is_the_owner_without_the_code() {
    let (host, node) = both().await;
    let mut browser = node.browser();
    let shown = browser.get("/sign-in").await;
    assert!(shown.text().contains("p2pds claim"), "{}", shown.text());
    let csrf = browser.get("/claim").await.csrf_or_none();
    let refused = browser.post("/sign-in", &csrf, &[("who", host.did.as_str())]).await;
    assert_eq!(refused.status, 403);
    assert!(host.seen().pushed.is_empty(), "nobody was asked");
    assert_eq!(node.owner().await, None);
}

#[tokio::test]
async fn the_first_to_sign_in_owns_it_and_others_are_told() {
    let (host, node) = both().await;
    let code = node.code().await;
    let mut alice = node.browser();
    alice.claim(&code).await;
    let before = alice.clone();
    let went = alice.sign_in(&host).await;
    assert_eq!((went.status, went.location()), (303, "/"), "{}", went.text());
    assert_eq!(node.owner().await.as_deref(), Some(host.did.as_str()));
    assert!(alice.is_in().await);
    // Another cookie with other rights: the one before opens nothing.
    assert!(!before.clone().is_in().await);
    assert_ne!(before.cookies, alice.cookies);
    // From another browser, without a code.
    let mut phone = node.browser();
    assert_eq!(phone.sign_in(&host).await.status, 303);
    assert!(phone.is_in().await && alice.is_in().await);
    // Somebody else.
    let other = Authority::start(None).await;
    host.tell_of(&other);
    let mut bob = node.browser();
    let refused = bob.sign_in(&other).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("belongs to somebody else"), "{}", refused.text());
    assert!(!bob.is_in().await);
    assert_eq!(other.seen().revoked.len(), 1, "nothing of him is kept");
    assert_eq!(node.store.agent_sessions(9).await.unwrap().len(), 1);
    // No code is printed any more, but for the operator who lost access.
    assert_eq!(node.door.claim_address(false).await.unwrap(), None);
    let again = node.door.claim_address(true).await.unwrap().unwrap();
    assert!(alice.is_in().await, "until it is used");
    assert_eq!(bob.claim(again.split_once('=').unwrap().1).await.status, 303);
    assert!(!alice.is_in().await && !phone.is_in().await && bob.is_in().await);
    assert_eq!(bob.sign_in(&other).await.status, 303);
    assert_eq!(node.owner().await.as_deref(), Some(other.did.as_str()));
}

#[tokio::test]
async fn a_sign_in_ends_in_the_browser_that_began_it() {
    let (host, node) = both().await;
    let code = node.code().await;
    let mut alice = node.browser();
    alice.claim(&code).await;
    let url = alice.leave(&host, "/about").await;
    let (state, code) = host.consent(&url);
    // Mallory was sent the address, with or without cookies of his own.
    let mut mallory = node.browser();
    assert_eq!(mallory.get(&callback(&state, &host.url, &code)).await.status, 403);
    assert_eq!(node.owner().await, None);
    // That was the one answer.
    assert_eq!(alice.get(&callback(&state, &host.url, &code)).await.status, 403);
    assert_eq!(node.owner().await, None);
    let url = alice.leave(&host, "/about").await;
    let (state, code) = host.consent(&url);
    assert_eq!(alice.get(&callback(&state, "https://other.example", &code)).await.status, 403);
    let url = alice.leave(&host, "/about").await;
    let (state, code) = host.consent(&url);
    let went = alice.get(&callback(&state, &host.url, &code)).await;
    assert_eq!((went.status, went.location()), (303, "/about"));
    // Where somebody wants to go is a page of this node.
    let url = alice.leave(&host, "//evil.example").await;
    let (state, code) = host.consent(&url);
    assert_eq!(alice.get(&callback(&state, &host.url, &code)).await.location(), "/");
}

#[tokio::test]
async fn pages_of_others_do_nothing_here() {
    let (_host, node) = both().await;
    let code = node.code().await;
    let mut alice = node.browser();
    let csrf = alice.get("/claim").await.csrf();
    let body = form(&csrf, &[("code", &code)]);
    let own = format!("http://127.0.0.1:{}", node.port);
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    for headers in [
        vec![kind],
        vec![kind, ("Origin", "http://evil.example")],
        vec![kind, ("Origin", "null")],
        vec![kind, ("Origin", "http://127.0.0.1:1")],
        vec![kind, ("Origin", own.as_str()), ("Sec-Fetch-Site", "cross-site")],
        vec![kind, ("Sec-Fetch-Site", "same-site")],
    ] {
        let refused = alice.send("POST", "/claim", &headers, &body).await;
        assert_eq!(refused.status, 403, "{headers:?}");
    }
    // From its own page, without the token of that page, or with another's.
    let mut other = node.browser();
    let stolen = other.get("/claim").await.csrf();
    for token in ["", "x", &stolen] {
        assert_eq!(alice.post("/claim", token, &[("code", &code)]).await.status, 403, "{token:?}");
    }
    // A name of somebody else that leads here.
    for host in ["evil.example", "node.example.evil.example", "alice.node.example", "evil.localhost"] {
        let mut rebound = Browser { host: format!("{host}:{}", node.port), ..alice.clone() };
        for path in ["/claim", "/sign-in", "/", "/about", "/oauth/callback"] {
            assert_eq!(rebound.get(path).await.status, 421, "{host}{path}");
        }
        assert_eq!(rebound.post("/claim", &csrf, &[("code", &code)]).await.status, 421);
    }
    assert_eq!(alice.post("/claim", &csrf, &[("code", &code)]).await.status, 303, "it was good all the time");
    // Sign-ins come back to 127.0.0.1, so pages are shown there.
    let mut local = Browser { host: format!("localhost:{}", node.port), ..node.browser() };
    let moved = local.get("/sign-in?to=/about").await;
    assert_eq!((moved.status, moved.location()), (307, format!("{own}/sign-in?to=/about").as_str()));
    // Over plain http to an address of the network nobody signs in.
    let mut lan = Browser { host: format!("192.0.2.7:{}", node.port), ..node.browser() };
    assert!(lan.get("/sign-in").await.text().contains("ssh -L"));
}

#[tokio::test]
async fn cookies_of_a_public_name_are_safe() {
    let (host, node) = both().await;
    let code = node.code().await;
    let mut alice = Browser { host: "node.example".to_owned(), secure: true, ..node.browser() };
    assert_eq!(alice.claim(&code).await.status, 303);
    assert!(alice.is_in().await);
    let names: Vec<&String> = alice.cookies.keys().collect();
    assert_eq!(names, ["__Host-p2pds-owner"]);
    // The document about this client, and the same address in the request.
    let document = alice.get("/oauth-client-metadata.json").await;
    assert_eq!(document.status, 200);
    let document: serde_json::Value = serde_json::from_str(&document.text()).unwrap();
    assert_eq!(document["redirect_uris"][0], "https://node.example/oauth/callback");
    alice.leave(&host, "").await;
    let pushed = host.seen().pushed.values().next().unwrap().clone();
    assert_eq!(pushed["client_id"], document["client_id"].as_str().unwrap());
    assert_eq!(pushed["redirect_uri"], "https://node.example/oauth/callback");
    // Its cookie is no other name's.
    let stolen = Browser { host: format!("127.0.0.1:{}", node.port), secure: false, ..alice.clone() };
    assert!(!stolen.clone().is_in().await);
}

#[tokio::test]
async fn signing_out_here_and_everywhere() {
    let (host, node) = both().await;
    let code = node.code().await;
    let mut alice = node.browser();
    alice.claim(&code).await;
    alice.sign_in(&host).await;
    let (mut phone, mut tablet) = (node.browser(), node.browser());
    phone.sign_in(&host).await;
    tablet.sign_in(&host).await;
    let kept = phone.clone();
    let csrf = phone.get("/sessions").await.csrf();
    assert_eq!(phone.post("/sign-out", &csrf, &[]).await.status, 303);
    assert!(phone.cookies.is_empty());
    assert!(!kept.clone().is_in().await, "the cookie opens nothing any more");
    assert!(alice.is_in().await && tablet.is_in().await);
    // One of the others, by its name in the list.
    let shown = alice.get("/sessions").await;
    assert_eq!(shown.text().matches("name=\"id\"").count(), 2);
    let page = shown.text();
    let lines: Vec<&str> = page.split("<li>").filter(|line| line.contains("name=\"id\"")).collect();
    let (own, other): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.contains("this one"));
    let csrf = shown.csrf();
    // His own at last: with that his forms are worth nothing any more.
    for line in [other[0], own[0]] {
        let id = line.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split_once('"')).unwrap().0;
        assert_eq!(alice.post("/sessions/end", &csrf, &[("id", id)]).await.status, 303);
    }
    assert!(!alice.is_in().await && !tablet.is_in().await);
    for browser in [&mut alice, &mut tablet] {
        browser.sign_in(&host).await;
    }
    let csrf = alice.get("/sessions").await.csrf();
    assert_eq!(alice.post("/sessions/everywhere", &csrf, &[]).await.status, 303);
    assert!(!alice.is_in().await && !tablet.is_in().await);
    assert_eq!(node.owner().await.as_deref(), Some(host.did.as_str()), "he owns it all the same");
    // Thirty days without a use.
    alice.sign_in(&host).await;
    node.now.fetch_add(29 * 86_400_000_000, Ordering::SeqCst);
    assert!(alice.is_in().await);
    node.now.fetch_add(29 * 86_400_000_000, Ordering::SeqCst);
    assert!(alice.is_in().await, "each use counts");
    node.now.fetch_add(30 * 86_400_000_000, Ordering::SeqCst);
    assert!(!alice.is_in().await);
}

#[tokio::test]
async fn no_code_and_no_cookie_lies_in_a_file() {
    let (host, node) = both().await;
    let code = node.code().await;
    let mut alice = node.browser();
    alice.claim(&code).await;
    let first = alice.cookies.clone();
    alice.sign_in(&host).await;
    let mut secrets = vec![code.clone(), code.replace('-', "")];
    secrets.extend(first.into_values().chain(alice.cookies.into_values()));
    secrets.extend(host.seen().tokens.clone());
    assert!(secrets.len() >= 6);
    node.store.close().await.unwrap();
    let mut found_owner = false;
    for bytes in files(node.dir.path()) {
        let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        found_owner |= holds(host.did.as_str());
        for secret in &secrets {
            assert!(!holds(secret), "{secret}");
        }
    }
    assert!(found_owner, "the files that were searched have the rows");
}

fn files(dir: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(std::fs::read(path).unwrap());
        }
    }
    all
}
