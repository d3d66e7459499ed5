//! `cargo xtask test`: what must pass before a change lands.

use anyhow::{Result, bail};

use crate::run::{Count, cargo, counted, step};
use crate::setup::Tools;
use crate::{fuzz, programs, tidy};

/// Builds the program and all tests. The selection is that of the lints, so that dependencies (and the C code in some)
/// are built once for both.
pub fn build() -> Result<()> {
    step("build", &mut cargo(&["test", "--locked", "--workspace", "--no-run", "--quiet"]))
}

/// Runs everything; extra arguments go to `cargo test` (and then only that runs).
pub fn test(extra: &[String]) -> Result<()> {
    let tools = Tools::prepare()?;
    if extra.is_empty() {
        tidy::tidy()?;
    }
    build()?;
    let mut count = Count::default();
    if extra.is_empty() {
        let mut failed = programs::run(&tools, &mut count)?;
        let mut examples = cargo(&["test", "--locked", "--workspace", "--doc", "--quiet"]);
        if !counted("examples in the documentation", &mut examples, &mut count)? {
            failed.push("examples in the documentation".to_owned());
        }
        fuzz::smoke(&mut count)?;
        println!("\n{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
        if !failed.is_empty() || count.failed > 0 {
            bail!("tests failed: {}", failed.join(", "));
        }
        return Ok(());
    }
    let mut command = cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    command.args(extra);
    if !extra.iter().any(|arg| arg == "--") {
        command.arg("--");
    }
    command.arg("--nocapture");
    tools.apply(&mut command);
    let good = counted("tests", &mut command, &mut count)?;
    println!("\n{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    if !good || count.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}
