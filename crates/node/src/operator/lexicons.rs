//! The operator's commands about the index of lexicons: over all archived accounts, served or not.

use p2pds_reading::Viewer;
use p2pds_store::LexiconRow;
use serde::{Deserialize, Serialize};

use crate::node::engine::Engine;
use crate::operator::Failure;

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LexiconLine {
    /// Its NSID.
    pub nsid: String,
    /// Repos that hold records of it.
    pub repos: u64,
    /// Those records.
    pub records: u64,
    /// First revision with one that was seen, as microseconds since 1970.
    pub first_seen: i64,
    /// Last revision at which one was fetched, written, changed or deleted, as microseconds since 1970.
    pub last_seen: i64,
}

impl From<&LexiconRow> for LexiconLine {
    fn from(row: &LexiconRow) -> Self {
        let micros = |rev: p2pds_syntax::Tid| i64::try_from(rev.micros()).unwrap_or(i64::MAX);
        Self {
            nsid: row.collection.clone(),
            repos: row.repos,
            records: row.records,
            first_seen: micros(row.first),
            last_seen: micros(row.last),
        }
    }
}

/// The sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LexiconTotals {
    /// Different collections.
    pub lexicons: u64,
    /// Records in all of them.
    pub records: u64,
}

/// Collections: those that begin so, by name; or all, those with the most records first.
pub(super) async fn lines(
    engine: &Engine,
    prefix: Option<&str>,
    limit: usize,
) -> Result<Vec<LexiconLine>, Failure> {
    let index = engine.reading.lexicons(Viewer::Operator).await?;
    Ok(match prefix {
        Some(prefix) => index.search(prefix).take(limit).map(Into::into).collect(),
        None => index.by_records().into_iter().take(limit).map(Into::into).collect(),
    })
}

/// The sums.
pub(super) async fn totals(engine: &Engine) -> Result<LexiconTotals, Failure> {
    let stats = engine.reading.lexicons(Viewer::Operator).await?.stats();
    Ok(LexiconTotals { lexicons: stats.lexicons, records: stats.records })
}
