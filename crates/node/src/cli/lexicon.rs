//! `p2pds lexicon …`: which collections the archived repos use, and how much.

use clap::Subcommand;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::Command;
use crate::operator::answer::Answer;
use crate::operator::lexicons::LexiconLine;
use crate::words;

const EXAMPLES: &str = "\
Counts all archived accounts. What others are told (org.p2pds.lexicon.list and so on) counts only those that are
served to them.

Examples:
  p2pds lexicon list
  p2pds lexicon search app.bsky
  p2pds lexicon stats --json";

/// Arguments of `lexicon`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// Commands about lexicons.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// All collections, those with the most records first.
    #[command(after_help = "Examples:\n  p2pds lexicon list\n  p2pds lexicon list --limit 10 --json")]
    List {
        /// Most lines.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Collections whose name begins so.
    #[command(after_help = "Examples:\n  p2pds lexicon search app.bsky\n  p2pds lexicon search com.example.")]
    Search {
        /// The beginning of an NSID.
        prefix: String,
        /// Most lines.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// How many different collections and records there are.
    #[command(after_help = "Examples:\n  p2pds lexicon stats")]
    Stats,
}

/// Runs `lexicon …`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let command = match args.action {
        Action::List { limit } => Command::Lexicons { prefix: None, limit },
        Action::Search { prefix, limit } => Command::Lexicons { prefix: Some(prefix), limit },
        Action::Stats => Command::LexiconTotals,
    };
    let answer = context.run(Need::Existing, command).await?;
    match &answer {
        Answer::Lexicons(lines) => context.print(&answer, || describe(lines))?,
        Answer::LexiconTotals(totals) => context.print(&answer, || {
            let records = words::plural(totals.records, "record", "records");
            format!("{} in {}", records, words::plural(totals.lexicons, "collection", "collections"))
        })?,
        _ => return Err(unexpected()),
    }
    Ok(Exit::Ok)
}

fn describe(lines: &[LexiconLine]) -> String {
    if lines.is_empty() {
        return "No archived repo has such a collection.".to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                line.nsid.clone(),
                words::count(line.records),
                words::count(line.repos),
                words::when(line.first_seen),
                words::when(line.last_seen),
            ]
        })
        .collect();
    output::table(&["COLLECTION", "RECORDS", "REPOS", "FIRST SEEN", "LAST SEEN"], &rows)
}
