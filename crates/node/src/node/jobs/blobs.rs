//! Fetching blobs that are missing.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::Progress;
use p2pds_archive::schedule::{Need, Rule};
use p2pds_store::{Account, BlobFilter, Origin};

use super::sync::judged;
use super::{Job, Task, Trouble};
use crate::node::engine::Engine;

pub(super) struct Blobs {
    pub(super) every: Duration,
}

#[async_trait]
impl Job for Blobs {
    fn name(&self) -> &'static str {
        "blobs"
    }

    fn doing(&self) -> &'static str {
        "fetching missing blobs of"
    }

    fn rule(&self) -> Rule {
        Rule { every: self.every, parallel: 2, per_host: 1, ..Rule::default() }
    }

    async fn account(&self, engine: &Engine, account: &Account, now: i64) -> anyhow::Result<Option<Need>> {
        if account.origin != Origin::Network || account.paused || account.blobs_missing == 0 {
            return Ok(None);
        }
        let due = engine.store.blobs(&account.did, BlobFilter::Due(now), None, 1).await?;
        Ok((!due.is_empty()).then(|| Need::at(now, "blobs are missing whose next try is due")))
    }

    async fn act(&self, engine: &Engine, task: &Task, progress: &Progress) -> Result<(), Trouble> {
        let Task::Account(account, _) = task else { return Ok(()) };
        if engine.archive.follows_live(&account.did) {
            return Ok(engine.archive.fetch_due_blobs(&account.did, progress).await?);
        }
        judged(&engine.archive.sync_quietly(&account.did, progress).await?)
    }
}
