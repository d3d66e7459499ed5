//! Checking what is stored from its bytes.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::schedule::{Level, Need, Rule};
use p2pds_archive::{Progress, VerifyOptions};
use p2pds_store::Account;

use super::{Job, Task, Trouble};
use crate::node::engine::Engine;

pub(super) struct Verify {
    pub(super) every: Duration,
}

#[async_trait]
impl Job for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn doing(&self) -> &'static str {
        "verifying"
    }

    fn rule(&self) -> Rule {
        Rule { every: self.every, ..Rule::default() }
    }

    async fn account(&self, _engine: &Engine, account: &Account, _now: i64) -> anyhow::Result<Option<Need>> {
        let since = account.last_verified_at.unwrap_or(account.added_at);
        Ok(account.rev.is_some().then(|| Need::every(Some(since))))
    }

    async fn act(&self, engine: &Engine, task: &Task, progress: &Progress) -> Result<(), Trouble> {
        let Task::Account(account, _) = task else { return Ok(()) };
        let options = VerifyOptions { read_data: true, repair: true };
        let report = engine.archive.verify(&account.did, options, progress).await?;
        if report.ok {
            return Ok(());
        }
        let words = format!("damage was found; `p2pds verify {}` shows it", account.did);
        Err(Trouble::new(Level::Refused, words))
    }
}
