//! Following a stream: 10,000 accounts, events made in advance, signed by real keys. Without arguments all of it, written
//! to docs/performance.md; with `quick` a fifth of it, with `engine`, `follow` or `tap` that part, printed only. `P2PDS_TAP` names indigo's `tap`, which then
//! follows the same stream in the same run.

mod engine;
mod follower;
mod node;
mod tap;
mod verify;
mod ws;

#[path = "../../report.rs"]
#[expect(dead_code, reason = "the other program uses the rest")]
mod report;

use std::path::PathBuf;

use p2pds_testkit::stream::{Host, Plan};
use report::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub accounts: usize,
    /// Records of each account at the beginning.
    pub records: usize,
    /// Events at 2,000 a second.
    pub steady: usize,
    /// Events as fast as they are taken.
    pub flood: usize,
}

const FULL: Scale = Scale { accounts: 10_000, records: 20, steady: 60_000, flood: 100_000 };
const QUICK: Scale = Scale { accounts: 2_000, records: 20, steady: 20_000, flood: 30_000 };
/// Events a second.
pub const RATE: f64 = 2_000.0;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|arg| arg == "quick");
    let scale = if quick { QUICK } else { FULL };
    let only = args.iter().find(|arg| *arg != "quick").map(String::as_str);
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let mut text = format!(
        "{} accounts of {} records each, made up, on K-256; every event is a commit: 60 % one new record, 10 % three, 10 % \
         a change, 20 % a deletion. {} ran beside on two cores.\n",
        scale.accounts,
        scale.records,
        load(),
    );
    if wanted("engine") {
        text.push_str(&engine::table(scale));
    }
    if wanted("follow") || only == Some("tap") {
        text.push_str(&follow(scale, only != Some("tap")));
    }
    if quick || only.is_some() {
        println!("{text}");
    } else {
        report::write("bench:live", &text);
    }
}

/// The node on one core and on two, and tap, on streams that are made of the same events.
fn follow(scale: Scale, node: bool) -> String {
    let mut names = Vec::new();
    let mut all = Vec::new();
    for (name, cores) in [("p2pds, one core", "0"), ("p2pds, two cores", "0,1")].into_iter().filter(|_| node)
    {
        let host = start(scale);
        all.push(node::run(&host, scale, cores));
        names.push(name);
    }
    match std::env::var("P2PDS_TAP") {
        Ok(program) => {
            for (name, cores) in [("tap, one core", "0"), ("tap, two cores", "0,1")] {
                let host = start(scale);
                all.push(tap::run(&host, scale, &PathBuf::from(&program), cores));
                names.push(name);
            }
        }
        Err(_) => eprintln!("P2PDS_TAP is not set: nothing to compare with"),
    }
    let mut columns = vec![""];
    columns.extend(&names);
    let mut table = Table::new("Following a stream", &columns);
    for (row, get) in follower::ROWS {
        let mut cells = vec![row.to_owned()];
        cells.extend(all.iter().map(get));
        table.row(&cells);
    }
    table.text()
}

pub fn start(scale: Scale) -> Host {
    Host::start(&Plan { seed: 1, accounts: scale.accounts, records: scale.records }).expect("a free port")
}

/// Where stores are made: on the disk that is to be measured.
pub fn scratch(name: &str) -> PathBuf {
    let root = std::env::var("P2PDS_BENCH_DIR").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let dir = root.join(format!("p2pds-bench-live-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("Work of load {}", load.split(' ').next().unwrap_or("?"))
}
