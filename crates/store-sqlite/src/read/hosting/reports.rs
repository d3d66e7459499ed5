//! Reports.

use p2pds_store::hosting::{ReportClosed, ReportCounts, ReportRow};
use rusqlite::{Connection, Params, Row, params};

use crate::codes::{len, uint};
use crate::fault::Outcome;
use crate::read::account::did as read_did;

const FIELDS: &str =
    "SELECT id, at, by_did, contact, did, subject, cid, kind, words, closed_at, note FROM report";

fn row(r: &Row<'_>) -> Outcome<ReportRow> {
    let did = |at: usize| -> Outcome<_> {
        Ok(r.get::<_, Option<String>>(at)?.as_deref().map(read_did).transpose()?)
    };
    let closed_at: Option<i64> = r.get(9)?;
    let note: String = r.get(10)?;
    Ok(ReportRow {
        id: r.get(0)?,
        at: r.get(1)?,
        by: did(2)?,
        contact: r.get(3)?,
        did: did(4)?,
        subject: r.get(5)?,
        cid: r.get(6)?,
        kind: r.get(7)?,
        words: r.get(8)?,
        closed: closed_at.map(|at| ReportClosed { at, note }),
    })
}

fn list(conn: &Connection, rest: &str, values: impl Params) -> Outcome<Vec<ReportRow>> {
    let mut select = conn.prepare_cached(&format!("{FIELDS} {rest}"))?;
    let mut rows = select.query(values)?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(row(r)?);
    }
    Ok(found)
}

pub(crate) fn one(conn: &Connection, id: i64) -> Outcome<Option<ReportRow>> {
    Ok(list(conn, "WHERE id = ?1", [id])?.pop())
}

pub(crate) fn open(conn: &Connection, after: i64, limit: usize) -> Outcome<Vec<ReportRow>> {
    list(conn, "WHERE closed_at IS NULL AND id > ?1 ORDER BY id LIMIT ?2", params![after, len(limit)])
}

pub(crate) fn closed(conn: &Connection, limit: usize) -> Outcome<Vec<ReportRow>> {
    list(conn, "WHERE closed_at IS NOT NULL ORDER BY closed_at DESC, id DESC LIMIT ?1", [len(limit)])
}

pub(crate) fn counts(conn: &Connection) -> Outcome<ReportCounts> {
    let sql = "SELECT count(*), min(at) FROM report WHERE closed_at IS NULL";
    let found = conn.prepare_cached(sql)?.query_row([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(ReportCounts { open: uint(found.0), oldest: found.1 })
}
