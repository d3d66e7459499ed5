//! Fetching what is new, and archiving accounts that the configuration names.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::schedule::{Level, Need, Rule};
use p2pds_archive::{Outcome, Progress, Summary};
use p2pds_store::{Account, Origin};

use super::{Job, Task, Trouble};
use crate::node::engine::Engine;

pub(super) struct Sync {
    pub(super) every: Duration,
}

#[async_trait]
impl Job for Sync {
    fn name(&self) -> &'static str {
        "sync"
    }

    fn doing(&self) -> &'static str {
        "syncing"
    }

    fn rule(&self) -> Rule {
        Rule { every: self.every, parallel: 4, per_host: 2, ..Rule::default() }
    }

    async fn account(&self, engine: &Engine, account: &Account, now: i64) -> anyhow::Result<Option<Need>> {
        let reachable = account.origin == Origin::Network && !account.paused;
        // Live following brings every revision, and compares with the host on its own; fetching would skip some.
        let last =
            if engine.archive.follows_live(&account.did) { Some(now) } else { account.last_attempt_at };
        Ok(reachable.then(|| Need::every(last)))
    }

    /// Accounts of the configuration that are not archived yet.
    async fn others(&self, engine: &Engine, now: i64) -> anyhow::Result<Vec<(String, Need)>> {
        let mut missing = Vec::new();
        for name in &engine.config.archive.accounts {
            if engine.archive.find_here(name.as_str()).await?.is_none() {
                missing.push((
                    name.to_string(),
                    Need::at(now, "named in archive.accounts and not archived yet"),
                ));
            }
        }
        Ok(missing)
    }

    async fn act(&self, engine: &Engine, task: &Task, progress: &Progress) -> Result<(), Trouble> {
        match task {
            Task::Account(account, false) => {
                judged(&engine.archive.sync_quietly(&account.did, progress).await?)
            }
            Task::Account(account, true) => judged(&engine.archive.sync(&account.did, progress).await?),
            Task::Other(name) => judged(&engine.archive.add(name, progress).await?),
        }
    }
}

/// An account that its host withholds is asked for less and less often.
pub(super) fn judged(summary: &Summary) -> Result<(), Trouble> {
    match &summary.outcome {
        Outcome::Withheld { why, .. } | Outcome::Refused { why, .. } => {
            Err(Trouble::new(Level::Refused, why.clone()).quiet())
        }
        _ => Ok(()),
    }
}
