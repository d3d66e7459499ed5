//! Its `sequencer.sqlite`.

use p2pds_store::StoreResult;
use p2pds_store::foreign::ForeignEvent;

use super::open::{Source, text};

/// The last number given out. The counter of the table knows of rows that are gone, too.
pub(super) fn last(source: &Source) -> StoreResult<u64> {
    let sql = "SELECT max(coalesce((SELECT max(seq) FROM repo_seq), 0), \
               coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'repo_seq'), 0))";
    let rows = source.rows(sql, [], |row| row.get::<_, i64>(0))?;
    Ok(rows.first().copied().and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}

pub(super) fn after(source: &Source, after: u64, limit: usize) -> StoreResult<Vec<ForeignEvent>> {
    let sql = "SELECT seq, did, eventType, event, invalidated, sequencedAt FROM repo_seq \
               WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    source.rows(sql, [after, limit], |row| {
        Ok(ForeignEvent {
            seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            did: text(row, 1)?,
            kind: text(row, 2)?,
            body: row.get(3)?,
            invalidated: row.get::<_, Option<i64>>(4)?.unwrap_or(0) != 0,
            at: text(row, 5)?,
        })
    })
}
