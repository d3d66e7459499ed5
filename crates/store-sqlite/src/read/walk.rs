//! Walking records in tree order.
//!
//! Tree order is the byte order of `collection/rkey`. Collections are numbers in the table, so a
//! page walks the collections in the order of their names *with the slash* (`x.feed.post/` comes
//! before `x.feed/`) and each collection by its clustered rows.

use p2pds_store::{RecordsQuery, StoreError};
use p2pds_syntax::Tid;
use rusqlite::{Connection, Row, params};

use super::repo::owner_at;
use crate::codes::{len, past_owner, tid};
use crate::fault::Outcome;

/// Greater than every record key.
const BEYOND: &str = "\u{10ffff}";

/// Takes rows as they come.
pub(crate) trait Gather {
    /// Rows and bytes of bodies taken so far.
    fn size(&self) -> (usize, usize);

    /// Takes one row: collection with its slash, record key, and in columns 1 to 3 `since`, `cid`
    /// and, if bodies were asked for, `body`.
    fn take(&mut self, collection: &str, rkey: &str, row: &Row<'_>, bodies: bool) -> Outcome<()>;
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

/// Gives the rows of a query to `page` until it is full.
pub(crate) fn walk(conn: &Connection, q: &RecordsQuery, page: &mut impl Gather) -> Outcome<()> {
    // One snapshot for the walk over several collections.
    let snapshot = Snapshot::begin(conn)?;
    let (account, rev, line) = owner_at(conn, q.repo)?;
    let history = past_owner(account, line);
    // The present state needs no look at the history.
    let at = q.at.filter(|at| tid(*at) != rev);
    let mut from = cut(&q.from);
    if !q.inclusive && !q.from.is_empty() {
        if from.name.ends_with('/') { from.rkey.push('\0') } else { from.name.push('\0') }
    }
    let until = q.until.as_deref().map(cut);
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
        if is_full(page, q) {
            break;
        }
        let range = Range { history, coll, name: &name, low, high };
        match at {
            None => range.now(conn, q, page)?,
            Some(rev) => range.then(conn, q, rev, page)?,
        }
    }
    drop(collections);
    drop(select);
    snapshot.end()
}

/// A reading transaction from statements that are parsed once.
struct Snapshot<'c>(&'c Connection);

impl<'c> Snapshot<'c> {
    fn begin(conn: &'c Connection) -> Outcome<Self> {
        conn.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(conn))
    }

    fn end(self) -> Outcome<()> {
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

struct Range<'a> {
    history: i64,
    coll: i64,
    name: &'a str,
    low: &'a str,
    high: &'a str,
}

impl Range<'_> {
    fn now(&self, conn: &Connection, q: &RecordsQuery, page: &mut impl Gather) -> Outcome<()> {
        let sql = if q.bodies {
            "SELECT rkey, since, cid, body FROM record
             WHERE repo = ?1 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 ORDER BY rkey LIMIT ?5"
        } else {
            "SELECT rkey, since, cid FROM record
             WHERE repo = ?1 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 ORDER BY rkey LIMIT ?5"
        };
        let mut select = conn.prepare_cached(sql)?;
        let rows = select.query(params![q.repo.0, self.coll, self.low, self.high, left(page, q)])?;
        self.take(rows, q, page)
    }

    fn then(&self, conn: &Connection, q: &RecordsQuery, rev: Tid, page: &mut impl Gather) -> Outcome<()> {
        let mut select = conn.prepare_cached(
            "SELECT rkey, since, cid, body FROM record
               WHERE repo = ?1 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 AND since <= ?6
             UNION ALL SELECT rkey, since, cid, body FROM past
               WHERE account = ?7 AND coll = ?2 AND rkey >= ?3 AND rkey < ?4 AND since <= ?6 AND until > ?6
             ORDER BY 1 LIMIT ?5",
        )?;
        let parameters =
            params![q.repo.0, self.coll, self.low, self.high, left(page, q), tid(rev), self.history];
        let rows = select.query(parameters)?;
        self.take(rows, q, page)
    }

    fn take(&self, mut rows: rusqlite::Rows<'_>, q: &RecordsQuery, page: &mut impl Gather) -> Outcome<()> {
        while let Some(r) = rows.next()? {
            let rkey = r.get_ref(0)?.as_str().map_err(|e| StoreError::Damaged(e.to_string()))?;
            page.take(self.name, rkey, r, q.bodies)?;
            if is_full(page, q) {
                break;
            }
        }
        Ok(())
    }
}

fn is_full(page: &impl Gather, q: &RecordsQuery) -> bool {
    let (rows, bytes) = page.size();
    rows >= q.max_rows || bytes >= q.max_bytes
}

fn left(page: &impl Gather, q: &RecordsQuery) -> i64 {
    len(q.max_rows.saturating_sub(page.size().0))
}
