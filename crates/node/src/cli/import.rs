//! `p2pds import`: archives from a file, offline.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
Nothing is fetched. Without the identity's log the signing key is known by nobody: the account is
kept and shown as unverified. A file that is older than what is stored never replaces it.

Examples:
  p2pds import alice.car --plc-log plc.json
  p2pds import alice-backup/repo.car --plc-log alice-backup/plc.json";

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The repo as a CAR file.
    #[arg(value_name = "FILE.car")]
    car: PathBuf,
    /// The identity's audit log, as exports hold it (`plc.json`) and
    /// https://plc.directory/DID/log/audit gives it.
    #[arg(long, value_name = "FILE")]
    plc_log: Option<PathBuf>,
}

/// Runs `import`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let absolute = |path: &PathBuf| -> anyhow::Result<PathBuf> {
        let path = std::path::absolute(path)?;
        std::fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(path)
    };
    let car = absolute(&args.car)?;
    let plc_log = args.plc_log.as_ref().map(absolute).transpose()?;
    let answer = context.run(Need::Create, Command::Import { car, plc_log }).await?;
    let Answer::Imported(report) = &answer else { return Err(unexpected()) };
    context.print(&answer, || report.to_string())?;
    Ok(Exit::Ok)
}
