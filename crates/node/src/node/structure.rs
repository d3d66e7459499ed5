//! Whether the database file is whole: its structure is checked once a round, like what is stored in it, and damage that
//! anybody met becomes a condition of the node. The file is mended at the next start.

use std::sync::Arc;
use std::time::Duration;

use p2pds_store::Unit;
use p2pds_store_sqlite::salvage;

use crate::node::engine::Engine;
use crate::node::supervise::Stop;
use crate::words::now_micros;

/// The condition that says that the file is damaged.
pub const DAMAGED: &str = "database-damaged";
/// Setting with the time of the last check that found nothing.
const CHECKED: &str = "structure.checked_at";
/// Time between two looks.
const LOOK: Duration = Duration::from_secs(60);

/// Runs until the node stops.
///
/// # Errors
/// None: a store that does not answer is asked again.
pub async fn run(engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    loop {
        let looked = tokio::select! {
            () = stop.wait() => return Ok(()),
            looked = look(&engine) => looked,
        };
        if let Err(error) = looked {
            tracing::debug!(event = "store.structure", "the database could not be checked now: {error:#}");
        }
        tokio::select! {
            () = stop.wait() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn look(engine: &Engine) -> anyhow::Result<()> {
    if salvage::wanted(&engine.dir).is_none() {
        let last = engine.store.setting(CHECKED).await?.and_then(|at| at.parse::<i64>().ok());
        let every = i64::try_from(engine.config.archive.verify_interval.as_micros()).unwrap_or(i64::MAX);
        let now = now_micros();
        if last.is_some_and(|last| last.saturating_add(every) > now) {
            return Ok(());
        }
        // What it finds it notes beside the file.
        if engine.store.check_structure().await?.is_empty() {
            let unit = Unit::PutSetting { name: CHECKED.to_owned(), value: Some(now.to_string()) };
            engine.store.apply(unit).await?;
        }
    }
    let conditions = engine.archive.conditions();
    match salvage::wanted(&engine.dir) {
        None => conditions.clear(DAMAGED, ""),
        Some(why) => conditions.raise(
            DAMAGED,
            "",
            format!(
                "the database file is damaged ({why}): restart the node, it then copies what can be read, names what is \
                 lost and fetches it again; check the disk"
            ),
        ),
    }
    Ok(())
}
