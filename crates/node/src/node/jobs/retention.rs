//! Forgetting what is past the undo window, erasing what was withdrawn at its source.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::Progress;
use p2pds_archive::schedule::{Level, Need, Rule};
use p2pds_store::{Account, AccountStatus, Keep};
use p2pds_syntax::Did;

use super::{Job, Task, Trouble};
use crate::node::engine::Engine;
use crate::words::now_micros;

#[derive(Default)]
pub(super) struct Retention {
    pub(super) every: Duration,
    /// Passes of this process; the first after a start finds what an earlier one left.
    passes: Mutex<HashMap<Did, i64>>,
}

impl Retention {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, ..Self::default() }
    }
}

#[async_trait]
impl Job for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn doing(&self) -> &'static str {
        "forgetting what is past its time of"
    }

    fn rule(&self) -> Rule {
        // No host is asked but about accounts that are to be erased.
        Rule { every: self.every, per_host: 1, spacing: Duration::ZERO, ..Rule::default() }
    }

    fn hosted(&self) -> bool {
        true
    }

    async fn account(&self, _engine: &Engine, account: &Account, _now: i64) -> anyhow::Result<Option<Need>> {
        let withdrawn = account.status == AccountStatus::Deleted || account.withdrawn_at.is_some();
        if account.rev.is_none() || (account.keep == Keep::All && !withdrawn) {
            return Ok(None);
        }
        let passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Need::every(passes.get(&account.did).copied())))
    }

    async fn act(&self, engine: &Engine, task: &Task, progress: &Progress) -> Result<(), Trouble> {
        let Task::Account(account, _) = task else { return Ok(()) };
        let retained = engine.archive.retain(&account.did, progress).await?;
        if let Some(host) = engine.host.as_ref().filter(|_| account.hosted && !retained.erased) {
            // It stays hosted meanwhile: of one that goes back to the archive, files that are being fetched would be
            // taken for leftovers.
            let _held = engine.archive.hold(&account.did).await;
            if engine.store.account(&account.did).await?.is_some_and(|account| account.hosted) {
                let words = |error: p2pds_host::HostError| Trouble::new(Level::Ours, error.to_string());
                host.forget_unnamed_blobs(&account.did).await.map_err(words)?;
            }
        }
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        if retained.erased {
            passes.remove(&account.did);
        } else {
            passes.insert(account.did.clone(), now_micros());
        }
        Ok(())
    }
}
