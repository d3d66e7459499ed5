//! Power cuts under a node that hosts accounts: an ext4 file system is shut down without its journal's tail while records
//! are written, blobs uploaded and named, repos imported, accounts made, switched off and on, and deleted. The node starts
//! again by itself; what was acknowledged is there and whole, and the events tell exactly that.
//! `P2PDS_HOST_POWERCUTS` is how many (6), `P2PDS_SEED` makes the moments the same again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod authors;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use p2pds_testkit::disk::PowerDisk;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Network, Options, POST, post_record};
use p2pds_testkit::random::Random;
use p2pds_testkit::subscriber::Subscriber;

use authors::history::{Heard, History, listen};
use authors::lives::Lives;
use authors::{Author, Gate, Said};

fn network() -> Option<Network> {
    Network::start(&Options { pdses: 0, ..Options::default() }).unwrap()
}

/// Goes on until nothing counts any more.
fn until_cut(mut step: impl FnMut() -> Said) {
    loop {
        match step() {
            Said::Done(_) => {}
            Said::Nothing => return,
            Said::Refused(nsid, reply) => {
                panic!("{nsid}: {} {}", reply.status, String::from_utf8_lossy(&reply.body))
            }
        }
    }
}

struct Scene {
    network: Network,
    // It ends before its disk is taken away.
    host: Hosted,
    disk: PowerDisk,
    authors: Vec<Author>,
    lives: Lives,
}

impl Scene {
    fn new(settings: &[(&str, &str)]) -> Option<Self> {
        let disk = PowerDisk::new(512).unwrap()?;
        let network = network()?;
        let host = Hosted::start(&network, &disk.path().join("data"), settings).unwrap();
        let author = |n: usize| {
            let account = host.sign_up(&network, &format!("author{n}-p2pds")).unwrap();
            Author::new(account, &network)
        };
        let authors = (0..3).map(author).collect();
        let lives = Lives::new(&host.url, "life");
        Some(Self { network, host, disk, authors, lives })
    }

    /// Everybody is busy for so long, then the power is gone; what was heard of it before that.
    fn cut_after(&mut self, busy: Duration) -> Heard {
        let (gate, live) = (Gate::open(), Subscriber::open(&self.host.url, None).unwrap());
        let switch = self.disk.arm().unwrap();
        let (network, host, lives) = (&self.network, &mut self.host, &mut self.lives);
        let heard = std::thread::scope(|scope| {
            let ears = scope.spawn(|| listen(live, &gate));
            for author in &mut self.authors {
                scope.spawn(|| until_cut(|| author.step(&gate)));
            }
            scope.spawn(|| until_cut(|| lives.step(&gate, network)));
            std::thread::sleep(busy);
            gate.shut();
            switch.cut().unwrap();
            let ended = host.kill().unwrap();
            assert!(!ended.stderr.contains("panicked"), "{ended}");
            ears.join().unwrap()
        });
        self.disk.restart().unwrap();
        heard
    }

    /// The node is there again by itself, with everything.
    fn check(&mut self, history: &mut History, heard: &Heard) {
        self.host.begin().unwrap();
        let on = Gate::open();
        for author in &mut self.authors {
            author.settle();
            author.name_uploads(&on);
        }
        self.lives.settle(&self.network);
        let Said::Done(answer) = self.authors[0].put(&on) else { panic!("refused") };
        let rev = answer["commit"]["rev"].as_str().unwrap();
        history.read(&self.host, &self.network, &self.authors[0].account.did, rev);
        history.has(heard);
        for author in &self.authors {
            history.ends_at(&author.account.did, &author.account.latest_commit().unwrap().1, &author.revs);
        }
        self.lives.told(history);
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let Some(mut scene) = Scene::new(&[]) else { return };
    let (count, mut random) = (need::count("P2PDS_HOST_POWERCUTS", 6), Random::from_environment());
    let (mut history, mut heard, mut signed_in) = (History::default(), 0, Instant::now());
    for _ in 0..count {
        // Sessions are short-lived.
        if signed_in.elapsed() > Duration::from_secs(600) {
            for author in &mut scene.authors {
                author.account = scene.host.sign_in(&author.account.handle).unwrap();
            }
            signed_in = Instant::now();
        }
        let before = scene.cut_after(Duration::from_millis(50 + random.below(700)));
        heard += before.len();
        scene.check(&mut history, &before);
    }
    scene.host.program.ok(&["verify", "--read-data", "--no-repair"]).unwrap();
    let events = history.reread(&scene.host);
    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
    for (nsid, n) in scene.authors.iter().flat_map(|author| &author.done) {
        *done.entry(*nsid).or_default() += n;
    }
    println!(
        "{count} power cuts; acknowledged: {done:?}; {} lives, {events} events, {heard} heard live",
        scene.lives.begun
    );
    let ended = scene.host.stop().unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
}

/// A library in which flushing does nothing; `None` (said on standard output) where there is no C compiler.
fn no_flushes(dir: &Path) -> Option<String> {
    if !need::have("cc", "--version") {
        need::skip("a node without flushes needs cc", false);
        return None;
    }
    let (source, library) = (dir.join("none.c"), dir.join("none.so"));
    let none = "int fsync(int f) { return 0; } int fdatasync(int f) { return 0; }";
    std::fs::write(&source, none).unwrap();
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(made.success());
    Some(library.to_str().unwrap().to_owned())
}

#[test]
fn without_flushes_a_loss_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let Some(library) = no_flushes(dir.path()) else { return };
    let Some(mut scene) = Scene::new(&[("LD_PRELOAD", &library)]) else { return };
    let heard = scene.cut_after(Duration::from_millis(500));
    let checked = std::panic::catch_unwind(AssertUnwindSafe(|| scene.check(&mut History::default(), &heard)));
    assert!(checked.is_err(), "the test would not see a loss");
}

/// The keys are made with the first start, and everything hangs on them.
#[test]
fn a_new_node_loses_no_key() {
    let Some(disk) = PowerDisk::new(256).unwrap() else { return };
    let Some(network) = network() else { return };
    let mut random = Random::from_environment();
    let own = [("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", ""), ("PDS_JWT_SECRET", "")];
    let count = need::count("P2PDS_HOST_POWERCUTS", 6).div_ceil(3);
    for n in 0..count {
        let data = disk.path().join(format!("data{n}"));
        let mut host = Hosted::start(&network, &data, &own).unwrap();
        let switch = disk.arm().unwrap();
        let account = host.sign_up(&network, &format!("first{n}-p2pds")).unwrap();
        switch.cut().unwrap();
        host.kill().unwrap();
        disk.restart().unwrap();
        host.begin().unwrap();
        // The session, the signing key and the key of the identity are those of before.
        account.create(POST, &post_record("after the cut")).unwrap();
        let handle = format!("renamed{n}-p2pds.test");
        network.names.set_txt(&format!("_atproto.{handle}"), &[&format!("did={}", account.did)]);
        account.call("com.atproto.identity.updateHandle", &serde_json::json!({ "handle": handle })).unwrap();
        Author::new(account, &network).settle_any();
        host.kill().unwrap();

        // Cut anywhere while it starts for the first time: it gets there the next time.
        std::fs::remove_dir_all(&data).unwrap();
        let (switch, mut node) = (disk.arm().unwrap(), host.program.spawn(&["serve"]).unwrap());
        std::thread::sleep(Duration::from_millis(random.below(400)));
        let alive = node.alive().unwrap();
        switch.cut().unwrap();
        let ended = node.kill().unwrap();
        assert!(alive, "{ended}");
        disk.restart().unwrap();
        host.begin().unwrap();
        host.sign_up(&network, &format!("second{n}-p2pds")).unwrap();
        host.kill().unwrap();
        std::fs::remove_dir_all(&data).unwrap();
    }
    println!(
        "{count} power cuts right after the first account was made, and as many in the middle of a first start"
    );
}
