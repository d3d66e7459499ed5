//! `p2pds export`: an account in a form that restores elsewhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
The directory gets repo.car (byte-identical on every run), blobs/, plc.json, the records as JSON,
a manifest with hashes, and RESTORE.txt, which says step by step how to restore the account.
With --html it is an offline archive as well: index.html opens from disk in any browser, with the
posts, their pictures and videos, every other record and a search, and asks nobody for anything.

Examples:
  p2pds export alice.example.com --out alice-backup
  p2pds export alice.example.com --out alice-archive --html
  p2pds export alice.example.com --car alice.car
  p2pds export alice.example.com --car - | ssh safe 'cat > alice.car'";

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("where").required(true).args(["out", "car"])))]
pub struct Args {
    /// Handle or DID of the account.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Directory to write everything into; made if it is missing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write pages too: open DIR/index.html in any browser, without a network.
    #[arg(long, requires = "out")]
    html: bool,
    /// Write only the repo, as a CAR file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    car: Option<PathBuf>,
}

/// Runs `export`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    if let Some(out) = args.out {
        let out = std::path::absolute(&out).with_context(|| format!("cannot find {}", out.display()))?;
        let answer = context
            .run(Need::Existing, Command::Export { account: args.account, out, html: args.html })
            .await?;
        let Answer::Exported(report) = &answer else { return Err(unexpected()) };
        context.print(&answer, || report.to_string())?;
        return Ok(Exit::Ok);
    }
    match args.car {
        Some(path) if path == Path::new("-") => {
            let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
            context.car(&args.account, |bytes| out.write_all(&bytes)).await?;
            out.flush()?;
        }
        Some(path) => to_file(context, &args.account, &path).await?,
        None => return Err(Stopped::usage("say where to write", "add --out DIR or --car FILE")),
    }
    Ok(Exit::Ok)
}

/// Writes beside the wanted name and renames at the end, so that a half-written file never has it.
async fn to_file(context: &Context, account: &str, path: &Path) -> Result<(), Stopped> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let file = std::fs::File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
    let result = context.car(account, |bytes| out.write_all(&bytes)).await;
    let result = match result {
        Ok(()) => finish(out, &part, path).map_err(Stopped::from),
        Err(stopped) => Err(stopped),
    };
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result
}

fn finish(out: std::io::BufWriter<std::fs::File>, part: &Path, path: &Path) -> anyhow::Result<()> {
    let file = out.into_inner().map_err(|error| error.into_error()).context("cannot write the CAR")?;
    file.sync_all().context("cannot write the CAR to disk")?;
    std::fs::rename(part, path).with_context(|| format!("cannot name the file {}", path.display()))
}
