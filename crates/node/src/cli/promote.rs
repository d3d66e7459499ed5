//! `p2pds promote`: this node becomes the host of an archived account.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use p2pds_recovery::Plan;
use zeroize::Zeroizing;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::answer::Answer;
use crate::operator::takeover::{Ask, How, KeyText};
use crate::operator::{Command, promotion};

const EXAMPLES: &str = "\
For an account whose host is gone. It needs a rotation key of the account's identity that its owner
holds: 64 hexadecimal digits, multibase (z...), or a JWK, K-256 or P-256, in a file or on standard
input, never as an argument. The key signs one operation and is kept nowhere.

Start with --dry-run: it changes nothing and says what is held, what is missing, whether the old
host still answers, and what will stand in the identity. It can be interrupted at any moment; the
same command goes on, and does not need the key again.

Examples:
  p2pds promote alice.example.com --dry-run
  p2pds promote alice.example.com --rotation-key-file alice.key
  p2pds promote alice.example.com --rotation-key-file - --handle alice.pds.example.org < alice.key
  p2pds promote alice.example.com --cancel";

/// Longest text that is read as a key.
const MAX_KEY: u64 = 4_096;

/// Arguments of `promote`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Handle or DID of the archived account.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// File with a rotation key of the identity; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    rotation_key_file: Option<PathBuf>,
    /// Change nothing, and say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Go on although the old host still answers, or the identity was changed by somebody unknown.
    #[arg(long)]
    force: bool,
    /// The account's handle from now on; without, it keeps the one it has.
    #[arg(long, value_name = "HANDLE")]
    handle: Option<String>,
    /// The owner's e-mail address, for password resets.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Do not add this node's rotation key to the identity: then only its owner can change the handle or move away.
    #[arg(long)]
    no_server_key: bool,
    /// Take a rotation key out of the identity, such as the old host's; may be given more than once.
    #[arg(long, value_name = "DID:KEY")]
    drop_rotation_key: Vec<String>,
    /// With --yes: the handle or DID, typed here instead of at the question.
    #[arg(long, value_name = "HANDLE")]
    confirm: Option<String>,
    /// Give up a promotion that the directory has not heard of.
    #[arg(long, conflicts_with_all = ["dry_run", "rotation_key_file"])]
    cancel: bool,
}

/// Runs `promote`.
///
/// # Errors
/// What stands in the way, and what the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    if args.cancel {
        let command = Command::Promote { account: args.account, ask: Ask::Cancel, how: Box::default() };
        let answer = context.run(Need::Existing, command).await?;
        let Answer::PromotionCancelled(did) = &answer else { return Err(unexpected()) };
        context.print(&answer, || {
            format!("The promotion of {did} was given up: it is an archived account again")
        })?;
        return Ok(Exit::Ok);
    }
    let key = args.rotation_key_file.as_deref().map(read_key).transpose()?;
    let signers = match &key {
        Some(key) => key.read()?.did_keys(),
        None => Vec::new(),
    };
    let mut how = How {
        handle: args.handle,
        email: args.email,
        force: args.force,
        no_server_key: args.no_server_key,
        drop_keys: args.drop_rotation_key,
        signers,
        key: None,
        confirmed: String::new(),
    };
    let ask =
        |ask, how: &How| Command::Promote { account: args.account.clone(), ask, how: Box::new(how.clone()) };
    let answer = context.run(Need::Existing, ask(Ask::Plan, &how)).await?;
    let Answer::PromotionPlan(plan) = &answer else { return Err(unexpected()) };
    if args.dry_run {
        context.print(&answer, || promotion::words(plan))?;
        return Ok(if plan.is_ready() { Exit::Ok } else { Exit::Damage });
    }
    how.confirmed = if plan.under_way.is_some() || plan.hosted || !plan.is_ready() {
        // What was begun was confirmed then; what cannot be done is said by the node.
        plan.did.to_string()
    } else {
        let from_stdin = args.rotation_key_file.as_deref() == Some(Path::new("-"));
        confirmed(context, plan, args.confirm.as_deref(), from_stdin)?
    };
    how.key = key;
    let answer = context.run(Need::Existing, ask(Ask::Go, &how)).await?;
    let Answer::Promoted(done) = &answer else { return Err(unexpected()) };
    context.print(&answer, || done.to_string())?;
    Ok(Exit::Ok)
}

/// What the operator types after reading the plan.
fn confirmed(
    context: &Context,
    plan: &Plan,
    given: Option<&str>,
    stdin_is_taken: bool,
) -> Result<String, Stopped> {
    if context.global.yes {
        return given.map(str::to_owned).ok_or_else(|| {
            Stopped::usage(
                "--yes is not enough here: everybody will see this, and it is not easily undone",
                "add --confirm with the account's handle, exactly",
            )
        });
    }
    if let Some(given) = given {
        let hint = format!("add --yes, or leave --confirm {given} out and type it when you are asked");
        return Err(Stopped::usage("--confirm answers a question that --yes keeps from being asked", hint));
    }
    let name = plan.handle.as_deref().unwrap_or(plan.did.as_str());
    let mut err = std::io::stderr();
    writeln!(err, "{}", promotion::facts(plan))?;
    let nobody = || {
        Stopped::usage(
            "nobody is there to confirm this",
            format!("run it at a terminal, or add --yes --confirm {name}"),
        )
    };
    write!(err, "Type {name} to go on, anything else to leave everything as it is: ")?;
    err.flush()?;
    let mut line = String::new();
    if stdin_is_taken {
        let terminal = std::fs::File::open("/dev/tty").map_err(|_| nobody())?;
        std::io::BufReader::new(terminal).read_line(&mut line)?;
    } else {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(nobody());
        }
        stdin.lock().read_line(&mut line)?;
    }
    let typed = line.trim();
    if typed.trim_start_matches('@') == name || typed == plan.did.as_str() {
        return Ok(typed.to_owned());
    }
    Err(Stopped::usage("not confirmed; nothing was changed", format!("type {name} exactly as shown")))
}

fn read_key(file: &Path) -> Result<KeyText, Stopped> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_KEY).unwrap_or(0)));
    if file == Path::new("-") {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            eprint_question("Rotation key (it is shown as you type; a file shows nothing): ")?;
            stdin.lock().take(MAX_KEY).read_line(&mut text).context("cannot read standard input")?;
        } else {
            stdin.lock().take(MAX_KEY).read_to_string(&mut text).context("cannot read standard input")?;
        }
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        opened
            .take(MAX_KEY)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    if text.trim().is_empty() {
        return Err(Stopped::usage(
            "there is no key in it",
            "put the rotation key into it: 64 hexadecimal digits, a text that begins with z, or a JWK",
        ));
    }
    Ok(KeyText::new(text))
}

fn eprint_question(text: &str) -> std::io::Result<()> {
    let mut err = std::io::stderr();
    write!(err, "{text}")?;
    err.flush()
}
