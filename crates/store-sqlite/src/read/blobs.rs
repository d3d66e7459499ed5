//! Blobs.

use p2pds_ipld::Cid;
use p2pds_store::hosting::BlobTotals;
use p2pds_store::{BlobFilter, BlobRow, BlobState, StoreError};
use p2pds_syntax::{Did, RecordPath};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::codes::{blob_cid, len, read_blob_cid, uint};
use crate::fault::Outcome;

const COLUMNS: &str = "SELECT b.cid, b.size, b.mime, b.state, b.tries, b.next_try, b.note FROM blob b
  WHERE b.account = ?1";

fn read(r: &Row<'_>) -> Outcome<BlobRow> {
    let cid = read_blob_cid(r.get_ref(0)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?)?;
    let state = match r.get::<_, i64>(3)? {
        0 => BlobState::Missing { tries: r.get(4)?, last_error: r.get(6)?, next_try: r.get(5)? },
        1 => BlobState::Held,
        2 => BlobState::Gone { reason: r.get(6)? },
        3 => BlobState::Temporary { at: r.get(5)? },
        4 => BlobState::Quarantined { reference: r.get::<_, Option<String>>(6)?.unwrap_or_default() },
        other => return Err(StoreError::Damaged(format!("a blob state with number {other}")).into()),
    };
    Ok(BlobRow { cid, size: uint(r.get(1)?), mime: r.get(2)?, state })
}

fn account(conn: &Connection, did: &Did) -> Outcome<Option<i64>> {
    Ok(conn
        .prepare_cached("SELECT id FROM account WHERE did = ?1 AND purging = 0")?
        .query_row([did.as_str()], |r| r.get(0))
        .optional()?)
}

/// One blob.
pub(crate) fn one(conn: &Connection, did: &Did, cid: &Cid) -> Outcome<Option<BlobRow>> {
    let Some(account) = account(conn, did)? else { return Ok(None) };
    let mut select = conn.prepare_cached(&format!("{COLUMNS} AND b.cid = ?2"))?;
    let mut rows = select.query(params![account, blob_cid(cid)])?;
    rows.next()?.map(read).transpose()
}

/// Blobs in CID order.
pub(crate) fn page(
    conn: &Connection,
    did: &Did,
    filter: BlobFilter,
    after: Option<&Cid>,
    limit: usize,
) -> Outcome<Vec<BlobRow>> {
    let Some(account) = account(conn, did)? else { return Ok(Vec::new()) };
    let (which, due) = match filter {
        BlobFilter::All => ("?4 = 0", 0),
        BlobFilter::Held => ("b.state = 1 AND ?4 = 0", 0),
        BlobFilter::Missing => ("b.state = 0 AND ?4 = 0", 0),
        BlobFilter::Due(now) => ("b.state = 0 AND b.next_try <= ?4", now),
        BlobFilter::Gone => ("b.state = 2 AND ?4 = 0", 0),
        BlobFilter::Temporary => ("b.state = 3 AND ?4 = 0", 0),
        BlobFilter::Quarantined => ("b.state = 4 AND ?4 = 0", 0),
        BlobFilter::Unreferenced => (
            "?4 = 0 AND b.state <> 3 AND NOT EXISTS (SELECT 1 FROM blob_ref f WHERE f.cid = b.cid
               AND f.repo IN (SELECT id FROM repo WHERE account = ?1 UNION ALL SELECT -?1))",
            0,
        ),
    };
    let after = after.map(blob_cid);
    let after = after.as_ref().map_or(&[][..], |c| c.as_slice());
    let sql = format!("{COLUMNS} AND b.cid > ?2 AND {which} ORDER BY b.cid LIMIT ?3");
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(params![account, after, len(limit), due])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// What an account has here: held blobs are counted with the account, temporary ones are few at any time.
pub(crate) fn totals(conn: &Connection, did: &Did) -> Outcome<BlobTotals> {
    let Some(account) = account(conn, did)? else { return Ok(BlobTotals::default()) };
    let held: (i64, i64) = conn
        .prepare_cached("SELECT blobs_held, blob_bytes FROM account WHERE id = ?1")?
        .query_row([account], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let temporary: (i64, i64) = conn
        .prepare_cached(
            "SELECT count(*), coalesce(sum(size), 0) FROM blob INDEXED BY blob_temporary
             WHERE state = 3 AND account = ?1",
        )?
        .query_row([account], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(BlobTotals {
        count: uint(held.0.saturating_add(temporary.0)),
        bytes: uint(held.1.saturating_add(temporary.1)),
    })
}

/// Whether a record of the live repo names a blob.
pub(crate) fn named(conn: &Connection, did: &Did, cid: &Cid) -> Outcome<bool> {
    let Some(account) = account(conn, did)? else { return Ok(false) };
    let mut select = conn.prepare_cached(
        "SELECT 1 FROM blob_ref f
         WHERE f.repo = (SELECT id FROM repo WHERE account = ?1 AND role < 2) AND f.cid = ?2 LIMIT 1",
    )?;
    Ok(select.exists(params![account, blob_cid(cid)])?)
}

/// Records of the live repo that name a blob.
pub(crate) fn referers(conn: &Connection, did: &Did, cid: &Cid) -> Outcome<Vec<RecordPath>> {
    let Some(account) = account(conn, did)? else { return Ok(Vec::new()) };
    let mut select = conn.prepare_cached(
        "SELECT c.name || f.rkey FROM blob_ref f
         JOIN collection c ON c.account = ?1 AND c.id = f.coll
         WHERE f.repo = (SELECT id FROM repo WHERE account = ?1 AND role < 2) AND f.cid = ?2 ORDER BY 1",
    )?;
    let mut rows = select.query(params![account, blob_cid(cid)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let key: String = r.get(0)?;
        found.push(
            RecordPath::parse(&key).map_err(|e| StoreError::Damaged(format!("a stored record key: {e}")))?,
        );
    }
    Ok(found)
}
