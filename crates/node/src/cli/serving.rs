//! `p2pds archive serve`, `block`, `unblock` and `blocked`: who gets what.

use clap::ValueEnum;
use p2pds_archive::ServingNote;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::operator::Command;
use crate::operator::answer::Answer;
use crate::words;

/// To whom an account is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Audience {
    /// To nobody but you.
    Nobody,
    /// To those who send a token of serving.peer_tokens.
    Peers,
    /// To everybody.
    Public,
}

/// Runs `archive serve`.
///
/// # Errors
/// What the command met.
pub async fn serve(
    context: &Context,
    account: String,
    to: Audience,
    basis: Option<String>,
) -> Result<Exit, Stopped> {
    let word = match to {
        Audience::Nobody => "nobody",
        Audience::Peers => "peers",
        Audience::Public => "public",
    };
    let command = Command::Serve { account, to: word.to_owned(), basis };
    let answer = context.run(Need::Existing, command).await?;
    let Answer::Serving(note) = &answer else { return Err(unexpected()) };
    context.print(&answer, || describe(note))?;
    Ok(Exit::Ok)
}

/// Runs `archive block`.
///
/// # Errors
/// What the command met.
pub async fn block(context: &Context, cid: String, reason: String) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::BlockCid { cid, reason }).await?;
    let Answer::Blocked(lines) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        let cid = lines.first().map(|line| line.cid.as_str()).unwrap_or_default();
        format!("{cid} is given to nobody but you, whoever's it is, from now on")
    })?;
    Ok(Exit::Ok)
}

/// Runs `archive unblock`.
///
/// # Errors
/// What the command met.
pub async fn unblock(context: &Context, cid: String) -> Result<Exit, Stopped> {
    let words = format!("{} is not blocked any more", cid.trim());
    let answer = context.run(Need::Existing, Command::UnblockCid { cid }).await?;
    context.print(&answer, || words)?;
    Ok(Exit::Ok)
}

/// Runs `archive blocked`.
///
/// # Errors
/// What the command met.
pub async fn blocked(context: &Context) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Blocked).await?;
    let Answer::Blocked(lines) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        if lines.is_empty() {
            return "No CID is blocked. `p2pds archive block CID --reason TEXT` blocks one.".to_owned();
        }
        let row = |line: &crate::operator::serving::BlockedLine| {
            vec![line.cid.clone(), words::ago(line.at), line.reason.clone()]
        };
        output::table(&["CID", "SINCE", "REASON"], &lines.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(Exit::Ok)
}

/// To whom, why, and what stands against it.
pub(super) fn describe(note: &ServingNote) -> String {
    let mut text = match note.serve.as_str() {
        "peers" => "served to peers".to_owned(),
        "public" => "served to everybody".to_owned(),
        _ => "served to nobody".to_owned(),
    };
    if let Some(basis) = &note.basis {
        text.push_str(&format!(" (basis: {basis})"));
    }
    if let Some(refused) = &note.refused {
        text.push_str(&format!("; not at present: {refused}"));
    }
    match note.declared.as_str() {
        "refused" => text.push_str("; its owner declared: no public archive"),
        "allowed" => text.push_str("; its owner declared: public archives are welcome"),
        _ => {}
    }
    text
}
