//! `p2pds history` and `p2pds diff`: what the archive remembers.

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;

const HISTORY_EXAMPLES: &str = "\
Newest first: revision, when it was made (by its own word), when this archive saw it, records
created (+), changed (~) and deleted (-), and whether its state can still be rebuilt: current,
whole, left (an older head was accepted since), pruned. Where revisions may be missing, a line
says so. --prove rebuilds the tree from the records alone and checks root, signature and every
record; exit status 3 if a proof fails.

Examples:
  p2pds history alice.example.com
  p2pds history alice.example.com --prove 3l6ovsmcvkk2y
  p2pds history alice.example.com --prove all --json";

const DIFF_EXAMPLES: &str = "\
A point is a revision, a time, a date (the end of that day, UTC) or `now`.

Examples:
  p2pds diff alice.example.com --from 2026-11-01
  p2pds diff alice.example.com --from 3l6ovsmcvkk2y --to 2026-11-20T18:30:00Z --json";

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
#[command(after_help = HISTORY_EXAMPLES)]
pub struct HistoryArgs {
    /// Handle or DID of the account.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Prove this revision, or `all` that can be rebuilt.
    #[arg(long, value_name = "REV|all")]
    prove: Option<String>,
    /// Only revisions older than this one: the next page.
    #[arg(long, value_name = "REV")]
    before: Option<String>,
    /// Most revisions to list.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub struct DiffArgs {
    /// Handle or DID of the account.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The earlier point.
    #[arg(long, value_name = "REV|DATE")]
    from: String,
    /// The later point.
    #[arg(long, value_name = "REV|DATE", default_value = "now")]
    to: String,
}

/// Runs `history`.
///
/// # Errors
/// What the command met; a failed proof is not an error but exit status 3.
pub async fn history(context: &Context, args: HistoryArgs) -> Result<Exit, Stopped> {
    let HistoryArgs { account, prove, before, limit } = args;
    let answer = context.run(Need::Existing, Command::History { account, before, limit, prove }).await?;
    let Answer::History(report) = &answer else { return Err(unexpected()) };
    context.print(&answer, || report.to_string())?;
    Ok(if report.failed > 0 { Exit::Damage } else { Exit::Ok })
}

/// Runs `diff`.
///
/// # Errors
/// A point that was never seen, or is not kept any more.
pub async fn diff(context: &Context, args: DiffArgs) -> Result<Exit, Stopped> {
    let DiffArgs { account, from, to } = args;
    let answer = context.run(Need::Existing, Command::Diff { account, from, to }).await?;
    let Answer::Diff(report) = &answer else { return Err(unexpected()) };
    context.print(&answer, || report.to_string())?;
    Ok(Exit::Ok)
}
