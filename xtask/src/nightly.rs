//! `cargo xtask nightly`: the long proofs, with their figures.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::run::{Count, cargo, counted, root};
use crate::setup::Tools;
use crate::{fuzz, test};

/// One proof: a test of the ordinary suite, run with its nightly count.
struct Proof {
    name: &'static str,
    test: &'static str,
    /// Setting and full count; the share scales it.
    counts: &'static [(&'static str, u64)],
}

const PROOFS: [Proof; 22] = [
    Proof {
        name: "random operation sequences against the reference packages",
        test: "mst_reference",
        counts: &[("P2PDS_MST_SEQUENCES", 100_000)],
    },
    Proof {
        name: "kills of the archive while it follows the reference PDS",
        test: "archive_kills",
        counts: &[("P2PDS_KILLS", 200), ("P2PDS_ADD_KILLS", 60)],
    },
    Proof {
        name: "random histories: each state that is kept is the one that was signed",
        test: "histories",
        counts: &[("P2PDS_HISTORIES", 2_000)],
    },
    Proof {
        name: "kills of a node that follows the reference PDS live",
        test: "live_kills",
        counts: &[("P2PDS_LIVE_KILLS", 1_000)],
    },
    Proof {
        name: "consumers of the firehose that do not read",
        test: "host_firehose",
        counts: &[("P2PDS_STALLED", 1_000), ("P2PDS_OLD_CURSORS", 200), ("P2PDS_STALLED_EVENTS", 5_000)],
    },
    Proof { name: "a host under SIGKILL", test: "host_kills", counts: &[("P2PDS_HOST_KILLS", 10_000)] },
    Proof { name: "idle hosted accounts", test: "host_many", counts: &[("P2PDS_HOST_ACCOUNTS", 10_000)] },
    Proof {
        name: "writes beside an import",
        test: "host_import_beside",
        counts: &[("P2PDS_HOST_IMPORT", 2_000_000)],
    },
    Proof { name: "half-open connections", test: "serving", counts: &[("P2PDS_HALF_OPEN", 5_000)] },
    Proof { name: "deep check under SIGKILL", test: "upkeep", counts: &[("P2PDS_SCRUB_KILLS", 20)] },
    Proof {
        name: "kills of the store while it gives event numbers",
        test: "events",
        counts: &[("P2PDS_EVENT_KILLS", 500)],
    },
    Proof {
        name: "kills of a promotion beside the reference PLC directory",
        test: "host_promote",
        counts: &[("P2PDS_PROMOTE_KILLS", 200)],
    },
    Proof {
        name: "wrong passwords take as long whoever is meant",
        test: "sign_in_timing",
        counts: &[("P2PDS_TIMING", 5_000)],
    },
    Proof { name: "the same over HTTP", test: "host_factors", counts: &[("P2PDS_TIMING_HTTP", 300)] },
    Proof { name: "power cuts", test: "powercut", counts: &[("P2PDS_POWERCUTS", 200)] },
    Proof { name: "power cuts of a host", test: "host_powercut", counts: &[("P2PDS_HOST_POWERCUTS", 200)] },
    Proof {
        name: "a kill at every Nth system call of ten operations",
        test: "syscall_kills",
        counts: &[("P2PDS_SYSCALL_KILLS", 4_000)],
    },
    Proof { name: "full disk at each step", test: "disk_full", counts: &[("P2PDS_DISK_STEPS", 200)] },
    Proof {
        name: "full disk under a host",
        test: "host_disk_full",
        counts: &[("P2PDS_HOST_DISK_STEPS", 200)],
    },
    Proof {
        name: "each page of a database damaged in turn",
        test: "damaged_pages",
        counts: &[("P2PDS_DAMAGED_PAGES", 2_000), ("P2PDS_REBUILT_PAGES", 100)],
    },
    Proof {
        name: "one byte flipped in each of many stored blocks and blobs",
        test: "flipped_bytes",
        counts: &[("P2PDS_FLIPPED_BYTES", 10_000)],
    },
    Proof {
        name: "old commits in any order",
        test: "old_commits",
        counts: &[("P2PDS_OLD_COMMITS", 100_000), ("P2PDS_OLD_OFFERS", 200)],
    },
];

/// Runs all proofs or the named tests, then fuzzing; writes `target/nightly.md`.
pub fn nightly(only: &[String]) -> Result<()> {
    let tools = Tools::prepare()?;
    let share = std::env::var("P2PDS_NIGHTLY_SHARE").ok().and_then(|text| text.parse::<u64>().ok());
    let share = share.unwrap_or(100).clamp(1, 100);
    test::build()?;
    let mut report = format!(
        "# Nightly run\n\nShare of the full counts: {share} %\n\n| proof | settings | result | seconds |\n|---|---|---|---|\n"
    );
    let mut failed = Vec::new();
    let mut total = Count::default();
    for proof in PROOFS.iter().filter(|proof| only.is_empty() || only.iter().any(|name| name == proof.test)) {
        let mut command =
            cargo(&["test", "--locked", "--workspace", "--test", proof.test, "--", "--nocapture"]);
        tools.apply(&mut command);
        let mut settings = String::new();
        for (name, full) in proof.counts {
            let count = full.saturating_mul(share).div_ceil(100);
            command.env(name, count.to_string());
            let _ = write!(settings, "{name}={count} ");
        }
        command.env("P2PDS_NIGHTLY", "1");
        let started = Instant::now();
        let mut count = Count::default();
        let good = counted(proof.name, &mut command, &mut count)? && count.failed == 0;
        let result = if good { "passed" } else { "FAILED" };
        let skipped = if count.skipped > 0 { format!(", {} skipped", count.skipped) } else { String::new() };
        writeln!(
            report,
            "| {} | {settings}| {result}{skipped} | {:.0} |",
            proof.name,
            started.elapsed().as_secs_f64()
        )?;
        if !good {
            failed.push(proof.test.to_owned());
        }
        total.add(count);
    }
    if only.is_empty() || only.iter().any(|name| name == "fuzz") {
        let seconds = fuzz::seconds(3600_u64.saturating_mul(share).div_ceil(100));
        let started = Instant::now();
        let outcome = fuzz::run(seconds, &mut total);
        let result = if outcome.is_ok() { "passed" } else { "FAILED" };
        writeln!(
            report,
            "| fuzzing | {seconds} s each | {result} | {:.0} |",
            started.elapsed().as_secs_f64()
        )?;
        if let Err(error) = outcome {
            failed.push(error.to_string());
        }
    }
    std::fs::write(root().join("target/nightly.md"), &report)?;
    println!("\n{report}\n{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}
