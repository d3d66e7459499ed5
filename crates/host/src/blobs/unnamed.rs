//! Forgetting blobs that no record names any more, neither of now nor of the history that is kept.

use p2pds_blobs::Entry;
use p2pds_store::{BlobFilter, BlobState, StoreError, Unit};
use p2pds_syntax::Did;

use super::refused;
use crate::{Host, HostResult};

/// Blobs looked at in one page.
const PAGE: usize = 500;

impl Host {
    /// Forgets an account's blobs that nothing names, and files that have no row: a crash left them. The row goes first,
    /// then the file, under the lock that uploads take; so what is uploaded anew at this moment is not touched.
    ///
    /// # Errors
    /// The store or the disk refuses; the next pass goes on.
    pub async fn forget_unnamed_blobs(&self, did: &Did) -> HostResult<u64> {
        let (mut gone, mut after) = (0_u64, None);
        loop {
            let page = self.store().blobs(did, BlobFilter::Unreferenced, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.cid);
            for row in &page {
                // What is withheld stays known, so that it is not uploaded again.
                if matches!(row.state, BlobState::Quarantined { .. } | BlobState::Temporary { .. }) {
                    continue;
                }
                let _held = self.host_blobs().lock(did, &row.cid).await;
                match self.store().apply(Unit::DropBlob { did: did.clone(), cid: row.cid }).await {
                    Ok(_) => {}
                    // A record names it by now.
                    Err(StoreError::Mismatch { .. }) => continue,
                    Err(error) => return Err(error.into()),
                }
                self.blobs().delete(did, &row.cid).await.map_err(|error| refused(error, 0))?;
                gone = gone.saturating_add(1);
            }
        }
        for entry in self.blobs().list(did).await.map_err(|error| refused(error, 0))? {
            let Entry::Blob { cid, .. } = entry else { continue };
            if self.store().blob(did, &cid).await?.is_some() {
                continue;
            }
            let _held = self.host_blobs().lock(did, &cid).await;
            if self.store().blob(did, &cid).await?.is_none() {
                self.blobs().delete(did, &cid).await.map_err(|error| refused(error, 0))?;
                gone = gone.saturating_add(1);
            }
        }
        Ok(gone)
    }
}
