//! `p2pds archive priority` and `p2pds archive quota`.

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::answer::Answer;
use crate::operator::{Command, Failure};
use crate::words;

/// Sets the order of an account.
pub(super) async fn priority(context: &Context, account: String, priority: i32) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Priority { account, priority }).await?;
    let Answer::Priority(line) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        let name = line.handle.as_deref().unwrap_or(&line.did);
        match line.priority {
            0 => format!("{name} has its usual turn"),
            n if n > 0 => format!("{name} goes before others (priority {n})"),
            n => format!("{name} goes after others (priority {n})"),
        }
    })?;
    Ok(Exit::Ok)
}

/// Sets the limit of an account.
pub(super) async fn quota(context: &Context, account: String, size: &str) -> Result<Exit, Stopped> {
    let quota = match size {
        "none" => None,
        size => Some(words::parse_size(size).ok_or_else(|| {
            Stopped::from(
                Failure::new("usage", format!("`{size}` is not a size")).hint("write 5GB, 500MiB or none"),
            )
        })?),
    };
    let answer = context.run(Need::Existing, Command::Quota { account, quota }).await?;
    let Answer::Quota(line) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        let name = line.handle.as_deref().unwrap_or(&line.did);
        let used = words::size(line.used);
        let text = match (line.limit, line.quota) {
            (None, _) => format!("{name} has no limit; {used} are stored"),
            (Some(limit), Some(_)) => format!("{name} may have {}; {used} are stored", words::size(limit)),
            (Some(limit), None) => format!(
                "{name} may have {} as every account (archive.quota_per_account); {used} are stored",
                words::size(limit)
            ),
        };
        match &line.full {
            Some(full) => format!("{text}\n{full}"),
            None => text,
        }
    })?;
    Ok(Exit::Ok)
}
