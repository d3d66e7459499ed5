//! This program beside the reference PDS under the same load: `bench-pds.mjs` of the reference stack runs against both,
//! by turns, each time on fresh data; the table takes medians, figure by figure.
//!
//! Wants `P2PDS_ORACLE` (the installed reference stack). `P2PDS_BENCH_RUNS` (3), `P2PDS_BENCH_SECS` (3),
//! `P2PDS_BENCH_ONLY` (phases, see the script), `P2PDS_BENCH_KEEP=1` leaves the page alone and prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use p2pds_bench::report::{self, Table};
use serde_json::Value;

fn main() {
    let oracle =
        PathBuf::from(std::env::var_os("P2PDS_ORACLE").expect("P2PDS_ORACLE names the reference stack"));
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let runs: u16 = setting("P2PDS_BENCH_RUNS", "3").parse().expect("a number of runs");
    let secs = setting("P2PDS_BENCH_SECS", "3");
    let only = std::env::var("P2PDS_BENCH_ONLY").ok();
    let data = std::env::temp_dir().join(format!("p2pds-bench-{}", std::process::id()));
    let mut results: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for run in 0..runs {
        for (turn, who) in ["reference", "p2pds"].into_iter().enumerate() {
            let port = 2700 + run * 20 + u16::try_from(turn).expect("two") * 10;
            std::fs::create_dir_all(&data).expect("a directory for the data");
            let network = Network::start(&oracle, who, port, &data);
            let out = data.join(format!("{who}-{run}.json"));
            network.measure(&oracle, &secs, only.as_deref(), who, &out);
            let text = std::fs::read_to_string(&out).expect("the script has written its result");
            results.entry(who).or_default().push(serde_json::from_str(&text).expect("JSON"));
            drop(network);
            println!("{who} {}: {text}", run + 1);
        }
    }
    std::fs::remove_dir_all(&data).ok();
    let page = page(&results["reference"], &results["p2pds"], runs, &secs);
    match std::env::var_os("P2PDS_BENCH_KEEP") {
        Some(_) => println!("{page}"),
        None => report::write("bench:pds", &page),
    }
}

/// A directory and one server.
struct Network {
    programs: Vec<Child>,
    url: String,
    plc: String,
}

impl Network {
    fn start(oracle: &Path, who: &str, port: u16, data: &Path) -> Self {
        let (plc, pds) = (format!("http://localhost:{port}"), port + 1);
        let mut network = Command::new(oracle.join("scripts/n22"));
        network.arg(oracle.join("scripts/start-network.mjs")).args(["--plc", &port.to_string()]);
        network.arg("--data").arg(data.join(format!("{who}-{port}")));
        if who == "reference" {
            network.args(["--pds", &pds.to_string()]);
        }
        let mut programs = vec![ready(network, |line| line.contains("\"ready\":\"network\""))];
        if who != "reference" {
            let here = std::env::current_exe().expect("a program has a path");
            let mut node = Command::new(here.with_file_name("node"));
            node.arg("serve").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            node.envs(environment(pds, &plc, &data.join(format!("{who}-{port}"))));
            programs.push(ready(node, |line| line.contains("Listening")));
        }
        Self { programs, url: format!("http://localhost:{pds}"), plc }
    }

    fn measure(&self, oracle: &Path, secs: &str, only: Option<&str>, label: &str, out: &Path) {
        let mut script = Command::new(oracle.join("scripts/n22"));
        script.arg(oracle.join("scripts/bench-pds.mjs"));
        script
            .args(["--url", &self.url, "--plc", &self.plc, "--secs", secs, "--label", label, "--calm", "20"]);
        if let Some(only) = only {
            script.args(["--only", only]);
        }
        script.arg("--out").arg(out).stdout(Stdio::null());
        assert!(script.status().expect("node runs").success(), "the load client failed against {label}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            let pid = program.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = program.wait();
        }
    }
}

/// The environment that the reference gets too, as far as it has a meaning for both.
fn environment(port: u16, plc: &str, data: &Path) -> Vec<(String, String)> {
    let secret = "5f".repeat(32);
    let fixed = [
        ("PDS_DEV_MODE", "true".to_owned()),
        ("PDS_HOSTNAME", "localhost".to_owned()),
        ("PDS_PORT", port.to_string()),
        ("PDS_DATA_DIRECTORY", data.join("pds").display().to_string()),
        ("PDS_BLOB_UPLOAD_LIMIT", (50 << 20).to_string()),
        ("PDS_MAX_REPO_IMPORT_SIZE", (200 << 20).to_string()),
        ("PDS_DID_PLC_URL", plc.to_owned()),
        ("PDS_SERVICE_HANDLE_DOMAINS", ".test".to_owned()),
        ("PDS_INVITE_REQUIRED", "false".to_owned()),
        ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", secret.clone()),
        ("PDS_JWT_SECRET", secret),
        ("PDS_ADMIN_PASSWORD", "admin-pass".to_owned()),
        ("PDS_RATE_LIMITS_ENABLED", "false".to_owned()),
        ("P2PDS_LOG_LEVEL", "warn".to_owned()),
    ];
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Starts a program and waits until it says that it is ready. What it says later is read away.
fn ready(mut command: Command, is_ready: impl Fn(&str) -> bool) -> Child {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let found = lines.by_ref().map_while(Result::ok).any(|line| is_ready(&line));
    assert!(found, "the program ended before it was ready");
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    child
}

/// One row: its words, the path of its figure, whether more is better, goal and aim as ratios.
struct Row(&'static str, &'static str, bool, &'static str, &'static str);

const ROWS: &[Row] = &[
    Row("createAccount, 4 connections, per s", "createAccount_c4.rps", true, "", ""),
    Row("createRecord, 1 connection, p50 ms", "create_c1_a1.p50", false, "4", ""),
    Row("createRecord, 16 connections, 1 account, per s", "create_c16_a1.rps", true, "", ""),
    Row("createRecord, 16 connections and accounts, per s", "create_c16_a16.rps", true, "15", "25"),
    Row("createRecord, 16 connections and accounts, CPU ms", "create_c16_a16.cpu_ms/op", false, "20", "30"),
    Row("applyWrites of 100, records/s", "apply_100.records_s", true, "", ""),
    Row("applyWrites of 200, records/s", "apply_200.records_s", true, "25", "40"),
    Row("applyWrites of 200, CPU ms per record", "apply_200.cpu_ms/record", false, "", ""),
    Row("getRepo 20k, 1 connection, MB/s", "getRepo_c1.mb_s", true, "15", "25"),
    Row("getRepo 20k, first byte p50 ms", "getRepo_c1.ttfb_p50", false, "", ""),
    Row("getRepo 20k, CPU ms", "getRepo_c1.cpu_ms_per_call", false, "", ""),
    Row("getRecord, 16 connections, per s", "getRecord_c16.rps", true, "", ""),
    Row("getRecord, CPU ms", "getRecord_c16.cpu_ms/op", false, "20", ""),
    Row("listRecords 50, CPU ms", "listRecords50_c16.cpu_ms/op", false, "15", ""),
    Row("listRecords 100, CPU ms", "listRecords100_c16.cpu_ms/op", false, "15", ""),
    Row("sync.getRecord, per s", "syncGetRecord_c16.rps", true, "", ""),
    Row("sync.getRecord, CPU ms", "syncGetRecord_c16.cpu_ms/op", false, "20", ""),
    Row("_health, 16 connections, per s", "health_c16.rps", true, "", ""),
    Row("uploadBlob 1 MiB, 1 connection, MiB/s", "blob1MB_c1.mib_s", true, "", ""),
    Row("uploadBlob 1 MiB, 4 connections, MiB/s", "blob1MB_c4.mib_s", true, "", ""),
    Row("createSession, 4 connections, per s", "createSession_c4.rps", true, "", ""),
    Row("createSession, CPU ms", "createSession_c4.cpu_ms/op", false, "", ""),
    Row("firehose, 1 subscriber, write to frame p50 ms", "firehose_n1.latency.p50", false, "", ""),
    Row(
        "firehose, 1 subscriber, frame after the answer p50 ms",
        "firehose_n1.latency.after_ack_p50",
        false,
        "",
        "",
    ),
    Row(
        "firehose, 1 subscriber, first frame after idling ms",
        "firehose_n1.latency.first_after_idle",
        false,
        "",
        "",
    ),
    Row("firehose, 200 subscribers, saturated, frames/s", "firehose_n200.saturated.frames_s", true, "10", ""),
    Row("firehose, 200 subscribers, saturated, writes/s", "firehose_n200.saturated.writes_s", true, "", ""),
    Row("firehose, 200 subscribers, CPU ms per write", "firehose_n200.saturated.cpu_ms/write", false, "", ""),
    Row("replay from 0, events/s", "replay.events_s", true, "12", ""),
    Row("replay from 0, CPU us per event", "replay.us_per_event", false, "15", ""),
    Row("importRepo 20k, records/s", "importRepo.records_s", true, "12", "20"),
    Row("importRepo 20k, CPU ms", "importRepo.srv_cpu_ms", false, "", ""),
    Row("memory idle, MB", "rss_mb.idle", false, "", ""),
    Row("memory with 100 accounts, MB", "rss_mb.accounts_100", false, "", ""),
    Row("memory after the load, MB", "rss_mb.after_load", false, "", ""),
    Row("memory at most, MB", "rss_mb.peak", false, "", ""),
];

fn at<'v>(result: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(result, |value, key| value.get(key))
}

fn figure(result: &Value, path: &str) -> Option<f64> {
    if path == "replay.us_per_event" {
        let cpu = at(result, "replay.srv_cpu_ms")?.as_f64()?;
        return Some(cpu * 1000.0 / at(result, "replay.events")?.as_f64()?);
    }
    at(result, path)?.as_f64()
}

fn median(results: &[Value], path: &str) -> Option<f64> {
    let mut all: Vec<f64> = results.iter().filter_map(|result| figure(result, path)).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len().saturating_sub(1) / 2).copied()
}

/// What the rest of the machine used meanwhile, in cores; the phase that the figure belongs to says it.
fn others(results: &[Value], path: &str) -> String {
    let phase = path.rsplit_once('.').map_or(path, |(phase, _)| phase);
    median(results, &format!("{phase}.other_cpu")).map_or("-".to_owned(), |cores| format!("{cores:.2}"))
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn page(reference: &[Value], ours: &[Value], runs: u16, secs: &str) -> String {
    let mut table = Table::new(
        "The reference PDS 0.5.35 and p2pds under the same load",
        &["measure", "reference", "others", "p2pds", "others", "times better", "goal", "aim"],
    );
    for Row(words, path, more, goal, aim) in ROWS {
        let (theirs, mine) = (median(reference, path), median(ours, path));
        let better = match (theirs, mine, more) {
            (Some(theirs), Some(mine), true) => Some(mine / theirs),
            (Some(theirs), Some(mine), false) if mine > 0.0 => Some(theirs / mine),
            _ => None,
        };
        let better = better.filter(|better| better.is_finite());
        table.row(&[
            (*words).to_owned(),
            number(theirs),
            others(reference, path),
            number(mine),
            others(ours, path),
            number(better),
            (*goal).to_owned(),
            (*aim).to_owned(),
        ]);
    }
    let mut page = format!(
        "\n{runs} runs of {secs} s a phase, by turns, each on fresh data; medians, figure by figure. \"Others\" is what \
         everything but server and client used meanwhile, in cores; client and server share the machine's cores. p2pds \
         answers a write after its fsync; the reference's record is synced, its event perhaps not.\n"
    );
    let _ = writeln!(page, "{}", table.text());
    let lost = |results: &[Value]| -> Vec<String> {
        results.iter().filter_map(|result| result.get("errors").map(ToString::to_string)).collect()
    };
    for (who, results) in [("the reference", reference), ("p2pds", ours)] {
        for errors in lost(results) {
            let _ = writeln!(page, "Errors against {who}: `{errors}`\n");
        }
    }
    for subscribers in [1, 50, 200] {
        let path = |key: &str| format!("firehose_n{subscribers}.saturated.{key}");
        if let (Some(frames), Some(expected)) =
            (median(ours, &path("frames")), median(ours, &path("expected")))
        {
            let _ = writeln!(
                page,
                "- {subscribers} subscribers: {frames:.0} of {expected:.0} frames arrived at them."
            );
        }
    }
    page
}
