//! Alerts, samples, and findings of all accounts.

use p2pds_store::{AfterFinding, AlertRow, Finding, SampleRow};
use p2pds_syntax::Did;
use rusqlite::{Connection, Row, params};

use super::account::did as read_did;
use crate::codes::{len, uint};
use crate::fault::Outcome;

const ALERT: &str = "SELECT id, did, kind, subject, detail, opened_at, closed_at, told FROM alert";
const SAMPLE: &str = "did, at, record_bytes, blob_bytes, db_bytes, disk_free FROM sample";

fn read_alert(r: &Row<'_>) -> Outcome<AlertRow> {
    let told: i64 = r.get(7)?;
    Ok(AlertRow {
        id: r.get(0)?,
        did: r.get::<_, Option<String>>(1)?.as_deref().map(read_did).transpose()?,
        kind: r.get(2)?,
        subject: r.get(3)?,
        detail: r.get(4)?,
        opened_at: r.get(5)?,
        closed_at: r.get(6)?,
        told: told & 1 != 0,
        told_recovery: told & 2 != 0,
        mailed: told & 4 != 0,
        mailed_recovery: told & 8 != 0,
    })
}

/// Alerts, newest first: those that last, or those that are over too.
pub(crate) fn alerts(conn: &Connection, open_only: bool, limit: usize) -> Outcome<Vec<AlertRow>> {
    let which = if open_only { "WHERE closed_at IS NULL" } else { "" };
    let mut select = conn.prepare_cached(&format!("{ALERT} {which} ORDER BY opened_at DESC, id LIMIT ?1"))?;
    let mut rows = select.query([len(limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_alert(row)?);
    }
    Ok(found)
}

fn read_sample(r: &Row<'_>) -> Outcome<SampleRow> {
    let did: String = r.get(0)?;
    Ok(SampleRow {
        did: if did.is_empty() { None } else { Some(read_did(&did)?) },
        at: r.get(1)?,
        record_bytes: uint(r.get(2)?),
        blob_bytes: uint(r.get(3)?),
        db_bytes: uint(r.get(4)?),
        disk_free: uint(r.get(5)?),
    })
}

/// Samples of one account or of the node, oldest first.
pub(crate) fn samples(conn: &Connection, did: Option<&Did>, since: i64) -> Outcome<Vec<SampleRow>> {
    let mut select =
        conn.prepare_cached(&format!("SELECT {SAMPLE} WHERE did = ?1 AND at >= ?2 ORDER BY at"))?;
    let mut rows = select.query(params![did.map_or("", Did::as_str), since])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_sample(row)?);
    }
    Ok(found)
}

/// The oldest sample since then of each account.
pub(crate) fn first_samples(conn: &Connection, since: i64) -> Outcome<Vec<SampleRow>> {
    // With min() the other columns are those of the row that has it.
    let sql = "SELECT did, min(at), record_bytes, blob_bytes, db_bytes, disk_free FROM sample
               WHERE did <> '' AND at >= ?1 GROUP BY did ORDER BY did";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([since])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_sample(row)?);
    }
    Ok(found)
}

/// Findings of all accounts, by account, kind and subject.
pub(crate) fn all_findings(
    conn: &Connection,
    after: Option<&AfterFinding>,
    limit: usize,
) -> Outcome<Vec<Finding>> {
    let mut select = conn.prepare_cached(
        "SELECT did, kind, subject, detail, first_at, last_at FROM finding
         WHERE (did, kind, subject) > (?1, ?2, ?3) ORDER BY did, kind, subject LIMIT ?4",
    )?;
    let (did, kind, subject) =
        after.map_or(("", "", ""), |a| (a.did.as_str(), a.kind.as_str(), a.subject.as_str()));
    let mut rows = select.query(params![did, kind, subject, len(limit)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(Finding {
            did: read_did(&r.get::<_, String>(0)?)?,
            kind: r.get(1)?,
            subject: r.get(2)?,
            detail: r.get(3)?,
            first_at: r.get(4)?,
            last_at: r.get(5)?,
        });
    }
    Ok(found)
}
