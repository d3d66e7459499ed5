//! A host that lies: other people's signatures, other people's repos, old and future revisions, cuts, noise without
//! end. Nothing of it is stored, what is stored stays, and the truth is taken as soon as it is offered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;

use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::{bulk_key, car_blocks, post_record};
use p2pds_testkit::program::{Outcome, Program};
use p2pds_testkit::source::{Source, Trick};

struct Scene {
    source: Source,
    alice: MadeUp,
    content: Content,
    stored: State,
    program: Program,
    dir: tempfile::TempDir,
}

impl Scene {
    /// Alice is archived at revision 5.
    fn archived() -> Self {
        let source = Source::start().unwrap();
        let alice = MadeUp::new(1, &source.url);
        let content = Content::posts("alice", 400);
        let stored = alice.sign(5, &content);
        source.serve(&alice, &stored);
        let dir = tempfile::tempdir().unwrap();
        let program = Program::new(&dir.path().join("data")).unwrap().with_env(source.environment());
        program.ok(&["archive", "add", &alice.did]).unwrap();
        Self { source, alice, content, stored, program, dir }
    }

    /// The host announces this state and sends it (whole, whatever is asked).
    fn offer(&self, state: &State) -> Outcome {
        self.source.serve(&self.alice, state);
        self.source.play(&self.alice, Some(Trick::Bytes(state.car.clone())));
        self.program.run(&["archive", "sync", &self.alice.did, "--json"]).unwrap()
    }

    fn holds(&self, state: &State) {
        let car = self.program.ok(&["export", &self.alice.did, "--car", "-"]).unwrap().stdout;
        let (root, blocks) = car_blocks(&car).unwrap();
        assert_eq!(root, state.commit);
        assert!(blocks == state.blocks);
        self.program.ok(&["verify", "--no-repair"]).unwrap();
    }

    /// What was offered was refused, in words, and is not stored; then the truth is taken.
    fn refused(&self, outcome: &Outcome, words: &[&str]) {
        let said = format!("{outcome}").to_ascii_lowercase();
        assert!(!said.contains("panicked") && outcome.signal.is_none(), "{outcome}");
        assert!(words.iter().any(|word| said.contains(word)), "none of {words:?} in: {outcome}");
        self.holds(&self.stored);
        let mut content = self.content.clone();
        content.put(&bulk_key("true", 1), &post_record("the truth"));
        let truth = self.alice.sign(1_000, &content);
        self.source.serve(&self.alice, &truth);
        self.source.play(&self.alice, None);
        self.program.ok(&["archive", "sync", &self.alice.did]).unwrap();
        self.holds(&truth);
    }
}

#[test]
fn a_commit_signed_by_another_key_is_refused() {
    let scene = Scene::archived();
    let mallory = MadeUp::new(666, &scene.source.url);
    let forged = mallory.sign_for(&scene.alice.did, 9, &Content::posts("mallory", 50));
    let outcome = scene.offer(&forged);
    scene.refused(&outcome, &["signature", "signed"]);
}

#[test]
fn the_repo_of_another_account_is_refused() {
    let scene = Scene::archived();
    let bob = MadeUp::new(2, &scene.source.url);
    let outcome = scene.offer(&bob.sign(9, &Content::posts("bob", 50)));
    scene.refused(&outcome, &[&bob.did, "another account", "belongs to"]);
}

#[test]
fn an_older_revision_never_replaces_a_newer_one() {
    let scene = Scene::archived();
    let outcome = scene.offer(&scene.alice.sign(4, &Content::posts("old", 50)));
    let shown = scene.program.json(&["archive", "show", &scene.alice.did]).unwrap();
    assert!(!shown["evidence"].as_array().unwrap().is_empty(), "kept as evidence: {shown}");
    scene.refused(&outcome, &["older"]);
}

#[test]
fn another_commit_of_the_same_revision_is_evidence() {
    let scene = Scene::archived();
    let outcome = scene.offer(&scene.alice.sign(5, &Content::posts("twin", 50)));
    let shown = scene.program.json(&["archive", "show", &scene.alice.did]).unwrap();
    assert!(!shown["evidence"].as_array().unwrap().is_empty(), "kept as evidence: {shown}");
    scene.refused(&outcome, &["equivocation", "same rev", "two"]);
}

#[test]
fn a_revision_from_the_future_is_refused() {
    let scene = Scene::archived();
    let day = 86_400;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let outcome = scene.offer(&scene.alice.sign(now - 1_767_225_600 + day, &scene.content));
    scene.refused(&outcome, &["future"]);
}

#[test]
fn a_damaged_block_is_refused() {
    let scene = Scene::archived();
    let mut content = scene.content.clone();
    content.put(&bulk_key("alice", 9), &post_record("changed"));
    let mut state = scene.alice.sign(6, &content);
    let at = state.car.len() - 40;
    state.car[at] ^= 1;
    let outcome = scene.offer(&state);
    scene.refused(&outcome, &["hash", "cid"]);
}

/// Bytes of all files but the reserve that every data directory has.
fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let kept = entries.filter(|entry| entry.file_name() != "ballast");
    kept.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().map_or(0, |m| m.len()) }).sum()
}

#[test]
fn a_repo_without_end_is_given_up_and_leaves_nothing() {
    let scene = Scene::archived();
    let before = size(scene.program.data());
    let mut content = scene.content.clone();
    content.put(&bulk_key("alice", 9), &post_record("changed"));
    scene.source.serve(&scene.alice, &scene.alice.sign(6, &content));
    scene.source.play(&scene.alice, Some(Trick::Endless));
    let fresh = scene.program.at(&scene.dir.path().join("fresh"));
    let outcome = fresh.run(&["archive", "add", &scene.alice.did]).unwrap();
    assert_ne!(outcome.code, Some(0), "{outcome}");
    assert!(size(fresh.data()) < 8 << 20, "{} bytes are left", size(fresh.data()));
    let outcome = scene.program.run(&["archive", "sync", "--json"]).unwrap();
    assert!(size(scene.program.data()) < before + (8 << 20), "{} bytes are left", size(scene.program.data()));
    scene.refused(&outcome, &["block", "nothing links", "unreferenced", "too many", "longer"]);
}

#[test]
fn a_transfer_cut_anywhere_changes_nothing() {
    let scene = Scene::archived();
    let mut content = scene.content.clone();
    content.put(&bulk_key("alice", 9), &post_record("changed"));
    let state = scene.alice.sign(6, &content);
    scene.source.serve(&scene.alice, &state);
    let fresh = scene.program.at(&scene.dir.path().join("fresh"));
    let parts = 12;
    for part in 0..parts {
        let at = state.car.len() * part / parts;
        scene.source.play(&scene.alice, Some(Trick::CutAt(at)));
        let outcome = fresh.run(&["archive", "add", &scene.alice.did]).unwrap();
        assert_eq!(
            (outcome.code, outcome.stderr.contains("panicked")),
            (Some(1), false),
            "cut at {at}: {outcome}"
        );
    }
    scene.source.play(&scene.alice, None);
    fresh.ok(&["archive", "add", &scene.alice.did]).unwrap();
    let car = fresh.ok(&["export", &scene.alice.did, "--car", "-"]).unwrap().stdout;
    assert_eq!(car_blocks(&car).unwrap().0, state.commit);
    scene.holds(&scene.stored);
}
