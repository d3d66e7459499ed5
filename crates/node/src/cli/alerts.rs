//! `p2pds alerts`: what is wrong now, what was, and whether alerts reach their reader.

use clap::Subcommand;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::Command;
use crate::operator::answer::Answer;
use crate::operator::upkeep::AlertLine;
use crate::words;

const EXAMPLES: &str = "\
Alerts are raised while a node runs. Each fault is told once, and once more when it is over.

Examples:
  p2pds alerts                 what is wrong now; exit status 3 if anything is
  p2pds alerts --history       what was, for 90 days
  p2pds alerts test            send a test to the log, the webhook, by mail and to the monitor";

/// Arguments of `alerts`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Those that are over too.
    #[arg(long)]
    history: bool,
    /// What to do instead of listing.
    #[command(subcommand)]
    action: Option<Action>,
}

/// Commands about alerts.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Send a test alert by every way that is set.
    #[command(after_help = "Examples:\n  p2pds alerts test")]
    Test,
}

/// Runs `alerts`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    match args.action {
        None => list(context, args.history).await,
        Some(Action::Test) => test(context).await,
    }
}

async fn list(context: &Context, history: bool) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Alerts { history }).await?;
    let Answer::Alerts(lines) = &answer else { return Err(unexpected()) };
    context.print(&answer, || describe(lines, history))?;
    let open = lines.iter().any(|line| line.closed_at.is_none());
    Ok(if open { Exit::Damage } else { Exit::Ok })
}

async fn test(context: &Context) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::TestAlert).await?;
    let Answer::AlertTest(told) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        let mut lines: Vec<String> = told
            .iter()
            .map(|one| match &one.error {
                None => format!("{}: sent", one.sink),
                Some(error) => format!("{}: failed: {error}", one.sink),
            })
            .collect();
        if told.len() == 1 {
            lines.push(
                "Neither a webhook nor an e-mail address is set: see [alerts] in `p2pds config reference`."
                    .to_owned(),
            );
        }
        lines.join("\n")
    })?;
    Ok(if told.iter().any(|one| one.error.is_some()) { Exit::Error } else { Exit::Ok })
}

fn describe(lines: &[AlertLine], history: bool) -> String {
    if lines.is_empty() {
        return if history { "There were no alerts in 90 days." } else { "Nothing is wrong." }.to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let who = match (&line.handle, &line.did) {
                (Some(handle), _) => handle.clone(),
                (None, Some(did)) => did.clone(),
                (None, None) if line.subject.is_empty() => "this node".to_owned(),
                (None, None) => line.subject.clone(),
            };
            let until =
                line.closed_at.map_or_else(|| "lasts".to_owned(), |at| format!("over {}", words::ago(at)));
            vec![line.kind.clone(), who, words::ago(line.opened_at), until]
        })
        .collect();
    let mut text = output::table(&["FAULT", "WHO", "SINCE", "STATE"], &rows);
    for line in lines.iter().filter(|line| line.closed_at.is_none()) {
        text.push_str(&format!("\n{}: {}", line.kind, line.detail));
    }
    text
}
