//! Known vulnerabilities in `Cargo.lock`, from the advisory database in the shared directory.

use std::process::Stdio;

use anyhow::Result;

use crate::run::{cargo, have, step};
use crate::setup;

/// Runs `cargo audit` without any network; says so when the database or the tool is missing.
pub fn audit() -> Result<()> {
    let Some(shared) = setup::shared()? else { return Ok(()) };
    let db = shared.join("advisory-db");
    if !have("cargo-audit", &["--version"]) {
        if !setup::required() {
            println!("SKIPPED: known vulnerabilities need `cargo install cargo-audit --locked`");
            return Ok(());
        }
        let mut install =
            cargo(&["install", "cargo-audit", "--locked", "--quiet", "--no-default-features", "--debug"]);
        step("cargo-audit (install)", install.stdin(Stdio::null()))?;
    }
    step("advisories", cargo(&["audit", "--no-fetch", "--stale", "--quiet", "--db"]).arg(db))
}
