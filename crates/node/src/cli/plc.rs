//! `p2pds plc …`: the history of an identity, and what is expected of it.

use std::time::Duration;

use clap::Subcommand;
use p2pds_archive::{IdentityHistory, OperationLine, Verdict, WebVersion};

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;
use crate::words;

const EXAMPLES: &str = "\
Examples:
  p2pds plc log alice.example.com
  p2pds plc announce alice.example.com --within 24h --reason \"moving to a new host\"
  p2pds plc ack alice.example.com bafyrei... --reason \"I added a recovery key\"";

/// Arguments of `plc`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// Commands about identities.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Who could do what with this identity, and when: every operation of its log in words.
    ///
    /// Oldest first; operations that a recovery made void are marked. Of a did:web there is no
    /// log: the documents seen since it is archived here are listed instead.
    #[command(
        after_help = "Examples:\n  p2pds plc log alice.example.com\n  p2pds plc log alice.example.com --json"
    )]
    Log {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Say that the identity will be changed, so that the change raises no alarm.
    ///
    /// Every operation within the time counts as announced: keep it short. A new announcement
    /// takes the place of the one before; `--within 0s` ends it.
    #[command(
        after_help = "Examples:\n  p2pds plc announce alice.example.com --reason \"new handle\"\n  p2pds plc announce alice.example.com --within 2h --reason \"moving to a new host\""
    )]
    Announce {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// For how long from now, 30 days at most.
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
        within: Duration,
        /// Why; kept with the account.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End the alarm about an operation that was the owner's.
    #[command(after_help = "Examples:\n  p2pds plc ack alice.example.com bafyrei... --reason \"it was me\"")]
    Ack {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// CID of the operation, as the alarm and `plc log` show it.
        #[arg(value_name = "OP-CID")]
        operation: String,
        /// Why; kept with the account.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    words::parse_duration(text).ok_or_else(|| "a duration such as 30m, 24h or 3d".to_owned())
}

/// Runs `plc`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let command = match args.action {
        Action::Log { account } => Command::PlcLog { account },
        Action::Announce { account, within, reason } => {
            Command::PlcAnnounce { account, within_secs: within.as_secs(), reason }
        }
        Action::Ack { account, operation, reason } => Command::PlcAck { account, operation, reason },
    };
    let answer = context.run(Need::Existing, command).await?;
    match &answer {
        Answer::Identity(history) => {
            context.print(&answer, || describe(history))?;
            // Somebody who asks in a script wants to know.
            let alarmed =
                history.operations.iter().any(|op| op.verdict == Verdict::Unexpected && !op.nullified);
            return Ok(if alarmed { Exit::Damage } else { Exit::Ok });
        }
        Answer::Announced(announcement) => context.print(&answer, || {
            if announcement.until <= announcement.at {
                return format!("No announcement for {} holds any more.", announcement.did);
            }
            format!(
                "Operations of {} until {} count as announced ({}).",
                announcement.did,
                words::when(announcement.until),
                announcement.reason
            )
        })?,
        Answer::Acknowledged(done) => context.print(&answer, || {
            format!("The operation {} of {} is acknowledged; its alarm has ended.", done.operation, done.did)
        })?,
        _ => return Err(unexpected()),
    }
    Ok(Exit::Ok)
}

fn describe(history: &IdentityHistory) -> String {
    let fetched = history.fetched_at.map_or_else(|| "never".to_owned(), words::ago);
    let mut text = vec![history.did.to_string()];
    if history.method == "plc" {
        let count = u64::try_from(history.operations.len()).unwrap_or(u64::MAX);
        text.push(format!(
            "{} from {}, fetched {fetched}; the identity is {}.",
            words::plural(count, "operation", "operations"),
            history.directory,
            match history.state.as_str() {
                "tombstoned" => "given up (tombstone)",
                other => other,
            }
        ));
    } else {
        text.push(format!(
            "A did:web has no history: its domain says what it says, and nobody can prove what it said before. \
             These are the documents seen here, fetched last {fetched}."
        ));
    }
    if let Some(announced) = &history.announced {
        text.push(format!("Announced until {}: {}", words::when(announced.until), announced.reason));
    }
    for operation in &history.operations {
        text.push(String::new());
        text.extend(operation_lines(operation));
    }
    for document in &history.documents {
        text.push(String::new());
        text.extend(document_lines(document));
    }
    text.join("\n")
}

fn operation_lines(op: &OperationLine) -> Vec<String> {
    let void = if op.nullified { "  VOID: undone by a later recovery" } else { "" };
    let mut lines = vec![format!("{:>3}. {}  {}{void}", op.number, words::when(op.at), op.cid)];
    let mut say = |name: &str, value: &str| lines.push(format!("     {name:<9}{value}"));
    match op.changes.as_slice() {
        [] => say("change", "nothing that shows"),
        changes => changes.iter().for_each(|change| say("change", change)),
    }
    if let (Some(key), Some(position), Some(of)) = (&op.signer, op.signer_position, op.signer_of) {
        say("signed by", &format!(" rotation key {position} of {of}, {key}"));
    }
    if !op.undid.is_empty() {
        let numbers: Vec<String> = op.undid.iter().map(ToString::to_string).collect();
        say("undid", &format!("operation {}", numbers.join(", ")));
    }
    for (place, key) in (1..).zip(&op.rotation_keys) {
        say(if place == 1 { "keys" } else { "" }, &format!("{place}. {key}"));
    }
    match &op.verdict {
        Verdict::Before => {}
        Verdict::Announced { reason } => say("expected", &format!("announced: {reason}")),
        Verdict::Acknowledged { reason } => say("expected", &format!("acknowledged: {reason}")),
        Verdict::Unexpected if op.nullified => {}
        Verdict::Unexpected => say("ALARM", "nobody announced this; `p2pds archive show` says what to do"),
    }
    if let Some(undo) = &op.undo {
        let keys = undo.keys.join(" or ");
        say(
            "undo",
            &format!("until {} by {keys}, continuing from {}", words::when(undo.until), undo.continue_from),
        );
    }
    lines
}

fn document_lines(seen: &WebVersion) -> Vec<String> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    vec![
        format!("  since {}  {}", words::when(seen.at), seen.cid),
        format!("     host        {}", or_none(&seen.host)),
        format!("     signing key {}", or_none(&seen.signing_key)),
        format!("     handle      {}", or_none(&seen.handle)),
    ]
}
