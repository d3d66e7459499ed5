//! Our client signs in at the reference server's own OAuth provider, and at ours; the network's client for web pages signs
//! in at ours, in a browser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use p2pds_agent::{Agents, AgentsDeps, Begin, Callback, Need, Seal, SignedIn, Us};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_net::{Client, NetConfig};
use p2pds_store::Store;
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{ErrorKind, RecordPath};
use p2pds_testkit::hosted::{Hosted, PASSWORD};
use p2pds_testkit::oracle::{self, Network, consent, dying_with_parent, node};
use p2pds_testkit::{need, visit};
use serde_json::json;

const BROWSER: [u8; 32] = [1; 32];

fn agents(network: &Network, store: &Arc<dyn Store>) -> Agents {
    let config = NetConfig { nameservers: vec![network.names.addr()], ..NetConfig::development() };
    let net = Client::new(config).unwrap();
    let config = DirectoryConfig { plc_url: network.plc.clone(), ..DirectoryConfig::default() };
    Agents::new(AgentsDeps {
        directory: Arc::new(Directory::new(net.clone(), Arc::clone(store), config)),
        net,
        store: Arc::clone(store),
        clock: Arc::new(|| {
            i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
        }),
        seal: Seal::in_memory(),
        us: Us::of(None, 3000),
    })
}

/// To the account's host, where somebody says yes, and back.
async fn sign_in(agents: &Agents, who: &str, username: &str, need: Need) -> SignedIn {
    let username = username.to_owned();
    sign_in_by(agents, who, need, move |url| consent(url, &username, "hunter22")).await
}

async fn sign_in_by(
    agents: &Agents,
    who: &str,
    need: Need,
    consent: impl Fn(&str) -> anyhow::Result<String> + Send + 'static,
) -> SignedIn {
    let begun = agents.begin(&Begin { who, need, browser: BROWSER, local: Some(3000) }).await.unwrap();
    let url = begun.url.clone();
    let back = tokio::task::spawn_blocking(move || consent(&url)).await.unwrap().unwrap();
    let query = back.strip_prefix("http://127.0.0.1:3000/oauth/callback?").expect("back to us");
    let fields: HashMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let field = |name: &str| fields.get(name).map(String::as_str);
    let back = Callback {
        state: field("state"),
        iss: field("iss"),
        code: field("code"),
        error: field("error"),
        error_description: field("error_description"),
    };
    let proved = agents.finish(&back, BROWSER).await.unwrap();
    let who = proved.who.clone();
    agents.keep(proved).await.unwrap();
    who
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_reference_server() {
    let Some(network) = Network::start(&oracle::Options::default()).unwrap() else { return };
    let account = network.account(0, "alice", None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(dir.path(), Options { ballast: 0, ..Options::default() }).unwrap());
    let agents = agents(&network, &store);

    // By handle; nothing is asked for but who it is.
    let who = sign_in(&agents, "alice.test", "alice.test", Need::SignIn).await;
    assert_eq!(who.did.as_str(), account.did);
    assert_eq!((who.handle.as_deref(), who.scope.as_str()), (Some("alice.test"), "atproto"));
    let did = who.did;
    let mut agent = agents.agent(&did).await.unwrap().unwrap();
    let session = agent.get("com.atproto.server.getSession", &[]).await.unwrap();
    assert_eq!(session["did"], account.did);
    assert!(session.get("email").is_none(), "{session}");
    let post = RecordPath::parse("app.bsky.feed.post/3kabcdefghij2").unwrap();
    let record =
        json!({"$type": "app.bsky.feed.post", "text": "back again", "createdAt": "2026-01-01T00:00:00Z"});
    let refused = agent.put_record(&post, &record, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");

    // Renewed, more than once, each time with the token of the last.
    for _ in 0..3 {
        agent.renew().await.unwrap();
        agent.get("com.atproto.server.getSession", &[]).await.unwrap();
    }

    // One collection more, by DID; what was granted stays granted.
    let need = Need::Restore { collection: "app.bsky.feed.post".to_owned(), blobs: false };
    let who = sign_in(&agents, did.as_str(), "alice.test", need.clone()).await;
    assert_eq!(who.scope, "atproto repo:app.bsky.feed.post");
    assert!(agents.may(&did, &need).await.unwrap());
    let mut agent = agents.agent(&did).await.unwrap().unwrap();
    let put = agent.put_record(&post, &record, None).await.unwrap();
    assert_eq!(agent.get_record(&post).await.unwrap().unwrap().cid, put.cid);
    let like = RecordPath::parse("app.bsky.feed.like/3kabcdefghij2").unwrap();
    let record = json!({
        "$type": "app.bsky.feed.like", "createdAt": "2026-01-01T00:00:00Z",
        "subject": {"uri": put.uri, "cid": put.cid.to_string()},
    });
    let refused = agent.put_record(&like, &record, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "another collection: {refused}");
    let refused = agent.upload("com.atproto.repo.uploadBlob", "image/png", vec![1, 2, 3].into()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied, "blobs");

    // By the address of the host alone.
    let address = network.pdses[0].url.clone();
    let who = sign_in(&agents, &address, "alice.test", Need::SignIn).await;
    assert_eq!(who.did, did);
    assert!(agents.may(&did, &need).await.unwrap(), "the session that may do more stays");

    // Over there and here.
    let mut stale = agents.agent(&did).await.unwrap().unwrap();
    agents.sign_out(&did).await.unwrap();
    assert!(agents.agent(&did).await.unwrap().is_none());
    assert!(stale.get("com.atproto.server.getSession", &[]).await.is_err(), "its token ended with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_our_own_server() {
    let Some(network) = Network::start(&oracle::Options { pdses: 0, ..oracle::Options::default() }).unwrap()
    else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let host = Hosted::start(&network, &data.path().join("node"), &[]).unwrap();
    let account = host.sign_up(&network, "bob").unwrap();
    let store: Arc<dyn Store> = Arc::new(
        SqliteStore::open(data.path().join("ours"), Options { ballast: 0, ..Options::default() }).unwrap(),
    );
    let agents = agents(&network, &store);
    let through = |who: String, need: Need| {
        let agents = agents.clone();
        async move { sign_in_by(&agents, &who, need, |url| visit::consent(url, "bob.test", PASSWORD)).await }
    };
    let who = through("bob.test".to_owned(), Need::SignIn).await;
    assert_eq!((who.did.as_str(), who.scope.as_str()), (account.did.as_str(), "atproto"));
    let did = who.did;
    let mut agent = agents.agent(&did).await.unwrap().unwrap();
    let session = agent.get("com.atproto.server.getSession", &[]).await.unwrap();
    assert_eq!(session["did"], account.did);
    for _ in 0..3 {
        agent.renew().await.unwrap();
        agent.get("com.atproto.server.getSession", &[]).await.unwrap();
    }
    let post = RecordPath::parse("app.bsky.feed.post/3kabcdefghij2").unwrap();
    let record =
        json!({"$type": "app.bsky.feed.post", "text": "back again", "createdAt": "2026-01-01T00:00:00Z"});
    let refused = agent.put_record(&post, &record, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
    let need = Need::Restore { collection: "app.bsky.feed.post".to_owned(), blobs: false };
    let who = through(did.to_string(), need.clone()).await;
    assert_eq!(who.scope, "atproto repo:app.bsky.feed.post");
    let mut agent = agents.agent(&did).await.unwrap().unwrap();
    let put = agent.put_record(&post, &record, None).await.unwrap();
    assert_eq!(agent.get_record(&post).await.unwrap().unwrap().cid, put.cid);
    let refused = agent.upload("com.atproto.repo.uploadBlob", "image/png", vec![1, 2, 3].into()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied, "blobs");
    let mut stale = agents.agent(&did).await.unwrap().unwrap();
    agents.sign_out(&did).await.unwrap();
    assert!(stale.get("com.atproto.server.getSession", &[]).await.is_err(), "its token ended with it");
}

/// `@atproto/oauth-client-browser`, as it comes, in a page of a real browser: `oauth/browser.mjs` says what is done.
#[test]
fn a_web_application_in_a_browser() {
    let (Some(npm), Some(chromium)) = (need::npm(), need::chromium()) else { return };
    let Some(network) = Network::start(&oracle::Options { pdses: 0, ..oracle::Options::default() }).unwrap()
    else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let host = Hosted::start(&network, &data.path().join("node"), &[]).unwrap();
    let account = host.sign_up(&network, "carol").unwrap();
    let world = json!({
        "host": host.url, "directory": network.plc, "handle": account.handle, "did": account.did, "password": PASSWORD,
    });
    let oracle = std::env::var_os("P2PDS_ORACLE").map(PathBuf::from).unwrap_or_default();
    let output = dying_with_parent(&node(&oracle))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth/browser.mjs"))
        .env("P2PDS_NPM", &npm)
        .env("P2PDS_WORLD", world.to_string())
        .env("P2PDS_SCREENS_DIR", data.path().join("screens"))
        .env("P2PDS_CHROMIUM", chromium)
        .env("HOME", data.path())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let steps = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(output.status.success() && steps == 10, "{steps} steps went well:\n{said}");
}
