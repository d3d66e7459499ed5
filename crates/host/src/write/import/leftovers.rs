//! What imports that were killed have left: staged repos, and replaced ones that were not folded away.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_store::{Role, view};

use crate::jobs::Job;
use crate::{Host, HostResult};

/// How often it is looked; nearly all of it is found at the start.
const EVERY: Duration = Duration::from_secs(3_600);

/// Drops them.
pub struct Leftovers;

#[async_trait]
impl Job for Leftovers {
    fn name(&self) -> &'static str {
        "import-leftovers"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        for repo in host.store().repos(None).await? {
            if !matches!(repo.role, Role::Staging | Role::Replaced) {
                continue;
            }
            // Those of archived accounts are the archive's; those of an import under way are in use.
            let hosted = host.store().login(&repo.did).await?.is_some();
            let Some(_turn) = hosted.then(|| host.writes().imports().enter(&repo.did).ok()).flatten() else {
                continue;
            };
            // It may have gone live or away between the look and the turn.
            let now = host.store().repos(Some(&repo.did)).await?;
            let still = now.iter().any(|now| now.id == repo.id && now.role == repo.role);
            if still {
                let dropped = view::drop_repo(host.store(), &repo.did, repo.id).await;
                let rows = dropped.map_err(|error| super::view_error(&repo.did, error))?;
                tracing::info!(event = "host.import-left", did = %repo.did, rows, "what an interrupted import left was dropped");
            }
        }
        Ok(EVERY)
    }
}
