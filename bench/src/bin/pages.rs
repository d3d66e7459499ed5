//! What a page costs: a node with 1,000 archived accounts of 5,000 records each, its owner's browser, and the CPU that the
//! server takes for each page. Numbers as arguments: accounts, records of each.

#[path = "../report.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use p2pds_testkit::http::{Reply, request};
use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::oracle::post_record;
use p2pds_testkit::program::Program;
use p2pds_testkit::source::Source;
use p2pds_testkit::synthetic;
use p2pds_testkit::visit::Visit;
use report::{Table, millis};

/// Accounts that are added by one command.
const BATCH: usize = 50;
/// Requests for each page; the median of them is told.
const RUNS: usize = 21;
/// Of this account the pages are shown.
const SHOWN: u64 = 7;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let (accounts, records) =
        (numbers.first().copied().unwrap_or(1_000), numbers.get(1).copied().unwrap_or(5_000));
    let dir = scratch();
    let source = Source::start().expect("a free port");
    let bin = std::env::current_exe().expect("this program").with_file_name("node");
    let program =
        Program::of(&bin, &dir.join("data")).expect("the node was built").with_env(source.environment());
    let node = program.serve_at("127.0.0.1").expect("it starts");
    let begun = Instant::now();
    let shown = fill(&source, &program, accounts, records);
    let held = wait(&program, accounts);
    let filling = begun.elapsed();
    let claim = program.json(&["claim"]).expect("an address");
    let claim = claim["address"].as_str().expect("an address").to_owned();
    let code = claim.rsplit_once("code=").map_or_else(String::new, |(_, code)| code.to_owned());
    let mut owner = Visit::default();
    owner.open(&format!("{}/claim?code={code}", node.url)).expect("the claim page");
    let form = owner.form("code", &code).expect("its form");
    owner.send(&form).expect("claimed");

    let head = format!(
        "{accounts} accounts with {held} records in all ({} s to archive them); each page {RUNS} times one after the other, over \
         HTTP/1.1; the median. CPU is that of all threads of the server, with what it does in the background meanwhile. A \
         page's bytes are its HTML, the stylesheet and the script, as sent without compression.\n",
        filling.as_secs(),
    );
    let mut table =
        Table::new("Pages of a node with many accounts", &["page", "status", "CPU ms", "ms", "kB in all"]);
    let assets = assets(&mut owner, &node.url);
    let mut worst = (0.0, String::new());
    for (name, path) in paths(&shown, accounts) {
        let url = format!("{}{path}", node.url);
        let mut cpu = Vec::new();
        let mut wall = Vec::new();
        let mut last: Option<Reply> = None;
        for _ in 0..RUNS {
            let (before, begun) = (cpu_of(node.node.pid()), Instant::now());
            last = Some(owner.get(&url).expect("an answer"));
            wall.push(begun.elapsed().as_secs_f64());
            cpu.push(cpu_of(node.node.pid()) - before);
        }
        let last = last.expect("at least one");
        let (cpu, wall) = (median(&mut cpu), median(&mut wall));
        if cpu > worst.0 {
            worst = (cpu, name.to_owned());
        }
        let kilobytes = (last.body.len() + assets) as f64 / 1_000.0;
        let cells =
            [name.to_owned(), last.status.to_string(), millis(cpu), millis(wall), format!("{kilobytes:.1}")];
        println!("{}", cells.join("  "));
        table.row(&cells);
    }
    println!("most: {} ms for {}", millis(worst.0), worst.1);
    node.end().expect("it ends well");
    let _ = std::fs::remove_dir_all(&dir);
    report::write("bench:pages", &format!("{head}{}", table.text()));
}

/// What is measured, on the account of [`SHOWN`].
fn paths(shown: &Account, accounts: usize) -> Vec<(&'static str, String)> {
    let own = |rest: &str| format!("/archive/{}{rest}", shown.did.replace(':', "%3A"));
    vec![
        ("home", "/".to_owned()),
        ("home, last page", format!("/?page={}", accounts.div_ceil(20))),
        ("all accounts", "/accounts".to_owned()),
        ("add", "/add".to_owned()),
        ("account", own("")),
        ("media", own("/media")),
        ("drills", own("/drills")),
        ("time machine", own("/time")),
        ("time machine, one collection", own("/time?collection=app.bsky.feed.like")),
        (
            "time machine, before the last change",
            own(&format!("/time?collection=app.bsky.feed.post&at={}", shown.rev)),
        ),
        ("compare", own(&format!("/compare?from={}&to=now", shown.rev))),
        ("record", own(&format!("/record?path=app.bsky.feed.post/{}", shown.rkey))),
        ("identity", own("/identity")),
        ("take away", own("/export")),
        ("promote", own("/promote")),
        ("remove", own("/remove")),
        ("record types", "/lexicons".to_owned()),
        ("record types, searched", "/lexicons?prefix=app.bsky.feed".to_owned()),
        ("operator", "/operator/node".to_owned()),
        ("operator, reports", "/operator/reports".to_owned()),
        ("operator, limits", "/operator/limits".to_owned()),
        ("operator, audit log", "/operator/audit".to_owned()),
        ("sessions", "/sessions".to_owned()),
        ("about", "/about".to_owned()),
    ]
}

/// The account that pages are shown of.
struct Account {
    did: String,
    rkey: String,
    /// Its first revision.
    rev: String,
}

/// A record key: three letters for a number.
fn key(start: &str, number: u64) -> String {
    let letters =
        format!("{number:03}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect::<String>();
    format!("{start}{letters}")
}

fn fill(source: &Source, program: &Program, accounts: usize, records: usize) -> Account {
    let mut shown = None;
    let seeds: Vec<u64> = (0..accounts as u64).collect();
    for batch in seeds.chunks(BATCH) {
        let mut names = Vec::new();
        for seed in batch {
            let account = MadeUp::new(*seed, &source.url);
            let mut content = Content::default();
            for (path, bytes) in synthetic::records(*seed, records) {
                content.put_bytes(&String::from_utf8_lossy(&path), bytes);
            }
            if *seed == SHOWN {
                for n in 0..60 {
                    content.put_image(&key("3kpicccccc", n), n, 20_000);
                }
                let post = content.records().keys().find_map(|path| path.strip_prefix("app.bsky.feed.post/"));
                let rkey = post.unwrap_or_default().to_owned();
                let before = account.sign(0, &content);
                for n in 0..200 {
                    let record = post_record(&format!("changed, number {n}"));
                    content.put(&key("3kpieeeeee", n), &record);
                }
                content.put(&rkey, &post_record("changed"));
                source.serve(&account, &before);
                program.ok(&["archive", "add", &account.did]).expect("it is archived");
                source.serve(&account, &account.sign(1, &content));
                program.ok(&["archive", "sync", &account.did]).expect("it is archived");
                shown = Some(Account { did: account.did.clone(), rkey, rev: before.rev });
                continue;
            }
            let mut state = account.sign(0, &content);
            // The host is asked for nothing else.
            state.records.clear();
            state.blocks.clear();
            source.serve(&account, &state);
            names.push(account.did);
        }
        let mut args = vec!["archive", "add"];
        args.extend(names.iter().map(String::as_str));
        program.ok(&args).expect("they are archived");
        eprintln!("{} accounts", batch.last().copied().unwrap_or_default() + 1);
    }
    shown.expect("more than a few accounts")
}

/// Waits until all accounts are archived; how many records they have.
fn wait(program: &Program, accounts: usize) -> u64 {
    loop {
        let list = program.json(&["archive", "list"]).expect("a list");
        let lines = list["accounts"].as_array().or_else(|| list.as_array()).cloned().unwrap_or_default();
        let records = |line: &serde_json::Value| line["records"].as_u64().unwrap_or_default();
        let there = lines.iter().filter(|line| records(line) > 0).count();
        eprintln!("{there} of {accounts} are archived");
        if there >= accounts {
            return lines.iter().map(records).sum();
        }
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// Bytes of the stylesheet and the script that the pages name.
fn assets(owner: &mut Visit, url: &str) -> usize {
    let page = String::from_utf8_lossy(&owner.get(&format!("{url}/")).expect("home").body).into_owned();
    let named = page.split('"').filter(|text| text.starts_with("/assets/"));
    let mut all: Vec<&str> = named.collect();
    all.sort_unstable();
    all.dedup();
    all.iter()
        .map(|path| request("GET", &format!("{url}{path}"), &[], None).expect("an asset").body.len())
        .sum()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds of CPU that all threads of a process have had.
fn cpu_of(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).expect("it runs");
    let nanos: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    nanos as f64 / 1e9
}

fn scratch() -> PathBuf {
    let root = std::env::var("P2PDS_BENCH_DIR").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let dir = root.join(format!("p2pds-bench-pages-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}
