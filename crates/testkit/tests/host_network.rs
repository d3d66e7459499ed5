//! A whole network on loopback: accounts hosted here, a relay that follows the host, an AppView that follows the relay,
//! and the way back: a post written here is read in a timeline there, through our own proxy.
//!
//! `P2PDS_RELAY` names indigo's relay; without it the AppView follows the host itself, which is said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::http;
use p2pds_testkit::indigo::Relay;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Account, Network, Options, POST, dying_with_parent, image, node, post_record};
use p2pds_testkit::postgres::Postgres;
use serde_json::{Value, json};

struct AppView {
    script: Child,
    url: String,
    did: String,
}

impl Drop for AppView {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

impl AppView {
    fn start(dir: &Path, plc: &str, stream: &str, pds: &str, postgres: &Postgres) -> Self {
        let oracle = need::oracle().unwrap();
        std::os::unix::fs::symlink(oracle.join("node_modules"), dir.join("node_modules")).unwrap();
        let path = dir.join("appview.mjs");
        std::fs::write(&path, include_str!("network/appview.mjs")).unwrap();
        let mut script = dying_with_parent(&node(&oracle))
            .arg(&path)
            .args([plc, &stream.replace("http://", "ws://"), pds, &postgres.url()])
            .env("LOG_ENABLED", "false")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(script.stdout.take().unwrap()).lines().map_while(Result::ok);
        let ready = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let ready = ready.into_iter().find(|line| line["ready"] == "appview").expect("the AppView starts");
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self { script, url: text("url"), did: text("did") }
    }
}

/// Asks until the answer is as wanted.
fn until(account: &Account, nsid: &str, params: &[(&str, &str)], wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = account.query(nsid, params);
        if let Ok(answer) = &answer
            && wanted(answer)
        {
            return answer.clone();
        }
        assert!(Instant::now() < deadline, "{nsid} stays at {answer:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn texts(timeline: &Value) -> Vec<&str> {
    let feed = timeline["feed"].as_array().map(Vec::as_slice).unwrap_or_default();
    feed.iter().filter_map(|item| item["post"]["record"]["text"].as_str()).collect()
}

fn get(account: &Account, nsid: &str, query: &str, headers: &[(&str, &str)]) -> http::Reply {
    let bearer = format!("Bearer {}", account.token());
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend(headers);
    http::request("GET", &format!("{}/xrpc/{nsid}?{query}", account.pds), &all, None).unwrap()
}

#[test]
fn a_post_goes_out_and_comes_back() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let Some(postgres) = Postgres::start().unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut host = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let relay = Relay::start(dir.path(), &network.plc, &host.url).unwrap();
    let stream = relay.as_ref().map_or(&host.url, |relay| &relay.url);
    let appview = AppView::start(dir.path(), &network.plc, stream, &host.url, &postgres);
    host.stop().unwrap();
    host.program = host.program.clone().with_env([
        ("PDS_BSKY_APP_VIEW_URL".to_owned(), appview.url.clone()),
        ("PDS_BSKY_APP_VIEW_DID".to_owned(), appview.did.clone()),
    ]);
    host.begin().unwrap();
    if let Some(relay) = &relay {
        relay.connected(2).unwrap();
    }
    let alice = host.sign_up(&network, "alice-network").unwrap();
    let bob = host.sign_up(&network, "bob-network").unwrap();
    bob.create(POST, &post_record("a word from bob")).unwrap();
    let follow = json!({"$type": "app.bsky.graph.follow", "subject": bob.did, "createdAt": "2026-01-01T00:00:00.000Z"});
    alice.create("app.bsky.graph.follow", &follow).unwrap();

    // There and back: what bob wrote is in alice's timeline, which is the AppView's.
    let timeline =
        until(&alice, "app.bsky.feed.getTimeline", &[], |answer| texts(answer).contains(&"a word from bob"));
    let bobs =
        timeline["feed"].as_array().unwrap().iter().find(|item| item["post"]["author"]["did"] == bob.did);
    assert_eq!(bobs.unwrap()["post"]["author"]["handle"], bob.handle);

    // What alice has just written is in it at once, whether or not the AppView has heard of it.
    for n in 0..5 {
        let text = format!("alice, number {n}");
        let post = alice.create(POST, &post_record(&text)).unwrap();
        let timeline = alice.query("app.bsky.feed.getTimeline", &[]).unwrap();
        assert!(texts(&timeline).contains(&text.as_str()), "{timeline:#}");
        let own = alice.query("app.bsky.feed.getAuthorFeed", &[("actor", &alice.did)]).unwrap();
        assert!(texts(&own).contains(&text.as_str()) || n == 0, "{own:#}");
        let thread = alice.query("app.bsky.feed.getPostThread", &[("uri", &post.uri)]).unwrap();
        assert_eq!(thread["thread"]["post"]["uri"], post.uri.as_str());
        let times = texts(&timeline).iter().filter(|found| **found == text).count();
        assert_eq!(times, 1, "shown once");
    }
    let profile = json!({"$type": "app.bsky.actor.profile", "displayName": "Alice of the network"});
    alice.put("app.bsky.actor.profile", "self", &profile).unwrap();
    let shown = alice.query("app.bsky.actor.getProfile", &[("actor", &alice.did)]).unwrap();
    assert_eq!(shown["displayName"], "Alice of the network");
    let cid = alice.post_image(&image(7, 5_000)).unwrap();
    let timeline = alice.query("app.bsky.feed.getTimeline", &[]).unwrap();
    assert!(timeline.to_string().contains(&cid), "the image is shown");

    // The AppView has it all in the end, under its own name.
    until(&bob, "app.bsky.actor.getProfile", &[("actor", &alice.did)], |answer| {
        answer["displayName"] == "Alice of the network"
    });
    let quoted = alice.create(POST, &post_record("to be quoted")).unwrap();
    until(&bob, "app.bsky.feed.getPosts", &[("uris", &quoted.uri)], |answer| {
        answer["posts"].as_array().is_some_and(|posts| posts.len() == 1)
    });
    let mut quoting = post_record("look at this");
    quoting["embed"] =
        json!({"$type": "app.bsky.embed.record", "record": {"uri": quoted.uri, "cid": quoted.cid}});
    alice.create(POST, &quoting).unwrap();
    let timeline = alice.query("app.bsky.feed.getTimeline", &[]).unwrap();
    let first = &timeline["feed"][0]["post"];
    assert_eq!(first["embed"]["record"]["value"]["text"], "to be quoted", "{first:#}");

    // Services by name, and what is refused.
    let named = format!("{}#bsky_appview", appview.did);
    let answer = get(&alice, "app.bsky.feed.getTimeline", "limit=1", &[("atproto-proxy", &named)]);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    for (header, status) in [
        ("did:web:nobody.invalid#bsky_appview", 400),
        (appview.did.as_str(), 400),
        ("#bsky_appview", 400),
        (&format!("{}#no_such_service", appview.did), 400),
        (&format!("{named}#more"), 400),
    ] {
        let answer = get(&alice, "app.bsky.feed.getTimeline", "", &[("atproto-proxy", header)]);
        assert_eq!(answer.status, status, "{header}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json().unwrap()["error"], "InvalidRequest", "{header}");
    }
    let answer = get(&alice, "com.atproto.server.getAccountInviteCodes", "", &[("atproto-proxy", &named)]);
    assert_eq!(
        answer.status,
        200,
        "answered here whatever is named: {}",
        String::from_utf8_lossy(&answer.body)
    );
    let answer = get(&alice, "app.bsky.actor.getProfile", "actor=nobody.test", &[]);
    assert_eq!((answer.status, answer.json().unwrap()["error"].as_str()), (400, Some("InvalidRequest")));
    let nobody =
        http::request("GET", &format!("{}/xrpc/app.bsky.feed.getTimeline", host.url), &[], None).unwrap();
    assert_eq!(nobody.status, 401, "{}", String::from_utf8_lossy(&nobody.body));

    // A service that is gone is said to be gone.
    drop(appview);
    let answer = get(&alice, "app.bsky.feed.getTimeline", "", &[]);
    assert_eq!((answer.status, answer.json().unwrap()["error"].as_str()), (502, Some("UpstreamFailure")));
    if let Some(relay) = &relay {
        assert_eq!(relay.complaints(), Vec::<String>::new());
    }
    let ended = host.stop().unwrap();
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}
