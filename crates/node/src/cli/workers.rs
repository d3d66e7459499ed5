//! `p2pds workers`: what runs in the background, and switching it.

use clap::Subcommand;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::node::lock;
use crate::operator::Command;
use crate::operator::answer::{Answer, WorkerLine};
use crate::words;

const EXAMPLES: &str = "\
Workers run while a node runs. Without a node this shows where they stopped. A pause lasts until
it is taken back, restarts included; what runs when a worker is paused is brought to its end.

Examples:
  p2pds workers
  p2pds workers --json
  p2pds workers pause verify
  p2pds workers resume verify";

/// Arguments of `workers`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do instead of listing.
    #[command(subcommand)]
    action: Option<Action>,
}

/// Commands about workers.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Stop a worker until it is resumed.
    #[command(after_help = "Examples:\n  p2pds workers pause blobs")]
    Pause {
        /// Name of the worker, as `p2pds workers` shows it.
        #[arg(value_name = "WORKER")]
        name: String,
    },
    /// Let a paused worker run again.
    #[command(after_help = "Examples:\n  p2pds workers resume blobs")]
    Resume {
        /// Name of the worker.
        #[arg(value_name = "WORKER")]
        name: String,
    },
}

/// Runs `workers`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    match args.action {
        None => list(context).await,
        Some(Action::Pause { name }) => switch(context, name, true).await,
        Some(Action::Resume { name }) => switch(context, name, false).await,
    }
}

async fn switch(context: &Context, name: String, paused: bool) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::PauseWorker { name, paused }).await?;
    let Answer::WorkerPaused(switched) = &answer else { return Err(unexpected()) };
    context.print(&answer, || match switched.paused {
        true => {
            format!("the worker {0} is paused; `p2pds workers resume {0}` lets it run again", switched.name)
        }
        false => format!("the worker {} runs again", switched.name),
    })?;
    Ok(Exit::Ok)
}

async fn list(context: &Context) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Workers).await?;
    let Answer::Workers(lines) = &answer else { return Err(unexpected()) };
    let resting = !lock::state(&context.data_dir()).is_ok_and(|state| state.is_node());
    context.print(&answer, || {
        let mut text = describe(lines);
        if resting && !lines.is_empty() {
            text.push_str("\nNo node runs on this data directory now: this is where they stopped.");
        }
        text
    })?;
    Ok(Exit::Ok)
}

fn describe(lines: &[WorkerLine]) -> String {
    if lines.is_empty() {
        return "No worker has run yet: they run while a node runs. Start one with `p2pds`.".to_owned();
    }
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    let mut text = output::table(&["WORKER", "STATE", "PROGRESS", "NEXT RUN", "UPDATED"], &rows);
    for line in lines {
        let name = &line.name;
        if line.retrying > 0 {
            let who = words::plural(line.retrying, "is left alone", "are left alone");
            text.push_str(&format!("\n{name}: {who} for a while after failures"));
        }
        if let Some(reason) = &line.reason {
            text.push_str(&format!("\n{name}: next is {reason}"));
        }
        if let Some(error) = &line.last_error {
            text.push_str(&format!("\n{name}: last error: {error}"));
        }
    }
    text
}

fn row(line: &WorkerLine) -> Vec<String> {
    let progress = match (line.permille, line.done, line.total) {
        (Some(permille), done, total) => {
            format!("{}.{} %, {} of {}", permille / 10, permille % 10, words::size(done), words::size(total))
        }
        (None, 0, 0) => "-".to_owned(),
        (None, done, 0) => words::count(done),
        (None, done, total) => format!("{} of {}", words::count(done), words::count(total)),
    };
    let next = match (line.paused, line.ends_at, line.next_run) {
        (true, ..) => "-".to_owned(),
        (_, Some(at), _) => format!("ends {}", words::ago(at)),
        (_, None, Some(at)) => words::ago(at),
        (_, None, None) => "-".to_owned(),
    };
    let state = match line.paused {
        true if line.state != "paused" => format!("paused ({})", line.state),
        _ => line.state.clone(),
    };
    vec![line.name.clone(), state, progress, next, words::ago(line.updated_at)]
}
