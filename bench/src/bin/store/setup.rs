//! Stores, clocks and memory for the steps.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use p2pds_store::{Account, Origin, Repo, Store, Unit, view::block_on};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore};
use p2pds_syntax::Did;
use rustix::time::{ClockId, clock_gettime};

pub fn store_dir(dir: &Path) -> PathBuf {
    dir.join("data")
}

pub fn open(dir: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(store_dir(dir), Options::default()).expect("the store opens"))
}

pub fn add(store: &Arc<dyn Store>, did: &Did) {
    let account = Account::new(did.clone(), Origin::File, 1);
    block_on(store.apply(Unit::AddAccount(Box::new(account)))).expect("an account");
}

pub fn live(store: &Arc<dyn Store>, did: &Did) -> Repo {
    block_on(store.live_repo(did)).expect("a head").expect("a live repo")
}

/// CPU seconds of this process, all threads.
pub fn cpu() -> f64 {
    seconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// CPU seconds of this thread.
pub fn thread_cpu() -> f64 {
    seconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn seconds(time: rustix::time::Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Most memory that this process ever had resident, in bytes.
pub fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") * 1024.0
}

/// Median and ninth decile of flushing 4 KiB, in seconds.
pub fn flush_times(dir: &Path) -> (f64, f64) {
    let path = dir.join("p2pds-bench-flush");
    let mut file = std::fs::File::create(&path).expect("a file");
    let mut all: Vec<f64> = (0..300)
        .map(|n: u64| {
            file.seek(SeekFrom::Start(n % 64 * 4096)).expect("seek");
            file.write_all(&[7; 4096]).expect("write");
            let start = Instant::now();
            file.sync_data().expect("flush");
            start.elapsed().as_secs_f64()
        })
        .collect();
    let _ = std::fs::remove_file(path);
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[all.len() * 9 / 10])
}

/// What else runs on the machine, in words.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("work of load {}", load.split(' ').next().unwrap_or("?"))
}

/// Median of single times.
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Times one piece of work.
pub fn clock<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let out = work();
    (start.elapsed().as_secs_f64(), out)
}

/// Lets the system forget the database's pages.
pub fn evict(dir: &Path) {
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        if let Ok(file) = std::fs::File::open(store_dir(dir).join(name)) {
            let _ = file.sync_all();
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }
}
