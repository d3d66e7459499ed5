//! `p2pds archive add` for several accounts: what that would be, then noting them for the node's own schedule.

use p2pds_archive::{Intake, Source};

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::{ask, output};
use crate::operator::Command;
use crate::operator::answer::Answer;

/// Says what it would be; without `dry_run` notes the accounts, after asking when it might not fit.
pub(super) async fn add(context: &Context, source: Source, dry_run: bool) -> Result<Exit, Stopped> {
    let looked = context.run(Need::Create, Command::LookAt { source }).await?;
    let Answer::Intake(plan) = &looked else { return Err(unexpected()) };
    if dry_run {
        context.print(&looked, || plan.to_string())?;
        return Ok(Exit::Ok);
    }
    if !context.global.quiet && !context.global.json {
        output::line(&plan.to_string())?;
    }
    room(context, plan)?;
    let answer = context.run(Need::Create, Command::TakeIn { candidates: plan.found.clone() }).await?;
    let Answer::TakenIn(taken) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        let program = context.program();
        format!(
            "\n{} noted. A running node fetches them one after the other; `{program} archive sync` does it now, \
             `{program} archive list` shows how far they are.",
            p2pds_archive::plural(taken.new, "account is", "accounts are")
        )
    })?;
    Ok(Exit::Ok)
}

fn room(context: &Context, plan: &Intake) -> Result<(), Stopped> {
    if plan.found.is_empty() || !plan.room.fit.asks() || context.global.yes {
        return Ok(());
    }
    ask::go_on(&format!("{}.", plan.room), "they might not fit on this disk; nothing was noted")
}
