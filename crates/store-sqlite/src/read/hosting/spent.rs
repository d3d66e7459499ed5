//! Used service tokens.

use p2pds_store::hosting::SpentToken;
use rusqlite::Connection;

use crate::fault::Outcome;

/// Those that have not ended.
pub(crate) fn after(conn: &Connection, now: i64, limit: u32) -> Outcome<Vec<SpentToken>> {
    let mut read = conn.prepare_cached(
        "SELECT token, issuer, ends_at FROM spent_token WHERE ends_at > ?1 ORDER BY ends_at DESC LIMIT ?2",
    )?;
    let rows = read.query_map([now, i64::from(limit)], |row| {
        Ok(SpentToken { token: row.get(0)?, issuer: row.get(1)?, ends_at: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
