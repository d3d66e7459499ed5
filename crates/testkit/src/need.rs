//! What a test needs from outside, and how it says that it was left out.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Prints the one line by which the test runner counts a skipped test.
///
/// # Panics
/// When `P2PDS_REQUIRE_SHARED=1` and the missing thing is shared material: continuous integration
/// must not pass by skipping.
#[expect(clippy::print_stdout, clippy::panic, reason = "the runner reads it; a required test must fail")]
pub fn skip(why: &str, shared: bool) {
    if shared && std::env::var("P2PDS_REQUIRE_SHARED").is_ok_and(|value| value == "1") {
        panic!("P2PDS_REQUIRE_SHARED=1, but {why}");
    }
    println!("SKIPPED: {why}");
}

/// A directory of the shared material, `vectors/cars` say; `None` (said on standard output) without it.
///
/// # Panics
/// See [`skip`].
#[must_use]
pub fn shared(sub: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("P2PDS_SHARED") else {
        skip(&format!("set P2PDS_SHARED to the directory that holds {sub}"), true);
        return None;
    };
    let path = PathBuf::from(root).join(sub);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{} does not exist", path.display()), true);
    None
}

/// Where the reference stack is installed (`P2PDS_ORACLE`).
///
/// # Panics
/// See [`skip`].
#[must_use]
pub fn oracle() -> Option<PathBuf> {
    let dir = std::env::var_os("P2PDS_ORACLE").map(PathBuf::from);
    if let Some(dir) = dir.filter(|dir| dir.join("node_modules/@atproto/pds").is_dir()) {
        return Some(dir);
    }
    skip("set P2PDS_ORACLE to the directory where oracle/setup.sh installed the reference stack", true);
    None
}

/// Where the packages of `crates/testkit/npm` are installed (`P2PDS_NPM`, or `target/npm`); a program is run there with
/// [`crate::oracle::node`].
///
/// # Panics
/// See [`skip`].
#[must_use]
pub fn npm() -> Option<PathBuf> {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/npm");
    let dir = std::env::var_os("P2PDS_NPM").map_or_else(|| PathBuf::from(here), PathBuf::from);
    if dir.join("node_modules/axe-core").is_dir() {
        return dir.canonicalize().ok();
    }
    skip("run `cargo xtask setup`, which installs crates/testkit/npm into target/npm", true);
    None
}

/// The name of the Chromium that is installed.
///
/// # Panics
/// See [`skip`].
#[must_use]
pub fn chromium() -> Option<&'static str> {
    let found =
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| have(name, "--version"));
    if found.is_none() {
        skip("no Chromium is installed", true);
    }
    found
}

/// Whether a program answers to a flag such as `-V`.
#[must_use]
pub fn have(program: &str, flag: &str) -> bool {
    Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether this process may mount file systems.
#[must_use]
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A count from the environment: `P2PDS_KILLS` say, with the value of continuous integration as default.
#[must_use]
pub fn count(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Whether this is the nightly run (`P2PDS_NIGHTLY=1`).
#[must_use]
pub fn nightly() -> bool {
    std::env::var("P2PDS_NIGHTLY").is_ok_and(|value| value == "1")
}
