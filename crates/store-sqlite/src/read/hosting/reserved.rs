//! Promised signing keys.

use p2pds_store::StoreError;
use p2pds_store::hosting::ReservedKey;
use p2pds_syntax::Did;
use rusqlite::{Connection, OptionalExtension as _};

use crate::fault::Outcome;

const FIELDS: &str = "SELECT did_key, did, signing_key, created_at FROM reserved_key";

/// The key with this name.
pub(crate) fn by_key(conn: &Connection, did_key: &str) -> Outcome<Option<ReservedKey>> {
    one(conn, "did_key = ?1", did_key)
}

/// The key kept for an account.
pub(crate) fn by_did(conn: &Connection, did: &Did) -> Outcome<Option<ReservedKey>> {
    one(conn, "did = ?1", did.as_str())
}

fn one(conn: &Connection, which: &str, value: &str) -> Outcome<Option<ReservedKey>> {
    let found = conn
        .prepare_cached(&format!("{FIELDS} WHERE {which}"))?
        .query_row([value], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, Vec<u8>>(2)?,
                row.get(3)?,
            ))
        })
        .optional()?;
    let Some((did_key, did, signing_key, created_at)) = found else { return Ok(None) };
    let did = did.map(|text| Did::parse(&text)).transpose();
    let did = did.map_err(|error| StoreError::Damaged(format!("a promised key: {error}")))?;
    Ok(Some(ReservedKey { did_key, did, signing_key, created_at }))
}
