//! `p2pds capacity`: what is stored, how it grows, when the disk is full.

use crate::capacity::Report;
use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::Command;
use crate::operator::answer::Answer;
use crate::words;

const EXAMPLES: &str = "\
A running node measures once a day; the forecast is good after two weeks of that.

Examples:
  p2pds capacity
  p2pds capacity --json | jq .forecast.full_at";

/// Arguments of `capacity`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Runs `capacity`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, _args: Args) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Capacity).await?;
    let Answer::Capacity(report) = &answer else { return Err(unexpected()) };
    context.print(&answer, || describe(report))?;
    Ok(Exit::Ok)
}

fn describe(report: &Report) -> String {
    let stored = report.db_bytes.saturating_add(report.blob_bytes);
    let mut lines = vec![
        format!(
            "Stored    {} ({} database, {} blobs)",
            words::size(stored),
            words::size(report.db_bytes),
            words::size(report.blob_bytes)
        ),
        format!(
            "Disk      {} free of {}, {} of it stay free (archive.keep_free)",
            words::size(report.disk_free),
            words::size(report.disk_total),
            words::size(report.keep_free)
        ),
    ];
    if let Some(limit) = report.quota_total {
        let used = report.record_bytes.saturating_add(report.blob_bytes);
        lines.push(format!("Quota     {} of {} for all accounts", words::size(used), words::size(limit)));
    }
    if report.accounts_full > 0 {
        let who = words::plural(report.accounts_full, "account has", "accounts have");
        lines.push(format!("Full      {who} reached a limit; `p2pds archive list` shows which"));
    }
    lines.push(format!("Forecast  {}", report.forecast.words));
    if !report.growers.is_empty() {
        let rows: Vec<Vec<String>> = report
            .growers
            .iter()
            .map(|grower| {
                vec![
                    grower.handle.clone().unwrap_or_else(|| grower.did.clone()),
                    words::size(grower.bytes),
                    format!("+{}", words::size(grower.grown)),
                    if grower.new { "added " } else { "measured " }.to_owned() + &words::ago(grower.since),
                ]
            })
            .collect();
        lines.push(String::new());
        lines.push(output::table(&["GREW MOST", "SIZE", "GROWN", "SINCE"], &rows));
    }
    lines.join("\n")
}
