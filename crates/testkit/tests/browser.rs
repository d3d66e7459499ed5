//! The pages in Chromium, on the demo's network: `browser/steps.mjs` says what is done, `browser/drive.mjs` what every
//! page must keep.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use p2pds_testkit::demo::Demo;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{dying_with_parent, node};

/// Where pictures of the pages are written; `cargo xtask screens` copies them to `docs/screens`.
fn screens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screens")
}

#[test]
fn the_pages_can_be_used() {
    let Some(npm) = need::npm() else { return };
    let chromium = ["chromium", "chromium-browser", "google-chrome"];
    let Some(chromium) = chromium.into_iter().find(|name| need::have(name, "--version")) else {
        need::skip("no Chromium is installed", true);
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let demo = Demo::start(scratch.path(), &["--quiet-life"]).unwrap();
    let said = &demo.said;
    println!("the demo answered after {:.1} s", demo.took.as_secs_f64());
    let oracle = std::env::var_os("P2PDS_ORACLE").map(PathBuf::from).unwrap_or_default();
    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let mut driver = dying_with_parent(&node(&oracle))
        .arg(browser.join("drive.mjs"))
        .env("P2PDS_NPM", &npm)
        .env("P2PDS_DEMO", said.to_string())
        .env("P2PDS_SCREENS_DIR", screens())
        .env("P2PDS_PROGRAM", demo.program.path())
        .env("P2PDS_CHROMIUM", chromium)
        .env("HOME", scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut failed = Vec::new();
    let mut steps = 0;
    for line in BufReader::new(driver.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        println!("{line}");
        steps += usize::from(line.starts_with("ok "));
        if line.starts_with("FAILED") || !failed.is_empty() {
            failed.push(line);
        }
    }
    let status = driver.wait().unwrap();
    let log = demo.log();
    assert!(
        status.success() && failed.is_empty() && steps > 0,
        "{}\n(pictures of where it stopped: target/screens/failed-*.webp)\nthe node's log:\n{log}",
        failed.join("\n")
    );
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(demo.stop().unwrap(), 0);
}
