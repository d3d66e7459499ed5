//! The whole node in one directory, made while it runs.
//!
//! ```text
//! p2pds-backup.json   what the manifest is called and its hash; written last, so that it always names a whole backup
//! manifest-N          the parts with their hashes
//! database-N          the database: one state
//! blobs-N             which blobs belong to it
//! blobs/ab/...        the blobs, each once; a later backup adds what is new
//! files/N-i           repos that are kept as they came; with --with-keys the keys of this node
//! key.age             with a passphrase: the key of all the rest
//! ```
//!
//! With encryption every file but the first is an `age` file. Nothing of it is written unencrypted outside the data
//! directory. What is not in a backup: settings, logs, and the keys unless they are asked for.

mod blobs;
mod manifest;
mod report;
mod restore;
mod restored;
mod seal;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use p2pds_archive::{Phase, Progress, Unit};
use p2pds_syntax::ErrorKind;
use tokio::sync::Mutex;

use crate::Recovery;
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::blocking;
use manifest::{HEADER, Header, Manifest, Part};
pub use report::{BackupReport, RestoreReport};
pub use restore::{RestoreOptions, is_half_restored, restore};
pub use restored::{RESTORED, after_restore, before_all, is_restored};
use seal::Sealer;
pub use seal::{Opening, Passphrase, Sealing};

/// Directory in the data directory where a copy lies until it is written out.
const WORK: &str = "backup";
/// Directory of repos that are kept as they came.
const VERBATIM: &str = "verbatim";
/// Directory of the node's keys.
const KEYS: &str = "keys";
/// What is left free beside the copy, for the node that goes on writing.
const SPARE: u64 = 64 << 20;
/// The marker of a directory in which a backup is being made for the first time.
const BEGUN: &str = ".p2pds-backup";

/// How a backup is made.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    /// For whom it is encrypted.
    pub sealing: Sealing,
    /// Whether the keys of this node are in it.
    pub keys: bool,
    /// Whether keys may be in it without encryption.
    pub plain_keys: bool,
}

/// A failure in words.
fn said(kind: ErrorKind, words: impl Into<String>) -> RecoveryError {
    RecoveryError::Said { kind, words: words.into() }
}

impl Recovery {
    /// Writes the whole node into a directory, or brings an earlier backup there up to date. The node goes on working
    /// meanwhile. What stood there before is whole until the new one is. `now` is microseconds since 1970.
    ///
    /// # Errors
    /// The directory holds something else, a disk is full or fails, the encryption is not that of the backup there.
    pub async fn backup(
        &self,
        out: &Path,
        options: &BackupOptions,
        now: i64,
        progress: &Progress,
    ) -> RecoveryResult<BackupReport> {
        // Copies of the same store would share the place where they are made.
        static ONE: Mutex<()> = Mutex::const_new(());
        let _one = ONE.lock().await;
        if options.keys && !options.sealing.is_sealed() && !options.plain_keys {
            return Err(said(
                ErrorKind::Invalid,
                "the keys of this node open every account on it, so they are not written unencrypted: encrypt the \
                 backup (--encrypt-to or --passphrase-file), or add --plain-keys if the place is as safe as the node",
            ));
        }
        let data = self.archive().data_dir().to_owned();
        let (out, sealing) = (out.to_owned(), options.sealing.clone());
        let place = blocking({
            let data = data.clone();
            move || Place::open(&out, &data, &sealing)
        })
        .await?;
        let work = data.join(WORK);
        let made = self.write(&place, &work, options, now, progress).await;
        let cleaned = blocking(move || clear(&work)).await;
        let report = made?;
        cleaned?;
        self.note_backup(now).await;
        Ok(report)
    }

    async fn write(
        &self,
        place: &Place,
        work: &Path,
        options: &BackupOptions,
        now: i64,
        progress: &Progress,
    ) -> RecoveryResult<BackupReport> {
        let begun = Instant::now();
        let store = self.archive().store();
        self.room(store.stats().await?.db_bytes)?;
        let counter = progress.begin(Phase::Export, Unit::Bytes, None, "copying the database");
        let copy = {
            let work = work.to_owned();
            blocking(move || {
                clear(&work)?;
                private_dir(&work)?;
                Ok(work.join("database"))
            })
            .await?
        };
        let bytes = store.copy_database(&copy).await?.bytes;
        counter.finish(format!("{bytes} bytes of database"));
        let stamp = now;
        let (blob_list, blobs) = self.write_blobs(place, &copy, stamp, progress).await?;
        let database = {
            let (place, copy) = (place.clone(), copy.clone());
            blocking(move || place.put(&format!("database-{stamp}"), &copy)).await?
        };
        let (files, keys) = {
            let (place, data, keys) = (place.clone(), self.archive().data_dir().to_owned(), options.keys);
            blocking(move || place.put_files(&data, keys, stamp)).await?
        };
        let hosted = self.hosted().await?;
        let manifest = Manifest {
            made_at: now,
            program: self.archive().config().tool.clone(),
            database,
            blob_list,
            blobs: blobs.total,
            files,
            missing: blobs.missing.clone(),
        };
        let finished = {
            let (place, names) = (place.clone(), blobs.names);
            blocking(move || place.finish(&manifest, stamp, &names)).await?
        };
        Ok(BackupReport {
            out: finished,
            database_bytes: bytes,
            blobs: blobs.total,
            new_blobs: blobs.new,
            blob_bytes: blobs.bytes,
            missing: blobs.missing,
            hosted,
            keys,
            sealed: options.sealing.word().to_owned(),
            milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Whether a second database fits beside the first for a while.
    fn room(&self, need: u64) -> RecoveryResult<()> {
        let dir = self.archive().data_dir();
        let need = need.saturating_add(SPARE);
        match p2pds_blobs::space(dir) {
            Ok(space) if space.free < need => {
                Err(RecoveryError::NoRoom { dir: dir.to_owned(), need, free: space.free })
            }
            // A disk that does not say how much is free says it when it is full.
            _ => Ok(()),
        }
    }

    /// How many accounts are hosted here.
    async fn hosted(&self) -> RecoveryResult<u64> {
        let (mut after, mut hosted) = (None, 0_u64);
        loop {
            let page = self.archive().store().logins(after.as_ref(), 500).await?;
            let Some(last) = page.last() else { return Ok(hosted) };
            hosted = hosted.saturating_add(page.len() as u64);
            after = Some(last.did.clone());
        }
    }
}

/// Where a backup is written.
#[derive(Debug, Clone)]
struct Place {
    dir: PathBuf,
    sealer: Sealer,
}

impl Place {
    /// Opens a directory for a backup: a new one, an empty one, or one that has a backup made with the same key.
    fn open(out: &Path, data: &Path, sealing: &Sealing) -> RecoveryResult<Self> {
        sealing.check()?;
        let dir = std::path::absolute(out).map_err(RecoveryError::io("find", out))?;
        if dir.starts_with(data) || data.starts_with(&dir) {
            return Err(said(
                ErrorKind::Invalid,
                format!("{} and the data directory lie in each other; name another directory", dir.display()),
            ));
        }
        private_dir(&dir)?;
        let known = dir.join(HEADER).exists() || dir.join(BEGUN).exists();
        let mut entries = fs::read_dir(&dir).map_err(RecoveryError::io("read", &dir))?;
        if !known && entries.next().is_some() {
            return Err(said(
                ErrorKind::Conflict,
                format!("{} is not empty and has no backup in it; name another directory", dir.display()),
            ));
        }
        if dir.join(HEADER).exists() {
            let header = Header::read(&dir)?;
            if header.sealed != sealing.word() {
                return Err(said(
                    ErrorKind::Conflict,
                    format!(
                        "the backup in {} is {}; use the same, or name another directory",
                        dir.display(),
                        seal::describe(&header.sealed)
                    ),
                ));
            }
        }
        let begun = dir.join(BEGUN);
        fs::write(&begun, b"a backup is made here\n").map_err(RecoveryError::io("write", &begun))?;
        let sealer = sealing.sealer(&dir)?;
        Ok(Self { dir, sealer })
    }

    /// Writes one file out.
    fn put(&self, name: &str, from: &Path) -> RecoveryResult<Part> {
        let mut input = fs::File::open(from).map_err(RecoveryError::io("read", from))?;
        let mut out = self.sealer.create(&self.dir.join(name))?;
        std::io::copy(&mut input, &mut out).map_err(RecoveryError::io("write", &self.dir))?;
        let (size, sha256) = out.finish()?;
        Ok(Part { name: name.to_owned(), path: String::new(), size, sha256 })
    }

    /// Repos kept as they came, and the keys; answers whether keys are among them.
    fn put_files(&self, data: &Path, keys: bool, stamp: i64) -> RecoveryResult<(Vec<Part>, bool)> {
        private_dir(&self.dir.join("files"))?;
        let mut found = Vec::new();
        list(&data.join(VERBATIM), VERBATIM, &mut found)?;
        let without = found.len();
        if keys {
            list(&data.join(KEYS), KEYS, &mut found)?;
        }
        let with_keys = found.len() > without;
        let mut parts = Vec::new();
        for (number, path) in found.into_iter().enumerate() {
            let part = self.put(&format!("files/{stamp}-{number}"), &data.join(&path))?;
            parts.push(Part { path, ..part });
        }
        Ok((parts, with_keys))
    }

    /// The manifest, then the name of it; what no manifest names any more goes.
    fn finish(&self, manifest: &Manifest, stamp: i64, blobs: &[blobs::Name]) -> RecoveryResult<PathBuf> {
        let name = format!("manifest-{stamp}");
        let mut out = self.sealer.create(&self.dir.join(&name))?;
        let bytes = manifest.to_bytes()?;
        std::io::Write::write_all(&mut out, &bytes).map_err(RecoveryError::io("write", &self.dir))?;
        let (_, sha256) = out.finish()?;
        sync_dir(&self.dir.join("files"))?;
        sync_dir(&self.dir)?;
        let header = Header { sealed: self.sealer.word().to_owned(), manifest: name, sha256 };
        header.write(&self.dir)?;
        self.sweep(&header, manifest)?;
        blobs::sweep(&self.dir, blobs)?;
        let begun = self.dir.join(BEGUN);
        fs::remove_file(&begun).map_err(RecoveryError::io("remove", &begun))?;
        Ok(self.dir.clone())
    }

    /// Removes parts of earlier backups.
    fn sweep(&self, header: &Header, manifest: &Manifest) -> RecoveryResult<()> {
        let mut keep: Vec<&str> = vec![&header.manifest, &manifest.database.name, &manifest.blob_list.name];
        keep.extend(manifest.files.iter().map(|part| part.name.as_str()));
        for (dir, prefix) in [(self.dir.clone(), ""), (self.dir.join("files"), "files/")] {
            for entry in fs::read_dir(&dir).map_err(RecoveryError::io("read", &dir))?.flatten() {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let ours = ["manifest-", "database-", "blobs-", "files/"].iter().any(|p| name.starts_with(p));
                if ours && !keep.contains(&name.as_str()) && entry.path().is_file() {
                    fs::remove_file(entry.path()).map_err(RecoveryError::io("remove", &entry.path()))?;
                }
            }
        }
        Ok(())
    }
}

/// All files under a directory, as paths from the data directory.
fn list(dir: &Path, name: &str, found: &mut Vec<String>) -> RecoveryResult<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(RecoveryError::io("read", dir)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(RecoveryError::io("read", dir))?;
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(&entry.path(), &path, found)?;
        } else if entry.path().is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// A directory for its owner alone.
fn private_dir(dir: &Path) -> RecoveryResult<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(RecoveryError::io("create", dir))
}

fn sync_dir(dir: &Path) -> RecoveryResult<()> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(RecoveryError::io("sync", dir))
}

fn clear(dir: &Path) -> RecoveryResult<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RecoveryError::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}
