//! Accounts.

use p2pds_store::{Account, StoreError};
use p2pds_syntax::Did;
use rusqlite::{Connection, Row, params};

use crate::codes::{len, read_keep, read_origin, read_serve, read_status, read_tid, read_verified, uint};
use crate::fault::Outcome;

const COLUMNS: &str = "SELECT a.did, a.handle, a.pds, a.status, a.origin, a.verified, a.serve, a.serve_basis,
  a.added_at, a.last_sync_at, a.last_attempt_at, a.last_sync_error, a.last_verified_at, a.last_verify_ok,
  a.car_bytes, a.blobs_held, a.blobs_missing, a.blob_bytes, a.paused, a.quota, a.purging,
  r.rev, r.records, r.record_bytes,
  a.priority, a.keep, a.keep_basis, a.withdrawn_at, a.horizon, a.hosted
  FROM account a LEFT JOIN repo r ON r.account = a.id AND r.role < 2";

/// A stored DID; it was parsed before it was stored.
pub(crate) fn did(text: &str) -> Result<Did, StoreError> {
    Did::parse(text).map_err(|e| StoreError::Damaged(format!("a stored DID: {e}")))
}

fn read(r: &Row<'_>) -> Outcome<Account> {
    let text: String = r.get(0)?;
    Ok(Account {
        did: did(&text)?,
        handle: r.get(1)?,
        pds: r.get(2)?,
        status: read_status(r.get(3)?)?,
        origin: read_origin(r.get(4)?)?,
        verified: read_verified(r.get(5)?)?,
        serve: read_serve(r.get(6)?)?,
        serve_basis: r.get(7)?,
        added_at: r.get(8)?,
        last_sync_at: r.get(9)?,
        last_attempt_at: r.get(10)?,
        last_sync_error: r.get(11)?,
        last_verified_at: r.get(12)?,
        last_verify_ok: r.get(13)?,
        car_bytes: uint(r.get(14)?),
        blobs_held: uint(r.get(15)?),
        blobs_missing: uint(r.get(16)?),
        blob_bytes: uint(r.get(17)?),
        paused: r.get(18)?,
        quota: r.get::<_, Option<i64>>(19)?.map(uint),
        purging: r.get(20)?,
        rev: r.get::<_, Option<i64>>(21)?.map(read_tid).transpose()?,
        records: uint(r.get::<_, Option<i64>>(22)?.unwrap_or(0)),
        record_bytes: uint(r.get::<_, Option<i64>>(23)?.unwrap_or(0)),
        priority: r.get(24)?,
        keep: read_keep(r.get(25)?)?,
        keep_basis: r.get(26)?,
        withdrawn_at: r.get(27)?,
        horizon: r.get::<_, Option<i64>>(28)?.map(read_tid).transpose()?,
        hosted: r.get(29)?,
    })
}

/// An account that is not being purged.
pub(crate) fn load(conn: &Connection, did: &Did) -> Outcome<Option<Account>> {
    let mut select = conn.prepare_cached(&format!("{COLUMNS} WHERE a.did = ?1 AND a.purging = 0"))?;
    let mut rows = select.query([did.as_str()])?;
    rows.next()?.map(read).transpose()
}

/// Accounts by DID.
pub(crate) fn page(conn: &Connection, after: Option<&Did>, limit: usize) -> Outcome<Vec<Account>> {
    let mut select = conn.prepare_cached(&format!("{COLUMNS} WHERE a.did > ?1 ORDER BY a.did LIMIT ?2"))?;
    let mut rows = select.query(params![after.map_or("", Did::as_str), len(limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}
