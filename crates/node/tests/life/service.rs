//! The node under a service manager: what it tells it, and secrets and settings that come from it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::home::{Home, text};
use p2pds_testkit::ports::free_port;

/// `Type=notify` and `WatchdogSec=` as systemd speaks them.
#[test]
fn the_service_manager_is_told() {
    let mut home = Home::new();
    let path = home.dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    home.env.push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
    home.env.push(("WATCHDOG_USEC".to_owned(), "200000".to_owned()));
    let next = || {
        let mut message = [0; 500];
        let size = manager.recv(&mut message).unwrap();
        text(&message[..size])
    };
    let node = home.node();
    let mut told = Vec::new();
    while !told.contains(&"READY=1".to_owned()) {
        told.push(next());
    }
    for _ in 0..2 {
        let ping = loop {
            let message = next();
            if message.starts_with("WATCHDOG=1") {
                break message;
            }
        };
        assert_eq!(ping, "WATCHDOG=1\nSTATUS=0 accounts, 0 records");
    }
    assert_eq!(node.stop().0, Some(0));
    while next() != "STOPPING=1" {}
}

/// `.env` in the working directory, `--set`, and what is said of names.
#[test]
fn settings_from_the_working_directory() {
    let home = Home::new();
    std::fs::write(home.dir.path().join(".env"), "P2PDS_SYNC_INTERVAL=2h\nREPLICATE_DIDS=a.test,b.test\n")
        .unwrap();
    let shown = home.json(&["config", "show", "--set", "network.per_host=3"]);
    let of = |name: &str| shown.as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone();
    assert_eq!(of("archive.sync_interval")["origin"], "environment P2PDS_SYNC_INTERVAL in .env, line 1");
    assert_eq!(of("archive.accounts")["value"], "a.test,b.test");
    assert_eq!(of("network.per_host")["origin"], "flag --set network.per_host");
    let node = home.node();
    let (code, log) = node.stop();
    assert_eq!(code, Some(0));
    let line = "taken from older names: REPLICATE_DIDS (now P2PDS_ARCHIVE_ACCOUNTS)";
    assert_eq!(log.matches(line).count(), 1, "{log}");
}

/// The node chose its port, and nobody was told.
#[test]
fn health_of_whoever_runs_on_the_data_directory() {
    let home = Home::new();
    let asked = |args: &[&str]| {
        let outcome = home.run(&[&["health"], args].concat());
        (outcome.status.code(), text(&outcome.stdout), text(&outcome.stderr))
    };
    let nobody = |args: &[&str]| {
        let (code, _, said) = asked(args);
        assert!(code == Some(1) && said.contains("no node is found on"), "{code:?} {said}");
        assert!(said.contains("--data-dir") && said.contains("--port"), "{said}");
    };
    nobody(&[]);
    let node = home.node();
    assert_eq!(asked(&[]), (Some(0), "ready\n".to_owned(), String::new()));
    assert_eq!(asked(&["--quiet"]).1, "");
    // A port that is set and leads elsewhere is not asked while the node itself says where it is; one that is told is.
    let elsewhere = free_port().unwrap();
    let mut moved = home.command(&["health"]);
    assert_eq!(moved.env("P2PDS_PORT", elsewhere.to_string()).output().unwrap().status.code(), Some(0));
    let (code, _, said) = asked(&["--port", &elsewhere.to_string()]);
    assert!(code == Some(1) && said.contains("no node answers on 127.0.0.1:"), "{code:?} {said}");
    let port = node.address.rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    assert_eq!(asked(&["--port", &port]).0, Some(0));
    let empty = home.dir.path().join("nobody-runs-here");
    nobody(&["--data-dir", empty.to_str().unwrap()]);
    assert_eq!(node.stop().0, Some(0));
    nobody(&[]);
}

/// What a container's health check runs.
#[test]
fn health_from_outside() {
    let mut home = Home::new();
    let free = free_port().unwrap();
    home.env.push(("P2PDS_PORT".to_owned(), free.to_string()));
    let without = home.run(&["health"]);
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without.stderr).contains("no node answers on 127.0.0.1:"), "{}", text(&without.stderr));
    let node = home.node();
    let asked = home.run(&["health", "--bind", "0.0.0.0"]);
    assert_eq!((asked.status.code(), text(&asked.stdout).as_str()), (Some(0), "ready\n"));
    assert_eq!(node.stop().0, Some(0));
}
