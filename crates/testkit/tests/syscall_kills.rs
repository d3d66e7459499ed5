//! Ten operations, each ended by SIGKILL at its Nth system call: the archive stays valid, nothing acknowledged is
//! lost, and the same command run again gets through. `P2PDS_SYSCALL_KILLS` is how many kills in all (60).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use p2pds_testkit::disk::copy_tree;
use p2pds_testkit::exported::Exported;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{bulk_key, car_blocks, post_record};
use p2pds_testkit::program::{Outcome, Program};
use p2pds_testkit::source::Source;
use p2pds_testkit::sweep::{self, Point};

/// One operation under test.
struct Operation {
    name: &'static str,
    /// The data directory that it begins with; none for an empty one.
    before: Option<PathBuf>,
    /// Command line; `OUT` is a fresh path.
    args: Vec<String>,
    /// The exit status of success.
    code: i32,
    /// States that each account may have afterwards, the last one being the wanted one; none for a removed account.
    after: Vec<(String, Vec<State>)>,
    /// An account that must be gone at the end.
    gone: Option<String>,
    /// Whether `OUT` must then hold an export of this state.
    out: Option<State>,
}

struct Scene {
    source: Source,
    alice: MadeUp,
    bob: MadeUp,
    /// Alice's states: the first, a small step, another content altogether.
    states: [State; 3],
    bob_state: State,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let source = Source::start().unwrap();
        let (alice, bob) = (MadeUp::new(1, &source.url), MadeUp::new(2, &source.url));
        let mut content = Content::posts("alice", 300);
        for n in 0..3 {
            content.put_image(&bulk_key("images", n), n as u64, 20_000);
        }
        let first = alice.sign(0, &content);
        content.put(&bulk_key("alice", 5), &post_record("updated"));
        content.delete(&bulk_key("alice", 6));
        content.put(&bulk_key("new", 0), &post_record("new"));
        content.put_image(&bulk_key("images", 9), 9, 20_000);
        let second = alice.sign(1, &content);
        let third = alice.sign(2, &Content::posts("other", 1_400));
        let bob_state = bob.sign(0, &Content::posts("bob", 100));
        let scene = Self {
            source,
            alice,
            bob,
            states: [first, second, third],
            bob_state,
            dir: tempfile::tempdir().unwrap(),
        };
        scene.source.serve(&scene.bob, &scene.bob_state);
        scene.source.serve(&scene.alice, &scene.states[0]);
        for (n, state) in scene.states.iter().enumerate() {
            std::fs::write(scene.path(&format!("state{n}.car")), &state.car).unwrap();
        }
        std::fs::write(scene.path("plc.json"), &scene.alice.plc_log).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn program(&self, data: &Path) -> Program {
        Program::new(data).unwrap().with_env(self.source.environment())
    }

    /// A data directory with both accounts as they are served now.
    fn both(&self) -> PathBuf {
        let data = self.path("both");
        let program = self.program(&data);
        program.ok(&["archive", "add", &self.bob.did]).unwrap();
        program.ok(&["archive", "add", &self.alice.did]).unwrap();
        data
    }

    fn operations(&self) -> Vec<Operation> {
        let both = self.both();
        let damaged = self.path("damaged");
        copy_tree(&both, &damaged).unwrap();
        damage_a_blob(&damaged);
        let (alice, bob) = (self.alice.did.clone(), self.bob.did.clone());
        let bystander = || (bob.clone(), vec![self.bob_state.clone()]);
        let states =
            |which: &[usize]| (alice.clone(), which.iter().map(|&n| self.states[n].clone()).collect());
        let operation = |name, before: Option<&PathBuf>, args: &[&str], after| Operation {
            name,
            before: before.cloned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            code: 0,
            after,
            gone: None,
            out: None,
        };
        let (log, first, second) = (self.text("plc.json"), self.text("state0.car"), self.text("state1.car"));
        let kept = || vec![bystander(), states(&[0])];
        vec![
            operation("add to nothing", None, &["archive", "add", &alice], vec![states(&[0])]),
            operation("import to nothing", None, &["import", &first, "--plc-log", &log], vec![states(&[0])]),
            Operation { code: 3, ..operation("mend", Some(&damaged), &["verify", "--read-data"], kept()) },
            Operation {
                out: Some(self.states[0].clone()),
                ..operation("export", Some(&both), &["export", &alice, "--out", "OUT"], kept())
            },
            operation("drill", Some(&both), &["drill", &alice], kept()),
            operation(
                "import newer",
                Some(&both),
                &["import", &second, "--plc-log", &log],
                vec![bystander(), states(&[0, 1])],
            ),
            operation("verify", Some(&both), &["verify"], kept()),
            Operation {
                gone: Some(alice.clone()),
                ..operation("remove", Some(&both), &["archive", "remove", &alice, "--yes"], vec![bystander()])
            },
            operation("sync small", Some(&both), &["archive", "sync"], vec![bystander(), states(&[0, 1])]),
            operation("sync large", Some(&both), &["archive", "sync"], vec![bystander(), states(&[0, 2])]),
        ]
    }
}

fn damage_a_blob(data: &Path) {
    let mut open = vec![data.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(mut bytes) = std::fs::read(&path)
                && bytes.starts_with(b"\x89PNG")
            {
                bytes[1_000] ^= 1;
                return std::fs::write(&path, bytes).unwrap();
            }
        }
    }
    panic!("no blob in {}", data.display());
}

/// What must hold after a kill, before anything is run again.
fn still_valid(operation: &Operation, program: &Program, killed: &Outcome) -> Result<(), String> {
    let listed = program.run(&["archive", "list", "--json"]).map_err(|e| e.to_string())?;
    let lines = match listed.code {
        Some(0) => listed.json().map_err(|e| e.to_string())?,
        Some(10) => serde_json::json!([]),
        _ => return Err(format!("list: {listed}")),
    };
    let finished = killed.code == Some(operation.code);
    for (did, states) in &operation.after {
        let line = lines.as_array().and_then(|lines| lines.iter().find(|line| line["did"] == did.as_str()));
        let rev = line.and_then(|line| line["rev"].as_str());
        let allowed = match (rev, operation.before.is_some()) {
            (None, false) => !finished,
            (None, true) => false,
            (Some(rev), _) if finished => rev == states[states.len() - 1].rev,
            (Some(rev), _) => states.iter().any(|state| state.rev == rev),
        };
        if !allowed {
            return Err(format!("{did} is at {rev:?} (finished: {finished})"));
        }
    }
    if !lines.as_array().is_some_and(Vec::is_empty) {
        let verified = program.run(&["verify", "--no-repair"]).map_err(|e| e.to_string())?;
        let damaged = operation.code == 3 && verified.code == Some(3);
        if verified.code != Some(0) && !damaged {
            return Err(format!("verify: {verified}"));
        }
    }
    Ok(())
}

/// What must hold at the end.
fn as_wanted(operation: &Operation, program: &Program, out: &Path) -> Result<(), String> {
    let words = |error: anyhow::Error| format!("{error:#}");
    for (did, states) in &operation.after {
        let wanted = &states[states.len() - 1];
        let car = program.ok(&["export", did, "--car", "-"]).map_err(words)?.stdout;
        let (root, blocks) = car_blocks(&car).map_err(words)?;
        if root != wanted.commit || blocks != wanted.blocks {
            return Err(format!("{did} exports {root} with {} blocks", blocks.len()));
        }
    }
    program.ok(&["verify", "--read-data"]).map_err(words)?;
    if let Some(did) = &operation.gone {
        let lines = program.json(&["archive", "list"]).map_err(words)?;
        if lines.as_array().is_none_or(|lines| lines.iter().any(|line| line["did"] == did.as_str())) {
            return Err(format!("{did} is still there: {lines}"));
        }
    }
    if let Some(state) = &operation.out {
        Exported::read(out).and_then(|exported| exported.compare(&state.truth())).map_err(words)?;
    }
    Ok(())
}

/// One kill, in a fresh copy of the beginning.
fn kill_once(scene: &Scene, operation: &Operation, point: Point) -> Result<bool, String> {
    let dir = tempfile::tempdir_in(scene.dir.path()).map_err(|e| e.to_string())?;
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    if let Some(before) = &operation.before {
        copy_tree(before, &data).map_err(|e| e.to_string())?;
    }
    let program = scene.program(&data);
    let args: Vec<&str> = operation
        .args
        .iter()
        .map(|arg| if arg == "OUT" { out.to_str().unwrap_or_default() } else { arg })
        .collect();
    let killed = sweep::kill_at(&program, &args, point).map_err(|e| format!("{e:#}"))?;
    if killed.stderr.contains("panicked") {
        return Err(format!("panic: {killed}"));
    }
    still_valid(operation, &program, &killed)?;
    let again = program.run(&args).map_err(|e| format!("{e:#}"))?;
    let removed = operation.gone.is_some() && again.code == Some(1);
    if again.code != Some(operation.code) && again.code != Some(0) && !removed {
        return Err(format!("run again: {again}"));
    }
    as_wanted(operation, &program, &out)?;
    Ok(killed.signal.is_some())
}

#[test]
fn killed_at_any_system_call_nothing_acknowledged_is_lost() {
    if !sweep::available() {
        return;
    }
    let scene = Scene::new();
    let operations = scene.operations();
    let budget = usize::try_from(need::count("P2PDS_SYSCALL_KILLS", 60)).unwrap().div_ceil(operations.len());
    let mut failures = Vec::new();
    let mut all = 0;
    for operation in &operations {
        match operation.name {
            "sync small" => scene.source.serve(&scene.alice, &scene.states[1]),
            "sync large" => scene.source.serve(&scene.alice, &scene.states[2]),
            _ => {}
        }
        let points = points(&scene, operation);
        let chosen = sweep::spread(&points, budget);
        let mut kills = 0;
        for &point in &chosen {
            match kill_once(&scene, operation, point) {
                Ok(killed) => kills += usize::from(killed),
                Err(why) => {
                    failures.push(format!("{}, {} number {}: {why}", operation.name, point.call, point.nth))
                }
            }
        }
        println!("{}: {kills} kills at {} of {} calls", operation.name, chosen.len(), points.len());
        all += kills;
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n\n"));
    assert!(all * 2 > budget.min(20), "most runs must have been killed");
}

/// All places where an operation can be killed, by running it once to its end.
fn points(scene: &Scene, operation: &Operation) -> Vec<Point> {
    let dir = tempfile::tempdir_in(scene.dir.path()).unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    if let Some(before) = &operation.before {
        copy_tree(before, &data).unwrap();
    }
    let args: Vec<&str> =
        operation.args.iter().map(|arg| if arg == "OUT" { out.to_str().unwrap() } else { arg }).collect();
    sweep::points(&scene.program(&data), &args, operation.code, dir.path()).unwrap()
}
