//! A running node: commands talk to it, a second one is refused, it ends in order, and its end by SIGKILL harms nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::oracle::car_blocks;
use p2pds_testkit::program::{Program, Running};
use p2pds_testkit::source::Source;

/// Starts a node on a free port and waits until commands reach it.
fn serve(program: &Program) -> Running {
    let mut node = program.spawn(&["serve", "--port", "0"]).unwrap();
    let socket = program.data().join("operator.sock");
    let deadline = Instant::now() + Duration::from_secs(120);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(node.alive().unwrap(), "the node ended: {}", node.kill().unwrap());
        assert!(Instant::now() < deadline, "no operator socket");
        std::thread::sleep(Duration::from_millis(20));
    }
    node
}

#[test]
fn commands_work_the_same_with_and_without_a_node() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(8, &source.url);
    let state = account.sign(0, &Content::posts("node", 300));
    source.serve(&account, &state);
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(source.environment());

    let node = serve(&program);
    let second = program.run(&["serve", "--port", "0"]).unwrap();
    assert_eq!(second.code, Some(1), "{second}");
    assert!(second.stderr.contains("data"), "says which directory is taken: {second}");
    program.ok(&["archive", "add", &account.handle]).unwrap();
    let through_node = program.ok(&["export", &account.did, "--car", "-"]).unwrap().stdout;
    let shown = program.json(&["archive", "show", &account.did]).unwrap();
    program.ok(&["verify"]).unwrap();
    program.ok(&["workers"]).unwrap();
    let ended = node.terminate(Duration::from_secs(60)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");

    let alone = program.ok(&["export", &account.did, "--car", "-"]).unwrap().stdout;
    assert!(alone == through_node, "the same bytes");
    assert_eq!(car_blocks(&alone).unwrap(), (state.commit, state.blocks));
    let again = program.json(&["archive", "show", &account.did]).unwrap();
    assert_eq!((&again["head"], &again["records"]), (&shown["head"], &shown["records"]));
}

#[test]
fn a_killed_node_leaves_no_lock_behind() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(9, &source.url);
    source.serve(&account, &account.sign(0, &Content::posts("node", 300)));
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(source.environment());
    for _ in 0..3 {
        let node = serve(&program);
        program.ok(&["archive", "add", &account.did]).unwrap();
        node.kill().unwrap();
        program.ok(&["archive", "list"]).unwrap();
    }
    program.ok(&["verify", "--read-data"]).unwrap();
}
