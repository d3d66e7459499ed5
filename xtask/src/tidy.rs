//! `cargo xtask tidy`: formatting, lints, licences, advisories, words that must not stand in the tree.

use anyhow::{Result, bail};

use crate::audit;
use crate::run::{cargo, command, have, root, step};

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
    if have("cargo-deny", &["--version"]) {
        step(
            "licences and bans",
            command("cargo-deny").args(["--offline", "check", "bans", "licenses", "sources"]),
        )
    } else {
        println!(
            "cargo-deny is not installed: licences and bans are checked where it is (`cargo install cargo-deny --locked`)"
        );
        Ok(())
    }
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
