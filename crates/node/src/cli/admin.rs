//! `p2pds admin`: moderation, reports, and what was done.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use crate::cli::account::{finish, hosting};
use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::answer::Answer;
use crate::operator::hosting::{Ask, AuditLine, ReportLine};
use crate::words;

const EXAMPLES: &str = "\
SUBJECT is an account (handle, DID or address), or the AT-URI of a record. With --blob it is a blob of
the account.

Examples:
  p2pds admin takedown alice.pds.example.com --reference \"case 17\"
  p2pds admin takedown at://alice.pds.example.com/app.bsky.feed.post/3jzfcijpj2z2a
  p2pds admin takedown alice.pds.example.com --blob bafkrei...
  p2pds admin restore alice.pds.example.com
  p2pds admin reports
  p2pds admin report close 12 --note \"removed, told them\"
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
    /// List what people told you: reports of accounts that live here, and requests that data be removed. Those that wait
    /// longest come first.
    #[command(after_help = "Examples:\n  p2pds admin reports\n  p2pds admin reports --closed --json")]
    Reports {
        /// Also those that were closed in the last 90 days.
        #[arg(long)]
        closed: bool,
    },
    /// Settle a report.
    #[command(after_help = "Examples:\n  p2pds admin report close 12 --note \"removed, told them\"")]
    Report {
        /// What becomes of it.
        #[command(subcommand)]
        action: ReportAction,
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

/// What becomes of a report.
#[derive(Debug, Subcommand)]
pub enum ReportAction {
    /// Close it: you have done what there was to do, or nothing. Who sent it is not told.
    #[command(after_help = "Examples:\n  p2pds admin report close 12 --note \"removed, told them\"")]
    Close {
        /// Its number, as `p2pds admin reports` shows it.
        id: i64,
        /// How it was settled, for your own record.
        #[arg(long, value_name = "TEXT")]
        note: String,
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
        Action::Reports { closed } => {
            let answer = hosting(context, Need::Existing, Ask::Reports { closed }).await?;
            let Answer::Reports(lines) = &answer else { return Err(unexpected()) };
            context.print(&answer, || reports(lines))?;
        }
        Action::Report { action: ReportAction::Close { id, note } } => {
            finish(context, Ask::CloseReport { id, note }).await?;
        }
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

/// What strangers wrote does nothing to a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A paragraph for each: what people write is no cell of a table.
fn reports(lines: &[ReportLine]) -> String {
    if lines.is_empty() {
        return "no reports wait".to_owned();
    }
    let paragraph = |line: &ReportLine| {
        let mut out = vec![format!("{}  {}  {}  {}", line.id, words::ago(line.at), line.kind, line.subject)];
        let who = match (&line.by, &line.contact) {
            (Some(by), _) => Some(by.clone()),
            (None, Some(contact)) => Some(format!("a stranger, answer to {contact}")),
            (None, None) => None,
        };
        out.extend(
            line.did.as_ref().filter(|did| **did != line.subject).map(|did| format!("account: {did}")),
        );
        out.extend(line.cid.as_ref().map(|cid| format!("version: {cid}")));
        out.extend(who.map(|who| format!("from: {who}")));
        out.extend(line.words.lines().map(|words| format!("| {words}")));
        if let Some(at) = line.closed_at {
            out.push(format!("closed {}: {}", words::ago(at), line.note.as_deref().unwrap_or_default()));
        }
        out.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n    ")
    };
    lines.iter().map(paragraph).collect::<Vec<_>>().join("\n\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_does_nothing_to_a_terminal() {
        let line = ReportLine {
            id: 7,
            at: 0,
            by: None,
            contact: Some("a\u{1b}[2J".to_owned()),
            did: None,
            subject: "alice.example".to_owned(),
            cid: None,
            kind: "other\r".to_owned(),
            words: "one\u{1b}]0;x\u{7}\ntwo".to_owned(),
            closed_at: None,
            note: None,
        };
        let shown = reports(&[line]);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(shown.starts_with("7  ") && shown.ends_with("\n    | two"), "{shown:?}");
    }
}
