//! The whole catalogue of hostile behaviours against a running node: each is played on an account that is archived
//! already. Nothing unsigned, older or foreign becomes readable, every refusal is named in `archive show`, the node's
//! memory stays bounded, and the truth is taken as soon as it is offered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use p2pds_testkit::hostile::{Behaviour, Ground, Party, behaviours_of};
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::{bulk_key, car_blocks, post_record};
use p2pds_testkit::program::{Program, Running};
use p2pds_testkit::source::Source;
use serde_json::Value;

/// Revision of what is archived before anybody lies.
const STEP: u64 = 5;
/// What the node may need at most while all lie at once, in MiB over what it needed before: twelve are asked at a time, and
/// each may fill a buffer that holds its old and its new bytes while it grows. 139 to 167 were seen.
const MEMORY: u64 = 240;

/// One behaviour with its account and its host.
struct Case {
    behaviour: Behaviour,
    host: Source,
    account: MadeUp,
    content: Content,
    stored: State,
    /// What must be readable after the lies: the stored state, or a true one that came in an odd way.
    readable: State,
}

impl Case {
    fn new(number: usize, behaviour: Behaviour, directory: &Source) -> Self {
        let host = Source::start().unwrap();
        let account = MadeUp::new(1_000 + number as u64, &host.url);
        let content = Content::posts("stored", 12);
        let stored = account.sign(STEP, &content);
        host.serve(&account, &stored);
        directory.serve(&account, &stored);
        Self { behaviour, host, account, content, readable: stored.clone(), stored }
    }

    /// From here on the host lies.
    fn begin(&mut self, other: &MadeUp) {
        let ground = Ground { account: &self.account, other, content: &self.content, step: STEP };
        let next = ground.next();
        let offered = self.behaviour.offer.as_ref().map(|offer| ground.offer(offer));
        let state = offered.as_ref().map_or(Some(next), |offered| offered.state.clone());
        if let Some(state) = state {
            self.host.serve(&self.account, &state);
            if self.behaviour.taken {
                self.readable = state;
            }
        }
        self.host.script(&self.account, &self.behaviour.rules, offered);
    }

    /// And here it tells the truth again.
    fn end(&mut self) {
        let mut content = self.content.clone();
        content.put(&bulk_key("true", 1), &post_record("the truth"));
        self.readable = self.account.sign(1_000, &content);
        self.host.serve(&self.account, &self.readable);
        self.host.script(&self.account, &[], None);
    }

    /// What is readable is what should be, and nothing else.
    fn holds(&self, program: &Program) -> Result<(), String> {
        let exported =
            program.ok(&["export", &self.account.did, "--car", "-"]).map_err(|e| format!("{e:#}"))?;
        let (root, blocks) = car_blocks(&exported.stdout).map_err(|e| format!("{e:#}"))?;
        if root != self.readable.commit || blocks != self.readable.blocks {
            return Err(format!(
                "{root} is readable, not {} (before: {})",
                self.readable.commit, self.stored.commit
            ));
        }
        Ok(())
    }

    /// What `archive show` says of it.
    fn is_named(&self, program: &Program) -> Result<(), String> {
        let shown = program.json(&["archive", "show", &self.account.did]).map_err(|e| format!("{e:#}"))?;
        let said: Vec<&Value> = ["last_error", "findings", "evidence", "missing_blobs", "verbatim"]
            .iter()
            .map(|k| &shown[*k])
            .collect();
        let text = serde_json::to_string(&said).unwrap().to_ascii_lowercase();
        let named = self.behaviour.named.iter().any(|word| text.contains(&word.to_ascii_lowercase()));
        if named || self.behaviour.named.is_empty() {
            return Ok(());
        }
        Err(format!("none of {:?} in {text}", self.behaviour.named))
    }
}

/// Does something for all cases, a few at a time, and gathers what went wrong.
fn for_all(cases: &[Case], what: impl Fn(&Case) -> Result<(), String> + Sync) -> Vec<String> {
    let (queue, wrong) = (Mutex::new(cases.iter().collect::<VecDeque<_>>()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some(case) = { queue.lock().unwrap().pop_front() } {
                    if let Err(why) = what(case) {
                        wrong.lock().unwrap().push(format!("{}: {why}", case.behaviour.name));
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

fn serve(program: &Program) -> Running {
    let mut node = program.spawn(&["serve", "--port", "0"]).unwrap();
    while std::os::unix::net::UnixStream::connect(program.data().join("operator.sock")).is_err() {
        assert!(node.alive().unwrap(), "the node ended: {}", node.kill().unwrap());
        std::thread::yield_now();
    }
    node
}

/// The most memory that a process had so far, in MiB.
fn peak(node: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_host_gets_a_lie_through() {
    let directory = Source::start().unwrap();
    let only = std::env::var("P2PDS_BEHAVIOUR").ok();
    let mut cases: Vec<Case> = behaviours_of(Party::Pds)
        .into_iter()
        .filter(|behaviour| {
            behaviour.run_by.is_none() && only.as_ref().is_none_or(|only| behaviour.name == *only)
        })
        .enumerate()
        .map(|(number, behaviour)| Case::new(number, behaviour, &directory))
        .collect();
    let other = MadeUp::new(666, &directory.url);
    let dir = tempfile::tempdir().unwrap();
    let quick = [
        ("P2PDS_HEADER_TIMEOUT", "1s"),
        ("P2PDS_RATE_WINDOW", "1s"),
        ("P2PDS_SYNC_INTERVAL", "1d"),
        ("P2PDS_LIVE_ENABLED", "false"),
    ];
    let quick = quick.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let program =
        Program::new(&dir.path().join("data")).unwrap().with_env(directory.environment()).with_env(quick);
    let node = serve(&program);
    none(&for_all(&cases, |case| {
        program.ok(&["archive", "add", &case.account.did]).map(drop).map_err(|e| format!("{e:#}"))
    }));
    let before = peak(&node);
    cases.iter_mut().for_each(|case| case.begin(&other));
    none(&for_all(&cases, |case| {
        let synced =
            program.run(&["archive", "sync", &case.account.did, "--json"]).map_err(|e| format!("{e:#}"))?;
        if synced.signal.is_some() || synced.stderr.contains("panicked") {
            return Err(synced.to_string());
        }
        Ok(())
    }));
    let after = peak(&node);
    none(&for_all(&cases, |case| case.holds(&program).and_then(|()| case.is_named(&program))));
    program.ok(&["verify", "--no-repair", "--quiet"]).unwrap();
    let ended = node.terminate(Duration::from_secs(120)).unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
    println!("{} behaviours; memory {before} MiB before, {after} MiB at most while all lied", cases.len());
    assert!(after < before + MEMORY, "{before} MiB before, {after} MiB while all lied");

    // A new process holds no grudge: hosts that asked for a day's pause are asked again.
    let node = serve(&program);
    cases.iter_mut().for_each(Case::end);
    none(&for_all(&cases, |case| {
        program.ok(&["archive", "sync", &case.account.did]).map_err(|e| format!("{e:#}"))?;
        case.holds(&program)
    }));
    let ended = node.terminate(Duration::from_secs(120)).unwrap();
    assert_eq!(ended.code, Some(0), "{ended}");
}
