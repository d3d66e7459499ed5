//! `p2pds archive keep` and `archive accept-head`: how much is remembered, and going back on purpose.

use clap::ValueEnum;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;
use crate::operator::memory::Keeping;
use crate::words;

/// How much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// Every revision that is seen.
    All,
    /// The current state, and what it replaced within the undo window (archive.undo_window).
    Window,
}

impl Keep {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Window => "window",
        }
    }
}

/// Why an account of the operator's own is kept.
const OWN: &str = "an account of the operator's own";

/// Runs `archive keep`.
pub(super) async fn keep(
    context: &Context,
    account: String,
    keep: Keep,
    basis: Option<String>,
    no_basis: bool,
) -> Result<Exit, Stopped> {
    let command = Command::Keep { account, keep: keep.as_str().to_owned(), basis, no_basis };
    let answer = context.run(Need::Existing, command).await?;
    let Answer::Kept(keeping) = &answer else { return Err(unexpected()) };
    context.print(&answer, || describe(keeping))?;
    Ok(Exit::Ok)
}

/// After `archive add --own`.
pub(super) async fn own(context: &Context, account: String) -> Result<String, Stopped> {
    let basis = Some(OWN.to_owned());
    let command = Command::Keep { account, keep: "all".to_owned(), basis, no_basis: false };
    let answer = context.run(Need::Existing, command).await?;
    let Answer::Kept(keeping) = &answer else { return Err(unexpected()) };
    Ok(describe(keeping))
}

/// Runs `archive accept-head`.
pub(super) async fn accept_head(context: &Context, account: String, reason: String) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::AcceptHead { account, reason }).await?;
    let Answer::Added(summary) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        if !summary.accepted_older {
            return format!("{summary}\nIts host has no older head: nothing had to be accepted.");
        }
        format!(
            "{summary}\nThe older head was accepted; the reason is recorded as evidence (`p2pds archive show {}`), and what \
             was stored before is kept as history that was left (`p2pds history {}`).",
            summary.did, summary.did
        )
    })?;
    Ok(Exit::Ok)
}

fn describe(keeping: &Keeping) -> String {
    let name = keeping.handle.as_deref().unwrap_or(&keeping.did);
    let mut text = match keeping.keep.as_str() {
        "all" => format!("every revision of {name} that is seen from now on is kept"),
        _ => format!(
            "of {name} the current state is kept, and what it replaced for {}",
            words::plural(keeping.window.div_ceil(86_400), "day", "days")
        ),
    };
    match &keeping.basis {
        Some(basis) => {
            text.push_str(&format!("; it is kept after a deletion at its source, because: {basis}"))
        }
        None => text
            .push_str("; when it is deleted at its source it is erased here after a time that is announced"),
    }
    if let Some(withdrawal) = &keeping.withdrawal {
        text.push_str(&format!("\n{}", withdrawal.words));
    }
    text
}
