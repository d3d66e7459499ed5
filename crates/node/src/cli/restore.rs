//! `p2pds restore-record`: a record of before, shown, written to a file, or put back at the account's host.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use data_encoding::BASE64;
use p2pds_agent::Secret;
use p2pds_archive::OldRecord;

use crate::cli::archive::unexpected;
use crate::cli::ask;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
Without more it only shows the record as it was, what stands there now, and what would be written.
--out writes it to a file: JSON if the name ends in .json, else the record's block (DAG-CBOR).
--password-file puts it back at the account's own host: make an app password in the account's
settings, and give it in a file or on standard input (-), never as an argument. Blobs that the
record names, that the host has given up and that are held here are uploaded again.

Examples:
  p2pds restore-record at://alice.example.com/app.bsky.feed.post/3jzfcijpj2z2a
  p2pds restore-record at://alice.example.com/app.bsky.actor.profile/self --at 2026-11-01
  p2pds restore-record at://alice.example.com/app.bsky.feed.post/3jzfcijpj2z2a --out post.json
  p2pds restore-record at://alice.example.com/app.bsky.feed.post/3jzfcijpj2z2a --password-file -";

/// Arguments of `restore-record`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// AT-URI of the record, with a DID or a handle.
    #[arg(value_name = "AT-URI")]
    uri: String,
    /// As of this revision, time or date; without, the last version that is not the current one.
    #[arg(long, value_name = "REV|DATE")]
    at: Option<String>,
    /// Write the record to a new file.
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    out: Option<PathBuf>,
    /// File with an app password of the account; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Longest password that hosts accept, and then some.
const MAX_PASSWORD: u64 = 4_096;

/// Runs `restore-record`.
///
/// # Errors
/// There was no such record, it is not kept, the host refused.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let Args { uri, at, out, password_file } = args;
    let look = Command::RestoreRecord { uri: uri.clone(), at: at.clone(), password: None };
    let Some(file) = password_file else {
        let answer = context.run(Need::Existing, look).await?;
        let Answer::OldRecord(old) = &answer else { return Err(unexpected()) };
        if let Some(out) = &out {
            write(old, out)?;
        }
        context.print(&answer, || words(old, out.as_deref()))?;
        return Ok(Exit::Ok);
    };
    let password = read_password(&file)?;
    // Asked at a terminal only: whoever hands over a password in a script means it.
    if !context.global.yes && file != Path::new("-") && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        let answer = context.run(Need::Existing, look).await?;
        let Answer::OldRecord(old) = &answer else { return Err(unexpected()) };
        ask::confirm(false, &words(old, None), "restore")?;
    }
    let command = Command::RestoreRecord { uri, at, password: Some(password) };
    let answer = context.run(Need::Existing, command).await?;
    let Answer::OldRecord(old) = &answer else { return Err(unexpected()) };
    context.print(&answer, || old.to_string())?;
    Ok(Exit::Ok)
}

/// The report, with the record itself.
fn words(old: &OldRecord, out: Option<&Path>) -> String {
    let mut text = old.to_string();
    if let Some(out) = out {
        text = text.replace("Nothing was written.", &format!("Written to {}.", out.display()));
    }
    match (&old.value, out) {
        (Some(value), None) => {
            let json = serde_json::to_string_pretty(value).unwrap_or_default();
            text.push_str(&format!("\n\nIt would be written as:\n{json}"));
        }
        (None, None) => text.push_str("\nIts bytes are no data that JSON can show; no host would take them."),
        (_, Some(_)) => {}
    }
    text
}

fn write(old: &OldRecord, out: &Path) -> Result<(), Stopped> {
    let json = out.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let bytes = match (json, &old.value) {
        (true, Some(value)) => serde_json::to_vec_pretty(value).map_err(anyhow::Error::from)?,
        (true, None) => {
            return Err(Stopped::usage(
                "its bytes are no data that JSON can show",
                "name a file that does not end in .json to get the bytes themselves",
            ));
        }
        (false, _) => {
            BASE64.decode(old.block.as_bytes()).context("an answer that is no base64: a defect in p2pds")?
        }
    };
    let file = std::fs::File::create_new(out);
    let mut file = file.with_context(|| format!("cannot write {} (it must not exist yet)", out.display()))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", out.display()))?;
    Ok(())
}

fn read_password(file: &Path) -> Result<Secret, Stopped> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(MAX_PASSWORD)
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        opened
            .take(MAX_PASSWORD)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    let password = Secret::new(text.lines().next().unwrap_or_default());
    if password.is_empty() {
        return Err(Stopped::usage(
            "there is no password in it",
            "put an app password of the account on the first line",
        ));
    }
    Ok(password)
}
