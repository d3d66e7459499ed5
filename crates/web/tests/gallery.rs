//! Every page in every state, in Chromium: axe finds nothing, in light and dark, on a desk and on a phone; nothing
//! scrolls sideways; the keyboard reaches everything. And the same, more briefly, where lines begin on the right.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use p2pds_testkit::need;
use p2pds_testkit::oracle::{dying_with_parent, node};
use p2pds_web::{Locale, gallery};

/// One browser at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Has all pages in a language looked at; `pictures` is a directory under `target`.
fn look_at(locale: Locale, pictures: &str, how: &str) {
    let Some(npm) = need::npm() else { return };
    if !need::have("chromium", "--version") {
        need::skip("no Chromium is installed", true);
        return;
    }
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("gallery");
    for (name, content) in gallery(locale) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/browser/gallery.mjs");
    let oracle = std::env::var_os("P2PDS_ORACLE").map(PathBuf::from).unwrap_or_default();
    let ended = dying_with_parent(&node(&oracle))
        .arg(testkit)
        .env("P2PDS_NPM", &npm)
        .env("P2PDS_GALLERY", &dir)
        .env("P2PDS_GALLERY_LOOK", how)
        .env("P2PDS_SCREENS_DIR", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(pictures))
        .env("HOME", scratch.path())
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    let looked = said.lines().filter(|line| line.starts_with("ok ")).count();
    println!("{looked} pages were looked at");
    assert!(ended.status.success() && looked > 20, "{said}\n{errors}\n(pictures: target/{pictures})");
}

#[test]
fn every_state_of_every_page_can_be_used() {
    look_at(Locale::En, "gallery", "closely");
}

#[test]
fn every_page_can_be_read_from_right_to_left() {
    look_at(Locale::Mirrored, "gallery-mirrored", "sides");
}
