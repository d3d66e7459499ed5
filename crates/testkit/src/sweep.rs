//! Ending a program at its Nth system call, for every N: `strace` with injection.
//!
//! `strace` counts calls thread by thread, so `kill at pwrite64 number 7` ends the program when the first of its
//! threads is about to do its seventh. Each kind of call is swept by itself: writes to the database come from the
//! writer's thread, files are made and renamed by others.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::need;
use crate::program::{Outcome, Program};

/// The calls by which anything becomes durable or disappears.
pub const CALLS: [&str; 12] = [
    "pwrite64",
    "write",
    "writev",
    "fsync",
    "fdatasync",
    "rename",
    "renameat2",
    "unlink",
    "ftruncate",
    "mkdir",
    "fallocate",
    "openat",
];

/// One place to end the program at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Name of the system call.
    pub call: &'static str,
    /// Which of them, from 1, in the thread that gets there first.
    pub nth: u32,
}

/// Whether `strace` works here; said on standard output when not.
#[must_use]
pub fn available() -> bool {
    let works = std::process::Command::new("strace")
        .args([
            "-qq",
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=openat",
            "-e",
            "inject=openat:signal=KILL:when=60000",
            "true",
        ])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        let have = need::have("strace", "-V");
        let why =
            if have { "strace may not trace here (ptrace is forbidden)" } else { "strace is not installed" };
        need::skip(&format!("kill sweeps: {why}"), false);
    }
    works
}

/// Runs a command to its end and lists every place where it could have been ended.
///
/// # Errors
/// It cannot be run, or does not end with the given status.
pub fn points(program: &Program, args: &[&str], code: i32, scratch: &Path) -> Result<Vec<Point>> {
    let log = scratch.join("strace.log");
    let calls = CALLS.join(",");
    let prefix = [
        "strace",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-o",
        log.to_str().context("path")?,
        "-e",
        &format!("trace={calls}"),
    ];
    program.under(&prefix).run(args)?.expect(code)?;
    let mut counts: BTreeMap<(&str, &'static str), u32> = BTreeMap::new();
    let text = std::fs::read(&log)?;
    let text = String::from_utf8_lossy(&text);
    for line in text.lines() {
        // `1234 pwrite64(5, ...) = 10`; a call that was interrupted has a second line, `<... pwrite64 resumed>`.
        let Some((pid, rest)) = line.split_once(char::is_whitespace) else { continue };
        let name = rest.trim_start().split('(').next().unwrap_or_default();
        if let Some(&call) = CALLS.iter().find(|&&call| call == name) {
            *counts.entry((pid, call)).or_default() += 1;
        }
    }
    std::fs::remove_file(&log)?;
    let mut most: BTreeMap<&'static str, u32> = BTreeMap::new();
    for ((_, call), count) in counts {
        let entry = most.entry(call).or_default();
        *entry = count.max(*entry);
    }
    ensure!(!most.is_empty(), "strace saw none of {calls}");
    Ok(most.into_iter().flat_map(|(call, count)| (1..=count).map(move |nth| Point { call, nth })).collect())
}

/// At most `budget` of the points, evenly spread; all of them when the budget allows.
#[must_use]
pub fn spread(points: &[Point], budget: usize) -> Vec<Point> {
    if points.len() <= budget || budget == 0 {
        return points.to_vec();
    }
    // The middle of each of `budget` equal parts.
    (0..budget).map(|i| points[(2 * i + 1) * points.len() / (2 * budget)]).collect()
}

/// Runs a command that is ended by SIGKILL at a point. Threads are scheduled anew each time, so that a run may end
/// before it gets there; the outcome says so.
///
/// # Errors
/// It cannot be run, or takes too long.
pub fn kill_at(program: &Program, args: &[&str], point: Point) -> Result<Outcome> {
    let Point { call, nth } = point;
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    // Without --seccomp-bpf: with it, strace 6.1 does not inject.
    program.under(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]).run(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spread_over_all_points() {
        let points: Vec<Point> = (1..=100).map(|nth| Point { call: "write", nth }).collect();
        let some = spread(&points, 4);
        assert_eq!(some.iter().map(|p| p.nth).collect::<Vec<_>>(), [13, 38, 63, 88]);
        assert_eq!(spread(&points, 1_000), points);
    }
}
