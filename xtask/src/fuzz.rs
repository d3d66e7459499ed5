//! Coverage-guided fuzzing of every parser, through `cargo fuzz`.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::run::{Count, begin, cargo, command, end, have, root, step};

/// Every target, or nothing with the reason when the tool chain for it is missing.
fn targets() -> Result<Option<Vec<String>>> {
    if !have("cargo", &["+nightly", "--version"]) {
        println!("SKIPPED: fuzzing needs the nightly tool chain (`rustup toolchain install nightly`)");
        return Ok(None);
    }
    if !have("cargo", &["fuzz", "--version"]) {
        step("cargo-fuzz", cargo(&["install", "cargo-fuzz", "--locked", "--quiet"]).stdin(Stdio::null()))?;
    }
    let mut names = Vec::new();
    let dir = root().join("fuzz/fuzz_targets");
    for entry in std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(Some(names))
}

/// Runs each target for some seconds, one after the other, and counts them as tests.
pub fn run(seconds: u64, count: &mut Count) -> Result<()> {
    let Some(names) = targets()? else {
        count.skipped = count.skipped.saturating_add(1);
        return Ok(());
    };
    step(
        "fuzz targets (build)",
        command("cargo").args(["+nightly", "fuzz", "build"]).env_remove("RUSTFLAGS"),
    )?;
    let built = root().join("fuzz/target").join(host()?).join("release");
    let mut broken = Vec::new();
    for name in names {
        let started = begin(&format!("fuzz {name}, {seconds} s"));
        let corpus = root().join("fuzz/corpus").join(&name);
        std::fs::create_dir_all(&corpus)?;
        seed(&name, &corpus)?;
        let artifacts = root().join("fuzz/artifacts").join(&name);
        std::fs::create_dir_all(&artifacts)?;
        let status = command(built.join(&name))
            .arg(&corpus)
            .args(["-verbosity=0", "-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=10"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(format!("-max_total_time={seconds}"))
            .status()
            .with_context(|| format!("starting the fuzz target {name}"))?;
        end(&name, started);
        if status.success() {
            count.passed = count.passed.saturating_add(1);
        } else {
            count.failed = count.failed.saturating_add(1);
            broken.push(name);
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        bail!("fuzzing found something in {}; the inputs are under fuzz/artifacts", broken.join(", "))
    }
}

/// Targets start from the files in `fuzz/seeds`; those that read whole files from the published ones too, where there
/// are any.
fn seed(name: &str, corpus: &Path) -> Result<()> {
    if let Ok(own) = std::fs::read_dir(root().join("fuzz/seeds").join(name)) {
        for entry in own {
            let entry = entry?;
            std::fs::copy(entry.path(), corpus.join(entry.file_name()))?;
        }
    }
    let published = match name {
        "plc_log" => "vectors/plc/valid",
        name if name.contains("car") => "vectors/cars",
        _ => return Ok(()),
    };
    let Some(shared) = std::env::var_os("P2PDS_SHARED") else { return Ok(()) };
    for entry in std::fs::read_dir(root().join(shared).join(published))? {
        let entry = entry?;
        if entry.metadata()?.len() < 300_000 {
            std::fs::copy(entry.path(), corpus.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The target triple that `cargo fuzz` builds for.
fn host() -> Result<String> {
    let told = command("rustc").args(["+nightly", "-vV"]).output()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// The short run of `cargo xtask test`.
pub fn smoke(count: &mut Count) -> Result<()> {
    run(seconds(10), count)
}

/// The setting, or the tier's own value.
pub fn seconds(default: u64) -> u64 {
    std::env::var("P2PDS_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
