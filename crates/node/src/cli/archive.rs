//! `p2pds archive …`: which accounts are kept.

use clap::Subcommand;
use p2pds_archive::{AccountLine, Details, Source};

use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::{ask, intake, keep, limits, output, serving};
use crate::operator::Command;
use crate::operator::answer::{Answer, Synced};
use crate::words;

const EXAMPLES: &str = "\
Examples:
  p2pds archive add alice.example.com
  p2pds archive add did:plc:ewvi7nxzyoun6zhxrhs64oiz --progress json
  p2pds archive list --json
  p2pds archive sync
  p2pds archive remove alice.example.com --dry-run";

/// Arguments of `archive`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// Commands about archived accounts.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Keep a copy of an account: resolve, show what is there, fetch, verify, store.
    ///
    /// Fetches the repo, its blobs and the identity's log from wherever they are, proves each
    /// byte and stores it. What was interrupted goes on where it stopped.
    ///
    /// Of several accounts it is said first who was found, how much that is and whether it fits; then
    /// they are noted, and a running node fetches them one after the other.
    #[command(
        after_help = "Examples:\n  p2pds archive add alice.example.com\n  p2pds archive add did:web:example.com\n  p2pds archive add alice.example.com bob.example.com --dry-run\n  p2pds archive add --follows-of alice.example.com"
    )]
    Add {
        /// Handles or DIDs of the accounts.
        #[arg(value_name = "HANDLE-OR-DID", required_unless_present_any = ["follows_of", "list"])]
        accounts: Vec<String>,
        /// Everyone whom this account follows.
        #[arg(long, value_name = "HANDLE-OR-DID", conflicts_with_all = ["accounts", "list"])]
        follows_of: Option<String>,
        /// Everyone on this list: at://HANDLE-OR-DID/app.bsky.graph.list/KEY.
        #[arg(long, value_name = "AT-URI", conflicts_with = "accounts")]
        list: Option<String>,
        /// Only say who was found, how much it is and whether it fits.
        #[arg(long)]
        dry_run: bool,
        /// It is yours: keep every revision, whatever becomes of it at its host. For one account.
        #[arg(long, conflicts_with_all = ["follows_of", "list", "dry_run"])]
        own: bool,
    },
    /// What is kept: freshness, sizes, last verified, last error.
    #[command(after_help = "Examples:\n  p2pds archive list\n  p2pds archive list --json | jq '.[].did'")]
    List,
    /// Everything about one archived account.
    #[command(after_help = "Examples:\n  p2pds archive show alice.example.com")]
    Show {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Fetch what is new now, without waiting for the node's schedule.
    #[command(
        after_help = "Examples:\n  p2pds archive sync                     all accounts\n  p2pds archive sync alice.example.com   one of them"
    )]
    Sync {
        /// Handle or DID of the account; all accounts without.
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Stop fetching an account by schedule; what is stored stays.
    #[command(after_help = "Examples:\n  p2pds archive pause alice.example.com")]
    Pause {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Fetch a paused account by schedule again.
    #[command(after_help = "Examples:\n  p2pds archive resume alice.example.com")]
    Resume {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Set to whom an account is served, and record why.
    ///
    /// Nothing is served until you say so here. What its owner or host withdraws, and what is not
    /// verified, is served to nobody whatever is set; an owner who declared that no public archive
    /// may show the account (org.user-intents) is heeded.
    #[command(
        after_help = "Examples:\n  p2pds archive serve alice.example.com public --basis \"she asked me to, 2026-11-20\"\n  p2pds archive serve alice.example.com nobody"
    )]
    Serve {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// To whom.
        #[arg(value_name = "AUDIENCE")]
        to: serving::Audience,
        /// Why you may serve it; needed unless it is nobody.
        #[arg(long, value_name = "TEXT")]
        basis: Option<String>,
    },
    /// Give a record, tree node or blob to nobody but yourself, whoever's it is.
    #[command(
        after_help = "Examples:\n  p2pds archive block bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba --reason \"notice of 3 May\""
    )]
    Block {
        /// Its CID.
        #[arg(value_name = "CID")]
        cid: String,
        /// Why; recorded.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Give a blocked CID out again.
    #[command(
        after_help = "Examples:\n  p2pds archive unblock bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba"
    )]
    Unblock {
        /// Its CID.
        #[arg(value_name = "CID")]
        cid: String,
    },
    /// The CIDs that are blocked, since when and why.
    #[command(after_help = "Examples:\n  p2pds archive blocked --json")]
    Blocked,
    /// Let an account go before others (1, 2, ...) or after them (-1, ...) in all background work.
    #[command(
        after_help = "Examples:\n  p2pds archive priority alice.example.com 10\n  p2pds archive priority bob.example.com -1"
    )]
    Priority {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Higher goes first; 0 is usual.
        #[arg(value_name = "N", allow_negative_numbers = true)]
        priority: i32,
    },
    /// Limit what is stored of an account, records and blobs; what is held stays.
    #[command(
        after_help = "Examples:\n  p2pds archive quota alice.example.com 5GB\n  p2pds archive quota alice.example.com none"
    )]
    Quota {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Such as 500MB or 2GiB; `none` for the limit of every account.
        #[arg(value_name = "SIZE")]
        size: String,
    },
    /// Set how much history of an account is kept, and record why it is kept after its deletion.
    ///
    /// Without this, the current state is kept and, for you alone, what it replaced within the undo
    /// window. An account that is deleted at its source is served no more at once and erased here
    /// after archive.erase_after, unless a basis for keeping it is recorded.
    #[command(
        after_help = "Examples:\n  p2pds archive keep alice.example.com all --basis \"my own account\"\n  p2pds archive keep bob.example.com window --basis \"asked for by letter of 3 May\"\n  p2pds archive keep bob.example.com window --no-basis"
    )]
    Keep {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// How much.
        #[arg(value_name = "HISTORY")]
        keep: keep::Keep,
        /// Why its data is kept after a deletion at its source.
        #[arg(long, value_name = "TEXT")]
        basis: Option<String>,
        /// Take the recorded basis back.
        #[arg(long, conflicts_with = "basis")]
        no_basis: bool,
    },
    /// Take the head that a host has although it is older than the stored one.
    ///
    /// For a host that restored an old backup and goes on from there. The signature is checked as
    /// ever; what was stored is kept as history that was left. Never done by itself.
    #[command(
        after_help = "Examples:\n  p2pds archive accept-head alice.example.com --reason \"host restored its backup of 3 May\""
    )]
    AcceptHead {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Why; recorded as evidence.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Erase an archived account, after saying what will be erased and asking.
    #[command(
        after_help = "Examples:\n  p2pds archive remove alice.example.com --dry-run\n  p2pds archive remove alice.example.com --yes"
    )]
    Remove {
        /// Handle or DID of the account.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Only say what would be erased.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs `archive …`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    match args.action {
        Action::Add { accounts, follows_of, list, dry_run, own } => {
            let source = match (follows_of, list) {
                (Some(name), _) => Source::FollowsOf(name),
                (_, Some(uri)) => Source::List(uri),
                _ => Source::names_in(&accounts.join(" ")),
            };
            match (source, accounts.as_slice()) {
                (_, [account]) if !dry_run => add(context, account.clone(), own).await,
                _ if own => Err(Stopped::usage("--own is for one account", "name one account")),
                (source, _) => intake::add(context, source, dry_run).await,
            }
        }
        Action::List => list(context).await,
        Action::Show { account } => show(context, account).await,
        Action::Sync { account } => sync(context, account).await,
        Action::Pause { account } => pause(context, account, true).await,
        Action::Resume { account } => pause(context, account, false).await,
        Action::Priority { account, priority } => limits::priority(context, account, priority).await,
        Action::Quota { account, size } => limits::quota(context, account, &size).await,
        Action::Serve { account, to, basis } => serving::serve(context, account, to, basis).await,
        Action::Block { cid, reason } => serving::block(context, cid, reason).await,
        Action::Unblock { cid } => serving::unblock(context, cid).await,
        Action::Blocked => serving::blocked(context).await,
        Action::Keep { account, keep, basis, no_basis } => {
            keep::keep(context, account, keep, basis, no_basis).await
        }
        Action::AcceptHead { account, reason } => keep::accept_head(context, account, reason).await,
        Action::Remove { account, dry_run } => remove(context, account, dry_run).await,
    }
}

async fn add(context: &Context, account: String, own: bool) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Create, Command::Add { account }).await?;
    let Answer::Added(summary) = &answer else { return Err(unexpected()) };
    context.print(&answer, || summary.to_string())?;
    if own {
        let kept = keep::own(context, summary.did.to_string()).await?;
        if !context.global.json {
            output::line(&kept)?;
        }
    }
    if !context.global.quiet && !context.global.json {
        let name = summary.handle.as_deref().unwrap_or(summary.did.as_str());
        let program = context.program();
        output::line(&match summary.rev {
            Some(_) => format!(
                "\nNext: `{program} drill {name}` proves that it restores; `{program}` starts the node that keeps it current."
            ),
            None => format!("\nNext: `{program} archive sync {name}` asks for it again."),
        })?;
    }
    Ok(Exit::Ok)
}

async fn list(context: &Context) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::List).await?;
    let Answer::Accounts(lines) = &answer else { return Err(unexpected()) };
    context.print(&answer, || accounts(lines))?;
    Ok(Exit::Ok)
}

async fn show(context: &Context, account: String) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Show { account }).await?;
    let Answer::Details(details) = &answer else { return Err(unexpected()) };
    context.print(&answer, || describe(details))?;
    Ok(Exit::Ok)
}

async fn sync(context: &Context, account: Option<String>) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Sync { account }).await?;
    let Answer::Synced(all) = &answer else { return Err(unexpected()) };
    context.print(&answer, || synced(all))?;
    Ok(if all.iter().any(|one| one.failure.is_some()) { Exit::Error } else { Exit::Ok })
}

async fn pause(context: &Context, account: String, paused: bool) -> Result<Exit, Stopped> {
    let answer = context.run(Need::Existing, Command::Pause { account, paused }).await?;
    let Answer::Paused(state) = &answer else { return Err(unexpected()) };
    context.print(&answer, || {
        let name = state.handle.as_deref().unwrap_or(&state.did);
        if state.paused {
            format!("{name} is paused: it is not fetched by schedule until `p2pds archive resume {name}`")
        } else {
            format!("{name} is fetched by schedule again")
        }
    })?;
    Ok(Exit::Ok)
}

async fn remove(context: &Context, account: String, dry_run: bool) -> Result<Exit, Stopped> {
    if !dry_run && !context.global.yes {
        let preview = Command::Remove { account: account.clone(), dry_run: true };
        let answer = context.run(Need::Existing, preview).await?;
        let Answer::Removed(report) = &answer else { return Err(unexpected()) };
        let name = report.handle.as_deref().unwrap_or(report.did.as_str()).to_owned();
        ask::confirm(false, &report.to_string(), &name)?;
    }
    let answer = context.run(Need::Existing, Command::Remove { account, dry_run }).await?;
    let Answer::Removed(report) = &answer else { return Err(unexpected()) };
    context.print(&answer, || report.to_string())?;
    Ok(Exit::Ok)
}

/// An answer of another kind than the command's.
pub(super) fn unexpected() -> Stopped {
    crate::operator::Failure::new("bug", "the answer does not fit the command: a defect in p2pds").into()
}

fn accounts(lines: &[AccountLine]) -> String {
    if lines.is_empty() {
        return "No accounts are archived yet. Begin with `p2pds archive add HANDLE-OR-DID`.".to_owned();
    }
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    let mut text =
        output::table(&["ACCOUNT", "CURRENT", "RECORDS", "BLOBS", "SIZE", "VERIFIED", "STATE"], &rows);
    for line in lines {
        let name = line.handle.as_deref().unwrap_or(line.did.as_str());
        if let Some(error) = &line.last_error {
            text.push_str(&format!("\n{name}: last sync failed: {error}"));
        }
        if let Some(withdrawal) = &line.withdrawal {
            text.push_str(&format!("\n{name}: {}", withdrawal.words));
        }
    }
    text
}

fn row(line: &AccountLine) -> Vec<String> {
    let blobs = if line.blobs_missing > 0 {
        format!("{} (-{})", words::count(line.blobs_held), words::count(line.blobs_missing))
    } else {
        words::count(line.blobs_held)
    };
    let verified = match (line.last_verified_at, line.last_verify_ok) {
        (Some(at), Some(true)) => words::ago(at),
        (Some(at), _) => format!("DAMAGE, {}", words::ago(at)),
        (None, _) if line.rev.is_some() => "on arrival".to_owned(),
        (None, _) => "-".to_owned(),
    };
    let state = match (&line.doing, line.removing, line.paused) {
        (_, true, _) => "being removed".to_owned(),
        (Some(doing), ..) => doing.clone(),
        (None, _, true) => "paused".to_owned(),
        _ if line.full.is_some() => format!("{}, quota reached", line.status),
        _ if line.verified != "verified" => format!("{}, {}", line.status, line.verified),
        _ => line.status.clone(),
    };
    vec![
        line.handle.clone().unwrap_or_else(|| line.did.to_string()),
        current(line),
        words::count(line.records),
        blobs,
        words::size(line.record_bytes.saturating_add(line.blob_bytes)),
        verified,
        state,
    ]
}

/// How current it is: live, or as of when.
fn current(line: &AccountLine) -> String {
    let ago = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), words::ago);
    match &line.live {
        Some(live) if matches!(live.state.as_str(), "live" | "relay") => {
            format!("{}, {}", live.state, ago(live.heard_at.or(line.last_sync_at)))
        }
        Some(live) if live.state == "polled" => {
            format!("polled, {}", ago(live.heard_at.max(line.last_sync_at)))
        }
        Some(live) if live.state == "behind" => "catching up".to_owned(),
        _ => ago(line.last_sync_at),
    }
}

fn synced(all: &[Synced]) -> String {
    if all.is_empty() {
        // Accounts that came from files may be here; nobody asked to fetch those from the network.
        return "No account here is kept in step with a host. Add one with `p2pds archive add HANDLE-OR-DID`; \
                what came from a file is synced by its name: `p2pds archive sync HANDLE-OR-DID`."
            .to_owned();
    }
    let one = |one: &Synced| match (&one.summary, &one.failure) {
        (Some(summary), _) => summary.to_string(),
        (None, Some(failure)) => {
            let name = one.handle.as_deref().unwrap_or(&one.did);
            let hint = failure.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            format!("{name}: {}{hint}", failure.message)
        }
        (None, None) => one.did.clone(),
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn describe(d: &Details) -> String {
    let line = &d.line;
    let mut out: Vec<(&str, String)> = vec![
        ("Account", line.did.to_string()),
        ("Handle", line.handle.clone().unwrap_or_else(|| "none that resolves".to_owned())),
        ("Host", format!("{} ({})", line.host.as_deref().unwrap_or("none"), line.status)),
        ("Safety", line.words.clone()),
        ("Identity", d.keys.to_string()),
    ];
    if let Some(live) = &line.live {
        out.insert(4, ("Followed", live.words.clone()));
    }
    if let Some(head) = &d.head {
        out.push(("Revision", format!("{} (commit {}, root {})", head.rev, head.commit, head.data)));
        out.push((
            "Signed by",
            if head.key.is_empty() { "unknown key".to_owned() } else { head.key.clone() },
        ));
    }
    out.push((
        "Records",
        format!(
            "{}, {} (as a CAR, when last fetched whole: {})",
            words::plural(line.records, "record", "records"),
            words::size(line.record_bytes),
            words::size(line.car_bytes)
        ),
    ));
    for c in &d.collections {
        out.push(("", format!("{:>9}  {}", words::count(c.records), c.collection)));
    }
    out.push((
        "Blobs",
        format!(
            "{} ({}), {} missing",
            words::plural(line.blobs_held, "blob", "blobs"),
            words::size(line.blob_bytes),
            words::count(line.blobs_missing)
        ),
    ));
    for blob in d.missing_blobs.iter().take(20) {
        let next = blob.next_try.map(|at| format!(", next try {}", words::ago(at))).unwrap_or_default();
        out.push((
            "",
            format!("{} {} {}: {}{next}", blob.state, blob.cid, words::size(blob.size), blob.reason),
        ));
    }
    if let Some(plc) = &d.plc {
        let state = plc
            .problem
            .clone()
            .unwrap_or_else(|| if plc.valid { "valid".to_owned() } else { "not valid".to_owned() });
        let fetched = plc
            .fetched_at
            .map_or_else(|| "never fetched".to_owned(), |at| format!("fetched {}", words::ago(at)));
        out.push((
            "PLC log",
            format!("{}, {state}, {fetched}", words::plural(plc.operations, "operation", "operations")),
        ));
    }
    out.push(("Added", words::ago(line.added_at)));
    out.push(("Synced", line.last_sync_at.map_or_else(|| "never".to_owned(), words::ago)));
    if let Some(error) = &line.last_error {
        out.push(("", format!("the last sync failed: {error}")));
    }
    let verified = match (line.last_verified_at, line.last_verify_ok) {
        (Some(at), ok) => {
            format!("{}, {}", words::ago(at), if ok == Some(true) { "in order" } else { "with damage" })
        }
        (None, _) => "not since it was stored".to_owned(),
    };
    out.push(("Verified", verified));
    if line.priority != 0 {
        out.push(("Priority", line.priority.to_string()));
    }
    if let Some(quota) = line.quota {
        let state = line.full.clone().unwrap_or_else(|| "not reached".to_owned());
        out.push(("Quota", format!("{}: {state}", words::size(quota))));
    }
    if line.paused {
        out.push(("Paused", format!("not fetched by schedule; `p2pds archive resume {}`", line.did)));
    }
    let kept = line.keep_basis.as_ref().map(|basis| format!(" (kept after a deletion: {basis})"));
    out.push(("History", format!("{}{}", line.keep, kept.unwrap_or_default())));
    if let Some(withdrawal) = &line.withdrawal {
        out.push(("Withdrawn", withdrawal.words.clone()));
    }
    out.push(("Serving", serving::describe(&d.serving)));
    for finding in &d.findings {
        out.push((
            "Finding",
            format!(
                "{} {}: {} (since {})",
                finding.kind,
                finding.subject,
                finding.detail,
                words::when(finding.since)
            ),
        ));
    }
    for e in &d.evidence {
        let again = match e.times {
            0 | 1 => String::new(),
            times => format!(" ({times} times, last {})", words::when(e.last_at)),
        };
        out.push(("Evidence", format!("{} {}{again}: {}", words::when(e.at), e.kind, e.detail)));
    }
    for file in &d.verbatim {
        out.push(("Verbatim", file.clone()));
    }
    let mut text: Vec<String> =
        out.into_iter().map(|(name, value)| format!("{name:<10}{value}").trim_end().to_owned()).collect();
    text.push("Not part of the archive:".to_owned());
    text.extend(d.not_contained.iter().map(|line| format!("  - {line}")));
    text.join("\n")
}
