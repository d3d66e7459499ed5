//! `cargo xtask bench`: the measurements behind `docs/performance.md`.

use anyhow::Result;

use crate::run::{cargo, step};
use crate::setup;

/// Builds and runs the programs of `bench/`, which write their own tables. Arguments choose programs.
pub fn bench(which: &[String]) -> Result<()> {
    let shared = setup::shared()?;
    for program in ["repo", "store", "live", "pds", "pages"] {
        if !which.is_empty() && !which.iter().any(|name| name == program) {
            continue;
        }
        let mut command =
            cargo(&["run", "--release", "--locked", "--manifest-path", "bench/Cargo.toml", "--bin", program]);
        if let Some(shared) = &shared {
            command.env("P2PDS_SHARED", shared);
        }
        if matches!(program, "live" | "pds" | "pages") {
            // The node that it measures is a program of its own.
            let build =
                ["build", "--release", "--locked", "--manifest-path", "bench/Cargo.toml", "--bin", "node"];
            step("bench node (build)", &mut cargo(&build))?;
        }
        if program == "pds" {
            let Some(oracle) = setup::oracle(shared.as_deref())? else { continue };
            command.env("P2PDS_ORACLE", oracle);
        }
        step(&format!("bench {program}"), &mut command)?;
    }
    Ok(())
}
