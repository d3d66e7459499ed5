//! Archiving from a CAR file, offline.

use std::path::Path;

use p2pds_crypto::PublicKey;
use p2pds_directory::{log_of_rows, plc_rows};
use p2pds_identity::plc::{Log, LogChange, compare, parse_audit, validate_log};
use p2pds_ipld::car::CarError;
use p2pds_repo::car_in::ReadError;
use p2pds_store::{Account, AccountPatch, Origin, Unit};
use p2pds_syntax::Did;
use tokio::time::Instant;

use crate::archive::{Archive, Inner};
use crate::error::{ArchiveError, ArchiveResult};
use crate::fetch::blocking;
use crate::fetch_blobs::Brought;
use crate::identity::{keys_of, keys_of_log};
use crate::judge::{Keys, Vouched};
use crate::progress::{Phase, Progress};
use crate::report::{ImportReport, Outcome};
use crate::stage::peek;
use crate::take::Terms;
use crate::update::Updated;

/// Largest PLC log file that is read.
const MAX_LOG: u64 = 8 << 20;

impl Archive {
    /// Archives an account from a CAR file and, if given, the audit log of its DID. Asks nobody: without a log, here or
    /// in the file, the repo is kept and shown as unverified. An older file never replaces a newer head.
    ///
    /// # Errors
    /// [`ArchiveError::BadFile`] and [`ArchiveError::Rejected`] with what is wrong and where; nothing is changed then.
    pub async fn import(
        &self,
        car: &Path,
        plc_log: Option<&Path>,
        progress: &Progress,
    ) -> ArchiveResult<ImportReport> {
        self.import_file(car, plc_log, None, progress).await
    }

    /// As [`Archive::import`], for a repo that lay beside its own signing key: that key vouches for it, as do those that
    /// the stored log of the identity names.
    ///
    /// # Errors
    /// As [`Archive::import`].
    pub async fn import_with_key(
        &self,
        car: &Path,
        key: &PublicKey,
        progress: &Progress,
    ) -> ArchiveResult<ImportReport> {
        self.import_file(car, None, Some(key), progress).await
    }

    async fn import_file(
        &self,
        car: &Path,
        plc_log: Option<&Path>,
        own_key: Option<&PublicKey>,
        progress: &Progress,
    ) -> ArchiveResult<ImportReport> {
        let begun = Instant::now();
        let inner = self.inner();
        let (path, options) = (car.to_owned(), inner.read_options());
        let peeked = blocking(move || {
            plain_file(&path)?;
            peek(&path, options)
        })
        .await?
        .map_err(|error| bad_car(car, &error))?;
        let did = peeked.commit.did.clone();
        let progress = progress.about(&did);
        progress
            .note(Phase::Store, format!("{} holds {did} at revision {}", car.display(), peeked.commit.rev));
        let _guard = inner.locks().enter(&did).await;
        if inner.store().account(&did).await?.is_some_and(|account| account.hosted) {
            return Err(ArchiveError::HostedHere(did));
        }
        let given = match plc_log {
            Some(path) => Some(read_log(&did, path).await?),
            None => None,
        };
        let mut keys = inner.import_keys(&did, given.as_ref()).await?;
        if let Some(key) = own_key {
            keys.prefer(key.clone());
        }
        let known = inner.store().account(&did).await?.is_some();
        let account = Account::new(did.clone(), Origin::File, inner.now());
        let terms = Terms {
            did: did.clone(),
            source: car.display().to_string(),
            keys,
            unverified: true,
            ask_again: false,
            repair: false,
            foreign_file: true,
            accept: None,
        };
        // The signature is checked before anything is written, so that a forged file leaves no trace.
        let vouched = inner.vouch(&terms, &peeked).await?;
        inner.store().apply(Unit::AddAccount(Box::new(account))).await?;
        if let Some(log) = &given {
            inner.take_log(&did, log).await?;
        }
        let took = match inner.take(car, &terms, &progress).await {
            Ok(took) => took,
            Err(error) => {
                if !known {
                    // The cause matters more; what is left of this is finished by `resume`.
                    if let Err(error) = self.forget_empty(&did, &progress).await {
                        tracing::warn!(event = "archive.import-left", %did, %error, "what a refused import left is removed at the next start");
                    }
                }
                return Err(error);
            }
        };
        let mut notes = took.notes;
        if let Outcome::Stored = took.outcome {
            notes.push(format!(
                "blobs are not in a CAR file; `p2pds archive sync {did}` fetches them from the host"
            ));
            let handle = given.as_ref().and_then(|log| log.data()).and_then(|data| data.handle());
            let patch = AccountPatch {
                pds: given.as_ref().and_then(|log| log.data()).and_then(|data| data.pds()).map(Some),
                // A handle that was not resolved is a claim: it names the account here only until a sync.
                handle: if known { None } else { handle.map(|handle| Some(handle.as_str().to_owned())) },
                ..AccountPatch::default()
            };
            inner.patch(&did, patch).await?;
        }
        let verified = matches!(vouched, Vouched::Current(_) | Vouched::Earlier(_));
        let updated = Updated { outcome: took.outcome, fetched_bytes: 0, notes };
        let summary = inner.summary(&did, updated, Brought::default(), begun).await?;
        Ok(ImportReport { summary, file: car.display().to_string(), verified })
    }
}

impl Inner {
    /// Keys to check a file with: those of the log that came with it, else those that are stored.
    async fn import_keys(&self, did: &Did, given: Option<&Log>) -> ArchiveResult<Keys> {
        let rows = self.store().plc_log(did).await?;
        let stored = if rows.is_empty() { None } else { log_of_rows(did, &rows).ok() };
        if let Some(log) = newest(stored.as_ref(), given) {
            return Ok(keys_of_log(log));
        }
        // What cannot be read vouches for nothing; the key below still does.
        if let Ok(Some(identity)) = self.directory().stored(did).await {
            return Ok(keys_of(&identity));
        }
        // Without log and document, the key that signed what is stored still tells a forgery: a file that nobody vouches
        // for must not replace what somebody does.
        let head = self.store().live_repo(did).await?.and_then(|repo| repo.head);
        let current = head.and_then(|head| PublicKey::from_did_key(&head.key).ok());
        Ok(Keys { current, earlier: Vec::new() })
    }

    /// Stores a log that came from a file, unless the stored one says more or says otherwise.
    async fn take_log(&self, did: &Did, log: &Log) -> ArchiveResult<()> {
        let rows = self.store().plc_log(did).await?;
        let stored = if rows.is_empty() { None } else { log_of_rows(did, &rows).ok() };
        let take = match stored.as_ref().map(|stored| compare(stored, log)) {
            None | Some(LogChange::Extended(_)) => true,
            Some(LogChange::Same | LogChange::Shorter) => false,
            Some(LogChange::Forked { at }) => {
                let words = format!("the log in the file differs from the stored one from operation {at} on");
                let detail = serde_json::json!({"words": words, "at": at});
                let data = p2pds_identity::plc::write_audit(log.entries());
                self.keep_evidence(did, "plc-fork", detail, Some(data)).await?;
                false
            }
        };
        if take {
            let unit = Unit::PutPlcLog { did: did.clone(), ops: plc_rows(log), fetched_at: self.now() };
            self.store().apply(unit).await?;
        }
        Ok(())
    }
}

impl Archive {
    /// An account that an import made and then could not fill goes again, like any other that is removed.
    async fn forget_empty(&self, did: &Did, progress: &Progress) -> ArchiveResult<()> {
        let inner = self.inner();
        if inner.store().live_repo(did).await?.is_some() || !inner.spool().verbatim(did)?.is_empty() {
            return Ok(());
        }
        let mut report = self.purge_report(&inner.account(did).await?)?;
        self.purge(did, "an import that was refused", &mut report, progress).await
    }
}

/// The log that says more; a file's log that contradicts the stored one does not count.
fn newest<'a>(stored: Option<&'a Log>, given: Option<&'a Log>) -> Option<&'a Log> {
    match (stored, given) {
        (Some(stored), Some(given)) => match compare(stored, given) {
            LogChange::Extended(_) => Some(given),
            _ => Some(stored),
        },
        (stored, given) => stored.or(given),
    }
}

/// Refuses directories, and pipes and devices, which would be waited for without end or have no length.
fn plain_file(path: &Path) -> ArchiveResult<()> {
    let kind = std::fs::metadata(path).map_err(ArchiveError::io("read", path))?;
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() { "it is a directory" } else { "it is a pipe or a device, not a file" };
    Err(ArchiveError::BadFile { path: path.to_owned(), what: what.to_owned() })
}

async fn read_log(did: &Did, path: &Path) -> ArchiveResult<Log> {
    let file = path.to_owned();
    let bytes = blocking(move || {
        plain_file(&file)?;
        let length = std::fs::metadata(&file).map_err(ArchiveError::io("open", &file))?.len();
        if length > MAX_LOG {
            let what = format!("it has {length} bytes; a PLC log has {MAX_LOG} at most");
            return Err(ArchiveError::BadFile { path: file, what });
        }
        std::fs::read(&file).map_err(ArchiveError::io("read", &file))
    })
    .await?;
    let bad = |what: String| ArchiveError::BadFile { path: path.to_owned(), what };
    let entries = parse_audit(&bytes).map_err(|error| {
        bad(format!("it is not a PLC audit log ({error}); get it from https://plc.directory/{did}/log/audit"))
    })?;
    validate_log(did, &entries).map_err(|error| bad(error.to_string()))
}

/// What is wrong with a file that the user gave, in words that help.
fn bad_car(path: &Path, error: &ReadError) -> ArchiveError {
    let what = match error {
        ReadError::Car(CarError { offset: 0, .. }) => format!("it is not a CAR file: {error}"),
        ReadError::Commit { .. } | ReadError::NoCommit(_) => format!(
            "{error}. A repo from before 2024 has another format, and a part of a repo has no commit: what fits is the \
             whole repo of an account, as `p2pds export --car FILE` or com.atproto.sync.getRepo at its host give it"
        ),
        other => other.to_string(),
    };
    ArchiveError::BadFile { path: path.to_owned(), what }
}
