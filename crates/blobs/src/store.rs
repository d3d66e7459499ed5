//! The directory as a whole: open, find, list, check, delete.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use p2pds_ipld::Cid;
use p2pds_syntax::Did;
use sha2::{Digest, Sha256};

use crate::error::BlobError;
use crate::layout::{DID_FILE, TMP, account_dir_name, did_of_name, is_hashed};
use crate::read::BlobReader;
use crate::remote::{Bucket, Remote};
use crate::space::space;
use crate::upload::{PutOptions, Upload};

/// Bytes read at a time when a file is hashed.
const HASH_BUFFER: usize = 1 << 20;

/// Directories remembered as durable at most.
const MAX_KNOWN: usize = 4096;

/// Settings of the blob directory.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// No blob is accepted that would leave less room on the disk. Default 8 MiB.
    pub min_free: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { min_free: 8 << 20 }
    }
}

/// The blob files of all accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) options: Options,
    pub(crate) next: AtomicU64,
    /// Set by the first write that the disk did not confirm.
    pub(crate) stopped: AtomicBool,
    /// Accounts whose directory this process has made durable; forgetting some costs only a sync.
    durable: Mutex<HashSet<Did>>,
    /// The bucket, when the blobs lie in one; `root` then only holds uploads under way.
    pub(crate) remote: Option<Remote>,
}

/// What lies in an account's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A blob file; its content is not checked by listing.
    Blob {
        /// From the file name.
        cid: Cid,
        /// From the file system.
        size: u64,
    },
    /// Something that this crate did not put there; it is left alone.
    Foreign {
        /// Its file name.
        name: String,
    },
}

/// The result of reading a blob file and hashing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The bytes are those of the CID.
    Good {
        /// Their number.
        size: u64,
    },
    /// There is no such file.
    Missing,
    /// The bytes are not those of the CID.
    Damaged {
        /// The CID of the bytes found.
        actual: Cid,
        /// Their number.
        size: u64,
    },
}

impl Blobs {
    /// Opens `dir` with default settings, creating it if need be, and throws away
    /// the uploads that an earlier process left unfinished.
    ///
    /// # Errors
    /// [`BlobError::Io`] when the directory cannot be made or read.
    pub fn open(dir: &Path) -> Result<Self, BlobError> {
        Self::open_with(dir, Options::default())
    }

    /// Opens `dir`; see [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(dir: &Path, options: Options) -> Result<Self, BlobError> {
        Self::open_at(dir, options, None)
    }

    /// Opens blobs that lie in a bucket of an S3 service; `dir` holds uploads under way. The bucket is not asked yet.
    ///
    /// # Errors
    /// [`BlobError::Io`] as [`Self::open`]; [`BlobError::Remote`] when the bucket's settings make no client.
    pub fn open_bucket(dir: &Path, bucket: Bucket) -> Result<Self, BlobError> {
        Self::open_at(dir, Options::default(), Some(Remote::open(bucket)?))
    }

    fn open_at(dir: &Path, options: Options, remote: Option<Remote>) -> Result<Self, BlobError> {
        let tmp = dir.join(TMP);
        fs::create_dir_all(&tmp).map_err(BlobError::io("create", &tmp))?;
        sync_dir(dir)?;
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync_dir(parent)?;
        }
        for entry in fs::read_dir(&tmp).map_err(BlobError::io("read", &tmp))? {
            let path = entry.map_err(BlobError::io("read", &tmp))?.path();
            fs::remove_file(&path).map_err(BlobError::io("remove", &path))?;
        }
        Ok(Self(Arc::new(Inner {
            root: dir.to_owned(),
            options,
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            durable: Mutex::new(HashSet::new()),
            remote,
        })))
    }

    /// The directory that was opened.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Where the file of a blob is, or would be. For reports; reading goes through [`Self::read`].
    #[must_use]
    pub fn path(&self, did: &Did, cid: &Cid) -> PathBuf {
        self.dir(did).join(cid.to_string())
    }

    /// Begins to store a blob.
    ///
    /// # Errors
    /// [`BlobError::DiskFull`], [`BlobError::Stopped`], [`BlobError::Io`].
    pub async fn put(&self, did: &Did, options: PutOptions) -> Result<Upload, BlobError> {
        Upload::begin(self.clone(), did.clone(), options).await
    }

    /// Opens a blob for reading, as a whole or a range of it (`start..end` in bytes).
    /// `None`: there is no such blob.
    ///
    /// # Errors
    /// [`BlobError::Range`], [`BlobError::Io`].
    pub async fn read(
        &self,
        did: &Did,
        cid: &Cid,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<Option<BlobReader>, BlobError> {
        if let Some(remote) = &self.0.remote {
            let found = remote.read(did, cid, range).await?;
            return Ok(
                found.map(|(size, stamp, range, pieces)| BlobReader::of_bucket(size, stamp, range, pieces))
            );
        }
        let path = self.path(did, cid);
        blocking(move || BlobReader::open(&path, range)).await
    }

    /// The size of a blob in bytes; `None`: there is no such blob.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn size(&self, did: &Did, cid: &Cid) -> Result<Option<u64>, BlobError> {
        if let Some(remote) = &self.0.remote {
            return remote.size(did, cid).await;
        }
        let path = self.path(did, cid);
        blocking(move || found(fs::metadata(&path), "open", &path).map(|m| m.map(|m| m.len()))).await
    }

    /// Reads a blob from the disk and hashes it.
    ///
    /// # Errors
    /// [`BlobError::Io`] when it is there but cannot be read.
    pub async fn verify(&self, did: &Did, cid: &Cid) -> Result<Check, BlobError> {
        if let Some(remote) = &self.0.remote {
            return remote.verify(did, cid).await;
        }
        let (path, cid) = (self.path(did, cid), *cid);
        blocking(move || check(&path, &cid)).await
    }

    /// Deletes a blob; whether it was there. Its row must be gone before. Durable when it returns.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::NotDurable`].
    pub async fn delete(&self, did: &Did, cid: &Cid) -> Result<bool, BlobError> {
        if let Some(remote) = &self.0.remote {
            return remote.delete(did, cid).await;
        }
        let (dir, path) = (self.dir(did), self.path(did, cid));
        let outcome = blocking(move || {
            let there = found(fs::remove_file(&path), "remove", &path)?.is_some();
            if there {
                sync_dir(&dir)?;
            }
            Ok(there)
        })
        .await;
        self.note(outcome)
    }

    /// Deletes everything that an account has here, foreign files included; how many files that was.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::NotDurable`].
    pub async fn delete_account(&self, did: &Did) -> Result<u64, BlobError> {
        if let Some(remote) = &self.0.remote {
            return remote.delete_account(did).await;
        }
        let (dir, root) = (self.dir(did), self.0.root.clone());
        self.note_durable(did, false);
        let outcome = blocking(move || {
            let Some(entries) = found(fs::read_dir(&dir), "read", &dir)? else { return Ok(0) };
            let count = u64::try_from(entries.count()).unwrap_or(u64::MAX);
            fs::remove_dir_all(&dir).map_err(BlobError::io("remove", &dir))?;
            sync_dir(&root)?;
            Ok(count)
        })
        .await;
        self.note(outcome)
    }

    /// What lies in an account's directory, in no particular order.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn list(&self, did: &Did) -> Result<Vec<Entry>, BlobError> {
        if let Some(remote) = &self.0.remote {
            return remote.list(did).await;
        }
        let dir = self.dir(did);
        blocking(move || list(&dir)).await
    }

    /// The accounts that have a directory here, sorted.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn accounts(&self) -> Result<Vec<Did>, BlobError> {
        if let Some(remote) = &self.0.remote {
            return remote.accounts().await;
        }
        let root = self.0.root.clone();
        blocking(move || accounts(&root)).await
    }

    pub(crate) fn dir(&self, did: &Did) -> PathBuf {
        self.0.root.join(account_dir_name(did))
    }

    /// Stops all writing when the disk did not confirm something.
    pub(crate) fn note<T>(&self, outcome: Result<T, BlobError>) -> Result<T, BlobError> {
        if matches!(outcome, Err(BlobError::NotDurable { .. })) {
            self.0.stopped.store(true, Ordering::Release);
        }
        outcome
    }

    pub(crate) fn is_durable(&self, did: &Did) -> bool {
        self.0.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(did)
    }

    pub(crate) fn note_durable(&self, did: &Did, durable: bool) {
        let mut known = self.0.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        if durable {
            known.insert(did.clone());
        } else {
            known.remove(did);
        }
    }

    /// Refuses when writing has stopped or `more` bytes would leave too little room.
    pub(crate) fn admit(&self, more: u64) -> Result<(), BlobError> {
        if self.0.stopped.load(Ordering::Acquire) {
            return Err(BlobError::Stopped);
        }
        let (free, floor) = (space(&self.0.root)?.free, self.0.options.min_free);
        if free < floor.saturating_add(more) {
            return Err(BlobError::DiskFull { path: self.0.root.clone(), free, floor });
        }
        Ok(())
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), BlobError> {
    let file = File::open(dir).map_err(BlobError::io("open", dir))?;
    file.sync_all().map_err(|source| BlobError::NotDurable { path: dir.to_owned(), source })
}

/// Runs file work on the blocking pool.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, BlobError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, BlobError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|e| BlobError::Task(e.to_string()))?
}

/// `None` for a file that does not exist.
pub(crate) fn found<T>(
    result: io::Result<T>,
    action: &'static str,
    path: &Path,
) -> Result<Option<T>, BlobError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(BlobError::io(action, path)(e)),
    }
}

fn check(path: &Path, cid: &Cid) -> Result<Check, BlobError> {
    let Some(mut file) = found(File::open(path), "open", path)? else { return Ok(Check::Missing) };
    let (mut hasher, mut size) = (Sha256::new(), 0_u64);
    let mut buffer = vec![0_u8; HASH_BUFFER];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(BlobError::io("read", path)(e)),
        };
        hasher.update(buffer.get(..count).unwrap_or_default());
        size = size.saturating_add(u64::try_from(count).unwrap_or(0));
    }
    let actual = Cid::new(cid.codec(), hasher.finalize().into());
    Ok(if actual == *cid { Check::Good { size } } else { Check::Damaged { actual, size } })
}

fn list(dir: &Path) -> Result<Vec<Entry>, BlobError> {
    let mut out = Vec::new();
    let Some(entries) = found(fs::read_dir(dir), "read", dir)? else { return Ok(out) };
    for entry in entries {
        let entry = entry.map_err(BlobError::io("read", dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A file may go while the directory is read.
        let Some(meta) = found(entry.metadata(), "open", &entry.path())? else { continue };
        match Cid::from_str(&name) {
            Ok(cid) if meta.is_file() && cid.to_string() == name => {
                out.push(Entry::Blob { cid, size: meta.len() })
            }
            _ if name == DID_FILE => {}
            _ => out.push(Entry::Foreign { name }),
        }
    }
    Ok(out)
}

fn accounts(root: &Path) -> Result<Vec<Did>, BlobError> {
    let mut out = Vec::new();
    for entry in fs::read_dir(root).map_err(BlobError::io("read", root))? {
        let entry = entry.map_err(BlobError::io("read", root))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_hashed(&name) {
            let path = entry.path().join(DID_FILE);
            let text = found(fs::read_to_string(&path), "read", &path)?;
            out.extend(text.and_then(|t| Did::parse(t.trim_end()).ok()));
        } else {
            out.extend(did_of_name(&name));
        }
    }
    out.sort();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::Blobs;
    use crate::error::BlobError;
    use crate::upload::PutOptions;
    use p2pds_syntax::Did;
    use std::io;

    #[tokio::test]
    async fn a_write_that_the_disk_did_not_confirm_stops_writing_until_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let did = Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap();
        let options = PutOptions { expect: None, max_bytes: 10, quota: None };
        let mut under_way = blobs.put(&did, options.clone()).await.unwrap();
        under_way.write("x".into()).await.unwrap();

        let failed = BlobError::NotDurable { path: dir.path().to_owned(), source: io::Error::other("EIO") };
        assert!(blobs.note::<()>(Err(failed)).is_err());
        assert!(matches!(under_way.finish().await, Err(BlobError::Stopped)));
        assert!(matches!(blobs.put(&did, options.clone()).await.err(), Some(BlobError::Stopped)));
        assert!(blobs.list(&did).await.unwrap().is_empty(), "reading goes on");

        assert!(Blobs::open(dir.path()).unwrap().put(&did, options).await.is_ok());
    }
}
