//! `p2pds show`: one archived record.

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
Examples:
  p2pds show at://alice.example.com/app.bsky.actor.profile/self
  p2pds show at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3jzfcijpj2z2a --json
  p2pds show at://alice.example.com/app.bsky.actor.profile/self --at 2026-11-01";

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// AT-URI of the record, with a DID or a handle.
    #[arg(value_name = "AT-URI")]
    uri: String,
    /// As of this revision, time or date, as far as the archive has seen it.
    #[arg(long, value_name = "REV|DATE")]
    at: Option<String>,
}

/// Runs `show`.
///
/// # Errors
/// There is no such record, or its bytes are damaged.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Record { uri: args.uri, at: args.at }).await?;
    let Answer::Record(record) = &answer else { return Err(unexpected()) };
    if context.global.json {
        output::json(&answer.json().map_err(anyhow::Error::from)?)?;
    } else {
        if !context.global.quiet {
            output::line(&format!("# {}\n# {}", record.uri, record.cid))?;
            if let Some(as_of) = &record.as_of {
                output::line(&format!("# as of {} ({})", as_of.rev, crate::words::when(as_of.at)))?;
                if let Some(note) = &as_of.note {
                    output::line(&format!("# {note}"))?;
                }
            }
        }
        match &record.value {
            Some(value) => output::json(value)?,
            None => output::line(&format!(
                "# its {} bytes are kept as they came, but are no data that JSON can show",
                record.bytes
            ))?,
        }
    }
    Ok(Exit::Ok)
}
