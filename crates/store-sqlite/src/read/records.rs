//! Records: by path, by page in tree order, as of a rev, all versions of one.
//!
//! Tree order is the byte order of `collection/rkey`. Collections are numbers in the table, so a
//! page walks the collections in the order of their names *with the slash* (`x.feed.post/` comes
//! before `x.feed/`) and each collection by its clustered rows.

use p2pds_ipld::Cid;
use p2pds_store::{RecordRow, RecordsQuery, RepoId, StoreError};
use p2pds_syntax::{Did, RecordPath, Tid};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::repo::{owner, owner_at};
use crate::body::unpack;
use crate::codes::{len, read_cid, read_tid, tid};
use crate::fault::Outcome;

/// Greater than every record key.
const BEYOND: &str = "\u{10ffff}";

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

/// A key range within one collection, and the collections from there on.
struct Cut {
    name: String,
    rkey: String,
}

/// Splits key bytes into the collection with its slash and the rest.
fn cut(key: &[u8]) -> Cut {
    let text = String::from_utf8_lossy(key);
    match text.find('/') {
        Some(slash) => {
            let (name, rkey) = text.split_at(slash.saturating_add(1));
            Cut { name: name.to_owned(), rkey: rkey.to_owned() }
        }
        None => Cut { name: text.into_owned(), rkey: String::new() },
    }
}

/// A page of records.
pub(crate) fn page(conn: &Connection, q: &RecordsQuery) -> Outcome<Vec<RecordRow>> {
    // One snapshot for the walk over several collections.
    let snapshot = conn.unchecked_transaction()?;
    let (account, rev) = owner_at(conn, q.repo)?;
    // The present state needs no look at the history.
    let at = q.at.filter(|at| tid(*at) != rev);
    let mut from = cut(&q.from);
    if !q.inclusive && !q.from.is_empty() {
        if from.name.ends_with('/') { from.rkey.push('\0') } else { from.name.push('\0') }
    }
    let until = q.until.as_deref().map(cut);
    let mut page = Page { rows: Vec::new(), bytes: 0 };
    let mut select = conn
        .prepare_cached("SELECT id, name FROM collection WHERE account = ?1 AND name >= ?2 ORDER BY name")?;
    let mut collections = select.query(params![account, from.name])?;
    while let Some(c) = collections.next()? {
        let (coll, name): (i64, String) = (c.get(0)?, c.get(1)?);
        let low = if name == from.name { from.rkey.as_str() } else { "" };
        let high = match &until {
            Some(until) if name > until.name || (name == until.name && until.rkey.is_empty()) => break,
            Some(until) if name == until.name => until.rkey.as_str(),
            _ => BEYOND,
        };
        if page.is_full(q) {
            break;
        }
        let range = Range { account, coll, name: &name, low, high };
        match at {
            None => range.now(conn, q, &mut page)?,
            Some(rev) => range.then(conn, q, rev, &mut page)?,
        }
    }
    drop(collections);
    drop(select);
    snapshot.finish()?;
    Ok(page.rows)
}

struct Page {
    rows: Vec<RecordRow>,
    bytes: usize,
}

impl Page {
    fn is_full(&self, q: &RecordsQuery) -> bool {
        self.rows.len() >= q.max_rows || self.bytes >= q.max_bytes
    }

    fn left(&self, q: &RecordsQuery) -> i64 {
        len(q.max_rows.saturating_sub(self.rows.len()))
    }
}

struct Range<'a> {
    account: i64,
    coll: i64,
    name: &'a str,
    low: &'a str,
    high: &'a str,
}

impl Range<'_> {
    fn now(&self, conn: &Connection, q: &RecordsQuery, page: &mut Page) -> Outcome<()> {
        let sql = if q.bodies {
            "SELECT rkey, since, cid, body FROM record
             WHERE repo = ?1 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 ORDER BY rkey LIMIT ?5"
        } else {
            "SELECT rkey, since, cid FROM record
             WHERE repo = ?1 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 ORDER BY rkey LIMIT ?5"
        };
        let mut select = conn.prepare_cached(sql)?;
        let rows = select.query(params![q.repo.0, self.coll, self.low, self.high, page.left(q)])?;
        self.take(rows, q, page)
    }

    fn then(&self, conn: &Connection, q: &RecordsQuery, rev: Tid, page: &mut Page) -> Outcome<()> {
        let mut select = conn.prepare_cached(
            "SELECT rkey, since, cid, body FROM record
               WHERE repo = ?1 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 AND since <= ?6
             UNION ALL SELECT rkey, since, cid, body FROM past
               WHERE account = ?7 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 AND since <= ?6 AND until > ?6
             ORDER BY 1 LIMIT ?5",
        )?;
        let parameters =
            params![q.repo.0, self.coll, self.low, self.high, page.left(q), tid(rev), self.account];
        let rows = select.query(parameters)?;
        self.take(rows, q, page)
    }

    fn take(&self, mut rows: rusqlite::Rows<'_>, q: &RecordsQuery, page: &mut Page) -> Outcome<()> {
        let mut key = String::with_capacity(64);
        while let Some(r) = rows.next()? {
            key.clear();
            key.push_str(self.name);
            key.push_str(r.get_ref(0)?.as_str().map_err(|e| StoreError::Damaged(e.to_string()))?);
            let path = RecordPath::parse(&key)
                .map_err(|e| StoreError::Damaged(format!("a stored record key: {e}")))?;
            let found = row(path, r, q.bodies)?;
            page.bytes = page.bytes.saturating_add(found.body.as_ref().map_or(0, Vec::len));
            page.rows.push(found);
            if page.is_full(q) {
                break;
            }
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
    let account: Option<i64> = conn
        .prepare_cached("SELECT id FROM account WHERE did = ?1 AND purging = 0")?
        .query_row([did.as_str()], |r| r.get(0))
        .optional()?;
    let mut select = conn.prepare_cached(
        "WITH c AS (SELECT id FROM collection WHERE account = ?1 AND name = ?2)
         SELECT rkey, since, cid, body, until FROM past
           WHERE account = ?1 AND coll = (SELECT id FROM c) AND rkey = ?3
         UNION ALL SELECT rkey, since, cid, body, NULL FROM record
           WHERE repo = (SELECT id FROM repo WHERE account = ?1 AND role < 2)
             AND coll = (SELECT id FROM c) AND rkey = ?3
         ORDER BY 2",
    )?;
    let name = format!("{}/", key.collection());
    let mut rows = select.query(params![account, name, key.rkey()])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let until = r.get::<_, Option<i64>>(4)?.map(read_tid).transpose()?;
        found.push((row(key.clone(), r, true)?, until));
    }
    Ok(found)
}
