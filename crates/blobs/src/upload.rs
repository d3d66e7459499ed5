//! How a blob becomes durable: bytes go to a file in `tmp`, hashed on the way;
//! the hash is compared; the file is synced, renamed into the account's
//! directory, and the directory is synced. Only then does anyone hear of it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use p2pds_ipld::{Cid, Codec};
use p2pds_syntax::Did;
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::error::BlobError;
use crate::layout::{DID_FILE, TMP, account_dir_name, is_hashed};
use crate::store::{Blobs, blocking, sync_dir};

/// Bytes gathered before they go to the file.
const BATCH: usize = 256 * 1024;
/// The free room is looked at again after so many bytes.
const SPACE_STEP: u64 = 16 << 20;

/// Decides how much an account may still store.
pub trait Quota: Send + Sync {
    /// Called before `more` further bytes of `did` are written.
    ///
    /// # Errors
    /// The reason why not, in words for a person.
    fn admit(&self, did: &Did, more: u64) -> Result<(), String>;
    /// Called with the bytes admitted to an upload that came to nothing.
    fn release(&self, did: &Did, bytes: u64);
}

/// What is known of a blob before its bytes arrive.
#[derive(Clone)]
pub struct PutOptions {
    /// The CID that the bytes must have; `None` for an upload that is to be named by its hash.
    pub expect: Option<Cid>,
    /// The most bytes accepted.
    pub max_bytes: u64,
    /// The account's quota, if it has one.
    pub quota: Option<Arc<dyn Quota>>,
}

/// A blob on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The hash of its bytes; the codec is `raw` unless another was expected.
    pub cid: Cid,
    /// Its size in bytes.
    pub size: u64,
}

/// A blob being received. Dropped before [`Self::finish`], it leaves nothing behind.
pub struct Upload {
    blobs: Blobs,
    did: Did,
    options: PutOptions,
    batch: Vec<u8>,
    received: u64,
    space_checked_at: u64,
    /// `None` while a blocking task has it.
    work: Option<Work>,
    tmp: PathBuf,
    finished: bool,
}

/// A blob that was received whole. Dropped before [`Self::publish`], it leaves nothing behind.
pub struct Sealed {
    upload: Upload,
    file: File,
    cid: Cid,
}

impl Sealed {
    /// What it is.
    #[must_use]
    pub fn stored(&self) -> Stored {
        Stored { cid: self.cid, size: self.upload.received }
    }

    /// Puts it under its CID, an earlier file of that CID replaced. Durable when this returns.
    ///
    /// # Errors
    /// [`BlobError::NotDurable`], after which nothing more is written; [`BlobError::Io`], [`BlobError::DiskFull`].
    pub async fn publish(self) -> Result<Stored, BlobError> {
        let stored = self.stored();
        let Self { mut upload, file, cid } = self;
        let (blobs, did, tmp) = (upload.blobs.clone(), upload.did.clone(), upload.tmp.clone());
        if let Some(remote) = &upload.blobs.0.remote {
            remote.put(&upload.did, &cid, file, stored.size).await?;
            upload.finished = true;
            let _ = blocking(move || fs::remove_file(&tmp).map_err(BlobError::io("remove", &tmp))).await;
            return Ok(stored);
        }
        let outcome = blocking(move || publish(&blobs, &did, &file, &tmp, &cid)).await;
        upload.finished = outcome.is_ok();
        upload.blobs.note(outcome)?;
        Ok(stored)
    }
}

/// The open file and the running hash.
struct Work {
    file: File,
    hasher: Sha256,
}

impl Upload {
    pub(crate) async fn begin(blobs: Blobs, did: Did, options: PutOptions) -> Result<Self, BlobError> {
        let number = blobs.0.next.fetch_add(1, Ordering::Relaxed);
        let tmp = blobs.0.root.join(TMP).join(format!("{number:016x}"));
        let (store, path) = (blobs.clone(), tmp.clone());
        let file = blocking(move || {
            store.admit(0)?;
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(BlobError::io("create", &path))
        })
        .await?;
        let work = Some(Work { file, hasher: Sha256::new() });
        let batch = Vec::new();
        Ok(Self { blobs, did, options, batch, received: 0, space_checked_at: 0, work, tmp, finished: false })
    }

    /// Bytes received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes the next bytes. After an error, or when it is cancelled, the upload is lost.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Quota`], [`BlobError::DiskFull`], [`BlobError::Io`].
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), BlobError> {
        let more = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.received.saturating_add(more) > self.options.max_bytes {
            return Err(BlobError::TooLarge { limit: self.options.max_bytes });
        }
        if let Some(quota) = &self.options.quota {
            quota.admit(&self.did, more).map_err(|reason| BlobError::Quota { reason })?;
        }
        self.received = self.received.saturating_add(more);
        self.batch.extend_from_slice(&chunk);
        if self.batch.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    /// Ends the upload: the blob is durable under its CID when this returns, an
    /// earlier file of that CID replaced.
    ///
    /// # Errors
    /// [`BlobError::WrongHash`] when another CID was expected; [`BlobError::NotDurable`], after which nothing
    /// more is written; [`BlobError::Io`], [`BlobError::DiskFull`].
    pub async fn finish(self) -> Result<Stored, BlobError> {
        self.seal().await?.publish().await
    }

    /// Ends the receiving: the CID is known, and nothing is under it yet.
    ///
    /// # Errors
    /// [`BlobError::WrongHash`] when another CID was expected, [`BlobError::Io`], [`BlobError::DiskFull`].
    pub async fn seal(mut self) -> Result<Sealed, BlobError> {
        self.flush().await?;
        let Some(work) = self.work.take() else { return Err(lost()) };
        let codec = self.options.expect.map_or(Codec::Raw, |cid| cid.codec());
        let cid = Cid::new(codec, work.hasher.finalize().into());
        if let Some(expected) = self.options.expect.filter(|expected| *expected != cid) {
            return Err(BlobError::WrongHash { expected, actual: cid });
        }
        Ok(Sealed { upload: self, file: work.file, cid })
    }

    /// Hashes and writes what has gathered.
    async fn flush(&mut self) -> Result<(), BlobError> {
        let Some(mut work) = self.work.take() else { return Err(lost()) };
        let batch = std::mem::take(&mut self.batch);
        let check_space = self.received.saturating_sub(self.space_checked_at) >= SPACE_STEP;
        if check_space {
            self.space_checked_at = self.received;
        }
        let (blobs, tmp) = (self.blobs.clone(), self.tmp.clone());
        let (work, mut batch) = blocking(move || {
            if check_space {
                blobs.admit(0)?;
            }
            work.hasher.update(&batch);
            work.file.write_all(&batch).map_err(BlobError::io("write", &tmp))?;
            Ok((work, batch))
        })
        .await?;
        batch.clear();
        self.batch = batch;
        self.work = Some(work);
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Some(quota) = &self.options.quota {
            quota.release(&self.did, self.received);
        }
        // Removing one name is quick; what fails here is removed when the store is opened next.
        if let Err(e) = fs::remove_file(&self.tmp)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            warn!(event = "blobs.left-over", error = %e, "a half written blob could not be removed; the next start tries again");
        }
    }
}

/// Sync, rename, sync. Everything here happens on the blocking pool.
fn publish(blobs: &Blobs, did: &Did, file: &File, tmp: &Path, cid: &Cid) -> Result<(), BlobError> {
    if blobs.0.stopped.load(Ordering::Acquire) {
        return Err(BlobError::Stopped);
    }
    file.sync_all().map_err(|source| BlobError::NotDurable { path: tmp.to_owned(), source })?;
    let dir = account_dir(blobs, did)?;
    let path = dir.join(cid.to_string());
    fs::rename(tmp, &path).map_err(BlobError::io("rename", &path))?;
    sync_dir(&dir)
}

/// The account's directory. That it exists does not mean that it survives a power
/// cut: it is synced once per process before anything in it is relied on.
fn account_dir(blobs: &Blobs, did: &Did) -> Result<PathBuf, BlobError> {
    let dir = blobs.dir(did);
    if blobs.is_durable(did) {
        return Ok(dir);
    }
    fs::create_dir_all(&dir).map_err(BlobError::io("create", &dir))?;
    if is_hashed(&account_dir_name(did)) {
        let path = dir.join(DID_FILE);
        let mut file = File::create(&path).map_err(BlobError::io("create", &path))?;
        file.write_all(did.as_str().as_bytes()).map_err(BlobError::io("write", &path))?;
        file.sync_all().map_err(|source| BlobError::NotDurable { path, source })?;
    }
    sync_dir(&dir)?;
    sync_dir(&blobs.0.root)?;
    blobs.note_durable(did, true);
    Ok(dir)
}

fn lost() -> BlobError {
    BlobError::Task("the upload had failed before".to_owned())
}
