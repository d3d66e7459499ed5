//! `p2pds mail`: mail that waits, and whether mail can be sent.

use clap::Subcommand;

use crate::cli::account::{finish, hosting};
use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::answer::Answer;
use crate::operator::hosting::{Ask, MailLine};
use crate::words;

const EXAMPLES: &str = "\
Without a mail server (mail.smtp_url), mail to the owners of accounts waits here for a week, so that
you can hand it on. Sent mail is not kept.

Examples:
  p2pds mail test you@example.com
  p2pds mail list
  p2pds mail show 17
  p2pds mail send 17";

/// Arguments of `mail`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

/// Commands about mail.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Send a test mail, and say what the mail server says.
    #[command(after_help = "Examples:\n  p2pds mail test you@example.com")]
    Test {
        /// Where to.
        address: String,
    },
    /// List mail that is not sent.
    #[command(after_help = "Examples:\n  p2pds mail list --json")]
    List,
    /// Show a mail. It may hold a code that is its reader's alone; that it was read here is recorded.
    #[command(after_help = "Examples:\n  p2pds mail show 17")]
    Show {
        /// Its number, as `p2pds mail list` shows it.
        id: i64,
    },
    /// Send a mail now.
    #[command(after_help = "Examples:\n  p2pds mail send 17")]
    Send {
        /// Its number.
        id: i64,
    },
}

/// Runs `mail`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    match args.action {
        Action::Test { address } => finish(context, Ask::TestMail { address }).await?,
        Action::List => {
            let answer = hosting(context, Need::Existing, Ask::Mails).await?;
            let Answer::Mails(lines) = &answer else { return Err(unexpected()) };
            context.print(&answer, || list(lines))?;
        }
        Action::Show { id } => {
            let answer = hosting(context, Need::Existing, Ask::Mail { id }).await?;
            let Answer::Mail(mail) = &answer else { return Err(unexpected()) };
            context.print(&answer, || {
                format!("To: {}\nSubject: {}\n\n{}", mail.line.to, mail.subject, mail.text.expose())
            })?;
        }
        Action::Send { id } => finish(context, Ask::SendMail { id }).await?,
    }
    Ok(Exit::Ok)
}

fn list(lines: &[MailLine]) -> String {
    if lines.is_empty() {
        return "no mail waits".to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                line.id.to_string(),
                line.to.clone(),
                line.kind.clone(),
                line.state.clone(),
                words::ago(line.created_at),
                line.last_error.clone().unwrap_or_default(),
            ]
        })
        .collect();
    output::table(&["id", "to", "kind", "state", "written", "last error"], &rows)
}
