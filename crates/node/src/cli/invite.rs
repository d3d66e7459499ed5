//! `p2pds invite`: codes with which people sign up.

use clap::Subcommand;

use crate::cli::account::{finish, hosting};
use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::answer::Answer;
use crate::operator::hosting::{Ask, InviteLine};
use crate::words;

const EXAMPLES: &str = "\
Examples:
  p2pds invite create
  p2pds invite create --count 5 --uses 1
  p2pds invite list
  p2pds invite disable CODE";

/// Arguments of `invite`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

/// Commands about invites.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make codes and print them.
    #[command(
        after_help = "Examples:\n  p2pds invite create --uses 10\n  p2pds invite create --for alice.pds.example.com"
    )]
    Create {
        /// How many codes.
        #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
        count: usize,
        /// For how many accounts each is good.
        #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
        uses: u32,
        /// The account that gives them away; yours without.
        #[arg(long = "for", value_name = "ACCOUNT")]
        owner: Option<String>,
    },
    /// List all codes, newest first.
    #[command(after_help = "Examples:\n  p2pds invite list --json")]
    List,
    /// Switch a code off.
    #[command(after_help = "Examples:\n  p2pds invite disable pds-example-com-abcde-fghij-klmno-pqrst")]
    Disable {
        /// The code.
        code: String,
    },
}

/// Runs `invite`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    match args.action {
        Action::Create { count, uses, owner } => {
            let answer = hosting(context, Need::Create, Ask::CreateInvites { count, uses, owner }).await?;
            let Answer::InvitesMade(codes) = &answer else { return Err(unexpected()) };
            context.print(&answer, || codes.join("\n"))?;
        }
        Action::List => {
            let answer = hosting(context, Need::Existing, Ask::Invites).await?;
            let Answer::Invites(lines) = &answer else { return Err(unexpected()) };
            context.print(&answer, || list(lines))?;
        }
        Action::Disable { code } => finish(context, Ask::DisableInvite { code }).await?,
    }
    Ok(Exit::Ok)
}

fn list(lines: &[InviteLine]) -> String {
    if lines.is_empty() {
        return "there are no invite codes; make one with `p2pds invite create`".to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let state = match (line.disabled, line.used >= line.uses) {
                (true, _) => "off",
                (false, true) => "used up",
                (false, false) => "good",
            };
            vec![
                line.code.clone(),
                state.to_owned(),
                format!("{}/{}", line.used, line.uses),
                line.owner.clone(),
                words::ago(line.created_at),
            ]
        })
        .collect();
    output::table(&["code", "state", "used", "owner", "made"], &rows)
}
