//! Blobs of hosted accounts: uploaded, named by a record, withheld, forgotten.
//!
//! ```text
//! begin     the quota has room                              nothing is stored
//! write     bytes go to a file, hashed on the way           the first ones say what they are
//! finish    durable under its CID, then its row             temporary, or held when a record names it already
//! commit    the store makes it held with the record         (write path; the same unit)
//! expire    row first, then the file                        temporary ones that no record named in time
//! ```
//!
//! A blob that is stored and one that goes are kept apart by a lock of that blob: a file never goes after its row came.

mod expire;
mod sniff;
mod unnamed;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use p2pds_blobs::{BlobError, PutOptions, Quota, Upload};
use p2pds_ipld::Cid;
use p2pds_store::hosting::{BlobsApplied, BlobsUnit, HostingUnit};
use p2pds_store::{Applied, BlobRef, BlobState, Unit};
use p2pds_syntax::{Did, ErrorKind};
use tokio::sync::{Mutex, MutexGuard};

use crate::{Host, HostError, HostResult};

pub(crate) use expire::Expire;

/// Locks of blobs: one for each remainder of its hash.
const LOCKS: usize = 64;
/// Longest media type.
const MAX_MIME: usize = 128;
/// A temporary blob is never forgotten sooner.
pub const LEAST_TEMPORARY: Duration = Duration::from_secs(3_600);
/// And never later, [`expire`]'s pause included.
pub const MOST_TEMPORARY: Duration = Duration::from_secs(86_400);

/// Settings of blobs.
#[derive(Debug, Clone)]
pub struct BlobsConfig {
    /// Most bytes of one account; `None` is no limit.
    pub account_bytes: Option<u64>,
    /// Most blobs of one account; `None` is no limit.
    pub account_count: Option<u64>,
    /// How long a blob waits for the record that names it; held between an hour and a day.
    pub temporary_for: Duration,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self { account_bytes: None, account_count: None, temporary_for: Duration::from_secs(6 * 3_600) }
    }
}

/// What the parts of blobs share.
#[derive(Debug)]
pub(crate) struct HostBlobs {
    hasher: RandomState,
    locks: Vec<Mutex<()>>,
    /// Bytes that are being received, by account.
    arriving: Arc<Arriving>,
}

impl Default for HostBlobs {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            locks: (0..LOCKS).map(|_| Mutex::default()).collect(),
            arriving: Arc::default(),
        }
    }
}

impl HostBlobs {
    async fn lock(&self, did: &Did, cid: &Cid) -> Option<MutexGuard<'_, ()>> {
        let at = usize::try_from(self.hasher.hash_one((did, cid))).unwrap_or_default() % LOCKS;
        match self.locks.get(at) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }
}

/// Bytes that are being received.
#[derive(Debug, Default)]
struct Arriving(StdMutex<HashMap<Did, u64>>);

/// What an account may still store, while one of its uploads is received.
struct Room {
    arriving: Arc<Arriving>,
    /// What it had when the upload began.
    stored: u64,
    limit: u64,
}

impl Quota for Room {
    fn admit(&self, did: &Did, more: u64) -> Result<(), String> {
        let mut arriving = self.arriving.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = arriving.get(did).copied().unwrap_or(0);
        let wanted = self.stored.saturating_add(under_way).saturating_add(more);
        if wanted > self.limit {
            return Err(full(self.limit));
        }
        arriving.insert(did.clone(), under_way.saturating_add(more));
        Ok(())
    }

    fn release(&self, did: &Did, bytes: u64) {
        let mut arriving = self.arriving.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = arriving.get(did).copied().unwrap_or(0).saturating_sub(bytes);
        if left == 0 {
            arriving.remove(did);
        } else {
            arriving.insert(did.clone(), left);
        }
    }
}

fn full(limit: u64) -> String {
    format!(
        "this account's blobs may have {limit} bytes together; delete records with pictures or videos, or ask the \
         operator for more room"
    )
}

/// A blob being received. Dropped before [`Self::finish`], it leaves nothing behind.
pub struct BlobUpload {
    host: Host,
    did: Did,
    upload: Upload,
    room: Option<Arc<Room>>,
    /// The first bytes, for what they say about the type.
    first: Vec<u8>,
    mime: String,
}

impl std::fmt::Debug for BlobUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobUpload").field("did", &self.did).finish_non_exhaustive()
    }
}

impl Host {
    /// Begins to receive a blob of an account. `mime` is what its sender calls it, `length` what it says its size is.
    ///
    /// # Errors
    /// `BlobTooLarge`, `QuotaExceeded`, `InvalidMimeType`; the disk has no room.
    pub async fn begin_upload(&self, did: &Did, mime: &str, length: Option<u64>) -> HostResult<BlobUpload> {
        let mime = media_type(mime)?;
        let (most, settings) = (self.config().blob_limit, &self.config().blobs);
        if length.is_some_and(|length| length > most) {
            return Err(too_large(most));
        }
        let totals = self.store().blob_totals(did).await?;
        self.may_have(totals.count.saturating_add(1), totals.bytes.saturating_add(length.unwrap_or(0)))?;
        let room = settings.account_bytes.map(|limit| {
            let arriving = Arc::clone(&self.host_blobs().arriving);
            Arc::new(Room { arriving, stored: totals.bytes, limit })
        });
        let quota = room.clone().map(|room| -> Arc<dyn Quota> { room });
        let options = PutOptions { expect: None, max_bytes: most, quota };
        let upload = self.blobs().put(did, options).await.map_err(|error| refused(error, most))?;
        let (host, did) = (self.clone(), did.clone());
        Ok(BlobUpload { host, did, upload, room, first: Vec::new(), mime })
    }

    /// Whether an account may have so many blobs of so many bytes together.
    fn may_have(&self, count: u64, bytes: u64) -> HostResult<()> {
        let settings = &self.config().blobs;
        if settings.account_bytes.is_some_and(|most| bytes > most) {
            return Err(over_quota(full(settings.account_bytes.unwrap_or_default())));
        }
        if let Some(most) = settings.account_count.filter(|most| count > *most) {
            return Err(over_quota(format!(
                "this account may have {most} blobs; delete records with pictures or videos, or ask the operator for more"
            )));
        }
        Ok(())
    }

    /// Withholds a blob of an account: it is served to nobody, cannot be uploaded again, and no new record may name it.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn quarantine_blob(&self, did: &Did, cid: &Cid, reference: &str) -> HostResult<()> {
        let _held = self.host_blobs().lock(did, cid).await;
        let reference = reference.to_owned();
        self.blob_unit(BlobsUnit::Quarantine { did: did.clone(), cid: *cid, reference }).await?;
        Ok(())
    }

    /// Withholds a blob no longer.
    ///
    /// # Errors
    /// The store refuses, or the blobs cannot be read.
    pub async fn release_blob(&self, did: &Did, cid: &Cid) -> HostResult<()> {
        let _held = self.host_blobs().lock(did, cid).await;
        let here = self.blobs().size(did, cid).await.map_err(|error| refused(error, 0))?;
        let (did, at) = (did.clone(), self.now());
        self.blob_unit(BlobsUnit::Release { did, cid: *cid, here, at }).await?;
        Ok(())
    }

    /// The unit for the batch of a commit that names blobs: it refuses when one of them has gone since it was looked at.
    #[must_use]
    pub fn expect_blobs(did: &Did, cids: Vec<Cid>) -> Option<Unit> {
        let unit = BlobsUnit::Expect { did: did.clone(), cids };
        let empty = matches!(&unit, BlobsUnit::Expect { cids, .. } if cids.is_empty());
        (!empty).then(|| Unit::Hosting(Box::new(HostingUnit::Blobs(unit))))
    }

    async fn blob_unit(&self, unit: BlobsUnit) -> HostResult<BlobsApplied> {
        match self.store().apply(Unit::Hosting(Box::new(HostingUnit::Blobs(unit)))).await? {
            Applied::Blobs(applied) => Ok(applied),
            _ => Err(HostError::new(
                ErrorKind::Bug,
                "InternalServerError",
                "the store gave an answer of another kind: a defect in p2pds",
            )),
        }
    }
}

impl BlobUpload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `BlobTooLarge`, `QuotaExceeded`; the disk has no room. The upload is lost then.
    pub async fn write(&mut self, bytes: Bytes) -> HostResult<()> {
        let missing = sniff::WANTED.saturating_sub(self.first.len());
        self.first.extend_from_slice(bytes.get(..missing.min(bytes.len())).unwrap_or_default());
        let most = self.host.config().blob_limit;
        self.upload.write(bytes).await.map_err(|error| refused(error, most))
    }

    /// What it is: as its first bytes say, so far as they have come, or else as its sender says.
    #[must_use]
    pub fn mime(&self) -> &str {
        sniff::sniffed(&self.first).unwrap_or(&self.mime)
    }

    /// Ends it: the blob is durable, and known as waiting for the record that names it, when this answers.
    ///
    /// # Errors
    /// It was withheld, or the quota is used up by now; the disk failed. Nothing is left then.
    pub async fn finish(self) -> HostResult<BlobRef> {
        let Self { host, did, upload, room, first, mime } = self;
        let (received, most) = (upload.received(), host.config().blob_limit);
        let mime = sniff::sniffed(&first).map_or(mime, str::to_owned);
        let sealed = upload.seal().await.map_err(|error| refused(error, most))?;
        let stored = sealed.stored();
        let _held = host.host_blobs().lock(&did, &stored.cid).await;
        let known = host.store().blob(&did, &stored.cid).await?;
        let known = known.map(|row| row.state);
        let here = matches!(known, Some(BlobState::Held | BlobState::Temporary { .. }));
        match known {
            Some(BlobState::Quarantined { .. }) => return Err(withheld()),
            _ if here => {}
            _ => {
                let totals = host.store().blob_totals(&did).await?;
                host.may_have(totals.count.saturating_add(1), totals.bytes.saturating_add(stored.size))?;
            }
        }
        sealed.publish().await.map_err(|error| refused(error, most))?;
        if let Some(room) = &room {
            room.release(&did, received);
        }
        let unit = BlobsUnit::Uploaded {
            did: did.clone(),
            cid: stored.cid,
            size: stored.size,
            mime: mime.clone(),
            at: host.now(),
        };
        match host.blob_unit(unit).await {
            Ok(BlobsApplied::Now(Some(BlobState::Quarantined { .. }))) => return Err(withheld()),
            Ok(_) => {}
            Err(error) => {
                if error == HostError::disk_full() && !here {
                    // What was refused must not take up the room that is reserved for deleting.
                    host.blobs().delete(&did, &stored.cid).await.map_err(|error| refused(error, most))?;
                }
                return Err(error);
            }
        }
        metrics::counter!("p2pds_blob_uploads_total").increment(1);
        metrics::counter!("p2pds_blob_upload_bytes_total").increment(stored.size);
        Ok(BlobRef { cid: stored.cid, size: stored.size, mime })
    }
}

/// A media type as its sender wrote it, without parameters.
fn media_type(text: &str) -> HostResult<String> {
    let bare = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    // What the lexicon says of the method, taken at its word: the first bytes decide.
    if bare == "*/*" {
        return Ok("application/octet-stream".to_owned());
    }
    let fits = bare.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    if !fits || bare.len() > MAX_MIME {
        return Err(HostError::named(
            "InvalidMimeType",
            "the Content-Type header must name the media type of the blob, such as image/jpeg",
        ));
    }
    Ok(bare)
}

fn too_large(most: u64) -> HostError {
    HostError::named("BlobTooLarge", format!("This file is too large. Blobs here have {most} bytes at most"))
}

fn over_quota(message: String) -> HostError {
    HostError::named("QuotaExceeded", message)
}

fn withheld() -> HostError {
    HostError::invalid("Blob has been takendown, cannot re-upload")
}

/// What the caller is told of a failure of the blob store.
fn refused(error: BlobError, most: u64) -> HostError {
    match error {
        BlobError::TooLarge { .. } => too_large(most),
        BlobError::Quota { reason } => over_quota(reason),
        BlobError::DiskFull { .. } => {
            tracing::warn!(event = "host.disk-full", %error, "an upload was refused: too little room is left");
            HostError::disk_full()
        }
        error => {
            let kind = error.kind();
            tracing::error!(event = "host.blobs", %kind, %error, "a blob could not be stored or read");
            HostError {
                retry_after: Some(60),
                ..HostError::new(
                    ErrorKind::Unavailable,
                    "NotAvailable",
                    "blobs cannot be stored now; the operator's log says why",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn media_types() {
        for (text, wanted) in [
            ("image/jpeg", Some("image/jpeg")),
            ("Image/JPEG; charset=x", Some("image/jpeg")),
            (" text/plain ", Some("text/plain")),
            ("application/vnd.x+json", Some("application/vnd.x+json")),
            ("", None),
            ("image", None),
            ("image/", None),
            ("*/*", Some("application/octet-stream")),
            ("image/png\r\nx: y", None),
            ("text/html, text/plain", None),
            (&format!("image/{}", "x".repeat(200)), None),
        ] {
            assert_eq!(media_type(text).ok().as_deref(), wanted, "{text}");
        }
    }
}
