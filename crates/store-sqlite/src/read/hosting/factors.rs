//! Factors beside the password.

use p2pds_store::StoreError;
use p2pds_store::hosting::{FactorRow, PasskeyRow};
use p2pds_syntax::Did;
use rusqlite::{Connection, OptionalExtension as _, Params};

use crate::fault::Outcome;

const PASSKEY: &str =
    "SELECT id, did, key, count, name, transports, copyable, copied, discoverable, created_at, used_at
   FROM passkey";

/// What is set for an account.
pub(crate) fn one(conn: &Connection, did: &Did) -> Outcome<Option<FactorRow>> {
    let mut read = conn.prepare_cached(
        "SELECT email, totp, totp_at, totp_step, codes_at, tries, tries_since FROM factor WHERE did = ?1",
    )?;
    let row = read.query_row([did.as_str()], |row| {
        Ok(FactorRow {
            email: row.get(0)?,
            totp: row.get(1)?,
            totp_at: row.get(2)?,
            totp_step: row.get(3)?,
            codes_at: row.get(4)?,
            tries: row.get(5)?,
            tries_since: row.get(6)?,
        })
    });
    Ok(row.optional()?)
}

/// Passkeys of an account, oldest first.
pub(crate) fn passkeys(conn: &Connection, did: &Did) -> Outcome<Vec<PasskeyRow>> {
    rows(conn, "did = ?1 ORDER BY created_at, id", [did.as_str()])
}

/// One passkey.
pub(crate) fn passkey(conn: &Connection, id: &[u8]) -> Outcome<Option<PasskeyRow>> {
    Ok(rows(conn, "id = ?1", [id])?.pop())
}

fn rows(conn: &Connection, which: &str, values: impl Params) -> Outcome<Vec<PasskeyRow>> {
    let mut read = conn.prepare_cached(&format!("{PASSKEY} WHERE {which}"))?;
    let mut rows = read.query(values)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let did: String = row.get(1)?;
        let did = Did::parse(&did)
            .map_err(|error| StoreError::Damaged(format!("the account of a passkey: {error}")))?;
        out.push(PasskeyRow {
            did,
            id: row.get(0)?,
            key: row.get(2)?,
            count: row.get(3)?,
            name: row.get(4)?,
            transports: row.get(5)?,
            copyable: row.get(6)?,
            copied: row.get(7)?,
            discoverable: row.get(8)?,
            created_at: row.get(9)?,
            used_at: row.get(10)?,
        });
    }
    Ok(out)
}

/// How many backup codes are left.
pub(crate) fn backup_codes(conn: &Connection, did: &Did) -> Outcome<u32> {
    let mut read = conn.prepare_cached("SELECT count(*) FROM backup_code WHERE did = ?1")?;
    Ok(read.query_row([did.as_str()], |row| row.get(0))?)
}
