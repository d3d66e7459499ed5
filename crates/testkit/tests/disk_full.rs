//! The disk fills up at every step: a clear error, reads and deletes work, and with space again everything goes on by
//! itself. `P2PDS_DISK_STEPS` is how many sizes are tried for each operation (5).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use p2pds_testkit::disk::{SmallDisk, copy_tree};
use p2pds_testkit::exported::Exported;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::{POST, bulk_key, car_blocks, post_record};
use p2pds_testkit::program::{Outcome, Program};
use p2pds_testkit::source::Source;

/// Enough for everything, in KiB.
const ROOM: u64 = 256 << 10;

/// Three accounts: one that is there already and must stay readable, one to be deleted, one that needs the space.
struct Scene {
    source: Source,
    kept: (MadeUp, State),
    spare: (MadeUp, State),
    large: (MadeUp, State, State),
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let source = Source::start().unwrap();
        let account = |seed: u64, posts: usize, images: u64| {
            let account = MadeUp::new(seed, &source.url);
            let mut content = Content::posts("full", posts);
            for n in 0..images {
                content.put_image(&bulk_key("images", n as usize), n, 150_000);
            }
            let state = account.sign(0, &content);
            source.serve(&account, &state);
            (account, state, content)
        };
        let (kept, kept_state, _) = account(1, 200, 2);
        let (spare, spare_state, _) = account(2, 200, 2);
        let (large, large_state, mut content) = account(3, 6_000, 12);
        for n in 0..3_000 {
            content.put(&bulk_key("more", n), &post_record(&format!("a longer text for post number {n}")));
        }
        let newer = large.sign(1, &content);
        let dir = tempfile::tempdir().unwrap();
        let scene = Self {
            source,
            kept: (kept, kept_state),
            spare: (spare, spare_state),
            large: (large, large_state, newer),
            dir,
        };
        std::fs::write(scene.path("large.car"), &scene.large.1.car).unwrap();
        std::fs::write(scene.path("newer.car"), &scene.large.2.car).unwrap();
        std::fs::write(scene.path("plc.json"), &scene.large.0.plc_log).unwrap();
        let small = scene.program(&scene.path("small"));
        small.ok(&["archive", "add", &scene.kept.0.did]).unwrap();
        small.ok(&["archive", "add", &scene.spare.0.did]).unwrap();
        copy_tree(&scene.path("small"), &scene.path("all")).unwrap();
        scene.program(&scene.path("all")).ok(&["archive", "add", &scene.large.0.did]).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn program(&self, data: &Path) -> Program {
        Program::new(data).unwrap().with_env(self.source.environment())
    }
}

fn equal(program: &Program, did: &str, state: &State) {
    let car = program.ok(&["export", did, "--car", "-"]).unwrap().stdout;
    let (root, blocks) = car_blocks(&car).unwrap();
    assert_eq!((root, blocks.len()), (state.commit.clone(), state.blocks.len()));
    assert!(blocks == state.blocks, "other bytes");
}

/// A full disk is said in words that a person understands.
fn clear(outcome: &Outcome) {
    assert!(!outcome.stderr.contains("panicked") && outcome.signal.is_none(), "{outcome}");
    if outcome.code == Some(0) {
        return;
    }
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let said = outcome.stderr.to_ascii_lowercase();
    assert!(
        ["space", "full", "disk", "room"].iter().any(|word| said.contains(word)),
        "the message names no cause: {outcome}"
    );
}

/// Runs one operation on disks of rising size, from where it has no room at all to where it has enough.
fn sweep(scene: &Scene, name: &str, before: &str, args: &[&str], done: &dyn Fn(&Program)) -> Option<()> {
    let steps = need::count("P2PDS_DISK_STEPS", 5);
    let disk = SmallDisk::new(ROOM).unwrap()?;
    copy_tree(&scene.path(before), disk.path()).unwrap();
    let least = disk.used().unwrap();
    scene.program(disk.path()).ok(args).unwrap();
    let most = disk.used().unwrap() + 1_024;
    drop(disk);
    let mut refused = 0;
    for step in 0..steps {
        let disk = SmallDisk::new(ROOM).unwrap()?;
        copy_tree(&scene.path(before), disk.path()).unwrap();
        let size = least + 64 + (most.saturating_sub(least)) * step / steps;
        disk.resize(size).unwrap();
        let program = scene.program(disk.path());
        let outcome = program.run(args).unwrap();
        clear(&outcome);
        refused += u64::from(outcome.code != Some(0));

        // Whatever happened, what is there can be read, and something can be deleted.
        equal(&program, &scene.kept.0.did, &scene.kept.1);
        let key = bulk_key("full", 7);
        program.ok(&["show", &format!("at://{}/{POST}/{key}", scene.kept.0.did)]).unwrap();
        program.ok(&["archive", "list"]).unwrap();
        program.ok(&["archive", "remove", &scene.spare.0.did, "--yes"]).unwrap();

        // With space again it goes on without help.
        disk.resize(ROOM).unwrap();
        program.ok(args).unwrap();
        done(&program);
        program.ok(&["verify", "--read-data", "--no-repair"]).unwrap();
    }
    println!("{name}: {steps} sizes from {least} to {most} KiB, refused at {refused}");
    assert!(refused > 0, "the disk was never full");
    Some(())
}

#[test]
fn adding_an_account_fills_the_disk() {
    let scene = Scene::new();
    let did = scene.large.0.did.as_str();
    sweep(&scene, "add", "small", &["archive", "add", did], &|p| equal(p, did, &scene.large.1));
}

#[test]
fn importing_and_refreshing_fill_the_disk() {
    let scene = Scene::new();
    let did = scene.large.0.did.as_str();
    let (large, newer, log) = (scene.text("large.car"), scene.text("newer.car"), scene.text("plc.json"));
    let import = ["import", &large, "--plc-log", &log];
    let Some(()) = sweep(&scene, "import", "small", &import, &|p| equal(p, did, &scene.large.1)) else {
        return;
    };
    let refresh = ["import", &newer, "--plc-log", &log];
    sweep(&scene, "refresh by file", "all", &refresh, &|p| equal(p, did, &scene.large.2));
    scene.source.serve(&scene.large.0, &scene.large.2);
    sweep(&scene, "sync", "all", &["archive", "sync", did], &|p| equal(p, did, &scene.large.2));
}

#[test]
fn an_export_onto_a_full_disk_is_not_taken_for_finished() {
    let scene = Scene::new();
    let Some(disk) = SmallDisk::new(ROOM).unwrap() else { return };
    let program = scene.program(&scene.path("all"));
    let out = disk.path().join("out");
    let did = scene.large.0.did.as_str();
    let args = ["export", did, "--out", out.to_str().unwrap()];
    for kib in [64, 512, 2_048, 3_500] {
        disk.resize(kib).unwrap();
        let outcome = program.run(&args).unwrap();
        assert_ne!(outcome.code, Some(0), "{kib} KiB cannot hold it");
        clear(&outcome);
        assert!(!out.join("manifest.json").exists(), "an export without its last file is not finished");
    }
    disk.resize(ROOM).unwrap();
    program.ok(&args).unwrap();
    Exported::read(&out).unwrap().compare(&scene.large.1.truth()).unwrap();
}

#[test]
fn a_first_start_without_room_says_so_and_gets_through_later() {
    let scene = Scene::new();
    let did = scene.kept.0.did.as_str();
    for kib in [16, 64, 128, 256, 1_024, 4_096] {
        let Some(disk) = SmallDisk::new(kib).unwrap() else { return };
        let program = scene.program(disk.path());
        clear(&program.run(&["archive", "add", did]).unwrap());
        disk.resize(ROOM).unwrap();
        program.ok(&["archive", "add", did]).unwrap();
        equal(&program, did, &scene.kept.1);
        program.ok(&["verify", "--read-data"]).unwrap();
    }
}
