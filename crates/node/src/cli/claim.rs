//! `p2pds claim`: an address with a one-time code, for whoever is to own the node.

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
Open the address in a browser, press the button, and sign in with your account at its own host: it is the
owner from then on. A new address makes the one before worthless.

Examples:
  p2pds claim              while the node has no owner
  p2pds claim --again      when access was lost: whoever uses it takes the node from its present owner";

/// Arguments of `claim`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Also when the node has an owner, whose rights end when the address is used.
    #[arg(long)]
    pub again: bool,
}

/// Runs `claim`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Create, Command::Claim { again: args.again }).await?;
    let Answer::Claim(line) = &answer else { return Err(unexpected()) };
    context.print(&answer, || line.address.clone())?;
    Ok(Exit::Ok)
}
