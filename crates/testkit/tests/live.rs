//! A running node follows accounts on a reference PDS: what is written there is here a moment later.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use p2pds_testkit::oracle::{Account, Network, Options, POST, image, post_record};
use p2pds_testkit::program::Program;

/// Waits until `archive show` says what is wanted; gives it back.
fn until(
    program: &Program,
    did: &str,
    what: &str,
    wanted: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let shown = program.json(&["archive", "show", did]).unwrap();
        if wanted(&shown) {
            return shown;
        }
        assert!(Instant::now() < deadline, "{what} did not come: {shown:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn at_head(program: &Program, account: &Account) -> serde_json::Value {
    let (_, rev) = account.latest_commit().unwrap();
    until(program, &account.did, "the head", |shown| shown["head"]["rev"] == rev.as_str())
}

#[test]
fn what_is_written_is_here_a_moment_later() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let account = network.account(0, "live-p2pds", None).unwrap();
    let post = account.create(POST, &post_record("first")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(network.environment());
    let node = program.serve().unwrap();
    program.ok(&["archive", "add", &account.did]).unwrap();
    let live = |shown: &serde_json::Value| shown["live"]["state"] == "live";
    until(&program, &account.did, "live following", live);

    account.create(POST, &post_record("second")).unwrap();
    account.put(POST, post.rkey(), &post_record("first, mended")).unwrap();
    account.post_image(&image(1, 20_000)).unwrap();
    account.delete(POST, post.rkey()).unwrap();
    at_head(&program, &account);
    until(&program, &account.did, "the image", |shown| shown["blobs_held"] == 1);
    program.ok(&["verify", &account.did, "--read-data"]).unwrap();
    let list = String::from_utf8_lossy(&program.ok(&["archive", "list"]).unwrap().stdout).into_owned();
    assert!(list.contains("live, "), "{list}");
    let ended = node.terminate(Duration::from_secs(60)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
}
