//! A program that follows, watched from outside: its CPU time and memory as the system counts them.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// What was measured of one follower.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub backfill_seconds: f64,
    pub backfill_cpu: f64,
    pub steady_events: f64,
    pub steady_seconds: f64,
    pub steady_cpu: f64,
    /// How long after the last event was sent the last one was done.
    pub steady_lag: f64,
    pub steady_memory: f64,
    pub flood_events: f64,
    pub flood_seconds: f64,
    pub flood_cpu: f64,
    pub peak_memory: f64,
    pub records: f64,
    pub differences: f64,
}

type Row = (&'static str, fn(&Figures) -> String);

pub const ROWS: [Row; 14] = [
    ("fetching all accounts, s", |f| format!("{:.1}", f.backfill_seconds)),
    ("… CPU ms an account", |f| format!("{:.2}", f.backfill_cpu)),
    ("at 2,000 events/s: events/s done", |f| format!("{:.0}", f.steady_events / f.steady_seconds)),
    ("… last one done so long after it was sent, s", |f| format!("{:.2}", f.steady_lag)),
    ("… share of a core, %", |f| format!("{:.1}", 100.0 * f.steady_cpu / f.steady_seconds)),
    ("… CPU µs an event", |f| format!("{:.0}", 1e6 * f.steady_cpu / f.steady_events)),
    ("… memory (RSS) at the end, MB", |f| format!("{:.0}", f.steady_memory / 1e6)),
    ("as fast as it goes: events/s", |f| format!("{:.0}", f.flood_events / f.flood_seconds)),
    ("… cores used", |f| format!("{:.2}", f.flood_cpu / f.flood_seconds)),
    ("… CPU µs an event", |f| format!("{:.0}", 1e6 * f.flood_cpu / f.flood_events)),
    ("… events for a second of CPU", |f| format!("{:.0}", f.flood_events / f.flood_cpu)),
    ("most memory (RSS) ever, MB", |f| format!("{:.0}", f.peak_memory / 1e6)),
    ("records at the end", |f| format!("{:.0}", f.records)),
    ("… that differ from the truth", |f| format!("{:.0}", f.differences)),
];

/// A child that ends with us.
pub struct Watched(pub Child);

impl Watched {
    /// Starts a program on these cores.
    pub fn start(cores: &str, program: &std::path::Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(program);
        prepare(&mut command);
        Self(command.spawn().expect("the program starts"))
    }

    /// CPU seconds so far, all threads.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name in parentheses").split(' ').collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        // utime and stime, the 14th and 15th field of all; 100 ticks a second on Linux.
        (ticks(12) + ticks(13)) / 100.0
    }

    /// Bytes resident: now, and at most.
    pub fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("the field");
            line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") * 1024.0
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Asks it to stop, and waits for that.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `done` says so; panics after a time in which nothing moves.
pub fn until(what: &str, mut done: impl FnMut() -> (bool, f64)) {
    let mut last = (f64::MIN, Instant::now());
    loop {
        let (ready, progress) = done();
        if ready {
            return;
        }
        if progress > last.0 {
            last = (progress, Instant::now());
        }
        assert!(last.1.elapsed() < Duration::from_secs(90), "{what}: stuck at {progress}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
