//! `p2pds account`: the accounts that this node hosts.

use std::path::PathBuf;

use crate::operator::hosting::Secret;
use clap::Subcommand;
use p2pds_syntax::Did;

use crate::cli::archive::unexpected;
use crate::cli::ask::confirm;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::cli::output;
use crate::cli::secret::read_secret;
use crate::operator::Command;
use crate::operator::answer::Answer;
use crate::operator::hosting::{Ask, HostedDetails, HostedLine, Made};
use crate::words;

const EXAMPLES: &str = "\
ACCOUNT is a handle, a DID or an e-mail address. Passwords are never arguments: they are read from a
file or from standard input (--password-file -), or made and printed once.

Examples:
  p2pds account create alice.pds.example.com --email alice@example.com
  p2pds account list
  p2pds account show alice.pds.example.com
  p2pds account disable alice.pds.example.com --reason \"case 17\"
  p2pds account reset-password alice.pds.example.com
  p2pds account reset-factors alice.pds.example.com
  p2pds account delete alice.pds.example.com";

/// Arguments of `account`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

/// Commands about hosted accounts.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make an account, with an identity of its own.
    #[command(
        after_help = "Examples:\n  p2pds account create alice.pds.example.com --email alice@example.com\n  p2pds account create bob.pds.example.com --password-file - < password.txt"
    )]
    Create {
        /// Its handle, under a domain of this host.
        handle: String,
        /// Its e-mail address.
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// File with its password on the first line; `-` is standard input. Made and printed once without.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// A did:key that may change its identity before this host can: one that its owner keeps.
        #[arg(long, value_name = "DID:KEY")]
        recovery_key: Option<String>,
        /// A DID that exists. The account is deactivated until it has moved here.
        #[arg(long, value_name = "DID")]
        did: Option<Did>,
    },
    /// List the accounts.
    #[command(
        after_help = "Examples:\n  p2pds account list\n  p2pds account list --email example.com --json"
    )]
    List {
        /// Only those whose address holds this text.
        #[arg(long, value_name = "TEXT")]
        email: Option<String>,
    },
    /// Show one account.
    #[command(after_help = "Examples:\n  p2pds account show alice.pds.example.com")]
    Show {
        /// Handle, DID or address.
        account: String,
    },
    /// Take an account down: it is served to nobody, and its sessions end. Nothing is erased.
    #[command(after_help = "Examples:\n  p2pds account disable alice.pds.example.com --reason \"case 17\"")]
    Disable {
        /// Handle, DID or address.
        account: String,
        /// Why; recorded.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// End that.
    #[command(after_help = "Examples:\n  p2pds account enable alice.pds.example.com")]
    Enable {
        /// Handle, DID or address.
        account: String,
    },
    /// Delete an account, so that no byte of it is left here.
    #[command(
        after_help = "Examples:\n  p2pds account delete alice.pds.example.com\n  p2pds account delete alice.pds.example.com --yes"
    )]
    Delete {
        /// Handle, DID or address.
        account: String,
    },
    /// Give an account a new signing key: in its DID document, here, and in a new commit.
    ///
    /// For a key that may have leaked, or that cannot be read any more because the file keys/node.key was lost.
    #[command(after_help = "Examples:\n  p2pds account rotate-key alice.pds.example.com")]
    RotateKey {
        /// Handle, DID or address.
        account: String,
    },
    /// Remove the authenticator app, passkeys, backup codes and codes by e-mail of an account: its password alone is enough
    /// again.
    ///
    /// For an owner who has lost all of them. Make sure first that it is the owner who asks: whoever has the password can
    /// sign in after this. The owner is told by mail.
    #[command(
        after_help = "Examples:\n  p2pds account reset-factors alice.pds.example.com\n  p2pds account reset-factors alice.pds.example.com --yes"
    )]
    ResetFactors {
        /// Handle, DID or address.
        account: String,
    },
    /// Set a new password; all sessions end. Made and printed once unless one is given.
    #[command(
        after_help = "Examples:\n  p2pds account reset-password alice.pds.example.com\n  p2pds account reset-password alice.pds.example.com --password-file password.txt"
    )]
    ResetPassword {
        /// Handle, DID or address.
        account: String,
        /// File with the password on the first line; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

/// Runs `account`.
///
/// # Errors
/// What the command met.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    match args.action {
        Action::Create { handle, email, password_file, recovery_key, did } => {
            let password = password_file.as_deref().map(read_secret).transpose()?;
            let ask = Ask::CreateAccount { handle, email, password, recovery_key, did };
            let answer = hosting(context, Need::Create, ask).await?;
            let Answer::AccountMade(made) = &answer else { return Err(unexpected()) };
            context
                .print(&answer, || format!("made {} ({}){}", made.handle, made.did, password_words(made)))?;
        }
        Action::List { email } => {
            let answer = hosting(context, Need::Existing, Ask::Accounts { email }).await?;
            let Answer::HostedAccounts(lines) = &answer else { return Err(unexpected()) };
            context.print(&answer, || list(lines))?;
        }
        Action::Show { account } => {
            let answer = hosting(context, Need::Existing, Ask::Account { account }).await?;
            let Answer::HostedAccount(details) = &answer else { return Err(unexpected()) };
            context.print(&answer, || show(details))?;
        }
        Action::Disable { account, reason } => {
            finish(context, Ask::DisableAccount { account, disabled: true, reason }).await?;
        }
        Action::Enable { account } => {
            finish(context, Ask::DisableAccount { account, disabled: false, reason: None }).await?;
        }
        Action::Delete { account } => return delete(context, account).await,
        Action::ResetFactors { account } => return reset_factors(context, account).await,
        Action::RotateKey { account } => finish(context, Ask::RotateKey { account }).await?,
        Action::ResetPassword { account, password_file } => {
            let password: Option<Secret> = password_file.as_deref().map(read_secret).transpose()?;
            let answer = hosting(context, Need::Existing, Ask::SetPassword { account, password }).await?;
            let Answer::PasswordSet(made) = &answer else { return Err(unexpected()) };
            context.print(&answer, || {
                format!("{} has a new password, and its sessions ended{}", made.handle, password_words(made))
            })?;
        }
    }
    Ok(Exit::Ok)
}

/// Asks the host something.
pub(super) async fn hosting(context: &Context, need: Need, ask: Ask) -> Result<Answer, Stopped> {
    context.run(need, Command::Hosting { ask: Box::new(ask) }).await
}

/// Asks for something to be done, and prints that it was.
pub(super) async fn finish(context: &Context, ask: Ask) -> Result<(), Stopped> {
    let answer = hosting(context, Need::Existing, ask).await?;
    let Answer::HostingDone(done) = &answer else { return Err(unexpected()) };
    context.print(&answer, || format!("{}: {}", done.subject, done.done))
}

async fn delete(context: &Context, account: String) -> Result<Exit, Stopped> {
    let answer = hosting(context, Need::Existing, Ask::Account { account }).await?;
    let Answer::HostedAccount(details) = &answer else { return Err(unexpected()) };
    let line = &details.line;
    let name = line.handle.clone().unwrap_or_else(|| line.did.clone());
    let question = format!(
        "This deletes {name} ({}): {} records, {} bytes, its blobs, settings and sessions. The network is told that the \
         account is gone. It cannot be undone; `p2pds export {name} --out DIR` keeps a copy.",
        line.did, line.records, line.bytes
    );
    confirm(context.global.yes, &question, &name)?;
    finish(context, Ask::DeleteAccount { account: line.did.clone() }).await?;
    Ok(Exit::Ok)
}

async fn reset_factors(context: &Context, account: String) -> Result<Exit, Stopped> {
    let answer = hosting(context, Need::Existing, Ask::Account { account }).await?;
    let Answer::HostedAccount(details) = &answer else { return Err(unexpected()) };
    let line = &details.line;
    let name = line.handle.clone().unwrap_or_else(|| line.did.clone());
    let factors = if details.factors.is_empty() { "none".to_owned() } else { details.factors.join(", ") };
    let question = format!(
        "This removes what {name} ({}) proves itself with beside the password: {factors}. Whoever knows the password can \
         sign in after that.",
        line.did
    );
    confirm(context.global.yes, &question, &name)?;
    finish(context, Ask::ResetFactors { account: line.did.clone() }).await?;
    Ok(Exit::Ok)
}

fn password_words(made: &Made) -> String {
    match &made.password {
        Some(password) => format!("\npassword: {}\nIt is shown this once.", password.expose()),
        None => String::new(),
    }
}

fn list(lines: &[HostedLine]) -> String {
    if lines.is_empty() {
        return "no accounts are hosted here; make one with `p2pds account create`".to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                line.handle.clone().unwrap_or_else(|| "-".to_owned()),
                line.did.clone(),
                line.status.clone(),
                line.email.clone().unwrap_or_else(|| "-".to_owned()),
                line.records.to_string(),
                words::ago(line.created_at),
            ]
        })
        .collect();
    output::table(&["handle", "did", "status", "e-mail", "records", "made"], &rows)
}

fn show(details: &HostedDetails) -> String {
    let line = &details.line;
    let confirmed = if line.email_confirmed { "confirmed" } else { "not confirmed" };
    let mut rows = vec![
        ("handle", line.handle.clone().unwrap_or_else(|| "-".to_owned())),
        ("did", line.did.clone()),
        ("status", line.status.clone()),
        (
            "e-mail",
            line.email.as_ref().map_or_else(|| "-".to_owned(), |email| format!("{email} ({confirmed})")),
        ),
        ("made", words::ago(line.created_at)),
        ("records", line.records.to_string()),
        ("bytes", line.bytes.to_string()),
        ("sessions", details.sessions.to_string()),
        (
            "app passwords",
            if details.app_passwords.is_empty() { "-".to_owned() } else { details.app_passwords.join(", ") },
        ),
        (
            "beside password",
            if details.factors.is_empty() { "-".to_owned() } else { details.factors.join(", ") },
        ),
        ("signing key", details.signing_key.clone()),
    ];
    if let Some(reference) = &details.takedown {
        rows.push(("taken down", reference.clone()));
    }
    if let Some(at) = line.delete_after {
        rows.push(("to be deleted", words::relative(at, words::now_micros())));
    }
    if let Some(owner) = &details.invited_by {
        rows.push(("invited by", owner.clone()));
    }
    if !details.hidden.is_empty() {
        rows.push(("hidden", details.hidden.join(", ")));
    }
    rows.iter().map(|(name, value)| format!("{name:<14} {value}")).collect::<Vec<_>>().join("\n")
}
