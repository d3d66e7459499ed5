//! `p2pds config …`: the configuration as it is, and as it may be.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::config::reference;

const EXAMPLES: &str = "\
Examples:
  p2pds config show --origin
  p2pds config example > p2pds.toml
  p2pds --config p2pds.toml";

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// Commands about the configuration.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print every setting with its value; secrets are hidden.
    #[command(
        after_help = "Examples:\n  p2pds config show\n  p2pds config show --origin\n  PORT=8080 p2pds config show --origin --json"
    )]
    Show {
        /// Say where each value came from: flag, environment, file or default.
        #[arg(long)]
        origin: bool,
    },
    /// Print a configuration file with every setting at its default.
    #[command(after_help = "Examples:\n  p2pds config example > p2pds.toml")]
    Example,
    /// Print the reference page (Markdown).
    #[command(after_help = "Examples:\n  p2pds config reference | less")]
    Reference,
}

/// Runs `config …`.
///
/// # Errors
/// Standard output is closed.
pub fn run(context: &Context, args: &Args) -> Result<Exit, Stopped> {
    match args.action {
        Action::Show { origin } => show(context, origin)?,
        Action::Example => output::line(reference::example().trim_end())?,
        Action::Reference => output::line(reference::page().trim_end())?,
    }
    Ok(Exit::Ok)
}

fn show(context: &Context, origin: bool) -> Result<(), Stopped> {
    let resolved = &context.loaded.resolved;
    if context.global.json {
        output::json(resolved)?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = resolved
        .iter()
        .map(|r| {
            let mut row = vec![r.name.clone(), r.value.clone()];
            row.extend(origin.then(|| r.origin.clone()));
            row
        })
        .collect();
    let head: &[&str] = if origin { &["SETTING", "VALUE", "FROM"] } else { &["SETTING", "VALUE"] };
    output::line(&output::table(head, &rows))?;
    Ok(())
}
