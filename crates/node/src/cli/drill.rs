//! `p2pds drill`: proves that an archive restores.

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
From the archive alone: exports, reads the export back as a stranger would, rebuilds the tree,
compares root, record count and every blob's hash, and writes a report. Exit status 3 if it fails.

Examples:
  p2pds drill alice.example.com
  p2pds drill alice.example.com --json";

/// Arguments of `drill`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Handle or DID of the account.
    #[arg(value_name = "ACCOUNT")]
    account: String,
}

/// Runs `drill`.
///
/// # Errors
/// What the command met; a failed drill is not an error but exit status 3.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Drill { account: args.account }).await?;
    let Answer::Drilled(report) = &answer else { return Err(unexpected()) };
    context.print(&answer, || report.to_string())?;
    Ok(if report.ok { Exit::Ok } else { Exit::Damage })
}
