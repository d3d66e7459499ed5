//! The real node: settings from a file and the environment, followed through its metrics, its store compared afterwards.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use p2pds_testkit::stream::Host;

use crate::follower::{Figures, Watched, until};
use crate::{RATE, Scale, scratch, verify};

const METRICS_PORT: u16 = 29_591;

pub fn run(host: &Host, scale: Scale, cores: &str) -> Figures {
    let dir = scratch("node");
    let program = std::env::current_exe().expect("our own path").with_file_name("node");
    let config = dir.join("p2pds.toml");
    let mut text = String::from("[archive]\naccounts = [\n");
    for did in host.dids() {
        let _ = writeln!(text, "  \"{did}\",");
    }
    text.push_str("]\n");
    std::fs::write(&config, text).expect("a file");
    let data = dir.join("data");
    let mut figures = Figures::default();
    let start = Instant::now();
    let log = std::fs::File::create(dir.join("log")).expect("a file");
    let node = Watched::start(cores, &program, |command| {
        command
            .arg("--config")
            .arg(&config)
            .arg("serve")
            .envs(host.environment())
            .env("P2PDS_DATA_DIR", &data)
            .env("P2PDS_PORT", "0")
            .env("P2PDS_METRICS_PORT", METRICS_PORT.to_string())
            .env("P2PDS_PLC_STREAM", "false")
            .env("P2PDS_LIVE_RELAY", host.stream_url())
            .env("P2PDS_LIVE_RELAY_FROM", "1")
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
    });
    until("fetching the accounts", || {
        let held = metric("p2pds_live_accounts").unwrap_or(0.0);
        let fetched = metric("p2pds_accounts_synced_within{age=\"ever\"}").unwrap_or(0.0);
        let all = scale.accounts as f64;
        (held >= all && fetched >= all && stream_is_open(), fetched)
    });
    figures.backfill_seconds = start.elapsed().as_secs_f64();
    figures.backfill_cpu = node.cpu() * 1e3 / scale.accounts as f64;
    eprintln!("fetched in {:.1} s", figures.backfill_seconds);
    // What follows a fetch (checkpoints, blobs that there are none of) is not what is measured.
    host.prepare(scale.steady);
    let (before, commits) = (node.cpu(), done());
    let start = Instant::now();
    host.run(RATE).join().expect("the rate");
    let sent = Instant::now();
    wait_for(commits + scale.steady as f64);
    figures.steady_lag = sent.elapsed().as_secs_f64();
    figures.steady_seconds = start.elapsed().as_secs_f64();
    figures.steady_events = scale.steady as f64;
    figures.steady_cpu = node.cpu() - before;
    figures.steady_memory = node.memory().0;
    eprintln!("{figures:?}");
    host.prepare(scale.flood);
    settle(&node);
    let (before, commits) = (node.cpu(), done());
    let start = Instant::now();
    host.publish(u64::MAX);
    wait_for(commits + scale.flood as f64);
    figures.flood_seconds = start.elapsed().as_secs_f64();
    figures.flood_events = scale.flood as f64;
    figures.flood_cpu = node.cpu() - before;
    settle(&node);
    figures.peak_memory = node.memory().1;
    node.stop();
    (figures.records, figures.differences) = verify::store(&data, host, scale.accounts);
    eprintln!("{figures:?}");
    clean(&dir);
    figures
}

fn wait_for(commits: f64) {
    until("following", || {
        let now = done();
        (now >= commits, now)
    });
}

/// Waits until the follower has nothing more to do.
fn settle(node: &Watched) {
    let mut quiet = 0;
    let mut last = node.cpu();
    while quiet < 3 {
        std::thread::sleep(Duration::from_secs(1));
        let now = node.cpu();
        quiet = if now - last < 0.1 { quiet + 1 } else { 0 };
        last = now;
    }
}

fn done() -> f64 {
    metric("p2pds_live_commits_total").unwrap_or(0.0)
}

fn stream_is_open() -> bool {
    metric("p2pds_live_sources{state=\"open\"}").is_some_and(|open| open >= 1.0)
}

/// A metric; without labels, the sum over them.
fn metric(name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", METRICS_PORT)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.as_bytes().first()? {
            b'{' => rest.rsplit(' ').next()?,
            b' ' => rest.trim(),
            _ => return None,
        };
        value.parse::<f64>().ok()
    });
    values.reduce(|a, b| a + b)
}

pub fn clean(dir: &Path) {
    if std::env::var_os("P2PDS_BENCH_KEEP").is_none() {
        let _ = std::fs::remove_dir_all(dir);
    }
}
