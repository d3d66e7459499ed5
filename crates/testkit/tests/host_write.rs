//! Writing to a hosted repo: every call is made to the reference PDS and to us, and must come to the same; then the
//! reference's packages check our repo, our proofs and our stream.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::process::Command;

use p2pds_testkit::hosted::{Hosted, PASSWORD};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Network, Options, node};
use serde_json::{Value, json};

/// Where we differ on purpose: what the reference answers, and what we do. Its 500s have names here; two of its names
/// are those of its libraries.
const DIFFERENT: &[(&str, u64, &str)] = &[
    ("a legacy blob", 500, "InvalidRequest"),
    ("create where one is", 500, "RecordAlreadyExists"),
    ("a create where one is", 500, "RecordAlreadyExists"),
    ("an update of nothing", 500, "RecordNotFound"),
    ("a delete of nothing", 500, "RecordNotFound"),
    ("no JSON", 400, "InvalidRequest"),
    ("too large", 413, "PayloadTooLarge"),
];

fn run(dir: &Path, given: &Value) -> Value {
    let oracle = need::oracle().unwrap();
    let modules = dir.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(oracle.join("node_modules"), &modules).unwrap();
    }
    let script = dir.join("write.mjs");
    std::fs::write(&script, include_str!("write/write.mjs")).unwrap();
    let output = Command::new(node(&oracle)).arg(&script).arg(given.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "at {}: {said}", given["service"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_call_comes_to_what_it_does_at_the_reference() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let hosted = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let theirs = network.account(0, "writer-theirs", None).unwrap();
    let ours = hosted.sign_up(&network, "writer-ours").unwrap();
    let given = |service: &str, did: &str, password: &str, check: bool| json!({ "service": service, "identifier": did, "password": password, "plc": network.plc, "check": check });
    let want = run(dir.path(), &given(&network.pdses[0].url, &theirs.did, "hunter22", false));
    let found = run(dir.path(), &given(&hosted.url, &ours.did, PASSWORD, true));
    let mut differ = Vec::new();
    for (name, want) in want["steps"].as_object().unwrap() {
        let found = &found["steps"][name];
        match DIFFERENT.iter().find(|(known, ..)| known == name) {
            Some((_, theirs, error)) => {
                assert_eq!(want["status"], *theirs, "{name}: the reference has changed");
                let status = if *theirs == 500 { 400 } else { *theirs };
                assert_eq!(found, &json!({ "status": status, "error": error }), "{name}");
            }
            None if want == found => {}
            None => differ.push(format!("{name}: the reference {want}, we {found}")),
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(found["checked"]["records"].as_u64().unwrap() > 200, "{}", found["checked"]);
}
