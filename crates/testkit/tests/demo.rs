//! `p2pds demo`: what it promises, tried as its users try it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use p2pds_testkit::demo::Demo;
use p2pds_testkit::http;
use p2pds_testkit::program::Program;
use serde_json::{Value, json};

/// The host of somebody, by its number: not every resolver knows names under `.localhost`, as browsers do.
fn host_of(demo: &Demo, name: &str) -> String {
    let url = demo.person(name)["host"].as_str().unwrap();
    format!("http://127.0.0.1:{}", url.rsplit(':').next().unwrap())
}

fn handle(demo: &Demo, name: &str) -> String {
    demo.person(name)["handle"].as_str().unwrap().to_owned()
}

/// Posts to a host of the demo; the status and the answer.
fn post(url: &str, nsid: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let url = format!("{url}/xrpc/{nsid}");
    let reply = http::request("POST", &url, &headers, Some(&serde_json::to_vec(body).unwrap())).unwrap();
    (reply.status, reply.json().unwrap_or(Value::Null))
}

/// What somebody gets who asks this port for a page under a name: status, where it leads, the page.
fn under(port: &str, host: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let host = format!("{host}:{port}");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let to = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default();
    (status, to.to_owned(), body.to_owned())
}

/// Passkeys belong to a name: pages of hosted accounts stay at the one of the public address, under which browsers take
/// them; the owner's pages lead to the address where his sign-in comes back to. A handle is the name of no page.
fn pages_stay_at_their_names(demo: &Demo) {
    let port_of = |url: &str| url.rsplit(':').next().unwrap().to_owned();
    let (node, alice) = (port_of(demo.node()), handle(demo, "alice"));
    let own = ["/account", "/account/sign-up", "/account/forgot"];
    for path in own {
        assert_eq!(under(&node, "localhost", path).0, 200, "{path}");
    }
    let unfinished = under(&node, "localhost", "/oauth/authorize?client_id=x");
    assert_eq!((unfinished.0, unfinished.1.as_str()), (400, ""), "{}", unfinished.2);
    let did = demo.person("alice")["did"].as_str().unwrap();
    for path in ["/", "/sign-in", "/operator", "/sessions", &format!("/archive/{did}/promote")] {
        let (status, to, _) = under(&node, "localhost", path);
        assert_eq!((status, to), (307, format!("http://127.0.0.1:{node}{path}")), "{path}");
    }
    // The question that a passkey answers names the host of the public address, under whichever name the page is shown.
    let host = demo.person("alice")["host"].as_str().unwrap();
    let (north, name) = (port_of(host), host.strip_prefix("http://").unwrap().split(':').next().unwrap());
    for (port, shown, wanted) in
        [(&node, "localhost", "localhost"), (&north, name, name), (&north, "127.0.0.1", name)]
    {
        let (status, _, page) = under(port, shown, "/account");
        assert_eq!(status, 200, "{shown}");
        let asked = page.replace("&quot;", "\"");
        assert!(asked.contains(&format!("\"rpId\":\"{wanted}\"")), "{shown}: {asked}");
    }
    // Under the account's handle there is its identity, and no page: nobody signs in at a name that an account chose.
    let (status, _, said) = under(&north, &alice, "/.well-known/atproto-did");
    assert_eq!((status, said.trim()), (200, did));
    for path in own.into_iter().chain(["/", "/oauth/authorize", "/sign-in"]) {
        assert_eq!(under(&north, &alice, path).0, 421, "{path}");
    }
}

#[test]
fn everything_can_be_tried_and_nothing_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    let demo = Demo::start(scratch.path(), &[]).unwrap();
    println!("the demo answered after {:.1} s", demo.took.as_secs_f64());
    let data = std::path::PathBuf::from(demo.said["data"].as_str().unwrap());
    assert!(data.starts_with(scratch.path()), "{}", data.display());
    pages_stay_at_their_names(&demo);

    // An account of the one host, first copy to verified.
    let begun = Instant::now();
    let alice = handle(&demo, "alice");
    demo.program.ok(&["archive", "add", &alice]).unwrap();
    println!("the first verified copy of a small account took {:.1} s", begun.elapsed().as_secs_f64());
    demo.program.ok(&["verify", &alice]).unwrap();
    demo.program.ok(&["drill", &alice]).unwrap();

    // Life goes on at her host and is followed.
    let at_host = host_of(&demo, "alice");
    let session = json!({ "identifier": alice, "password": demo.person("alice")["password"] });
    let (status, session) = post(&at_host, "com.atproto.server.createSession", None, &session);
    assert_eq!(status, 200, "{session}");
    let record = json!({ "$type": "app.bsky.feed.post", "text": "from the test", "createdAt": "2026-01-01T00:00:00.000Z" });
    let write = json!({ "repo": session["did"], "collection": "app.bsky.feed.post", "rkey": "3l2aaaaaaaa2a", "record": record });
    let (status, written) =
        post(&at_host, "com.atproto.repo.putRecord", session["accessJwt"].as_str(), &write);
    assert_eq!(status, 200, "{written}");
    let uri = written["uri"].as_str().unwrap();
    let begun = Instant::now();
    while demo.program.run(&["show", uri]).unwrap().code != Some(0) {
        assert!(begun.elapsed().as_secs() < 120, "the post did not arrive: {}", demo.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    // A host is gone, and its account comes here, by the key that its owner holds.
    let erin = handle(&demo, "erin");
    let key = demo.person("erin")["rotationKeyFile"].as_str().unwrap().to_owned();
    demo.program.ok(&["archive", "add", &erin]).unwrap();
    let gone = http::request("POST", &format!("{}/hosts/south/gone", demo.desk()), &[], None).unwrap();
    assert_eq!(gone.status, 303);
    let health = format!("{}/xrpc/com.atproto.server.describeServer", host_of(&demo, "erin"));
    assert!(http::request("GET", &health, &[], None).is_err(), "a host that is gone answers");
    demo.program.ok(&["promote", &erin, "--rotation-key-file", &key, "--dry-run"]).unwrap();
    demo.program
        .ok(&[
            "promote",
            &erin,
            "--rotation-key-file",
            &key,
            "--handle",
            "erin.home.test",
            "--confirm",
            &erin,
            "--yes",
        ])
        .unwrap();
    let document = http::request(
        "GET",
        &format!("{}/{}", demo.desk(), demo.person("erin")["did"].as_str().unwrap()),
        &[],
        None,
    );
    let document = String::from_utf8_lossy(&document.unwrap().body).into_owned();
    assert!(document.contains("erin.home.test") && document.contains("http://localhost:"), "{document}");
    let back = http::request("POST", &format!("{}/hosts/south/back", demo.desk()), &[], None).unwrap();
    assert_eq!(back.status, 303);
    assert_eq!(http::request("GET", &health, &[], None).unwrap().status, 200);

    assert_eq!(demo.stop().unwrap(), 0);
    let left: Vec<_> =
        std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["demo.log"], "a demo leaves nothing behind");
}

#[test]
fn it_refuses_to_be_public() {
    let scratch = tempfile::tempdir().unwrap();
    let program = Program::new(&scratch.path().join("no-data")).unwrap();
    for args in [
        &["demo", "--hostname", "pds.example.com"][..],
        &["demo", "--public-url", "https://pds.example.com"],
        &["demo", "--bind", "0.0.0.0"],
        &["demo", "--data-dir", "/var/lib/p2pds"],
        &["demo", "--config", "p2pds.toml"],
    ] {
        let refused = program.run(args).unwrap().expect(2).unwrap();
        assert!(refused.stderr.contains("a demo"), "{args:?}: {}", refused.stderr);
    }
    let named = program.with_env([("PDS_HOSTNAME".to_owned(), "pds.example.com".to_owned())]);
    let refused = named.run(&["demo"]).unwrap().expect(2).unwrap();
    assert!(
        refused.stderr.contains("PDS_HOSTNAME") && refused.stderr.contains("this machine alone"),
        "{refused}"
    );
}
