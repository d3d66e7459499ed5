//! Logins, and temporary blobs.

use p2pds_store::{BlobRow, BlobState, Login, StoreError};
use p2pds_syntax::Did;
use rusqlite::{Connection, Row, ToSql, params};

use crate::codes::{len, read_blob_cid, uint};
use crate::fault::Outcome;
use crate::read::account::did as read_did;

const SELECT: &str =
    "SELECT a.did, l.email, l.email_confirmed_at, l.password, l.created_at, l.deactivated_at,
  l.delete_after, l.takedown, l.invites_disabled, l.invited_by, l.signing_key, l.signing_did_key
  FROM login l JOIN account a ON a.id = l.account WHERE a.purging = 0";

fn read(r: &Row<'_>) -> Outcome<Login> {
    Ok(Login {
        did: read_did(&r.get::<_, String>(0)?)?,
        email: r.get(1)?,
        email_confirmed_at: r.get(2)?,
        password: r.get(3)?,
        created_at: r.get(4)?,
        deactivated_at: r.get(5)?,
        delete_after: r.get(6)?,
        takedown: r.get(7)?,
        invites_disabled: r.get(8)?,
        invited_by: r.get(9)?,
        signing_key: r.get(10)?,
        signing_did_key: r.get(11)?,
    })
}

fn all(conn: &Connection, which: &str, values: &[&dyn ToSql]) -> Outcome<Vec<Login>> {
    let mut select = conn.prepare_cached(&format!("{SELECT} AND {which}"))?;
    let mut rows = select.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The login of an account.
pub(crate) fn one(conn: &Connection, did: &Did) -> Outcome<Option<Login>> {
    Ok(all(conn, "a.did = ?1", &[&did.as_str()])?.pop())
}

/// The login with this address.
pub(crate) fn by_email(conn: &Connection, email: &str) -> Outcome<Option<Login>> {
    Ok(all(conn, "l.email = ?1 AND l.email <> ''", &[&email])?.pop())
}

/// The login of the hosted account with this handle.
pub(crate) fn by_handle(conn: &Connection, handle: &str) -> Outcome<Option<Login>> {
    Ok(all(conn, "a.handle = ?1 AND a.hosted = 1", &[&handle])?.pop())
}

/// Logins by DID.
pub(crate) fn page(conn: &Connection, after: Option<&Did>, limit: usize) -> Outcome<Vec<Login>> {
    all(conn, "a.did > ?1 ORDER BY a.did LIMIT ?2", &[&after.map_or("", Did::as_str), &len(limit)])
}

/// Accounts to be deleted.
pub(crate) fn to_delete(conn: &Connection, now: i64, limit: usize) -> Outcome<Vec<Did>> {
    let mut select = conn.prepare_cached(
        "SELECT a.did FROM login l JOIN account a ON a.id = l.account
         WHERE l.delete_after <= ?1 AND a.purging = 0 ORDER BY l.delete_after LIMIT ?2",
    )?;
    let mut rows = select.query(params![now, len(limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_did(&row.get::<_, String>(0)?)?);
    }
    Ok(found)
}

/// Temporary blobs that are older.
pub(crate) fn temporary(conn: &Connection, before: i64, limit: usize) -> Outcome<Vec<(Did, BlobRow)>> {
    let mut select = conn.prepare_cached(
        "SELECT a.did, b.cid, b.size, b.mime, b.next_try FROM blob b JOIN account a ON a.id = b.account
         WHERE b.state = 3 AND b.next_try < ?1 AND a.purging = 0 ORDER BY b.next_try LIMIT ?2",
    )?;
    let mut rows = select.query(params![before, len(limit)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let cid = read_blob_cid(r.get_ref(1)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?)?;
        let state = BlobState::Temporary { at: r.get(4)? };
        let row = BlobRow { cid, size: uint(r.get(2)?), mime: r.get(3)?, state };
        found.push((read_did(&r.get::<_, String>(0)?)?, row));
    }
    Ok(found)
}
