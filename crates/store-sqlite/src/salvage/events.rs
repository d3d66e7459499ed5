//! The events of a mended file: their totals, and numbers that were surely never given.

use rusqlite::{Connection, OptionalExtension};

use crate::fault::Outcome;

/// How far the numbers jump: more than can have been given since the newest page that could be read.
const JUMP: i64 = 1_000_000;

/// Counts the events that were copied, and lets the numbers go on beyond all that were ever given.
pub(super) fn restore(source: &Connection, target: &Connection) -> Outcome<()> {
    let there: bool = target.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'event_total')",
        [],
        |r| r.get(0),
    )?;
    if !there {
        return Ok(());
    }
    target.execute_batch(
        "INSERT OR REPLACE INTO event_total SELECT 1, count(*), coalesce(sum(length(frame)), 0) FROM event",
    )?;
    let noted = "SELECT seq FROM sqlite_sequence WHERE name = 'event'";
    let given = |conn: &Connection| conn.query_row(noted, [], |r| r.get::<_, i64>(0)).optional();
    let copied = given(target)?;
    // What cannot be read there is no reason to stop.
    let told = given(source).ok().flatten();
    let Some(last) = copied.max(told) else { return Ok(()) };
    target.execute("DELETE FROM sqlite_sequence WHERE name = 'event'", [])?;
    target.execute(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?1)",
        [last.saturating_add(JUMP)],
    )?;
    Ok(())
}
