//! Power cuts: an ext4 file system is shut down without its journal's tail while commits are stored. What had been
//! acknowledged before is there after the restart, and every repo is valid. `P2PDS_POWERCUTS` is how many (10).
//!
//! The ledger of acknowledgements is kept outside of that file system, by this process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod powercut {
    pub mod writer;
}

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use p2pds_testkit::disk::PowerDisk;
use p2pds_testkit::exported::Exported;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{bulk_key, dying_with_parent, post_record};
use p2pds_testkit::program::Program;
use p2pds_testkit::random::Random;
use p2pds_testkit::source::Source;

use powercut::writer;

/// The writer as a process: this test program again, told by its environment what to be.
struct Writer {
    child: Child,
    /// Steps acknowledged so far.
    acknowledged: Arc<AtomicU64>,
    /// The first acknowledgement, or its end without one.
    begun: Receiver<()>,
}

impl Writer {
    fn start(data: &Path, synchronous: &str) -> Self {
        let this = std::env::current_exe().unwrap();
        let mut command: Command = dying_with_parent(&this);
        command.args(["--exact", "the_writer_alone_loses_nothing", "--nocapture"]);
        command.env(writer::DATA, data).env(writer::SYNCHRONOUS, synchronous);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (acknowledged, (send, begun)) = (Arc::new(AtomicU64::new(0)), channel());
        let (ledger, stdout) = (Arc::clone(&acknowledged), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(step) = line.strip_prefix("ack ").and_then(|step| step.parse().ok()) {
                    ledger.fetch_max(step, Ordering::SeqCst);
                    let _ = send.send(());
                }
            }
        });
        Self { child, acknowledged, begun }
    }

    /// Cuts the power some time after the first acknowledgement; gives the last step acknowledged before that.
    ///
    /// Acknowledgements that come later do not count: where power is really gone, nothing comes later, while here
    /// the kernel lets a flush that was under way return as if it had worked.
    fn cut_after(mut self, disk: &PowerDisk, delay: Duration) -> u64 {
        let switch = disk.arm().unwrap();
        self.begun.recv_timeout(Duration::from_secs(60)).expect("the writer gets to work");
        std::thread::sleep(delay);
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        switch.cut().unwrap();
        let _ = self.child.kill();
        self.child.wait().unwrap();
        acknowledged
    }
}

/// Cuts the power so often under the writer; the acknowledged steps that were lost each time.
fn cuts(synchronous: &str, cuts: u64, until_loss: bool) -> Option<Vec<u64>> {
    let disk = PowerDisk::new(192).unwrap()?;
    let mut random = Random::from_environment();
    let (mut losses, mut steps) = (Vec::new(), 0);
    for _ in 0..cuts {
        let data = disk.path().join("data");
        let acknowledged =
            Writer::start(&data, synchronous).cut_after(&disk, Duration::from_millis(20 + random.below(300)));
        disk.restart().unwrap();
        let found = writer::check(&data).unwrap_or_else(|why| panic!("after a power cut: {why}"));
        losses.push(acknowledged.saturating_sub(found));
        steps = found;
        if until_loss && acknowledged > found {
            break;
        }
    }
    println!("{synchronous}: {} power cuts, {steps} commits, lost {losses:?}", losses.len());
    Some(losses)
}

#[test]
fn the_writer_alone_loses_nothing() {
    if let Some(data) = std::env::var_os(writer::DATA) {
        writer::run(Path::new(&data), u64::MAX);
    }
    let dir = tempfile::tempdir().unwrap();
    let last = writer::write(dir.path(), 40).unwrap();
    assert_eq!((last, writer::check(dir.path()).unwrap()), (40, 40));
}

#[test]
fn nothing_acknowledged_is_lost() {
    let count = need::count("P2PDS_POWERCUTS", 10);
    let Some(losses) = cuts("full", count, false) else { return };
    assert!(losses.iter().all(|&lost| lost == 0), "acknowledged commits were lost: {losses:?}");
}

#[test]
fn without_flushes_something_is_lost() {
    let Some(losses) = cuts("normal", need::count("P2PDS_POWERCUTS", 10), true) else { return };
    assert!(losses.iter().any(|&lost| lost > 0), "the test would not see a loss");
}

/// The whole program: it adds an account, then syncs and imports one revision after the other, with blobs.
#[test]
fn the_program_loses_nothing_that_it_has_reported() {
    let Some(disk) = PowerDisk::new(256).unwrap() else { return };
    let count = need::count("P2PDS_POWERCUTS", 10);
    let mut random = Random::from_environment();
    let source = Source::start().unwrap();
    let account = MadeUp::new(5, &source.url);
    let outside = tempfile::tempdir().unwrap();
    let plc = outside.path().join("plc.json");
    std::fs::write(&plc, &account.plc_log).unwrap();
    let program = Program::new(&disk.path().join("data")).unwrap().with_env(source.environment());
    let mut content = Content::posts("power", 200);
    let (mut step, mut last) = (0, None::<State>);
    // The last rev that the program has reported, and that when the power was cut.
    let (reported, known) = (Mutex::new(None::<String>), Mutex::new(None::<String>));
    for _ in 0..count {
        let program_in = program.clone();
        let (stop, stopped) = channel::<()>();
        let source_in = &source;
        let (car, account_in, plc_in) = (outside.path().join("next.car"), &account, &plc);
        let delay = Duration::from_millis(100 + random.below(1_500));
        std::thread::scope(|scope| {
            let cut = scope.spawn(|| {
                let switch = disk.arm().unwrap();
                std::thread::sleep(delay);
                known.lock().unwrap().clone_from(&reported.lock().unwrap());
                switch.cut().unwrap();
                drop(stop);
            });
            // Revision after revision, until the power is gone.
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                let state = next(account_in, &mut content, step);
                source_in.serve(account_in, &state);
                std::fs::write(&car, &state.car).unwrap();
                let sync = ["archive", "sync", &account_in.did];
                let add = ["archive", "add", &account_in.did];
                let import = ["import", car.to_str().unwrap(), "--plc-log", plc_in.to_str().unwrap()];
                let args: &[&str] = match step % 3 {
                    0 => &add,
                    1 => &import,
                    _ => &sync,
                };
                let outcome = program_in.run(args).unwrap();
                assert!(!outcome.stderr.contains("panicked"), "{outcome}");
                if outcome.code == Some(0) {
                    *reported.lock().unwrap() = Some(state.rev.clone());
                }
                last = Some(state);
                step += 1;
            }
            cut.join().unwrap();
        });
        disk.restart().unwrap();
        let shown = program.run(&["archive", "list", "--json"]).unwrap();
        let found = match shown.code {
            Some(0) => shown.json().unwrap()[0]["rev"].as_str().map(ToOwned::to_owned),
            Some(10) => None,
            _ => panic!("after a power cut: {shown}"),
        };
        let known = known.lock().unwrap().clone();
        assert!(found >= known, "reported {known:?}, found {found:?} after the cut");
        reported.lock().unwrap().clone_from(&found);
        if found.is_some() {
            program.ok(&["verify", "--read-data", "--no-repair"]).unwrap();
        }
    }
    println!("{count} power cuts, {step} revisions");
    program.ok(&["archive", "add", &account.did]).unwrap();
    let out = outside.path().join("export");
    program.ok(&["export", &account.did, "--out", out.to_str().unwrap()]).unwrap();
    Exported::read(&out).unwrap().compare(&last.unwrap().truth()).unwrap();
}

/// The next revision: one post more, one changed, one fewer, and an image now and then.
fn next(account: &MadeUp, content: &mut Content, step: u64) -> State {
    let n = usize::try_from(step).unwrap();
    content.put(&bulk_key("step", n), &post_record(&format!("step {step}")));
    content.put(&bulk_key("power", n % 200), &post_record(&format!("changed in step {step}")));
    content.delete(&bulk_key("step", n.saturating_sub(50)));
    if step.is_multiple_of(4) {
        content.put_image(&bulk_key("image", n % 40), step, 40_000);
    }
    account.sign(step, content)
}
