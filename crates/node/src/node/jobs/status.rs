//! Asking after accounts that are served and that no stream brings word of.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::Progress;
use p2pds_archive::schedule::{Need, Rule};
use p2pds_store::{Account, Serve};

use super::{Job, Task, Trouble};
use crate::node::engine::Engine;

/// How often each is asked after.
const EVERY: Duration = Duration::from_secs(60);

pub(super) struct Status;

#[async_trait]
impl Job for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn doing(&self) -> &'static str {
        "asking after"
    }

    fn rule(&self) -> Rule {
        Rule { every: EVERY, parallel: 4, per_host: 2, ..Rule::default() }
    }

    async fn account(&self, engine: &Engine, account: &Account, _now: i64) -> anyhow::Result<Option<Need>> {
        // A pause is of fetching: what its owner withdraws meanwhile is not to be served on.
        let alone = account.serve != Serve::Nobody && !engine.archive.hears_status(&account.did);
        Ok(alone.then(|| Need::at(0, "served, and no stream brings word of it")))
    }

    async fn act(&self, engine: &Engine, task: &Task, _progress: &Progress) -> Result<(), Trouble> {
        let Task::Account(account, _) = task else { return Ok(()) };
        Ok(engine.archive.ask_status(&account.did).await?)
    }
}
