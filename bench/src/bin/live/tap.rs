//! indigo's `tap` on the same stream: fire and forget, SQLite, otherwise as it comes. Its events are read and compared.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use p2pds_testkit::stream::Host;

use crate::follower::{Figures, Watched, until};
use crate::node::clean;
use crate::ws::Reader;
use crate::{RATE, Scale, scratch, verify};

const PORT: u16 = 29_592;

/// What tap has told so far.
#[derive(Default)]
struct Told {
    /// Records of backfills, and commits of the stream.
    backfilled: AtomicU64,
    commits: AtomicU64,
    /// Account to path to CID, and the revision last told.
    state: Mutex<HashMap<String, (String, HashMap<String, String>)>>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    record: Option<Record<'a>>,
}

#[derive(serde::Deserialize)]
struct Record<'a> {
    live: bool,
    did: &'a str,
    rev: &'a str,
    collection: &'a str,
    rkey: &'a str,
    action: &'a str,
    cid: Option<&'a str>,
}

pub fn run(host: &Host, scale: Scale, program: &Path, cores: &str) -> Figures {
    // tap would ask public DNS for them.
    host.hide_handles();
    let dir = scratch("tap");
    let log = std::fs::File::create(dir.join("log")).expect("a file");
    let tap = Watched::start(cores, program, |command| {
        command
            .arg("run")
            .current_dir(&dir)
            .env("TAP_DATABASE_URL", format!("sqlite://{}", dir.join("tap.db").display()))
            .env("TAP_BIND", format!("127.0.0.1:{PORT}"))
            .env("TAP_PLC_URL", &host.url)
            .env("TAP_RELAY_URL", &host.url)
            .env("TAP_DISABLE_ACKS", "true")
            .env("TAP_LOG_LEVEL", "error")
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
    });
    until("starting", || (ask("GET", "/health", "").is_some_and(|answer| answer.contains("\"ok\"")), 0.0));
    let told = Arc::new(Told::default());
    let listener = Arc::clone(&told);
    std::thread::spawn(move || listen(&listener));
    let mut figures = Figures::default();
    let start = Instant::now();
    for dids in host.dids().chunks(500) {
        let body = serde_json::json!({ "dids": dids }).to_string();
        ask("POST", "/repos/add", &body).expect("it takes them");
    }
    let all = (scale.accounts * scale.records) as u64;
    until("fetching the accounts", || {
        let now = told.backfilled.load(Ordering::Relaxed);
        (now >= all, now as f64)
    });
    figures.backfill_seconds = start.elapsed().as_secs_f64();
    figures.backfill_cpu = tap.cpu() * 1e3 / scale.accounts as f64;
    eprintln!("fetched in {:.1} s", figures.backfill_seconds);
    host.prepare(scale.steady);
    let (before, commits) = (tap.cpu(), told.commits.load(Ordering::Relaxed));
    let start = Instant::now();
    host.run(RATE).join().expect("the rate");
    let sent = Instant::now();
    wait_for(&told, commits + scale.steady as u64);
    figures.steady_lag = sent.elapsed().as_secs_f64();
    figures.steady_seconds = start.elapsed().as_secs_f64();
    figures.steady_events = scale.steady as f64;
    figures.steady_cpu = tap.cpu() - before;
    figures.steady_memory = tap.memory().0;
    eprintln!("{figures:?}");
    host.prepare(scale.flood);
    let (before, commits) = (tap.cpu(), told.commits.load(Ordering::Relaxed));
    let start = Instant::now();
    host.publish(u64::MAX);
    wait_for(&told, commits + scale.flood as u64);
    figures.flood_seconds = start.elapsed().as_secs_f64();
    figures.flood_events = scale.flood as f64;
    figures.flood_cpu = tap.cpu() - before;
    figures.peak_memory = tap.memory().1;
    tap.stop();
    let state = told.state.lock().expect("not poisoned");
    let held = |did: &str| state.get(did).map(|(_, records)| records.clone()).unwrap_or_default();
    (figures.records, figures.differences) = verify::compare(host, scale.accounts, held);
    eprintln!("{figures:?}");
    clean(&dir);
    figures
}

fn wait_for(told: &Told, commits: u64) {
    until("following", || {
        let now = told.commits.load(Ordering::Relaxed);
        (now >= commits, now as f64)
    });
}

fn listen(told: &Told) {
    let mut reader = Reader::open(PORT, "/channel");
    let mut bytes = Vec::new();
    while reader.next(&mut bytes).is_some() {
        let message: Message<'_> = serde_json::from_slice(&bytes).expect("an event");
        let Some(record) = message.record else { continue };
        let mut state = told.state.lock().expect("not poisoned");
        if !state.contains_key(record.did) {
            state.insert(record.did.to_owned(), Default::default());
        }
        let (rev, records) = state.get_mut(record.did).expect("just put there");
        if !record.live {
            told.backfilled.fetch_add(1, Ordering::Relaxed);
        } else if rev != record.rev {
            record.rev.clone_into(rev);
            told.commits.fetch_add(1, Ordering::Relaxed);
        }
        let path = format!("{}/{}", record.collection, record.rkey);
        match (record.action, record.cid) {
            ("delete", _) => drop(records.remove(&path)),
            (_, Some(cid)) => drop(records.insert(path, cid.to_owned())),
            other => panic!("{other:?}"),
        }
    }
}

fn ask(method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}
