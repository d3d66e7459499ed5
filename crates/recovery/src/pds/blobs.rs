//! Blobs of one account: read, hashed, stored, in that order.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use p2pds_blobs::{BlobError, Check, PutOptions};
use p2pds_ipld::Cid;
use p2pds_store::foreign::ForeignBlob;
use p2pds_store::{BlobFilter, BlobState, Unit};
use p2pds_syntax::Did;
use tokio::io::AsyncReadExt as _;

use super::Taking;
use super::account::{Failed, LISTED};
use super::report::PdsAccount;
use crate::error::RecoveryError;

/// Copied at a time.
const AT_ONCE: usize = 4;
/// Read at a time.
const PIECE: usize = 256 * 1024;

/// What became of one blob.
enum Blob {
    Here,
    Damaged(String),
    Missing(String),
}

impl Taking<'_> {
    /// Stores the blobs that are not here yet.
    pub(super) async fn take_blobs(&self, did: &Did, line: &mut PdsAccount) -> Result<(), Failed> {
        let name = did.to_string();
        let there = self.read(move |from| from.blobs(&name)).await?;
        let work: Vec<BoxFuture<'_, Result<Blob, Failed>>> =
            there.into_iter().map(|blob| self.take_blob(did, blob).boxed()).collect();
        let done: Vec<Blob> = futures::stream::iter(work).buffered(AT_ONCE).try_collect().await?;
        for blob in done {
            match blob {
                Blob::Here => {}
                Blob::Damaged(what) if line.damaged.len() < LISTED => line.damaged.push(what),
                Blob::Missing(what) if line.missing.len() < LISTED => line.missing.push(what),
                Blob::Damaged(_) | Blob::Missing(_) => {}
            }
        }
        // What records name and the other server did not list.
        let missing = self.host.store().blobs(did, BlobFilter::Missing, None, LISTED).await?;
        for row in missing {
            let name = row.cid.to_string();
            let said = line.missing.iter().chain(&line.damaged).any(|item| item.contains(&name));
            if !said && line.missing.len() < LISTED {
                line.missing.push(format!("blob {name}: records name it, and it is not there"));
            }
        }
        Ok(())
    }

    async fn take_blob(&self, did: &Did, blob: ForeignBlob) -> Result<Blob, Failed> {
        let Ok(cid) = blob.cid.parse::<Cid>() else {
            return Ok(Blob::Damaged(format!("blob {}: its name is no CID", blob.cid)));
        };
        let state = match &blob.takedown {
            Some(reference) => BlobState::Quarantined { reference: reference.clone() },
            None => BlobState::Held,
        };
        let known = self.host.store().blob(did, &cid).await?;
        if known.is_some_and(|known| known.state == state) {
            return Ok(Blob::Here);
        }
        let Some(path) = &blob.path else {
            return Ok(Blob::Missing(format!("blob {cid}: its file is not there")));
        };
        let size = match self.copy_blob(did, &cid, path).await? {
            Ok(size) => size,
            Err(what) => return Ok(Blob::Damaged(format!("blob {cid}: {what}"))),
        };
        let (did, mime) = (did.clone(), Some(blob.mime.clone()));
        self.host.store().apply(Unit::PutBlob { did, cid, size: Some(size), state, mime }).await?;
        Ok(Blob::Here)
    }

    /// Copies its file, or only checks it when it lies in this node's own place already.
    async fn copy_blob(&self, did: &Did, cid: &Cid, path: &Path) -> Result<Result<u64, String>, Failed> {
        let blobs = self.host.blobs();
        if same_file(&blobs.path(did, cid), path) {
            let checked = blobs.verify(did, cid).await.map_err(|error| failed(path, &error))?;
            return Ok(match checked {
                Check::Good { size, .. } => Ok(size),
                _ => Err("its bytes do not hash to it".to_owned()),
            });
        }
        let mut file = match tokio::fs::File::open(path).await {
            Ok(file) => file,
            Err(error) => return Ok(Err(format!("its file cannot be read: {error}"))),
        };
        let options = PutOptions { expect: Some(*cid), max_bytes: u64::MAX, quota: None };
        let mut upload = blobs.put(did, options).await.map_err(|error| failed(path, &error))?;
        let mut piece = vec![0_u8; PIECE];
        loop {
            let read = match file.read(&mut piece).await {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Ok(Err(format!("its file cannot be read: {error}"))),
            };
            let bytes = Bytes::copy_from_slice(piece.get(..read).unwrap_or_default());
            upload.write(bytes).await.map_err(|error| failed(path, &error))?;
        }
        match upload.finish().await {
            Ok(stored) => Ok(Ok(stored.size)),
            Err(BlobError::WrongHash { .. }) => Ok(Err("its bytes do not hash to it".to_owned())),
            Err(error) => Err(failed(path, &error)),
        }
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| -> Option<PathBuf> { path.canonicalize().ok() };
    real(a).is_some_and(|a| real(b).is_some_and(|b| a == b))
}

/// This node cannot store blobs now.
fn failed(path: &Path, error: &BlobError) -> Failed {
    let source = std::io::Error::other(error.to_string());
    Failed::With(RecoveryError::Io { doing: "store a copy of", path: path.to_owned(), source })
}
