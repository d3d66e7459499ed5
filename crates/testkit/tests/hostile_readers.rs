//! The catalogue's readers against a running node: nothing of an account that is not served comes out, the node goes on
//! answering others meanwhile, and its memory stays bounded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::time::Duration;

use p2pds_testkit::hostile::{Party, Targets, ask, behaviours_of};
use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::oracle::post_record;
use p2pds_testkit::ports::free_port;
use p2pds_testkit::program::{Program, Running};
use p2pds_testkit::source::Source;

/// In every record of the hidden account.
const CANARY: &str = "nobody-may-read-this";
/// What the node may need at most in MiB over what it needed before anybody read.
const MEMORY: u64 = 80;

fn peak(node: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn no_reader_gets_what_is_not_served_or_keeps_others_out() {
    let source = Source::start().unwrap();
    let (alice, bob) = (MadeUp::new(1, &source.url), MadeUp::new(2, &source.url));
    source.serve(&alice, &alice.sign(0, &Content::posts("public", 3_000)));
    let mut hidden = Content::default();
    for n in 0..20 {
        hidden.put(&format!("3khidden{n:05}"), &post_record(CANARY));
    }
    let kept = bob.sign(7, &hidden);
    source.serve(&bob, &kept);
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().unwrap();
    let settings = [("P2PDS_PORT", port.to_string()), ("P2PDS_LIVE_ENABLED", "false".to_owned())];
    let program = Program::new(&dir.path().join("data"))
        .unwrap()
        .with_env(source.environment())
        .with_env(settings.map(|(name, value)| (name.to_owned(), value)));
    let mut node = program.spawn(&["serve"]).unwrap();
    while program.run(&["health"]).unwrap().code != Some(0) {
        assert!(node.alive().unwrap(), "the node ended: {}", node.kill().unwrap());
    }
    for account in [&alice, &bob] {
        program.ok(&["archive", "add", &account.did]).unwrap();
    }
    program.ok(&["archive", "serve", &alice.did, "public", "--basis", "she asked for it"]).unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let from =
        |last: u8| Targets { address, from: [127, 0, 0, last].into(), public: &alice.did, hidden: &bob.did };
    let before = peak(&node);
    let behaviours: Vec<_> =
        behaviours_of(Party::Reader).into_iter().filter(|b| b.run_by.is_none()).collect();
    let secrets: Vec<String> = kept
        .blocks
        .keys()
        .cloned()
        .chain([CANARY.to_owned(), kept.commit.clone(), kept.rev.clone()])
        .collect();
    let mut open = Vec::new();
    for (last, behaviour) in (10..).zip(&behaviours) {
        for abuse in &behaviour.reader {
            let (answers, status, connections) = abuse.perform(&from(last)).unwrap();
            open.extend(connections);
            for (code, answer) in answers {
                let name = &behaviour.name;
                let text = String::from_utf8_lossy(&answer);
                assert!(status.contains(&code), "{name}: {code}, not one of {status:?}: {text:.400}");
                // What the question itself names may come back in its answer.
                let shown = secrets.iter().find(|secret| text.contains(secret.as_str()));
                assert!(shown.is_none(), "{name}: {shown:?} of the hidden account came out: {text:.400}");
            }
            // Everybody else is answered meanwhile.
            let (code, _) = ask(&from(1), "/livez", &[]).unwrap();
            assert_eq!(code, 200, "{}: others are kept out", behaviour.name);
        }
    }
    let after = peak(&node);
    println!("{} behaviours; memory {before} MiB before, {after} MiB at most", behaviours.len());
    assert!(after < before + MEMORY, "{before} MiB before, {after} MiB at most");
    drop(open);
    program.ok(&["verify", "--no-repair", "--quiet"]).unwrap();
    let ended = node.terminate(Duration::from_secs(120)).unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
}
