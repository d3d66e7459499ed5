//! Events.

use bytes::Bytes;
use p2pds_store::EventRow;
use p2pds_store::events::{EventTotals, FirstEvent};
use rusqlite::{Connection, OptionalExtension, params};

use super::account::did;
use crate::codes::{len, read_event_kind, uint};
use crate::fault::Outcome;

/// Events after a number, up to a count and a size.
pub(crate) fn after(conn: &Connection, seq: i64, limit: usize, max_bytes: usize) -> Outcome<Vec<EventRow>> {
    let mut select = conn
        .prepare_cached("SELECT seq, did, kind, at, frame FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let mut rows = select.query(params![seq, len(limit)])?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    while let Some(r) = rows.next()? {
        let frame: Vec<u8> = r.get(4)?;
        bytes = bytes.saturating_add(frame.len());
        found.push(EventRow {
            seq: r.get(0)?,
            did: did(&r.get::<_, String>(1)?)?,
            kind: read_event_kind(r.get(2)?)?,
            at: r.get(3)?,
            frame: Bytes::from(frame),
        });
        if bytes >= max_bytes {
            break;
        }
    }
    Ok(found)
}

/// Number and time of the first event from a number on.
fn next(conn: &Connection, from: i64) -> Outcome<Option<FirstEvent>> {
    Ok(conn
        .prepare_cached("SELECT seq, at FROM event WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
        .query_row([from], |r| Ok(FirstEvent { seq: r.get(0)?, at: r.get(1)? }))
        .optional()?)
}

/// The oldest event.
pub(crate) fn first(conn: &Connection) -> Outcome<Option<FirstEvent>> {
    next(conn, i64::MIN)
}

/// The greatest number ever given or jumped to.
pub(crate) fn last_seq(conn: &Connection) -> Outcome<i64> {
    let given: Option<i64> = conn
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?
        .query_row([], |r| r.get(0))
        .optional()?;
    let stored: Option<i64> =
        conn.prepare_cached("SELECT max(seq) FROM event")?.query_row([], |r| r.get(0))?;
    Ok(given.max(stored).unwrap_or(0))
}

/// The first event made at this time or later. Events are made in about the order of their numbers, so that this is
/// a search by halves.
pub(crate) fn at_or_after(conn: &Connection, time: i64) -> Outcome<Option<i64>> {
    let Some(first) = first(conn)? else { return Ok(None) };
    let (mut from, mut upto) = (first.seq, last_seq(conn)?.saturating_add(1));
    while from < upto {
        let middle = from.saturating_add(upto.saturating_sub(from) / 2);
        match next(conn, middle)? {
            Some(event) if event.at < time => from = event.seq.saturating_add(1),
            _ => upto = middle,
        }
    }
    Ok(next(conn, from)?.map(|event| event.seq))
}

/// How many there are.
pub(crate) fn totals(conn: &Connection) -> Outcome<EventTotals> {
    let (events, bytes) = conn
        .prepare_cached("SELECT events, bytes FROM event_total WHERE id = 1")?
        .query_row([], |r| Ok((uint(r.get(0)?), uint(r.get(1)?))))
        .optional()?
        .unwrap_or((0, 0));
    Ok(EventTotals { events, bytes, last_seq: last_seq(conn)? })
}

/// Whether the totals are those of the rows.
pub(crate) fn check(conn: &Connection) -> Outcome<Vec<String>> {
    let wrong: bool = conn.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM event_total WHERE id = 1
           AND (events, bytes) = (SELECT count(*), coalesce(sum(length(frame)), 0) FROM event))",
        [],
        |r| r.get(0),
    )?;
    Ok(wrong.then(|| "the totals of the events are not those of the rows".to_owned()).into_iter().collect())
}
