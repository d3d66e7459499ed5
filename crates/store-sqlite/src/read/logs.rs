//! Logs and small rows.

use p2pds_store::{Evidence, Finding, IdentityRow, PlcRow, PurgeRow, WorkerRow};
use p2pds_syntax::Did;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::account::did as read_did;
use crate::codes::{len, uint};
use crate::fault::Outcome;

/// The mirrored PLC log.
pub(crate) fn plc(conn: &Connection, did: &Did) -> Outcome<Vec<PlcRow>> {
    let mut select = conn.prepare_cached(
        "SELECT operation, cid, nullified, created_at FROM plc_op WHERE did = ?1 ORDER BY idx",
    )?;
    let rows = select.query_map([did.as_str()], |r| {
        Ok(PlcRow { operation: r.get(0)?, cid: r.get(1)?, nullified: r.get(2)?, created_at: r.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When it was fetched.
pub(crate) fn plc_fetched_at(conn: &Connection, did: &Did) -> Outcome<Option<i64>> {
    Ok(conn
        .prepare_cached("SELECT fetched_at FROM plc WHERE did = ?1")?
        .query_row([did.as_str()], |r| r.get(0))
        .optional()?)
}

/// The last DID document.
pub(crate) fn identity(conn: &Connection, did: &Did) -> Outcome<Option<IdentityRow>> {
    let owned = did.clone();
    Ok(conn
        .prepare_cached("SELECT doc, handle, fetched_at FROM identity WHERE did = ?1")?
        .query_row([did.as_str()], |r| {
            Ok(IdentityRow { did: owned, doc: r.get(0)?, handle: r.get(1)?, fetched_at: r.get(2)? })
        })
        .optional()?)
}

/// Evidence, newest first.
pub(crate) fn evidence(conn: &Connection, did: &Did, limit: usize) -> Outcome<Vec<Evidence>> {
    let mut select = conn.prepare_cached(
        "SELECT id, at, kind, detail, data, times, last_at FROM evidence WHERE did = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = select.query_map(params![did.as_str(), len(limit)], |r| evidence_row(did, r))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Evidence of one kind, newest first.
pub(crate) fn evidence_of(conn: &Connection, did: &Did, kind: &str, limit: usize) -> Outcome<Vec<Evidence>> {
    let mut select = conn.prepare_cached(
        "SELECT id, at, kind, detail, data, times, last_at FROM evidence WHERE did = ?1 AND kind = ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let rows = select.query_map(params![did.as_str(), kind, len(limit)], |r| evidence_row(did, r))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn evidence_row(did: &Did, r: &Row<'_>) -> rusqlite::Result<Evidence> {
    Ok(Evidence {
        id: r.get(0)?,
        did: did.clone(),
        at: r.get(1)?,
        kind: r.get(2)?,
        detail: r.get(3)?,
        data: r.get(4)?,
        times: uint(r.get(5)?),
        last_at: r.get(6)?,
    })
}

/// Findings.
pub(crate) fn findings(conn: &Connection, did: &Did, limit: usize) -> Outcome<Vec<Finding>> {
    let mut select = conn.prepare_cached(
        "SELECT kind, subject, detail, first_at, last_at FROM finding WHERE did = ?1
         ORDER BY kind, subject LIMIT ?2",
    )?;
    let rows = select.query_map(params![did.as_str(), len(limit)], |r| {
        Ok(Finding {
            did: did.clone(),
            kind: r.get(0)?,
            subject: r.get(1)?,
            detail: r.get(2)?,
            first_at: r.get(3)?,
            last_at: r.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const WORKER: &str =
    "SELECT name, did, state, done, total, notes, last_error, next_run, updated_at FROM worker";

fn read_worker(r: &Row<'_>) -> Outcome<WorkerRow> {
    Ok(WorkerRow {
        name: r.get(0)?,
        did: r.get::<_, Option<String>>(1)?.as_deref().map(read_did).transpose()?,
        state: r.get(2)?,
        done: uint(r.get(3)?),
        total: uint(r.get(4)?),
        notes: r.get(5)?,
        last_error: r.get(6)?,
        next_run: r.get(7)?,
        updated_at: r.get(8)?,
    })
}

/// One worker.
pub(crate) fn worker(conn: &Connection, name: &str) -> Outcome<Option<WorkerRow>> {
    let mut select = conn.prepare_cached(&format!("{WORKER} WHERE name = ?1"))?;
    let mut rows = select.query([name])?;
    rows.next()?.map(read_worker).transpose()
}

/// All workers.
pub(crate) fn workers(conn: &Connection) -> Outcome<Vec<WorkerRow>> {
    let mut select = conn.prepare_cached(&format!("{WORKER} ORDER BY name"))?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_worker(row)?);
    }
    Ok(found)
}

/// One setting.
pub(crate) fn setting(conn: &Connection, name: &str) -> Outcome<Option<String>> {
    Ok(conn
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
        .optional()?)
}

/// Purges, newest first.
pub(crate) fn purges(conn: &Connection, limit: usize) -> Outcome<Vec<PurgeRow>> {
    let mut select = conn.prepare_cached(
        "SELECT did, basis, began_at, ended_at, rows, report FROM purge ORDER BY id DESC LIMIT ?1",
    )?;
    let mut rows = select.query([len(limit)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(PurgeRow {
            did: read_did(&r.get::<_, String>(0)?)?,
            basis: r.get(1)?,
            began_at: r.get(2)?,
            ended_at: r.get(3)?,
            rows: uint(r.get(4)?),
            report: r.get(5)?,
        });
    }
    Ok(found)
}

/// The number of the purge of `did` that is under way.
pub(crate) fn running_purge(conn: &Connection, did: &Did) -> Outcome<Option<(i64, u64)>> {
    Ok(conn
        .prepare_cached(
            "SELECT id, rows FROM purge WHERE did = ?1 AND ended_at IS NULL ORDER BY id DESC LIMIT 1",
        )?
        .query_row([did.as_str()], |r| Ok((r.get(0)?, uint(r.get(1)?))))
        .optional()?)
}
