//! `cargo xtask tidy`: formatting, lints, licences, advisories, words that must not stand in the tree.

use std::process::Stdio;

use anyhow::{Result, bail};

use crate::run::{cargo, command, have, root, step};
use crate::{audit, setup};

/// Things that would tie the tree to a machine or leave work behind unsaid.
const FORBIDDEN: [&str; 7] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("/work", "/main"),
    concat!("/ro", "ot/"),
    concat!("index.", "crates.io"),
    concat!("registry.", "npmjs"),
    concat!("proxy.", "golang.org"),
];

/// Runs every check that reads the tree only.
pub fn tidy() -> Result<()> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    words()?;
    step(
        "lints",
        &mut cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    audit::audit()?;
    licences()
}

/// Licences, bans and sources; where continuous integration runs, the tool is installed for it.
fn licences() -> Result<()> {
    if !have("cargo-deny", &["--version"]) {
        if !setup::required() {
            println!("SKIPPED: licences and bans need `cargo install cargo-deny --locked`");
            return Ok(());
        }
        let mut install = cargo(&["install", "cargo-deny", "--locked", "--quiet", "--debug"]);
        step("cargo-deny (install)", install.stdin(Stdio::null()))?;
    }
    let mut check = command("cargo-deny");
    check.args(["--log-level", "error", "check", "bans", "licenses", "sources"]);
    step("licences and bans", &mut check)
}

/// Looks for forbidden words in every file that git knows.
fn words() -> Result<()> {
    let listed = command("git").args(["ls-files", "-z"]).output()?;
    let mut found = Vec::new();
    for name in listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        if name.ends_with(".lock") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = FORBIDDEN.iter().find(|word| line.contains(**word)) {
                found.push(format!("{name}:{}: '{word}'", number.saturating_add(1)));
            }
        }
    }
    if !found.is_empty() {
        bail!("words that must not stand in the tree:\n{}", found.join("\n"));
    }
    println!("words: clean");
    Ok(())
}
