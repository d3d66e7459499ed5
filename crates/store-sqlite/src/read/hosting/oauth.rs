//! What the authorization server keeps.

use p2pds_store::hosting::{
    OAuthConsentRow, OAuthDeviceAccountRow, OAuthDeviceRow, OAuthRequestRow, OAuthSessionRow,
};
use p2pds_syntax::Did;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use crate::codes::len;
use crate::fault::Outcome;
use crate::read::account::did as read_did;

const REQUEST: &str = "SELECT id, client, auth, parameters, device, did, code, scope, created_at, expires_at
                       FROM oauth_request";
const SESSION: &str =
    "SELECT id, did, client, name, auth, jkt, scope, expanded, code, refresh, device, created_at, used_at,
                       expires_at FROM oauth_session";

fn all<T>(
    conn: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn request_row(row: &Row<'_>) -> Outcome<OAuthRequestRow> {
    let did: Option<String> = row.get(5)?;
    Ok(OAuthRequestRow {
        id: row.get(0)?,
        client: row.get(1)?,
        auth: row.get(2)?,
        parameters: row.get(3)?,
        device: row.get(4)?,
        did: did.map(|did| read_did(&did)).transpose()?,
        code: row.get(6)?,
        scope: row.get(7)?,
        created_at: row.get(8)?,
        expires_at: row.get(9)?,
    })
}

pub(crate) fn request(conn: &Connection, id: [u8; 32]) -> Outcome<Option<OAuthRequestRow>> {
    Ok(all(conn, &format!("{REQUEST} WHERE id = ?1"), [id], request_row)?.pop())
}

pub(crate) fn request_by_code(conn: &Connection, code: [u8; 32]) -> Outcome<Option<OAuthRequestRow>> {
    Ok(all(conn, &format!("{REQUEST} WHERE code = ?1"), [code], request_row)?.pop())
}

pub(crate) fn requests(conn: &Connection, at: i64) -> Outcome<u64> {
    let sql = "SELECT count(*) FROM oauth_request WHERE expires_at > ?1";
    let count: i64 = conn.prepare_cached(sql)?.query_row([at], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn session_row(row: &Row<'_>) -> Outcome<OAuthSessionRow> {
    Ok(OAuthSessionRow {
        id: row.get(0)?,
        did: read_did(&row.get::<_, String>(1)?)?,
        client: row.get(2)?,
        name: row.get(3)?,
        auth: row.get(4)?,
        jkt: row.get(5)?,
        scope: row.get(6)?,
        expanded: row.get(7)?,
        code: row.get(8)?,
        refresh: row.get(9)?,
        device: row.get(10)?,
        created_at: row.get(11)?,
        used_at: row.get(12)?,
        expires_at: row.get(13)?,
    })
}

pub(crate) fn session(conn: &Connection, id: &str) -> Outcome<Option<OAuthSessionRow>> {
    Ok(all(conn, &format!("{SESSION} WHERE id = ?1"), [id], session_row)?.pop())
}

pub(crate) fn sessions(conn: &Connection, did: &Did, limit: usize) -> Outcome<Vec<OAuthSessionRow>> {
    let sql = format!("{SESSION} WHERE did = ?1 ORDER BY created_at DESC, id LIMIT ?2");
    all(conn, &sql, params![did.as_str(), len(limit)], session_row)
}

pub(crate) fn keyed_clients(conn: &Connection, after: &str, limit: usize) -> Outcome<Vec<String>> {
    let sql =
        "SELECT DISTINCT client FROM oauth_session WHERE auth <> '' AND client > ?1 ORDER BY client LIMIT ?2";
    all(conn, sql, params![after, len(limit)], |row| Ok(row.get(0)?))
}

fn device_row(row: &Row<'_>) -> Outcome<OAuthDeviceRow> {
    Ok(OAuthDeviceRow {
        id: row.get(0)?,
        token: row.get(1)?,
        agent: row.get(2)?,
        address: row.get(3)?,
        created_at: row.get(4)?,
        seen_at: row.get(5)?,
    })
}

pub(crate) fn device(conn: &Connection, token: [u8; 32]) -> Outcome<Option<OAuthDeviceRow>> {
    let sql = "SELECT id, token, agent, address, created_at, seen_at FROM oauth_device WHERE token = ?1";
    Ok(all(conn, sql, [token], device_row)?.pop())
}

pub(crate) fn device_accounts(conn: &Connection, device: &str) -> Outcome<Vec<OAuthDeviceAccountRow>> {
    let sql = "SELECT device, did, signed_in_at, remembered FROM oauth_device_account WHERE device = ?1
               ORDER BY signed_in_at DESC, did";
    all(conn, sql, [device], |row| {
        Ok(OAuthDeviceAccountRow {
            device: row.get(0)?,
            did: read_did(&row.get::<_, String>(1)?)?,
            signed_in_at: row.get(2)?,
            remembered: row.get(3)?,
        })
    })
}

pub(crate) fn devices(conn: &Connection, did: &Did) -> Outcome<Vec<(OAuthDeviceRow, OAuthDeviceAccountRow)>> {
    let sql =
        "SELECT d.id, d.token, d.agent, d.address, d.created_at, d.seen_at, a.signed_in_at, a.remembered
               FROM oauth_device_account a JOIN oauth_device d ON d.id = a.device
               WHERE a.did = ?1 ORDER BY d.seen_at DESC, d.id";
    all(conn, sql, [did.as_str()], |row| {
        let device = device_row(row)?;
        let account = OAuthDeviceAccountRow {
            device: device.id.clone(),
            did: did.clone(),
            signed_in_at: row.get(6)?,
            remembered: row.get(7)?,
        };
        Ok((device, account))
    })
}

pub(crate) fn consent(conn: &Connection, did: &Did, client: &str) -> Outcome<Option<OAuthConsentRow>> {
    let sql = "SELECT scope, at FROM oauth_consent WHERE did = ?1 AND client = ?2";
    let row = conn
        .prepare_cached(sql)?
        .query_row(params![did.as_str(), client], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(scope, at)| OAuthConsentRow { did: did.clone(), client: client.to_owned(), scope, at }))
}
