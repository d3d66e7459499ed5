//! `p2pds admin`: moderation, and what was done.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use crate::cli::account::{finish, hosting};
use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::answer::Answer;
use crate::operator::hosting::{Ask, AuditLine};
use crate::words;

const EXAMPLES: &str = "\
SUBJECT is an account (handle, DID or address), or the AT-URI of a record. With --blob it is a blob of
the account.

Examples:
  p2pds admin takedown alice.pds.example.com --reference \"case 17\"
  p2pds admin takedown at://alice.pds.example.com/app.bsky.feed.post/3jzfcijpj2z2a
  p2pds admin takedown alice.pds.example.com --blob bafkrei...
  p2pds admin restore alice.pds.example.com
  p2pds admin audit --limit 20";

/// Arguments of `admin`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

/// Commands of operators.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show an account, record or blob to nobody.
    #[command(
        after_help = "Examples:\n  p2pds admin takedown at://alice.pds.example.com/app.bsky.feed.post/3jzfcijpj2z2a"
    )]
    Takedown {
        /// Account, or AT-URI of a record.
        subject: String,
        /// A blob of that account.
        #[arg(long, value_name = "CID")]
        blob: Option<String>,
        /// The case; recorded.
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
    },
    /// Show it again.
    #[command(after_help = "Examples:\n  p2pds admin restore alice.pds.example.com --blob bafkrei...")]
    Restore {
        /// Account, or AT-URI of a record.
        subject: String,
        /// A blob of that account.
        #[arg(long, value_name = "CID")]
        blob: Option<String>,
    },
    /// Say whether it is taken down.
    #[command(after_help = "Examples:\n  p2pds admin status alice.pds.example.com")]
    Status {
        /// Account, or AT-URI of a record.
        subject: String,
        /// A blob of that account.
        #[arg(long, value_name = "CID")]
        blob: Option<String>,
    },
    /// List what operators and moderators did, newest first.
    #[command(after_help = "Examples:\n  p2pds admin audit alice.pds.example.com --json")]
    Audit {
        /// Only what was done to this account.
        account: Option<String>,
        /// Most lines.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Send a message to an account's owner.
    #[command(
        after_help = "Examples:\n  p2pds admin message alice.pds.example.com --subject \"Your report\" --file text.txt"
    )]
    Message {
        /// Handle, DID or address.
        account: String,
        /// Subject.
        #[arg(long)]
        subject: String,
        /// File with the text; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

/// Runs `admin`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    match args.action {
        Action::Takedown { subject, blob, reference } => {
            finish(context, Ask::Moderate { subject, blob, down: true, reference }).await?;
        }
        Action::Restore { subject, blob } => {
            finish(context, Ask::Moderate { subject, blob, down: false, reference: None }).await?;
        }
        Action::Status { subject, blob } => finish(context, Ask::Status { subject, blob }).await?,
        Action::Audit { account, limit } => {
            let answer = hosting(context, Need::Existing, Ask::Audit { account, limit }).await?;
            let Answer::Audit(lines) = &answer else { return Err(unexpected()) };
            context.print(&answer, || list(lines))?;
        }
        Action::Message { account, subject, file } => {
            let text = if file.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin().lock()).context("cannot read standard input")?
            } else {
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?
            };
            finish(context, Ask::Message { account, subject, text }).await?;
        }
    }
    Ok(Exit::Ok)
}

fn list(lines: &[AuditLine]) -> String {
    if lines.is_empty() {
        return "nothing was done yet".to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                words::ago(line.at),
                line.who.clone(),
                line.what.clone(),
                line.did.clone().unwrap_or_else(|| "-".to_owned()),
                [line.subject.as_str(), line.detail.as_str()].join(" ").trim().to_owned(),
            ]
        })
        .collect();
    output::table(&["when", "who", "what", "account", "detail"], &rows)
}
