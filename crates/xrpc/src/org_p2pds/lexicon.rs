//! `org.p2pds.lexicon`: the collections that the served repos use.

pub mod list;
pub mod search;
pub mod stats;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use p2pds_reading::{Lexicons, Reading, Viewer};
use p2pds_store::LexiconRow;
use p2pds_syntax::{Datetime, Tid};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::XrpcError;

/// How long an answer is used again: an account's status is in effect within five seconds on every path.
const FRESH: Duration = Duration::from_secs(3);
/// Most lines of one answer.
const MOST: usize = 1_000;

/// The index as each sort of viewer sees it, added up once for all who ask within [`FRESH`].
#[derive(Debug)]
pub struct Index {
    seen: Mutex<Vec<(Viewer, Instant, Arc<Lexicons>)>>,
    adding: Semaphore,
}

impl Default for Index {
    fn default() -> Self {
        Self { seen: Mutex::default(), adding: Semaphore::new(1) }
    }
}

impl Index {
    /// The index for a viewer.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(&self, reading: &Reading, viewer: Viewer) -> Result<Arc<Lexicons>, XrpcError> {
        if let Some(found) = self.fresh(viewer) {
            return Ok(found);
        }
        // One adds up, the others wait and take its sums.
        let _turn = self.adding.acquire().await;
        if let Some(found) = self.fresh(viewer) {
            return Ok(found);
        }
        let at = Instant::now();
        let found = Arc::new(reading.lexicons(viewer).await?);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(whose, ..)| *whose != viewer);
        seen.push((viewer, at, Arc::clone(&found)));
        Ok(found)
    }

    fn fresh(&self, viewer: Viewer) -> Option<Arc<Lexicons>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (.., found) = seen.iter().find(|(whose, at, _)| *whose == viewer && at.elapsed() < FRESH)?;
        Some(Arc::clone(found))
    }
}

/// The lines of an answer.
fn lines<'a>(rows: impl Iterator<Item = &'a LexiconRow>) -> Value {
    let line = |row: &LexiconRow| {
        json!({
            "nsid": row.collection,
            "repoCount": row.repos,
            "recordCount": row.records,
            "firstSeen": when(row.first),
            "lastSeen": when(row.last),
        })
    };
    json!({ "lexicons": rows.map(line).collect::<Vec<_>>() })
}

/// The time that a rev stands for.
fn when(rev: Tid) -> String {
    let micros = i64::try_from(rev.micros()).unwrap_or(i64::MAX);
    Datetime::from_unix_micros(micros).map(|at| at.to_string()).unwrap_or_default()
}
