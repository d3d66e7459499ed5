//! Blobs for readers: named by a record of the current repo, not blocked, hashed before the first byte goes out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use p2pds_blobs::{BlobReader, Check};
use p2pds_ipld::Cid;
use p2pds_store::{BlobRow, BlobState};
use p2pds_syntax::Did;

use crate::gate::Viewer;
use crate::refusal::Refusal;
use crate::{Blob, Reading};

/// Files whose bytes were hashed lately and not written to since.
#[derive(Default)]
pub(crate) struct Hashed(Mutex<HashMap<(Did, Cid), (Stamp, Instant)>>);

type Stamp = (u64, u64, i64);

/// Most files remembered.
const MOST: usize = 10_000;
/// After this long a file is hashed again.
const FRESH: Duration = Duration::from_secs(3_600);

impl Hashed {
    fn knows(&self, key: &(Did, Cid), stamp: Stamp) -> bool {
        let hashed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hashed.get(key).is_some_and(|(known, at)| *known == stamp && at.elapsed() < FRESH)
    }

    fn note(&self, key: (Did, Cid), stamp: Stamp) {
        let mut hashed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hashed.len() >= MOST {
            hashed.clear();
        }
        hashed.insert(key, (stamp, Instant::now()));
    }
}

/// A blob's bytes, piece by piece. An error is the last item.
pub type BlobStream = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Refusal>> + Send>>;

impl Reading {
    /// What is known of a blob that this viewer may have now.
    ///
    /// # Errors
    /// [`Refusal`]: not named by any record, not held, gone at its source, blocked.
    pub async fn blob_row(&self, viewer: Viewer, did: &Did, cid: &Cid) -> Result<BlobRow, Refusal> {
        self.account(viewer, did).await?;
        self.not_blocked(viewer, cid).await?;
        let none = || Refusal::NoBlob { did: did.clone(), cid: *cid };
        let row = self.store.blob(did, cid).await?.ok_or_else(none)?;
        // The undo window keeps what a deleted record named: that is nobody's but the operator's.
        if viewer != Viewer::Operator && !self.store.blob_named(did, cid).await? {
            return Err(none());
        }
        if row.state != BlobState::Held {
            return Err(Refusal::BlobNotHeld { did: did.clone(), cid: *cid });
        }
        Ok(row)
    }

    /// A blob. For everybody but the operator its bytes were hashed in the last hour, and its file not written to since.
    ///
    /// # Errors
    /// [`Refusal`]: not named by any record, not held, gone at its source, blocked, damaged.
    pub async fn blob(&self, viewer: Viewer, did: &Did, cid: &Cid) -> Result<Blob, Refusal> {
        let row = self.blob_row(viewer, did, cid).await?;
        let bytes = self.open_blob(did, cid, None).await?;
        let (key, stamp) = ((did.clone(), *cid), bytes.stamp()?);
        if viewer != Viewer::Operator && !self.shared.hashed.knows(&key, stamp) {
            let damaged = |what: String| Refusal::Damaged { did: did.clone(), what };
            match self.blobs.verify(did, cid).await? {
                Check::Good { .. } => self.shared.hashed.note(key, stamp),
                Check::Missing => return Err(damaged(format!("blob {cid} (its file is gone)"))),
                Check::Damaged { .. } => return Err(damaged(format!("blob {cid}"))),
            }
        }
        Ok(Blob { row, bytes })
    }

    async fn open_blob(
        &self,
        did: &Did,
        cid: &Cid,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, Refusal> {
        let bytes = self.blobs.read(did, cid, range).await?;
        let gone = || Refusal::Damaged { did: did.clone(), what: format!("blob {cid} (its file is gone)") };
        bytes.ok_or_else(gone)
    }

    /// Bytes of a blob that [`Reading::blob`] gave out, in a range. Whether this viewer may still have them is asked
    /// before each piece.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn blob_stream(
        &self,
        viewer: Viewer,
        did: &Did,
        cid: &Cid,
        range: Range<u64>,
    ) -> Result<BlobStream, Refusal> {
        let reader = self.open_blob(did, cid, Some(range)).await?;
        let (cid, state) = (*cid, (self.clone(), did.clone(), reader));
        Ok(Box::pin(futures::stream::try_unfold(state, move |state| step(viewer, cid, state))))
    }
}

type State = (Reading, Did, BlobReader);

async fn step(viewer: Viewer, cid: Cid, state: State) -> Result<Option<(Bytes, State)>, Refusal> {
    let (door, did, mut reader) = state;
    door.blob_row(viewer, &did, &cid).await?;
    let piece = reader.chunk().await?;
    Ok(piece.map(|piece| (piece, (door, did, reader))))
}
