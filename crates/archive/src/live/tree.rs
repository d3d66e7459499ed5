//! The second check: events are stored by their own proofs, and in the background the stored records must give the root
//! that the last of them signed.

use std::sync::Arc;

use p2pds_replica::follow::Resync;
use p2pds_store::StoreError;
use p2pds_store::view::{ViewError, refresh};

use super::followed::Slot;
use super::service::Service;
use crate::error::{ArchiveError, ArchiveResult};
use crate::fetch_blobs::Which;
use crate::progress::Progress;

/// Kind of the finding that the stored records do not give the signed root.
pub(crate) const DRIFT: &str = "drift";
/// Longest time that new blobs are fetched for at a stretch; operations on the account wait meanwhile.
const BLOBS_FOR: std::time::Duration = std::time::Duration::from_secs(60);

impl Service {
    /// Recomputes what events left to be recomputed.
    pub(super) async fn refresh_tree(self: &Arc<Self>, slot: &Arc<Slot>) -> ArchiveResult<()> {
        let archive = self.archive();
        let Some(_guard) = archive.locks().try_share(&slot.did) else {
            slot.lock().dirty_since.get_or_insert(self.now());
            return Ok(());
        };
        let Some(repo) = archive.store().live_repo(&slot.did).await? else { return Ok(()) };
        match refresh(&**archive.store(), &repo).await {
            Ok(0) => Ok(()),
            Ok(_) => {
                metrics::counter!("p2pds_live_trees_total", "result" => "good").increment(1);
                archive.resolve_faults(&slot.did, DRIFT, None).await
            }
            // The head moved meanwhile: later.
            Err(ViewError::Moved(_) | ViewError::Store(StoreError::HeadMoved { .. })) => {
                slot.lock().dirty_since.get_or_insert(self.now());
                Ok(())
            }
            Err(ViewError::Store(error)) => Err(error.into()),
            Err(error) => {
                // Between reading buckets and records the head may have moved: only what stands still is a contradiction.
                let now = archive.store().live_repo(&slot.did).await?;
                if now.is_none_or(|now| now.rev != repo.rev || now.id != repo.id) {
                    slot.lock().dirty_since.get_or_insert(self.now());
                    return Ok(());
                }
                metrics::counter!("p2pds_live_trees_total", "result" => "drift").increment(1);
                self.drifted(slot, &error.to_string()).await
            }
        }
    }

    async fn drifted(self: &Arc<Self>, slot: &Arc<Slot>, why: &str) -> ArchiveResult<()> {
        tracing::error!(event = "live.drift", did = %slot.did, why, "the stored records do not give the signed tree");
        let words = format!("{why}; the account is verified and what is wrong is fetched anew");
        self.archive().find_fault(&slot.did, DRIFT, "", &words).await?;
        let (service, slot) = (Arc::clone(self), Arc::clone(slot));
        self.spawn(async move {
            let options = crate::report::VerifyOptions { read_data: false, repair: true };
            let outcome = service.archive.verify(&slot.did, options, &Progress::none()).await;
            match outcome {
                Ok(report) if report.ok => {
                    service.log(&slot, service.archive().resolve_faults(&slot.did, DRIFT, None).await);
                }
                Ok(_) => {}
                Err(error) => service.log(&slot, Err(error)),
            }
            service.fetch_anew(&slot, Resync::Root, "the stored records did not give the signed tree");
        });
        Ok(())
    }

    /// Fetches the blobs that new records name, beside the events that follow.
    pub(super) fn fetch_new_blobs(self: &Arc<Self>, slot: &Arc<Slot>) {
        {
            let mut inner = slot.lock();
            if inner.fetching_blobs {
                inner.more_blobs = true;
                return;
            }
            inner.fetching_blobs = true;
        }
        let (service, slot) = (Arc::clone(self), Arc::clone(slot));
        self.spawn(async move {
            loop {
                slot.lock().more_blobs = false;
                let outcome = tokio::time::timeout(BLOBS_FOR, service.bring_blobs(&slot)).await;
                match outcome {
                    Ok(Ok(())) => {}
                    // Its row says that it is missing; the worker that retries blobs goes on with it.
                    Ok(Err(error)) => tracing::info!(event = "live.blobs", did = %slot.did, %error, "blobs come later"),
                    Err(_) => tracing::info!(event = "live.blobs", did = %slot.did, "blobs take long; the rest comes later"),
                }
                let mut inner = slot.lock();
                if !inner.more_blobs {
                    inner.fetching_blobs = false;
                    return;
                }
            }
        });
    }

    async fn bring_blobs(&self, slot: &Slot) -> ArchiveResult<()> {
        let archive = self.archive();
        let _guard = archive.locks().share(&slot.did).await;
        let host = Arc::clone(&slot.lock().host);
        match archive.fetch_blobs(&slot.did, &host, Which::Due, &Progress::none()).await {
            Ok(brought) => {
                metrics::counter!("p2pds_live_blobs_total").increment(brought.fetched);
                Ok(())
            }
            Err(ArchiveError::NotArchived(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
