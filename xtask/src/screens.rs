//! `cargo xtask screens`: pictures of the pages, taken by the browser tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::run::{cargo, root, step};
use crate::setup::Tools;

/// Runs the browser's steps and makes `docs/screens` what they saw.
pub fn screens() -> Result<()> {
    let tools = Tools::prepare()?;
    step("build", &mut cargo(&["build", "--locked", "-p", "p2pds"]))?;
    let test = ["test", "--locked", "-p", "p2pds-testkit", "--test", "browser", "--", "--nocapture"];
    let mut steps = cargo(&test);
    tools.apply(&mut steps);
    step("the pages in a browser", &mut steps)?;
    copy(&root().join("target/screens"), &root().join("docs/screens"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let taken = fs::read_dir(from).with_context(|| format!("{}: no pictures were taken", from.display()))?;
    fs::create_dir_all(to)?;
    // A page that is gone has no picture.
    for old in fs::read_dir(to)? {
        fs::remove_file(old?.path())?;
    }
    let mut count = 0_u32;
    for one in taken {
        let one = one?;
        let name = one.file_name().to_string_lossy().into_owned();
        // Those in the dark and of a phone stay where they are: three of each page weigh too much for a repository.
        if let Some(page) = name.strip_suffix("-light.webp") {
            fs::copy(one.path(), to.join(format!("{page}.webp")))?;
            count = count.saturating_add(1);
        }
    }
    ensure!(count > 0, "{} holds no pictures", from.display());
    println!("{count} pictures in {}", to.display());
    Ok(())
}
