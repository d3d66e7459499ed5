//! `p2pds workers`: what runs in the background.

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::node::lock;
use crate::operator::Command;
use crate::operator::answer::{Answer, WorkerLine};
use crate::words;

const EXAMPLES: &str = "\
Workers run while a node runs. Without a node this shows where they stopped.

Examples:
  p2pds workers
  p2pds workers --json";

/// Arguments of `workers`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Runs `workers`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, _args: Args) -> Result<Exit, Stopped> {
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
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let progress = match (line.done, line.total) {
                (0, 0) => "-".to_owned(),
                (done, 0) => words::count(done),
                (done, total) => format!("{} of {}", words::count(done), words::count(total)),
            };
            let next = line.next_run.map_or_else(|| "-".to_owned(), words::ago);
            vec![line.name.clone(), line.state.clone(), progress, next, words::ago(line.updated_at)]
        })
        .collect();
    let mut text = output::table(&["WORKER", "STATE", "PROGRESS", "NEXT RUN", "UPDATED"], &rows);
    for line in lines {
        if let Some(error) = &line.last_error {
            text.push_str(&format!("\n{}: last error: {error}", line.name));
        }
    }
    text
}
