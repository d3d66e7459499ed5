//! Looking at identities again: PLC logs and did:web documents, by schedule and when the directory's export names them.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::Progress;
use p2pds_archive::schedule::{Level, Need, Rule};
use p2pds_store::Account;
use p2pds_syntax::DidMethod;

use super::{Job, Task, Trouble};
use crate::node::engine::Engine;

pub(super) struct Plc {
    pub(super) every: Duration,
    pub(super) mirrors: Vec<String>,
}

#[async_trait]
impl Job for Plc {
    fn name(&self) -> &'static str {
        "plc"
    }

    fn doing(&self) -> &'static str {
        "looking at the identity of"
    }

    fn rule(&self) -> Rule {
        Rule { every: self.every, parallel: 2, per_host: 2, ..Rule::default() }
    }

    fn hosted(&self) -> bool {
        true
    }

    async fn account(&self, engine: &Engine, account: &Account, _now: i64) -> anyhow::Result<Option<Need>> {
        // A paused account is watched as well: that nothing is fetched of it protects nobody.
        let last = match account.did.method() {
            DidMethod::Plc => engine.store.plc_fetched_at(&account.did).await?,
            // Its owner, or this node itself, publishes it: there is no log to keep.
            DidMethod::Web if account.hosted => return Ok(None),
            DidMethod::Web => engine.store.identity(&account.did).await?.map(|row| row.fetched_at),
            DidMethod::Other => return Ok(None),
        };
        Ok(Some(Need::every(last)))
    }

    async fn act(&self, engine: &Engine, task: &Task, _progress: &Progress) -> Result<(), Trouble> {
        if let Task::Account(account, _) = task {
            // Of accounts hosted here most operations are this node's own: the log is kept, and no alarm is raised.
            if account.hosted {
                let Some(host) = &engine.host else { return Ok(()) };
                let words =
                    |error: p2pds_directory::DirectoryError| Trouble::new(Level::Host, error.to_string());
                host.directory().refresh(&account.did).await.map_err(words)?;
                return Ok(());
            }
            engine.archive.watch(&account.did, &self.mirrors).await?;
        }
        Ok(())
    }
}
