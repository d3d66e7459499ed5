//! Records: by path, by page in tree order, as of a rev, all versions of one.

use p2pds_ipld::Cid;
use p2pds_store::hosting::Newest;
use p2pds_store::{RecordRow, RecordsQuery, RepoId, RowPage, StoreError};
use p2pds_syntax::{Did, RecordPath, Tid};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::repo::owner;
use super::walk::{Gather, walk};
use crate::body::{unpack, unpack_into};
use crate::codes::{len, past_owner, read_cid, read_tid, tid};
use crate::fault::Outcome;

/// A stored body, checked: block and whether it is damaged.
fn body(value: ValueRef<'_>, cid: &Cid) -> Result<(Option<Vec<u8>>, bool), StoreError> {
    let packed = value.as_blob_or_null().map_err(|e| StoreError::Damaged(e.to_string()))?;
    let Some(packed) = packed else { return Ok((None, false)) };
    let block = unpack(packed)?.filter(|block| cid.matches(block));
    let damaged = block.is_none();
    Ok((block, damaged))
}

/// Reads `since, cid, body` from columns 1 to 3.
fn row(key: RecordPath, r: &Row<'_>, bodies: bool) -> Outcome<RecordRow> {
    let cid = read_cid(r.get_ref(2)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?)?;
    let (body, damaged) = if bodies { body(r.get_ref(3)?, &cid)? } else { (None, false) };
    Ok(RecordRow { key, cid, since: read_tid(r.get(1)?)?, body, damaged })
}

/// One record.
pub(crate) fn one(conn: &Connection, repo: RepoId, key: &RecordPath) -> Outcome<Option<RecordRow>> {
    let account = owner(conn, repo)?;
    let mut select = conn.prepare_cached(
        "SELECT rkey, since, cid, body FROM record WHERE repo = ?1 AND rkey = ?4
           AND coll = (SELECT id FROM collection WHERE account = ?2 AND name = ?3)",
    )?;
    let name = format!("{}/", key.collection());
    let mut rows = select.query(params![repo.0, account, name, key.rkey()])?;
    rows.next()?.map(|r| row(key.clone(), r, true)).transpose()
}

/// The newest records of a collection; `None` when the repo has another rev.
pub(crate) fn newest(conn: &Connection, q: &Newest) -> Outcome<Option<Vec<RecordRow>>> {
    let account = owner(conn, q.repo)?;
    // Two statements: a bound that may be missing would not be used as one, and all keys above it read.
    let mut select = match q.before {
        None => conn.prepare_cached(
            "SELECT rkey, since, cid, body FROM record WHERE repo = ?1
               AND coll = (SELECT id FROM collection WHERE account = ?2 AND name = ?3)
             ORDER BY rkey DESC LIMIT ?4",
        )?,
        Some(_) => conn.prepare_cached(
            "SELECT rkey, since, cid, body FROM record WHERE repo = ?1
               AND coll = (SELECT id FROM collection WHERE account = ?2 AND name = ?3) AND rkey < ?5
             ORDER BY rkey DESC LIMIT ?4",
        )?,
    };
    let name = format!("{}/", q.collection);
    let (mut found, mut bytes) = (Vec::with_capacity(q.limit.min(100)), 0_usize);
    {
        let limit = len(q.limit);
        let mut rows = match &q.before {
            None => select.query(params![q.repo.0, account, name, limit])?,
            Some(before) => select.query(params![q.repo.0, account, name, limit, before])?,
        };
        while let Some(r) = rows.next()? {
            let rkey = r.get_ref(0)?.as_str().map_err(|e| StoreError::Damaged(e.to_string()))?;
            let key = RecordPath::parse(&format!("{name}{rkey}"))
                .map_err(|e| StoreError::Damaged(format!("a stored record key: {e}")))?;
            let record = row(key, r, true)?;
            bytes = bytes.saturating_add(record.body.as_ref().map_or(0, Vec::len));
            found.push(record);
            if bytes >= q.max_bytes {
                break;
            }
        }
    }
    // Looked at afterwards: revs only grow, so that nothing changed before.
    let rev: Option<i64> = conn
        .prepare_cached("SELECT rev FROM repo WHERE id = ?1 AND role < 2")?
        .query_row([q.repo.0], |r| r.get(0))
        .optional()?;
    Ok((rev == Some(tid(q.at))).then_some(found))
}

/// A page of records.
pub(crate) fn page(conn: &Connection, q: &RecordsQuery) -> Outcome<Vec<RecordRow>> {
    let mut page = Page { rows: Vec::new(), bytes: 0, key: String::with_capacity(64) };
    walk(conn, q, &mut page)?;
    Ok(page.rows)
}

struct Page {
    rows: Vec<RecordRow>,
    bytes: usize,
    key: String,
}

impl Gather for Page {
    fn size(&self) -> (usize, usize) {
        (self.rows.len(), self.bytes)
    }

    fn take(&mut self, collection: &str, rkey: &str, r: &Row<'_>, bodies: bool) -> Outcome<()> {
        self.key.clear();
        self.key.push_str(collection);
        self.key.push_str(rkey);
        let path = RecordPath::parse(&self.key)
            .map_err(|e| StoreError::Damaged(format!("a stored record key: {e}")))?;
        let found = row(path, r, bodies)?;
        self.bytes = self.bytes.saturating_add(found.body.as_ref().map_or(0, Vec::len));
        self.rows.push(found);
        Ok(())
    }
}

/// A page of records in two buffers; what cannot be unpacked is an error, hashes are for the
/// caller to check.
pub(crate) fn flat(conn: &Connection, q: &RecordsQuery) -> Outcome<RowPage> {
    let bodies = if q.bodies { q.max_bytes.min(MOST_ROOM).saturating_add(OVER) } else { 0 };
    let rows = if q.bodies { bodies / SHORT_BODY } else { ONE_BUCKET };
    let mut page = Flat(RowPage::with_room(rows.min(q.max_rows), bodies));
    walk(conn, q, &mut page)?;
    Ok(page.0)
}

/// Most room that is taken before anything is read.
const MOST_ROOM: usize = 1 << 20;
/// Room for the body with which a page is full.
const OVER: usize = 4 << 10;
/// Most bodies are longer than this.
const SHORT_BODY: usize = 200;
/// Most buckets have fewer records than this.
const ONE_BUCKET: usize = 400;

struct Flat(RowPage);

impl Gather for Flat {
    fn size(&self) -> (usize, usize) {
        (self.0.len(), self.0.body_bytes())
    }

    fn take(&mut self, collection: &str, rkey: &str, r: &Row<'_>, bodies: bool) -> Outcome<()> {
        let damaged = |e: rusqlite::types::FromSqlError| StoreError::Damaged(e.to_string());
        let cid = read_cid(r.get_ref(2)?.as_blob().map_err(damaged)?)?;
        let packed = if bodies { r.get_ref(3)?.as_blob_or_null().map_err(damaged)? } else { None };
        let whole = self.0.push_with([collection, rkey], cid, |out| match packed {
            Some(packed) => unpack_into(packed, out).map(Some),
            None => Ok(None),
        })?;
        if whole == Some(false) {
            return Err(StoreError::Damaged(format!("the record {collection}{rkey}")).into());
        }
        Ok(())
    }
}

/// All versions of one record, oldest first.
pub(crate) fn versions(
    conn: &Connection,
    did: &Did,
    key: &RecordPath,
) -> Outcome<Vec<(RecordRow, Option<Tid>)>> {
    let account: Option<(i64, i64)> = conn
        .prepare_cached(
            "SELECT a.id, coalesce(r.line, 0) FROM account a LEFT JOIN repo r ON r.account = a.id AND r.role < 2
             WHERE a.did = ?1 AND a.purging = 0",
        )?
        .query_row([did.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let history = account.map(|(account, line)| past_owner(account, line));
    let account = account.map(|(account, _)| account);
    let mut select = conn.prepare_cached(
        "WITH c AS (SELECT id FROM collection WHERE account = ?1 AND name = ?2)
         SELECT rkey, since, cid, body, until FROM past
           WHERE account = ?4 AND coll = (SELECT id FROM c) AND rkey = ?3
         UNION ALL SELECT rkey, since, cid, body, NULL FROM record
           WHERE repo = (SELECT id FROM repo WHERE account = ?1 AND role < 2)
             AND coll = (SELECT id FROM c) AND rkey = ?3
         ORDER BY 2",
    )?;
    let name = format!("{}/", key.collection());
    let mut rows = select.query(params![account, name, key.rkey(), history])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let until = r.get::<_, Option<i64>>(4)?.map(read_tid).transpose()?;
        found.push((row(key.clone(), r, true)?, until));
    }
    Ok(found)
}
