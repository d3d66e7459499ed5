//! `p2pds doctor`: what is wrong, why it matters, how to fix it.

use p2pds_store_sqlite::salvage;

use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::doctor::{self, Check, Verdict};
use crate::node::engine::Engine;
use crate::node::lock;
use crate::operator::answer::Answer;
use crate::operator::{Command, Failure};

const EXAMPLES: &str = "\
Exit status 3 if a check failed.

Examples:
  p2pds doctor
  p2pds doctor --offline
  p2pds doctor --mend
  p2pds doctor --json | jq '.[] | select(.verdict == \"failed\")'";

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Leave out what needs the network: DNS, the directory, the clock.
    #[arg(long)]
    offline: bool,
    /// Mend a damaged database file: copy what can be read, keep the damaged file, fetch what is lost.
    #[arg(long)]
    mend: bool,
}

/// Runs `doctor`.
///
/// # Errors
/// Standard output is closed; what is found is not an error but exit status 3.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let config = &context.loaded.config;
    let dir = context.data_dir();
    let mut checks = doctor::local(config, &dir);
    let mut database_check = database(context).await;
    if args.mend && database_check.verdict == Verdict::Failed {
        mend(context).await?;
        database_check = database(context).await;
    }
    checks.push(database_check);
    checks.extend(doctor::kept(&dir));
    if args.offline {
        checks.push(Check::skipped("network", "left out as asked"));
    } else {
        checks.extend(doctor::outside(config).await);
    }
    checks.extend(hosting(context, args.offline).await);
    if context.global.json {
        output::json(&checks)?;
    } else {
        output::line(&describe(&checks))?;
    }
    let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
    Ok(if failed { Exit::Damage } else { Exit::Ok })
}

/// Lets the next opening of the store mend the file, and proves every account.
async fn mend(context: &Context) -> Result<(), Stopped> {
    if lock::state(&context.data_dir()).is_ok_and(|state| state.is_node()) {
        let message = "a node works on the database";
        return Err(Failure::new("conflict", message)
            .hint("restart the node: it mends the file when it starts")
            .into());
    }
    if salvage::wanted(&context.data_dir()).is_none() {
        salvage::mark(&context.data_dir(), "asked for by `p2pds doctor --mend`");
    }
    let all = Command::Verify { account: None, read_data: false, repair: true };
    match context.run(Need::Existing, all).await {
        Ok(_) => Ok(()),
        // The check that follows says how the file is now.
        Err(stopped) if stopped.exit != Exit::Interrupted => Ok(()),
        Err(stopped) => Err(stopped),
    }
}

async fn database(context: &Context) -> Check {
    if !Engine::exists(&context.data_dir()) {
        return Check::skipped("database", "there is none yet");
    }
    match context.run(Need::Existing, Command::CheckStructure).await {
        Ok(Answer::Structure(problems)) => doctor::database(Ok(problems)),
        Ok(_) => doctor::database(Err("an answer of another kind: a defect in p2pds".to_owned())),
        Err(stopped) => {
            let message = stopped.failure.map_or_else(|| "interrupted".to_owned(), |f| f.message);
            doctor::database(Err(message))
        }
    }
}

/// The checks of a hosting node, made where its accounts are open.
async fn hosting(context: &Context, offline: bool) -> Vec<Check> {
    let config = &context.loaded.config;
    let unusable = doctor::hosting::unusable(config);
    if unusable.is_some() || !Engine::exists(&context.data_dir()) {
        return unusable.into_iter().collect();
    }
    match context.run(Need::Existing, Command::CheckHosting { offline }).await {
        Ok(Answer::Checks(checks)) => checks,
        Ok(_) => vec![Check::skipped("hosting", "an answer of another kind: a defect in p2pds")],
        Err(stopped) => {
            let message = stopped.failure.map_or_else(|| "interrupted".to_owned(), |f| f.message);
            vec![Check::skipped("hosting", message)]
        }
    }
}

fn describe(checks: &[Check]) -> String {
    let mut lines = Vec::new();
    for check in checks {
        lines.push(format!("{:<8} {:<14} {}", check.verdict.as_str(), check.name, check.what));
        if let Some(why) = &check.why {
            lines.push(format!("{:24}why: {why}", ""));
        }
        if let Some(fix) = &check.fix {
            lines.push(format!("{:24}fix: {fix}", ""));
        }
    }
    let failed = checks.iter().filter(|c| c.verdict == Verdict::Failed).count();
    let warned = checks.iter().filter(|c| c.verdict == Verdict::Warning).count();
    lines.push(match (failed, warned) {
        (0, 0) => "\nEverything is in order.".to_owned(),
        (0, n) => format!("\n{n} warning(s), nothing that fails."),
        (n, _) => format!("\n{n} check(s) failed: each says how to fix it."),
    });
    lines.join("\n")
}
