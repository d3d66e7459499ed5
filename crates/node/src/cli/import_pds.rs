//! `p2pds import-pds`: takes over the accounts of a stopped reference PDS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::config::Config;
use crate::operator::Command;
use crate::operator::answer::Answer;

const EXAMPLES: &str = "\
DIR is what PDS_DATA_DIRECTORY names (/pds in the usual set-up). It is read and never changed; the
server must be stopped, and is refused when it runs. Accounts, passwords, app passwords, invite
codes, repos, blobs, preferences, signing keys and event numbers are taken over; every repo and blob
is verified. Interrupted, the same command goes on. Exit status 3 when something could not be taken
over, with its name and reason.

Start with --dry-run. Give this node the environment of the old one (pds.env), so that it has its
name and its rotation key.

Examples:
  p2pds import-pds /pds --env-file /pds/pds.env --dry-run
  p2pds import-pds /pds --env-file /pds/pds.env
  p2pds import-pds /backup/pds --blobs /backup/blobs";

/// Paths that the environment of a reference PDS may name.
const PATHS: [&str; 5] = [
    "PDS_DATA_DIRECTORY",
    "PDS_ACCOUNT_DB_LOCATION",
    "PDS_SEQUENCER_DB_LOCATION",
    "PDS_ACTOR_STORE_DIRECTORY",
    "PDS_BLOBSTORE_DISK_LOCATION",
];

/// Arguments of `import-pds`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Its data directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Its environment (pds.env): where its parts lie, and its keys, which are compared with this node's.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Where its blobs lie, when the environment does not say (or they were copied from S3).
    #[arg(long, value_name = "DIR")]
    blobs: Option<PathBuf>,
    /// Read and verify everything, store nothing, and say what would be taken over.
    #[arg(long)]
    dry_run: bool,
}

/// Runs `import-pds`.
///
/// # Errors
/// What the command met; accounts that could not be taken over are no error but exit status 3.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let absolute = |path: &Path| -> anyhow::Result<PathBuf> {
        let path = std::path::absolute(path)?;
        std::fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(path)
    };
    let dir = absolute(&args.dir)?;
    let blobs = args.blobs.as_deref().map(absolute).transpose()?;
    let mut said = BTreeMap::new();
    if let Some(file) = &args.env_file {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        said = Config::environment(&text);
    }
    let env = PATHS.iter().filter_map(|name| Some(((*name).to_owned(), said.get(*name)?.clone()))).collect();
    let command = Command::ImportPds { dir, env, blobs, dry_run: args.dry_run };
    let answer = context.run(Need::Create, command).await?;
    let Answer::PdsImported(report) = &answer else { return Err(unexpected()) };
    let advice = advice(context, &said);
    context.print(&answer, || {
        let mut text = report.to_string();
        for line in &advice {
            text.push_str(&format!("\n- {line}"));
        }
        text
    })?;
    Ok(if report.exit_code() == 0 { Exit::Ok } else { Exit::Damage })
}

/// What of the old environment this node must have, and has not.
fn advice(context: &Context, said: &BTreeMap<String, String>) -> Vec<String> {
    let config = &context.loaded.config;
    let mut lines = Vec::new();
    let differs =
        |name: &str, ours: Option<&str>| said.get(name).is_some_and(|theirs| Some(theirs.as_str()) != ours);
    let hosting = &config.hosting;
    if differs(
        "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX",
        hosting.plc_rotation_key.as_ref().map(crate::config::setting::Secret::expose),
    ) {
        lines.push(
            "this node does not have the rotation key that the identities name: set \
             PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX from the old environment, or nobody can change a handle or move \
             away"
                .to_owned(),
        );
    }
    if differs("PDS_HOSTNAME", config.http.hostname.as_deref()) {
        lines.push(
            "this node has another name than the old server: identities and relays know that one. Set PDS_HOSTNAME from \
             the old environment"
                .to_owned(),
        );
    }
    if differs(
        "PDS_ADMIN_PASSWORD",
        hosting.admin_password.as_ref().map(crate::config::setting::Secret::expose),
    ) {
        lines.push("the admin password is another one here: set PDS_ADMIN_PASSWORD to keep it".to_owned());
    }
    lines
}
