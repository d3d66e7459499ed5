//! `p2pds backup` and `p2pds restore`: the whole node, out and back.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use p2pds_archive::Progress;
use p2pds_recovery::{Opening, Passphrase, RestoreOptions};
use p2pds_store_sqlite::FILE_NAME;
use zeroize::Zeroizing;

use crate::cli::archive::unexpected;
use crate::cli::context::{Context, Need};
use crate::cli::exit::{Exit, Stopped};
use crate::operator::answer::Answer;
use crate::operator::{Command, Failure};
use crate::progress::Display;

const BACKUP: &str = "\
The node goes on working: the database is copied as it is at one moment, then the blobs that it
names, then a manifest with hashes. Into the same directory again, it is brought up to date: blobs
that are there are not copied again, and the earlier backup is whole until the new one is.

Keys are not in it unless --with-keys is given: with them whoever reads the backup can write to
every hosted account. Keep the directory `keys` of the data directory in another place, or encrypt.
Settings are never in it.

--encrypt-to takes a key that `age-keygen` made: the node can write such a backup and not read it.

Examples:
  p2pds backup /mnt/backup/p2pds
  p2pds backup /mnt/backup/p2pds --encrypt-to age1... --with-keys
  p2pds backup /mnt/backup/p2pds --passphrase-file ~/.p2pds-passphrase";

const RESTORE: &str = "\
FROM is a directory that `p2pds backup` wrote. The data directory must be new. Every byte is checked
on the way; --dry-run only checks, and writes nothing.

Stop the old node for good first. At its first start the restored node lets its event numbers jump,
signs a new commit for each hosted account and tells subscribers to begin from there.

Examples:
  p2pds restore /mnt/backup/p2pds --dry-run
  p2pds restore /mnt/backup/p2pds --data-dir /srv/p2pds
  p2pds restore /mnt/backup/p2pds --data-dir /srv/p2pds --identity key.txt";

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = BACKUP)]
pub struct Args {
    /// Directory to write into; made if it is missing.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Encrypt it for the holder of this key; may be given more than once.
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "passphrase_file")]
    encrypt_to: Vec<String>,
    /// Encrypt it with the passphrase in the first line of this file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Put the keys of this node into it.
    #[arg(long)]
    with_keys: bool,
    /// Put them into it even when it is not encrypted.
    #[arg(long, requires = "with_keys")]
    plain_keys: bool,
}

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = RESTORE)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// Read and check the whole backup, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// File with the secret key of a backup that was encrypted for it; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    identity: Option<PathBuf>,
    /// File with the passphrase; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Largest file with a key or passphrase.
const MOST: u64 = 64 << 10;

/// A file with a secret.
fn secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") {
        std::io::stdin().lock().take(MOST).read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        opened
            .take(MOST)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(text)
}

/// Runs `backup`.
///
/// # Errors
/// What the command met. Blobs that could not be read are no error but exit status 3.
pub async fn run(context: &Context, args: Args) -> Result<Exit, Stopped> {
    let out =
        std::path::absolute(&args.out).with_context(|| format!("cannot find {}", args.out.display()))?;
    let passphrase = args.passphrase_file.as_deref().map(secret).transpose()?;
    let command = Command::Backup {
        out,
        encrypt_to: args.encrypt_to,
        passphrase: passphrase.map(|text| Passphrase::new(&text)),
        keys: args.with_keys,
        plain_keys: args.plain_keys,
    };
    let answer = context.run(Need::Existing, command).await?;
    let Answer::BackedUp(report) = &answer else { return Err(unexpected()) };
    context.print(&answer, || report.to_string())?;
    Ok(if report.missing.is_empty() { Exit::Ok } else { Exit::Damage })
}

/// Runs `restore`.
///
/// # Errors
/// The backup is damaged or cannot be opened; the directory is not new.
pub async fn restore(context: &Context, args: RestoreArgs) -> Result<Exit, Stopped> {
    let opening = match (&args.identity, &args.passphrase_file) {
        (Some(file), _) => Opening::Identity(secret(file)?),
        (None, Some(file)) => Opening::Passphrase(Passphrase::new(&secret(file)?)),
        (None, None) => Opening::No,
    };
    let dir = context.data_dir();
    let to = if args.dry_run {
        None
    } else {
        // What is there is not to be touched, not even by the directory of its blobs.
        if std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
            let message =
                format!("{} is not empty; a backup is restored into a new directory only", dir.display());
            return Err(Failure::new("conflict", message).hint("name another one with --data-dir").into());
        }
        crate::node::lock::make_private_dir(&dir)
            .with_context(|| format!("cannot make {}", dir.display()))?;
        Some((dir.clone(), crate::hosting::blobs(&context.loaded.config, &dir)?))
    };
    let options = RestoreOptions { to, database: FILE_NAME.to_owned(), opening };
    let display = Arc::new(Mutex::new(Display::new(&context.global)));
    let progress = Progress::to({
        let display = Arc::clone(&display);
        move |event| display.lock().unwrap_or_else(PoisonError::into_inner).show(&event)
    });
    let restored = p2pds_recovery::restore(&args.from, options, &progress).await;
    display.lock().unwrap_or_else(PoisonError::into_inner).finish();
    let report = Box::new(restored.map_err(Failure::from)?);
    let words = report.to_string();
    context.print(&Answer::Restored(report), || words)?;
    Ok(Exit::Ok)
}
