//! The programs that tests are built into, run two at a time: most of what they do is wait for servers that they start.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::run::{Count, begin, cargo, command, end, root};
use crate::setup::Tools;

/// Programs that run at a time.
const LANES: usize = 2;

/// A built test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestProgram {
    /// The directory of its package, and its target: `testkit host_kills`. A library and a program may be called the same.
    name: String,
    path: PathBuf,
    /// Its package, in which it runs.
    dir: PathBuf,
}

/// Reads one message of `cargo test --no-run --message-format=json`.
fn read(message: &str) -> Option<TestProgram> {
    let message: Value = serde_json::from_str(message).ok()?;
    let at = |path: &str| message.pointer(path);
    let is_test = at("/reason")? == "compiler-artifact" && at("/profile/test")? == true;
    let path = at("/executable").and_then(Value::as_str).filter(|_| is_test)?;
    let dir = Path::new(at("/manifest_path")?.as_str()?).parent()?;
    let package = dir.file_name()?.to_string_lossy();
    let name = format!("{package} {}", at("/target/name")?.as_str()?);
    Some(TestProgram { name, path: path.into(), dir: dir.to_owned() })
}

/// All of them, built; those that drive other programs first, because they take longest.
fn list() -> Result<VecDeque<TestProgram>> {
    let mut build =
        cargo(&["test", "--locked", "--workspace", "--no-run", "--quiet", "--message-format=json"]);
    let mut child = build.stdout(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let mut all = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            all.extend(read(&line?));
        }
    }
    ensure!(child.wait()?.success(), "cargo cannot build the tests");
    ensure!(!all.is_empty(), "cargo names no test program");
    all.sort_by_key(|program| !program.name.starts_with("testkit ") && program.name != "web gallery");
    Ok(all.into())
}

/// Runs all of them; says which failed.
pub fn run(tools: &Tools, count: &mut Count) -> Result<Vec<String>> {
    let started = begin("tests");
    let queue = Mutex::new(list()?);
    let out = root().join("target/test-output");
    std::fs::create_dir_all(&out)?;
    let (failed, counted) = (Mutex::new(Vec::new()), Mutex::new(Count::default()));
    let lane = || -> Result<()> {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(program) = next else { return Ok(()) };
            let file = program.path.file_name().unwrap_or_default().to_string_lossy();
            let log = out.join(format!("{file}.log"));
            let begun = Instant::now();
            let good = one(tools, &program, &log)?;
            let took = begun.elapsed().as_secs_f64();
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            tell(&program, &log, took, &mut counted)?;
            if !good {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(program.name);
            }
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().try_for_each(|lane| {
            lane.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a lane of the tests has ended early")))
        })
    })?;
    end("tests", started);
    let all = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
    count.add(all);
    Ok(failed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn one(tools: &Tools, program: &TestProgram, log: &Path) -> Result<bool> {
    let both = File::create(log)?;
    let mut child = command(&program.path);
    child.arg("--nocapture").current_dir(&program.dir).env("CARGO_MANIFEST_DIR", &program.dir);
    tools.apply(&mut child);
    let status = child.stdin(Stdio::null()).stdout(both.try_clone()?).stderr(both).status();
    Ok(status.with_context(|| format!("{} cannot be started", program.path.display()))?.success())
}

/// Prints what a program said, in one piece.
fn tell(program: &TestProgram, log: &Path, took: f64, count: &mut Count) -> Result<()> {
    let said = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    for line in said.lines() {
        count.read(line);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n-- {} ({took:.0} s)\n{}", program.name, said.trim_end())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_read_from_messages() {
        let message = |test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/p/crates/testkit/Cargo.toml",
                    "target":{{"name":"live"}},"profile":{{"test":{test}}},"executable":"/p/target/debug/deps/live-1"}}"#
            )
        };
        let want = TestProgram {
            name: "testkit live".to_owned(),
            path: "/p/target/debug/deps/live-1".into(),
            dir: "/p/crates/testkit".into(),
        };
        assert_eq!(read(&message(true)), Some(want));
        assert_eq!(read(&message(false)), None, "the program itself");
        assert_eq!(read(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
