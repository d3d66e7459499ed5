//! Project tasks, called as `cargo xtask TASK`.
//!
//! *Owns*: how the project is checked, tested, measured and proved over night.
//! *Speaks*: cargo, npm and the system's package manager, as child processes.
//! *Knows nothing about*: what the crates do.
//! *Start reading at*: [`main`], then `test.rs`.

mod audit;
mod bench;
mod fuzz;
mod nightly;
mod programs;
mod run;
mod screens;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask TASK

  test      everything that must pass before a change lands: tidy, set-up, all tests, a short fuzz run
  tidy      formatting, lints, licences and bans, known vulnerabilities, words that must not stand in the tree
  nightly   the long proofs: kills, power cuts, random sequences, fuzzing; prints and writes their figures
  bench     the measurements behind docs/performance.md (release build, quiet machine, about ten minutes)
  screens   drives the browser through the pages, and copies its pictures of them to docs/screens
  setup     only install what the tests need (reference stack under target/oracle)

Settings (environment):
  P2PDS_SHARED           directory with test vectors, lexicons, the reference stack's recipe and advisories;
                         without it the tests that need it say SKIPPED
  P2PDS_REQUIRE_SHARED   1: such a skip is a failure (continuous integration sets it)
  P2PDS_FUZZ_SECONDS     seconds for each fuzz target (test: 10, nightly: 3600)
  P2PDS_NIGHTLY_SHARE    1..100: percent of the nightly counts and times to run (default 100)
";

fn main() -> ExitCode {
    match run_task() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_task() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let task = args.next();
    let rest: Vec<String> = args.collect();
    match task.as_deref() {
        Some("test") => test::test(&rest),
        Some("tidy") => tidy::tidy(),
        Some("nightly") => nightly::nightly(&rest),
        Some("bench") => bench::bench(&rest),
        Some("screens") => screens::screens(),
        Some("setup") => setup::Tools::prepare().map(|_| ()),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("no task is called '{other}'; `cargo xtask` lists them"),
    }
}
