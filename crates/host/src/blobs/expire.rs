//! Forgetting uploads that no record named in time.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_store::hosting::{BlobsApplied, BlobsUnit};

use super::{LEAST_TEMPORARY, MOST_TEMPORARY, refused};
use crate::jobs::Job;
use crate::{Host, HostResult};

/// Blobs looked at in one round.
const PAGE: usize = 500;
/// Longest time between two rounds.
const PAUSE: Duration = Duration::from_secs(300);

/// The job.
#[derive(Debug, Default)]
pub(crate) struct Expire;

#[async_trait]
impl Job for Expire {
    fn name(&self) -> &'static str {
        "host-blobs"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        let gone = host.expire_blobs().await?;
        // A full page means that there are more.
        Ok(if gone >= PAGE { Duration::ZERO } else { PAUSE })
    }
}

impl Host {
    /// Forgets blobs that were uploaded long enough ago and that no record named; how many were looked at.
    ///
    /// # Errors
    /// The store or the disk refuses; what was begun is finished the next time.
    pub async fn expire_blobs(&self) -> HostResult<usize> {
        let most = MOST_TEMPORARY.saturating_sub(PAUSE.saturating_mul(2));
        let wait = self.config().blobs.temporary_for.clamp(LEAST_TEMPORARY, most);
        let before = self.now().saturating_sub(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
        let due = self.store().temporary_blobs(before, PAGE).await?;
        for (did, row) in &due {
            let _held = self.host_blobs().lock(did, &row.cid).await;
            // The row goes first: a crash leaves a file that nobody names, which the next check of all files finds.
            let unit = BlobsUnit::Expire { did: did.clone(), cid: row.cid, before };
            if self.blob_unit(unit).await? == BlobsApplied::Dropped(true) {
                self.blobs().delete(did, &row.cid).await.map_err(|error| refused(error, 0))?;
                tracing::debug!(event = "host.blob-expired", %did, cid = %row.cid, "an upload that no record named is forgotten");
            }
        }
        Ok(due.len())
    }
}
