//! How much is stored, how fast it grows, and when the disk is full.

use crate::node::engine::Engine;

/// Time between two samples, in microseconds.
const DAY: i64 = 86_400_000_000;

/// When the next sample is due.
///
/// # Errors
/// The store does not answer.
pub async fn next_sample(engine: &Engine) -> anyhow::Result<i64> {
    let last = engine.store.setting("capacity.sampled_at").await?.and_then(|at| at.parse::<i64>().ok());
    Ok(last.map_or(0, |at| at.saturating_add(DAY)))
}

/// Notes what is stored now.
///
/// # Errors
/// The store does not answer.
pub async fn sample(_engine: &Engine, _now: i64) -> anyhow::Result<()> {
    Ok(())
}
