//! Child processes: run, echo, count what their test runners closed on.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The project's root directory.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A command that runs in the project's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// `cargo` as this process was started by it.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// Whether a program answers to `--version`.
pub fn have(program: &str, args: &[&str]) -> bool {
    command(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Announces a step, runs it and fails with its name when it fails.
pub fn step(name: &str, command: &mut Command) -> Result<()> {
    let started = begin(name);
    let status = command.status().with_context(|| format!("{name}: cannot start {command:?}"))?;
    if !status.success() {
        bail!("{name} failed ({status}): {command:?}");
    }
    end(name, started);
    Ok(())
}

/// Prints the line that opens a step.
pub fn begin(name: &str) -> Instant {
    println!("\n== {name}");
    Instant::now()
}

/// Prints the line that closes a step.
pub fn end(name: &str, started: Instant) {
    println!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
}

/// What test runners closed on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    /// `#[ignore]`d tests plus tests that printed a line starting with `SKIPPED`.
    pub skipped: u64,
}

impl Count {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }

    /// Reads one line of output: `test result: ok. 3 passed; 0 failed; 1 ignored; ...` or `SKIPPED: why`.
    pub fn read(&mut self, line: &str) {
        if line.trim_start().starts_with("SKIPPED") {
            self.skipped = self.skipped.saturating_add(1);
        }
        let Some((_, rest)) = line.split_once("test result: ") else { return };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            let slot = match what {
                "passed" => &mut self.passed,
                "failed" => &mut self.failed,
                "ignored" => &mut self.skipped,
                _ => continue,
            };
            *slot = slot.saturating_add(number);
        }
    }
}

/// Runs a command, echoes its output and counts its test results; its failure is in the second value.
pub fn counted(name: &str, command: &mut Command, count: &mut Count) -> Result<bool> {
    let started = begin(name);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("{name}: cannot start {command:?}"))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            count.read(&line);
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}")?;
        }
    }
    let good = child.wait()?.success();
    end(name, started);
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn closing_lines_are_added_up() {
        let mut count = Count::default();
        count.read(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        count.read("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        count.read("SKIPPED: set P2PDS_SHARED");
        count.read("something else 9 passed");
        assert_eq!(count, Count { passed: 15, failed: 2, skipped: 2 });
    }
}
