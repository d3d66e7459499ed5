//! Who owns the node, who is signed in, and sessions at hosts of others.

use p2pds_store::hosting::{AgentSessionRow, ClaimRow, OwnerRow, WebSessionRow};
use p2pds_syntax::Did;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::fault::Outcome;
use crate::read::account::did as read_did;

pub(crate) fn claim(conn: &Connection) -> Outcome<Option<ClaimRow>> {
    let sql = "SELECT code, again, created_at FROM claim";
    let row = |row: &Row<'_>| Ok(ClaimRow { code: row.get(0)?, again: row.get(1)?, created_at: row.get(2)? });
    Ok(conn.query_row(sql, [], row).optional()?)
}

pub(crate) fn owner(conn: &Connection) -> Outcome<Option<OwnerRow>> {
    let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
    let found = conn.query_row("SELECT did, since FROM owner", [], row).optional()?;
    found.map(|(did, since)| Ok(OwnerRow { did: read_did(&did)?, since })).transpose()
}

const WEB: &str = "SELECT token, did, created_at, used_at, ends_at, address, agent FROM web_session";

fn web_row(row: &Row<'_>) -> Outcome<WebSessionRow> {
    let did: Option<String> = row.get(1)?;
    Ok(WebSessionRow {
        token: row.get(0)?,
        did: did.map(|did| read_did(&did)).transpose()?,
        created_at: row.get(2)?,
        used_at: row.get(3)?,
        ends_at: row.get(4)?,
        address: row.get(5)?,
        agent: row.get(6)?,
    })
}

pub(crate) fn web_session(conn: &Connection, token: [u8; 32], now: i64) -> Outcome<Option<WebSessionRow>> {
    let mut read = conn.prepare_cached(&format!("{WEB} WHERE token = ?1 AND ends_at > ?2"))?;
    let mut rows = read.query(params![token, now])?;
    rows.next()?.map(web_row).transpose()
}

pub(crate) fn web_sessions(conn: &Connection, now: i64, limit: usize) -> Outcome<Vec<WebSessionRow>> {
    let sql = format!("{WEB} WHERE ends_at > ?1 ORDER BY used_at DESC, token LIMIT ?2");
    let mut read = conn.prepare_cached(&sql)?;
    let mut rows = read.query(params![now, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(web_row(row)?);
    }
    Ok(found)
}

const AGENT: &str =
    "SELECT did, version, kind, host, scope, sealed, created_at, updated_at FROM agent_session";

fn agent_row(row: &Row<'_>) -> Outcome<AgentSessionRow> {
    Ok(AgentSessionRow {
        did: read_did(&row.get::<_, String>(0)?)?,
        version: row.get(1)?,
        kind: row.get(2)?,
        host: row.get(3)?,
        scope: row.get(4)?,
        sealed: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

pub(crate) fn agent_session(conn: &Connection, did: &Did) -> Outcome<Option<AgentSessionRow>> {
    let mut read = conn.prepare_cached(&format!("{AGENT} WHERE did = ?1"))?;
    let mut rows = read.query([did.as_str()])?;
    rows.next()?.map(agent_row).transpose()
}

pub(crate) fn agent_sessions(conn: &Connection, limit: usize) -> Outcome<Vec<AgentSessionRow>> {
    let mut read = conn.prepare_cached(&format!("{AGENT} ORDER BY did LIMIT ?1"))?;
    let mut rows = read.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(agent_row(row)?);
    }
    Ok(found)
}

pub(crate) fn own_keys(conn: &Connection, did: &Did) -> Outcome<Vec<String>> {
    let mut read = conn.prepare_cached("SELECT key FROM own_key WHERE did = ?1 ORDER BY key")?;
    let keys = read.query_map([did.as_str()], |row| row.get(0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}
