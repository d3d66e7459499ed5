//! Keeping the database in shape: freed space given back, nothing deleted left in it.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::Progress;
use p2pds_archive::schedule::{Need, Rule};

use super::{Job, Task, Trouble};
use crate::node::engine::Engine;
use crate::words::now_micros;

pub(super) struct Hygiene;

/// Least time between two passes.
const PAUSE: Duration = Duration::from_secs(24 * 3_600);

#[async_trait]
impl Job for Hygiene {
    fn name(&self) -> &'static str {
        "hygiene"
    }

    fn doing(&self) -> &'static str {
        "cleaning"
    }

    fn rule(&self) -> Rule {
        Rule { every: PAUSE, ..Rule::default() }
    }

    async fn others(&self, engine: &Engine, _now: i64) -> anyhow::Result<Vec<(String, Need)>> {
        let stats = engine.store.stats().await?;
        let Some(why) = stats.hygiene_due else { return Ok(Vec::new()) };
        let pause = i64::try_from(PAUSE.as_micros()).unwrap_or(i64::MAX);
        let at = stats.last_hygiene_at.map_or(0, |at| at.saturating_add(pause));
        Ok(vec![("the database".to_owned(), Need::at(at, why))])
    }

    async fn act(&self, engine: &Engine, _task: &Task, _progress: &Progress) -> Result<(), Trouble> {
        Ok(engine.store.hygiene(now_micros()).await?)
    }
}
