//! The catalogue's directories and name servers against archived accounts, each with a directory of its own: nothing
//! that they say makes a known log shorter or different, leads the program to private addresses, or changes what is
//! readable; what they do is named in `archive show`; and memory stays bounded.
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

use p2pds_testkit::hostile::{Behaviour, Party, behaviours, true_log};
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::car_blocks;
use p2pds_testkit::program::Program;
use p2pds_testkit::source::Source;
use serde_json::Value;

/// Bytes of memory that a command may have.
const MEMORY: &str = "--data=402653184";

struct Scene {
    behaviour: Behaviour,
    source: Source,
    host: String,
    account: MadeUp,
    other: MadeUp,
    program: Program,
    _dir: tempfile::TempDir,
}

type Checked = Result<(), String>;

fn said(error: anyhow::Error) -> String {
    format!("{error:#}")
}

impl Scene {
    fn new(number: usize, behaviour: Behaviour) -> Self {
        let source = Source::start().unwrap();
        let host = format!("pds-{number}.test");
        let port = source.url.rsplit(':').next().unwrap().to_owned();
        source.names().set_addresses(&host, &["127.0.0.1".parse().unwrap()]);
        let mut account = MadeUp::new(2_000 + number as u64, &format!("http://{host}:{port}"));
        account.plc_log = true_log(&account);
        let other = MadeUp::new(666, &source.url);
        let dir = tempfile::tempdir().unwrap();
        let quick =
            [("P2PDS_HEADER_TIMEOUT", "1s"), ("P2PDS_RATE_WINDOW", "1s"), ("P2PDS_CONNECT_TIMEOUT", "1s")];
        let quick = quick.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let program = Program::new(&dir.path().join("data"))
            .unwrap()
            .with_env(source.environment())
            .with_env(quick)
            .under(&["prlimit", MEMORY]);
        Self { behaviour, source, host, account, other, program, _dir: dir }
    }

    fn serve(&self, step: u64) -> State {
        let state = self.account.sign(step, &Content::posts(&format!("at {step}"), 8));
        self.source.serve(&self.account, &state);
        state
    }

    fn lie(&self) {
        self.source.script(&self.account, &self.behaviour.rules, None);
        if let Some(lie) = &self.behaviour.log {
            self.source.set_log(&self.account, lie.build(&self.account, &self.other));
        }
        if let Some(lie) = &self.behaviour.names {
            lie.tell(self.source.names(), &self.host, &self.account, &self.other);
        }
    }

    fn sync(&self) -> Checked {
        let synced = self.program.run(&["archive", "sync", &self.account.did, "--json"]).map_err(said)?;
        if synced.signal.is_some()
            || synced.stderr.contains("panicked")
            || synced.stderr.contains("memory allocation")
        {
            return Err(synced.to_string());
        }
        Ok(())
    }

    /// One of these states is readable, and the mirrored log is the true one.
    fn holds(&self, states: &[&State]) -> Checked {
        let exported = self.program.ok(&["export", &self.account.did, "--car", "-"]).map_err(said)?;
        let (root, blocks) = car_blocks(&exported.stdout).map_err(said)?;
        if !states.iter().any(|state| root == state.commit && blocks == state.blocks) {
            return Err(format!("{root} is readable"));
        }
        Ok(())
    }

    fn is_named(&self) -> Checked {
        let shown = self.program.json(&["archive", "show", &self.account.did]).map_err(said)?;
        let operations = shown["plc"]["operations"].as_u64();
        let moved =
            self.behaviour.named.iter().any(|word| word.contains("10.0.0.5") || word.contains("169.254"))
                || self.behaviour.name == "moved-to-a-file";
        if shown["plc"]["valid"] != true || !(operations == Some(2) || moved) {
            return Err(format!("the mirrored log is {}", shown["plc"]));
        }
        let said: Vec<&Value> =
            ["last_error", "findings", "evidence"].iter().map(|key| &shown[*key]).collect();
        let text = serde_json::to_string(&said).unwrap().to_ascii_lowercase();
        let named = &self.behaviour.named;
        if named.is_empty() || named.iter().any(|word| text.contains(&word.to_ascii_lowercase())) {
            return Ok(());
        }
        Err(format!("none of {named:?} in {text}"))
    }

    fn play(&self) -> Checked {
        let stored = self.serve(5);
        self.program.ok(&["archive", "add", &self.account.did]).map_err(said)?;
        self.lie();
        let next = self.serve(6);
        self.sync()?;
        let readable: &[&State] = if self.behaviour.taken { &[&next] } else { &[&stored, &next] };
        self.holds(readable)?;
        self.is_named()
    }
}

#[test]
fn no_directory_and_no_name_server_gets_a_lie_through() {
    let only = std::env::var("P2PDS_BEHAVIOUR").ok();
    let scenes: VecDeque<Scene> = behaviours()
        .into_iter()
        .filter(|behaviour| {
            matches!(behaviour.party, Party::Directory | Party::Names) && behaviour.run_by.is_none()
        })
        .filter(|behaviour| only.as_ref().is_none_or(|only| behaviour.name == *only))
        .enumerate()
        .map(|(number, behaviour)| Scene::new(number, behaviour))
        .collect();
    let (number, queue, wrong) = (scenes.len(), Mutex::new(scenes), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(scene) = { queue.lock().unwrap().pop_front() } {
                    if let Err(why) = scene.play() {
                        wrong.lock().unwrap().push(format!("{}: {why}", scene.behaviour.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {number} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
