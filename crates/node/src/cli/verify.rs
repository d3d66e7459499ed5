//! `p2pds verify`: checks archives from their stored bytes.

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
Checks: commit-root, tree, records, blobs, plc-log.
Damage is repaired from the account's host where that still has the data, and said so.
Exit status 3 if damage was found, repaired or not.

Examples:
  p2pds verify                                  all accounts
  p2pds verify alice.example.com --read-data    hash every blob again too
  p2pds verify alice.example.com --no-repair --json";

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Handle or DID of the account; all accounts without.
    #[arg(value_name = "ACCOUNT")]
    account: Option<String>,
    /// Read and hash the bytes of every blob, not only look whether its file is complete.
    #[arg(long)]
    read_data: bool,
    /// Only report damage; change nothing.
    #[arg(long)]
    no_repair: bool,
}

/// Runs `verify`.
///
/// # Errors
/// What the command met; damage is not an error but exit status 3.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let command =
        Command::Verify { account: args.account, read_data: args.read_data, repair: !args.no_repair };
    let answer = context.run(Need::Existing, command).await?;
    let Answer::Verified(reports) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        if reports.is_empty() {
            return "No accounts are archived yet. Begin with `p2pds archive add HANDLE-OR-DID`.".to_owned();
        }
        reports.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
    })?;
    Ok(if reports.iter().any(|report| report.found_damage) { Exit::Damage } else { Exit::Ok })
}
