//! A running node watched from outside: its metrics page, and an identity that its owner and others change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_testkit::http::request;
use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::oracle::{Network, Options};
use p2pds_testkit::ports::free_port;
use p2pds_testkit::program::Program;
use p2pds_testkit::source::Source;
use serde_json::{Value, json};

fn until<T>(what: &str, limit: Duration, mut wanted: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = wanted() {
            return found;
        }
        assert!(begun.elapsed() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The page as the operator socket gives it.
fn page(program: &Program) -> String {
    let mut socket = UnixStream::connect(program.data().join("operator.sock")).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

/// Reads the text format as strictly as Prometheus does: samples by name and labels.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut types, mut helped, mut found) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    assert!(page.ends_with('\n'), "the last line ends as well");
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind).is_none(), "a type twice: {line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(helped.insert(rest.split_once(' ').unwrap().0.to_owned()), "help twice: {line}");
            continue;
        }
        assert!(!line.starts_with('#'), "{line}");
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| name.strip_suffix(end))
            .find(|family| types.get(*family) == Some(&"histogram"))
            .unwrap_or(name);
        assert!(types.contains_key(family), "no type before {line}");
        assert!(helped.contains(family), "no help before {line}");
        if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let inner = labels.strip_prefix('{').and_then(|l| l.strip_suffix('}')).unwrap();
            for label in inner.split("\",") {
                let (key, text) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
                assert!(!text.trim_end_matches('"').contains(['"', '\n']), "{line}");
            }
        }
        assert!(found.insert(series.to_owned(), value.parse::<f64>().unwrap()).is_none(), "twice: {series}");
    }
    found
}

#[test]
fn the_metrics_page_reads_and_names_nobody() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(11, &source.url);
    let mut content = Content::posts("metrics", 30);
    content.put_image("3kaaaaaaaaaaa", 1, 300);
    source.serve(&account, &account.sign(0, &content));
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().unwrap();
    let program = Program::new(&dir.path().join("data"))
        .unwrap()
        .with_env(source.environment())
        .with_env([("P2PDS_METRICS_PORT".to_owned(), port.to_string())]);
    let node = program.serve().unwrap();
    program.ok(&["archive", "add", &account.handle]).unwrap();
    let page = until("a sample after the account came", Duration::from_secs(120), || {
        let page = page(&program);
        (samples(&page).get("p2pds_accounts{status=\"active\"}") == Some(&1.0)).then_some(page)
    });
    let found = samples(&page);
    for (series, value) in [
        ("p2pds_records", 31.0),
        ("p2pds_blobs_held", 1.0),
        ("p2pds_blob_bytes", 300.0),
        ("p2pds_accounts{status=\"deleted\"}", 0.0),
        ("p2pds_accounts_synced_within{age=\"1h\"}", 1.0),
        ("p2pds_store_stopped", 0.0),
    ] {
        assert_eq!(found.get(series), Some(&value), "{series}\n{page}");
    }
    assert!(found["p2pds_store_commit_seconds_count"] > 0.0);
    assert_eq!(
        found["p2pds_store_commit_seconds_bucket{le=\"+Inf\"}"],
        found["p2pds_store_commit_seconds_count"]
    );
    for name in [&account.did, &account.handle, "localhost", "127.0.0.1", "did:"] {
        assert!(!page.contains(name), "{name} in\n{page}");
    }
    let over_tcp = request("GET", &format!("http://127.0.0.1:{port}/metrics"), &[], None).unwrap();
    assert_eq!(over_tcp.status, 200);
    assert!(samples(std::str::from_utf8(&over_tcp.body).unwrap()).contains_key("p2pds_records"));
    let ended = node.terminate(Duration::from_secs(60)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
}

/// The operations of `plc log --json`, and the exit status.
fn log(program: &Program, did: &str) -> (Vec<Value>, Option<i32>) {
    let outcome = program.run(&["plc", "log", did, "--json"]).unwrap();
    let operations = outcome.json().unwrap()["operations"].as_array().unwrap().clone();
    (operations, outcome.code)
}

#[test]
fn changes_at_the_reference_directory_are_watched_announced_and_acknowledged() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let recovery = PrivateKey::from_entropy(Curve::K256, [77; 32]).public_key().to_did_key();
    let account = network.account(0, "watched", Some(&recovery)).unwrap();
    let expecting = network.account(0, "expecting", None).unwrap();
    let did = account.did.as_str();
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(&dir.path().join("data"))
        .unwrap()
        .with_env(network.environment())
        .with_env([("P2PDS_PLC_REFRESH".to_owned(), "1s".to_owned())]);
    program.ok(&["archive", "add", did]).unwrap();
    program.ok(&["archive", "add", &expecting.did]).unwrap();
    let node = program.serve().unwrap();
    let (operations, code) = log(&program, did);
    assert_eq!((operations.len(), code), (1, Some(0)), "{operations:?}");
    assert_eq!(operations[0]["verdict"], "before");

    program.ok(&["plc", "announce", &expecting.did, "--within", "1h", "--reason", "a new name"]).unwrap();
    expecting.call("com.atproto.identity.updateHandle", &json!({"handle": "expected.test"})).unwrap();
    account.call("com.atproto.identity.updateHandle", &json!({"handle": "renamed.test"})).unwrap();
    let operation = until("the operation", Duration::from_secs(90), || {
        let (operations, code) = log(&program, did);
        operations.get(1).filter(|_| code == Some(3)).cloned()
    });
    assert_eq!(operation["verdict"], "unexpected");
    assert_eq!(operation["changes"], json!(["handle changed from watched.test to renamed.test"]));
    assert_eq!((&operation["signerPosition"], &operation["signer_position"]), (&Value::Null, &json!(2)));
    assert_eq!(operation["undo"]["keys"], json!([recovery]));
    let finding = until("the finding", Duration::from_secs(120), || {
        let shown = program.json(&["archive", "show", did]).unwrap();
        shown["findings"].as_array().unwrap().iter().find(|f| f["kind"] == "plc-unexpected").cloned()
    });
    let words = finding["detail"].as_str().unwrap();
    assert!(words.contains("(71 hours left)") && words.contains(&recovery), "{words}");

    let cid = operation["cid"].as_str().unwrap();
    program.ok(&["plc", "ack", did, cid, "--reason", "I did that"]).unwrap();
    assert_eq!(log(&program, did).1, Some(0));
    let operation = until("the announced operation", Duration::from_secs(90), || {
        log(&program, &expecting.did).0.get(1).cloned()
    });
    assert_eq!((&operation["verdict"], &operation["reason"]), (&json!("announced"), &json!("a new name")));
    let shown = program.json(&["archive", "show", &expecting.did]).unwrap();
    assert!(!shown["findings"].to_string().contains("plc-unexpected"), "{}", shown["findings"]);
    // It offers no stream: its operations are asked for in pages.
    let state = "p2pds_plc_stream_state{state=\"pages\"}";
    until("pages", Duration::from_secs(120), || {
        (samples(&page(&program)).get(state) == Some(&1.0)).then_some(())
    });
    let ended = node.terminate(Duration::from_secs(60)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
}
