//! Noting once a day how much is stored, for `p2pds capacity`.

use std::time::Duration;

use async_trait::async_trait;
use p2pds_archive::Progress;
use p2pds_archive::schedule::{Need, Rule};

use super::{Job, Task, Trouble};
use crate::capacity;
use crate::node::engine::Engine;
use crate::words::now_micros;

pub(super) struct Capacity;

#[async_trait]
impl Job for Capacity {
    fn name(&self) -> &'static str {
        "capacity"
    }

    fn doing(&self) -> &'static str {
        "measuring"
    }

    fn rule(&self) -> Rule {
        Rule { every: Duration::from_secs(3_600), ..Rule::default() }
    }

    async fn others(&self, engine: &Engine, _now: i64) -> anyhow::Result<Vec<(String, Need)>> {
        let at = capacity::next_sample(engine).await?;
        Ok(vec![("what is stored".to_owned(), Need::at(at, "once a day"))])
    }

    async fn act(&self, engine: &Engine, _task: &Task, _progress: &Progress) -> Result<(), Trouble> {
        capacity::sample(engine, now_micros()).await?;
        Ok(())
    }
}
