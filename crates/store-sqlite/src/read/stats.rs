//! Sizes, and the check of the database's structure.

use p2pds_store::Stats;
use rusqlite::Connection;

use super::logs::setting;
use crate::codes::uint;
use crate::fault::Outcome;

/// Setting that holds the time of the last hygiene pass.
pub(crate) const HYGIENE_LAST: &str = "hygiene.last";
/// Setting that says why a hygiene pass is due.
pub(crate) const HYGIENE_DUE: &str = "hygiene.due";

/// What the database knows of itself; the rest is filled in by the store.
pub(crate) fn stats(conn: &Connection) -> Outcome<Stats> {
    let number = |sql: &str| conn.query_row(sql, [], |r| r.get::<_, i64>(0)).map(uint);
    let page = number("PRAGMA page_size")?;
    Ok(Stats {
        accounts: number("SELECT count(*) FROM account")?,
        records: number("SELECT coalesce(sum(records), 0) FROM repo WHERE role < 2")?,
        db_bytes: number("PRAGMA page_count")?.saturating_mul(page),
        free_bytes: number("PRAGMA freelist_count")?.saturating_mul(page),
        last_hygiene_at: setting(conn, HYGIENE_LAST)?.and_then(|t| t.parse().ok()),
        hygiene_due: setting(conn, HYGIENE_DUE)?,
        ..Stats::default()
    })
}

/// What SQLite's own check says, and whether the counters match the rows; empty when all is well.
pub(crate) fn check(conn: &Connection) -> Outcome<Vec<String>> {
    let mut select = conn.prepare("PRAGMA integrity_check(100)")?;
    let lines = select.query_map([], |r| r.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    if lines.iter().any(|l| l != "ok") {
        return Ok(lines);
    }
    let mut lines = super::lexicon::check(conn)?;
    lines.extend(super::events::check(conn)?);
    Ok(lines)
}
