//! Streams that leave out, lie, break and repeat themselves: a running node ends with what is true, and says who lied.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use p2pds_testkit::program::Program;
use p2pds_testkit::stream::{Behaviour, Host, Plan, Rule, Write};
use serde_json::Value;

/// What `archive list` says of all accounts.
fn list(program: &Program) -> Vec<Value> {
    program.json(&["archive", "list"]).unwrap().as_array().unwrap().clone()
}

fn show(program: &Program, did: &str) -> Value {
    program.json(&["archive", "show", did]).unwrap()
}

/// Waits for something that will be true.
fn until(what: &str, limit: Duration, mut wanted: impl FnMut() -> Result<(), String>) -> Duration {
    let begun = Instant::now();
    loop {
        match wanted() {
            Ok(()) => return begun.elapsed(),
            Err(why) => assert!(begun.elapsed() < limit, "{what}: {why}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until all accounts are at the heads that are true.
fn converged(program: &Program, host: &Host, limit: Duration) -> Duration {
    let wanted: Vec<(String, String)> =
        (0..host.dids().len()).map(|n| (host.did(n), host.truth(n).rev.to_string())).collect();
    until("heads", limit, || {
        let lines = list(program);
        let behind: Vec<&(String, String)> = wanted
            .iter()
            .filter(|(did, rev)| !lines.iter().any(|line| line["did"] == **did && line["rev"] == **rev))
            .collect();
        if behind.is_empty() {
            Ok(())
        } else {
            Err(format!("{} accounts are behind: {behind:?}", behind.len()))
        }
    })
}

/// The findings of an account as `kind subject`.
fn findings(program: &Program, did: &str) -> Vec<String> {
    let shown = show(program, did);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let all = shown["findings"].as_array().unwrap();
    all.iter().map(|finding| format!("{} {}", text(finding, "kind"), text(finding, "subject"))).collect()
}

fn archive_all(program: &Program, host: &Host) {
    for did in host.dids() {
        program.ok(&["archive", "add", &did]).unwrap();
    }
    until("following", Duration::from_secs(120), || {
        let waiting = list(program).iter().filter(|line| line["live"]["state"] == Value::Null).count();
        if waiting == 0 { Ok(()) } else { Err(format!("{waiting} are not followed")) }
    });
}

#[test]
fn a_relay_that_leaves_out_one_event_in_a_hundred_is_named() {
    let host = Host::start(&Plan { seed: 11, accounts: 20, records: 30 }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("P2PDS_LIVE_RELAY", host.stream_url()),
        ("P2PDS_LIVE_RELAY_FROM", "20".to_owned()),
        ("P2PDS_LIVE_COMPARE_EVERY", "2s".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let program =
        Program::new(&dir.path().join("data")).unwrap().with_env(host.environment()).with_env(settings);
    let node = program.serve().unwrap();
    archive_all(&program, &host);
    until("the relay", Duration::from_secs(120), || {
        let others = list(&program).iter().filter(|line| line["live"]["state"] != "relay").count();
        if others == 0 { Ok(()) } else { Err(format!("{others} are heard elsewhere")) }
    });
    host.prepare(2_000);
    host.behave(vec![Rule::per_mille(10, Behaviour::Drop)]);
    host.run(400.0).join().unwrap();
    let took = converged(&program, &host, Duration::from_secs(120));
    println!("converged {:.1} s after the last event", took.as_secs_f64());
    let named = host
        .dids()
        .into_iter()
        .filter(|did| findings(&program, did).iter().any(|f| f.starts_with("omitted ws://")));
    println!("{} accounts name the relay", named.count());
    let ended = node.terminate(Duration::from_secs(300)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[test]
fn lies_on_a_stream_are_refused_and_named() {
    // What is played on one account each, and the finding that names it. Without one, it is borne silently.
    let lies: Vec<(Behaviour, Option<&str>)> = vec![
        (Behaviour::ForgeSignature, Some("refused-bad-signature")),
        (Behaviour::ForeignDid, Some("refused-no-proof")),
        (Behaviour::OlderRev(60), None),
        (Behaviour::FutureRev(3_600), Some("refused-future-rev")),
        (Behaviour::Equivocate, Some("refused-equivocation")),
        (Behaviour::WrongPrevData, Some("refused-wrong-prev-data")),
        (Behaviour::MissingPrevData, None),
        (Behaviour::WrongSince, None),
        (Behaviour::WrongOp, None),
        (Behaviour::HideOp, None),
        (Behaviour::MissingBlock, None),
        (Behaviour::FlipBlock, None),
        (Behaviour::ExtraBlocks(10_000), None),
        (Behaviour::TooBig, None),
        (Behaviour::Rebase, None),
        (Behaviour::Duplicate, None),
        (Behaviour::Swap, None),
        (Behaviour::Drop, None),
        (Behaviour::TruncateFrame(50), None),
        (Behaviour::Garbage(1_000), None),
        (Behaviour::UnknownType, None),
        (Behaviour::UnknownOp, None),
        (Behaviour::BadDid, None),
        (Behaviour::IdentityFlood(1_000), None),
        (Behaviour::CutFrame, None),
        (Behaviour::Reset, None),
        (Behaviour::Close(1_011), None),
    ];
    let host = Host::start(&Plan { seed: 12, accounts: lies.len(), records: 20 }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = [("P2PDS_LIVE_COMPARE_EVERY".to_owned(), "4s".to_owned())];
    let program =
        Program::new(&dir.path().join("data")).unwrap().with_env(host.environment()).with_env(settings);
    let node = program.serve().unwrap();
    archive_all(&program, &host);
    let rules =
        lies.iter().enumerate().map(|(n, (lie, _))| Rule { times: Some(1), ..Rule::account(n, lie.clone()) });
    host.behave(rules.collect());
    for _ in 0..3 {
        for n in 0..lies.len() {
            host.commit(n, Write { creates: 2, updates: 1, deletes: 1 });
        }
    }
    let took = converged(&program, &host, Duration::from_secs(120));
    println!("converged after {:.1} s", took.as_secs_f64());
    let found: Vec<Vec<String>> = host.dids().iter().map(|did| findings(&program, did)).collect();
    for ((lie, _), found) in lies.iter().zip(&found) {
        println!("{lie:?}: {found:?}");
    }
    for (n, (lie, named)) in lies.iter().enumerate() {
        // An event in the name of another account is that one's matter.
        let n = if *lie == Behaviour::ForeignDid { n + 1 } else { n };
        if let Some(named) = named {
            assert!(found[n].iter().any(|f| f.starts_with(named)), "{lie:?} is not named: {:?}", found[n]);
        }
    }
    let evidence = show(&program, &host.did(0))["evidence"].clone();
    let counted = |line: &Value| line["kind"] == "refused-bad-signature" && line["times"].as_u64() >= Some(1);
    assert!(evidence.as_array().unwrap().iter().any(counted), "{evidence:#}");
    program.ok(&["verify", "--read-data", "--no-repair"]).unwrap();
    let ended = node.terminate(Duration::from_secs(300)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}

/// A node that follows all accounts of a host.
fn following(
    host: &Host,
    settings: &[(&str, &str)],
) -> (tempfile::TempDir, Program, p2pds_testkit::program::Running) {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let program =
        Program::new(&dir.path().join("data")).unwrap().with_env(host.environment()).with_env(settings);
    let node = program.serve().unwrap();
    archive_all(&program, host);
    (dir, program, node)
}

/// Waits until `archive show` has what is wanted.
fn shown(program: &Program, did: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
    until(what, Duration::from_secs(120), || {
        let shown = show(program, did);
        if wanted(&shown) { Ok(()) } else { Err(format!("{shown:#}")) }
    });
}

#[test]
fn status_key_and_host_changes_are_followed() {
    let host = Host::start(&Plan { seed: 13, accounts: 3, records: 10 }).unwrap();
    let other = Host::start(&Plan { seed: 14, accounts: 0, records: 0 }).unwrap();
    let (_dir, program, node) = following(&host, &[]);
    host.post(0);
    converged(&program, &host, Duration::from_secs(120));

    // A status is in force at once, and what was missed while the account was off comes afterwards.
    host.account(0, Some("takendown"));
    shown(&program, &host.did(0), "the status", |shown| shown["status"] == "takendown");
    host.account(0, None);
    host.post(0);
    shown(&program, &host.did(0), "the status", |shown| shown["status"] == "active");
    converged(&program, &host, Duration::from_secs(120));

    // Identities are looked up once a minute at most; a node that has just begun has not asked yet.
    assert_eq!(node.terminate(Duration::from_secs(300)).unwrap().code, Some(0));
    let node = program.serve().unwrap();

    // A new key: the next commit is signed with it.
    let before = show(&program, &host.did(1))["head"]["key"].clone();
    host.rotate(1);
    host.post(1);
    converged(&program, &host, Duration::from_secs(120));
    let head = &show(&program, &host.did(1))["head"];
    assert_ne!(head["key"], before);
    assert_eq!(head["key"], host.signing_key(1));

    // Another host with another key: it is heard there from then on, and its head goes on.
    let there = host.move_to(2, &other);
    other.post(there);
    let wanted = other.truth(there).rev.to_string();
    shown(&program, &host.did(2), "the head at the new host", |shown| {
        shown["head"]["rev"] == wanted.as_str() && shown["host"] == other.url.as_str()
    });
    shown(&program, &host.did(2), "the new host's stream", |shown| {
        shown["live"]["from"] == other.url.as_str()
    });
    other.post(there);
    let wanted = other.truth(there).rev.to_string();
    shown(&program, &host.did(2), "the next head", |shown| shown["head"]["rev"] == wanted.as_str());
    assert_eq!(show(&program, &host.did(2))["status"], "active");
    program.ok(&["verify", "--read-data", "--no-repair"]).unwrap();
    assert_eq!(node.terminate(Duration::from_secs(300)).unwrap().code, Some(0));
}

/// Whoever brings the stored log up to date: from then on nothing by the withdrawn key is taken.
#[test]
fn a_withdrawn_key_is_refused_as_soon_as_the_log_is_known() {
    let host = Host::start(&Plan { seed: 17, accounts: 2, records: 10 }).unwrap();
    let (_dir, program, node) = following(&host, &[]);
    host.post(1);
    converged(&program, &host, Duration::from_secs(120));
    let held = show(&program, &host.did(1))["head"]["rev"].clone();
    host.lose_key(1);
    program.ok(&["archive", "sync", &host.did(1)]).unwrap();
    host.post(1);
    shown(&program, &host.did(1), "the refusal", |shown| {
        let findings = shown["findings"].as_array();
        findings.is_some_and(|all| all.iter().any(|finding| finding["kind"] == "refused-bad-signature"))
    });
    assert_eq!(show(&program, &host.did(1))["head"]["rev"], held);
    assert_eq!(node.terminate(Duration::from_secs(300)).unwrap().code, Some(0));
}

#[test]
fn streams_that_forget_or_break_are_taken_up_again() {
    let host = Host::start(&Plan { seed: 15, accounts: 4, records: 10 }).unwrap();
    let (_dir, program, node) = following(&host, &[]);
    host.post(0);
    converged(&program, &host, Duration::from_secs(120));
    // What happens while nobody listens comes later.
    assert_eq!(node.terminate(Duration::from_secs(300)).unwrap().code, Some(0));
    for n in 0..4 {
        host.post(n);
    }
    let fetched = host.asked("/xrpc/com.atproto.sync.getRepo");
    let node = program.serve().unwrap();
    converged(&program, &host, Duration::from_secs(120));
    assert_eq!(
        host.asked("/xrpc/com.atproto.sync.getRepo"),
        fetched,
        "the stream brought it, nothing was fetched"
    );
    // A stream that does not reach back so far any more.
    assert_eq!(node.terminate(Duration::from_secs(300)).unwrap().code, Some(0));
    for n in 0..4 {
        host.post(n);
        host.post(n);
    }
    host.forget_before(host.last());
    let node = program.serve().unwrap();
    converged(&program, &host, Duration::from_secs(120));
    // A host that is away for a while.
    host.close(true);
    host.post(1);
    host.close(false);
    host.hang_up();
    host.post(2);
    converged(&program, &host, Duration::from_secs(120));
    let text = String::from_utf8_lossy(&program.ok(&["workers"]).unwrap().stdout).into_owned();
    assert!(text.contains("live") && text.contains("events/s"), "{text}");
    assert_eq!(node.terminate(Duration::from_secs(300)).unwrap().code, Some(0));
}

#[test]
fn polled_accounts_come_too() {
    let host = Host::start(&Plan { seed: 16, accounts: 2, records: 10 }).unwrap();
    let polled =
        [("P2PDS_LIVE_MAX_STREAMS", "0"), ("P2PDS_LIVE_POLL_LEAST", "1s"), ("P2PDS_LIVE_POLL_MOST", "1s")];
    let (_dir, program, node) = following(&host, &polled);
    for _ in 0..3 {
        host.post(0);
        host.post(1);
        converged(&program, &host, Duration::from_secs(120));
    }
    host.account(1, Some("deactivated"));
    shown(&program, &host.did(1), "the status", |shown| shown["status"] == "deactivated");
    assert_eq!(show(&program, &host.did(0))["live"]["state"], "polled");
    assert_eq!(node.terminate(Duration::from_secs(300)).unwrap().code, Some(0));
}
