//! Signing in at a host that keeps the rules, and at one that does not; and what is kept of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod authority;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use authority::{Authority, Lie};
use p2pds_agent::{
    AgentError, Agents, AgentsDeps, Begin, Begun, Callback, Need, Proved, Seal, SignInError, Us,
};
use p2pds_directory::{Directory, DirectoryConfig};
use p2pds_net::{Client, NetConfig};
use p2pds_store::Store;
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::ErrorKind;
use serde_json::json;

const BROWSER: [u8; 32] = [1; 32];

struct Node {
    agents: Agents,
    store: Arc<dyn Store>,
    now: Arc<AtomicI64>,
}

impl Node {
    fn new(dir: &Path, plc: &str) -> Self {
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(dir, Options { ballast: 0, ..Options::default() }).unwrap());
        let net = Client::new(NetConfig::development()).unwrap();
        let config = DirectoryConfig { plc_url: plc.to_owned(), ..DirectoryConfig::default() };
        let directory = Arc::new(Directory::new(net.clone(), Arc::clone(&store), config));
        let now = Arc::new(AtomicI64::new(1_795_000_000_000_000));
        let clock = Arc::clone(&now);
        let agents = Agents::new(AgentsDeps {
            net,
            directory,
            store: Arc::clone(&store),
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            seal: Seal::in_memory(),
            us: Us::of(None, 3000),
        });
        Self { agents, store, now }
    }

    async fn begin(&self, who: &str, need: Need) -> Result<Begun, SignInError> {
        self.agents.begin(&Begin { who, need, browser: BROWSER, local: Some(3000) }).await
    }

    /// Begins, says yes at the host, and comes back.
    async fn through(&self, host: &Authority, who: &str, need: Need) -> Result<Proved, SignInError> {
        let begun = self.begin(who, need).await?;
        let (state, code) = host.consent(&begun.url);
        let back =
            Callback { state: Some(&state), iss: Some(&host.url), code: Some(&code), ..Callback::default() };
        self.agents.finish(&back, BROWSER).await
    }

    async fn sign_in(&self, host: &Authority, need: Need) {
        let proved = self.through(host, host.did.as_str(), need).await.unwrap();
        self.agents.keep(proved).await.unwrap();
    }
}

async fn both() -> (tempfile::TempDir, Authority, Node) {
    let dir = tempfile::tempdir().unwrap();
    let host = Authority::start(None).await;
    let node = Node::new(dir.path(), &host.url);
    (dir, host, node)
}

#[tokio::test]
async fn by_did_and_by_address() {
    let (_dir, host, node) = both().await;
    for who in [host.did.as_str(), &format!("at://{}", host.did), &format!(" {}/ ", host.url)] {
        let proved = node.through(&host, who, Need::SignIn).await.unwrap();
        assert_eq!((&proved.who.did, proved.who.host.as_str()), (&host.did, host.url.as_str()), "{who}");
        assert_eq!(proved.who.scope, "atproto");
        node.agents.discard(proved).await;
    }
    assert_eq!(host.seen().revoked.len(), 3, "nobody needs these sessions");
    assert!(node.agents.agent(&host.did).await.unwrap().is_none());
    let pushed = host.seen().pushed.values().next().unwrap().clone();
    assert_eq!(pushed["redirect_uri"], "http://127.0.0.1:3000/oauth/callback");
    assert!(pushed["client_id"].starts_with("http://localhost?redirect_uri="));
    for who in ["", "alice", "http://", "did:"] {
        let error = node.begin(who, Need::SignIn).await.unwrap_err();
        assert_eq!(error.code(), "not-an-account", "{who:?}: {error}");
    }
}

#[tokio::test]
async fn calls_with_proofs_and_renewals() {
    let (_dir, host, node) = both().await;
    node.sign_in(&host, Need::SignIn).await;
    let mut agent = node.agents.agent(&host.did).await.unwrap().unwrap();
    let answer = agent.get("com.example.query", &[("a", "b c")]).await.unwrap();
    assert_eq!(answer["query"], "a=b+c");
    // The host changes its nonce in between.
    host.seen().nonces += 1;
    agent.post("com.example.procedure", &json!({"x": 1})).await.unwrap();
    host.expire();
    agent.upload("com.example.upload", "image/png", vec![1, 2].into()).await.unwrap();
    assert_eq!(host.seen().renewals, 1);
    // What was renewed is kept.
    let mut again = node.agents.agent(&host.did).await.unwrap().unwrap();
    again.get("com.example.query", &[]).await.unwrap();
    assert_eq!(host.seen().renewals, 1);
    // A token that is about to end is renewed before.
    node.now.fetch_add(895_000_000, Ordering::SeqCst);
    again.get("com.example.query", &[]).await.unwrap();
    assert_eq!(host.seen().renewals, 2);
    let refused = again.post("com.example.forbidden", &json!({})).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.to_string().contains("ScopeMissingError"), "{refused}");
    assert_eq!(host.seen().renewals, 2, "a refusal is no expiry");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_a_time_renew_once() {
    let (_dir, host, node) = both().await;
    node.sign_in(&host, Need::SignIn).await;
    // All of them hold the token of before: one that comes later would renew a newer one, and rightly.
    let mut agents = Vec::new();
    for _ in 0..16 {
        agents.push(node.agents.agent(&host.did).await.unwrap().unwrap());
    }
    let all: Vec<_> =
        agents.into_iter().map(|mut agent| tokio::spawn(async move { agent.renew().await })).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(host.seen().renewals, 1);
    let mut agent = node.agents.agent(&host.did).await.unwrap().unwrap();
    agent.get("com.example.query", &[]).await.unwrap();
}

#[tokio::test]
async fn further_consent_keeps_what_was_granted_and_less_replaces_nothing() {
    let (_dir, host, node) = both().await;
    let restore = Need::Restore { collection: "app.example.note".into(), blobs: false };
    node.sign_in(&host, restore.clone()).await;
    assert!(node.agents.may(&host.did, &restore).await.unwrap());
    assert!(!node.agents.may(&host.did, &Need::Identity).await.unwrap());
    node.sign_in(&host, Need::Identity).await;
    assert_eq!(
        node.agents.scope(&host.did).await.unwrap().unwrap(),
        "atproto identity:* repo:app.example.note"
    );
    assert_eq!(host.seen().revoked.len(), 1, "the session before");
    // Somebody who only shows who he is, by the address of the host: what was granted stays.
    let proved = node.through(&host, &host.url, Need::SignIn).await.unwrap();
    assert_eq!(proved.who.scope, "atproto");
    node.agents.keep(proved).await.unwrap();
    assert!(node.agents.may(&host.did, &Need::Identity).await.unwrap());
    assert_eq!(host.seen().revoked.len(), 2, "the new one");
}

#[tokio::test]
async fn signing_out_ends_it_there_too() {
    let (_dir, host, node) = both().await;
    node.sign_in(&host, Need::SignIn).await;
    node.agents.sign_out(&host.did).await.unwrap();
    assert_eq!(host.seen().revoked.len(), 1);
    assert!(node.agents.agent(&host.did).await.unwrap().is_none());
    // A session that the host ended is forgotten when that is found out.
    node.sign_in(&host, Need::SignIn).await;
    let mut agent = node.agents.agent(&host.did).await.unwrap().unwrap();
    let mut thief = node.agents.agent(&host.did).await.unwrap().unwrap();
    agent.renew().await.unwrap();
    thief.renew().await.unwrap();
    assert_eq!(host.seen().renewals, 1);
    host.seen().access = None;
    host.seen().refresh_is_gone();
    let error = agent.get("com.example.query", &[]).await.unwrap_err();
    assert!(matches!(error, AgentError::Expired { .. }), "{error}");
    assert!(node.agents.agent(&host.did).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_server_may_not_do() {
    let lies = [
        (Lie::ResourceRedirected, "server"),
        (Lie::ServerRedirected, "server"),
        (Lie::OtherResource, "server"),
        (Lie::TwoServers, "server"),
        (Lie::OtherIssuer, "server"),
        (Lie::Html, "server"),
        (Lie::PlainOnly, "server"),
        (Lie::NoDpop, "server"),
        (Lie::NoPushing, "server"),
        (Lie::NonceLoop, "refused"),
        (Lie::NoNonce, "refused"),
        (Lie::NoRequestUri, "answer"),
    ];
    for (lie, code) in lies {
        let (_dir, host, node) = both().await;
        host.lie(Some(lie));
        let error = node.begin(host.did.as_str(), Need::SignIn).await.unwrap_err();
        assert_eq!(error.code(), code, "{lie:?}: {error}");
        assert!(host.seen().nonces <= 2, "{lie:?}: it was asked again and again");
    }
    let lies = [
        (Lie::Bearer, "answer"),
        (Lie::OtherSub, "subject"),
        (Lie::NoSub, "answer"),
        (Lie::NoScope, "answer"),
        (Lie::MoreScope, "answer"),
        (Lie::NotAtproto, "answer"),
        (Lie::TokenRedirected, "refused"),
        (Lie::NonceLoop, "refused"),
    ];
    for (lie, code) in lies {
        let (_dir, host, node) = both().await;
        let begun = node.begin(host.did.as_str(), Need::SignIn).await.unwrap();
        let (state, grant) = host.consent(&begun.url);
        host.lie(Some(lie));
        let back =
            Callback { state: Some(&state), iss: Some(&host.url), code: Some(&grant), ..Callback::default() };
        let error = node.agents.finish(&back, BROWSER).await.unwrap_err();
        assert_eq!(error.code(), code, "{lie:?}: {error}");
        assert!(node.store.agent_sessions(9).await.unwrap().is_empty(), "{lie:?}");
    }
}

#[tokio::test]
async fn what_a_renewal_may_not_bring() {
    for lie in [Lie::OtherSubRenewed, Lie::MoreScopeRenewed, Lie::Bearer, Lie::TokenRedirected] {
        let (_dir, host, node) = both().await;
        node.sign_in(&host, Need::SignIn).await;
        let mut agent = node.agents.agent(&host.did).await.unwrap().unwrap();
        host.lie(Some(lie));
        host.expire();
        assert!(agent.get("com.example.query", &[]).await.is_err(), "{lie:?}");
        assert_eq!(host.seen().calls, 0, "{lie:?}");
    }
}

#[tokio::test]
async fn a_server_vouches_for_its_own_accounts_only() {
    let dir = tempfile::tempdir().unwrap();
    let real = Authority::start(None).await;
    // The server's directory says that the account is hosted at the other one.
    let false_one = Authority::start(Some(&real.url)).await;
    let node = Node::new(dir.path(), &false_one.url);
    let error = node.through(&false_one, &false_one.url, Need::SignIn).await.unwrap_err();
    assert_eq!(error.code(), "not-its-account", "{error}");
    assert_eq!(false_one.seen().revoked.len(), 1);
    // Named by its DID, the account is looked for at its own host from the beginning.
    let begun = node.begin(false_one.did.as_str(), Need::SignIn).await.unwrap();
    assert_eq!(begun.server, real.url);
}

#[tokio::test]
async fn answers_that_are_not_for_this_sign_in() {
    let (_dir, host, node) = both().await;
    let begin = || async {
        let begun = node.begin(host.did.as_str(), Need::SignIn).await.unwrap();
        host.consent(&begun.url)
    };
    let finish = |state: String, iss: Option<String>, code: String, browser| {
        let node = &node;
        async move {
            let back = Callback {
                state: Some(&state),
                iss: iss.as_deref(),
                code: Some(&code),
                ..Callback::default()
            };
            match node.agents.finish(&back, browser).await {
                Ok(proved) => {
                    node.agents.discard(proved).await;
                    "ok"
                }
                Err(error) => error.code(),
            }
        }
    };
    let iss = || Some(host.url.clone());
    let (state, code) = begin().await;
    assert_eq!(finish("x".repeat(43), iss(), code.clone(), BROWSER).await, "unknown-state");
    assert_eq!(finish(state.clone(), iss(), code.clone(), BROWSER).await, "ok");
    assert_eq!(finish(state, iss(), code, BROWSER).await, "unknown-state", "it was used");

    for wrong in [None, Some("https://other.example".to_owned()), Some(format!("{}/", host.url))] {
        let (state, code) = begin().await;
        assert_eq!(finish(state.clone(), wrong.clone(), code.clone(), BROWSER).await, "issuer", "{wrong:?}");
        assert_eq!(finish(state, iss(), code, BROWSER).await, "unknown-state", "it is over");
    }
    let (state, code) = begin().await;
    assert_eq!(finish(state.clone(), iss(), code.clone(), [2; 32]).await, "other-browser");
    assert_eq!(finish(state, iss(), code, BROWSER).await, "unknown-state", "it is over");

    let (state, code) = begin().await;
    node.now.fetch_add(600_000_000, Ordering::SeqCst);
    assert_eq!(finish(state, iss(), code, BROWSER).await, "unknown-state", "ten minutes");

    // A code of one sign-in in the answer to another.
    let (_, stolen) = begin().await;
    let (state, _) = begin().await;
    assert_eq!(finish(state, iss(), stolen, BROWSER).await, "refused");

    for (error, code) in [("access_denied", "declined"), ("server_error", "refused")] {
        let (state, _) = begin().await;
        let back =
            Callback { state: Some(&state), iss: Some(&host.url), error: Some(error), ..Callback::default() };
        assert_eq!(node.agents.finish(&back, BROWSER).await.unwrap_err().code(), code);
    }
    assert!(node.store.agent_sessions(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_token_lies_open() {
    let (dir, host, node) = both().await;
    node.sign_in(&host, Need::Identity).await;
    let mut agent = node.agents.agent(&host.did).await.unwrap().unwrap();
    agent.renew().await.unwrap();
    assert!(!format!("{agent:?} {:?}", node.agents).contains("canary"));
    node.store.close().await.unwrap();
    let tokens = host.seen().tokens.clone();
    assert_eq!(tokens.len(), 4);
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let mut row = false;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        row |= holds(&bytes, "atproto identity:*");
        for token in &tokens {
            assert!(!holds(&bytes, token), "{token} lies in a file");
        }
    }
    assert!(row, "the files that were searched have the session");
}
