//! Hosted accounts with their heads.

use p2pds_store::hosting::HostedHead;
use p2pds_syntax::Did;
use rusqlite::{Connection, params};

use crate::codes::{len, read_cid, read_status, read_tid};
use crate::fault::Outcome;
use crate::read::account::did as read_did;

/// A page of them by DID; with `collection` (its name and a slash) only those that have a record of it.
pub(crate) fn heads(
    conn: &Connection,
    after: Option<&Did>,
    collection: Option<&str>,
    limit: usize,
) -> Outcome<Vec<HostedHead>> {
    let mut select = conn.prepare_cached(
        "SELECT a.did, a.status, r.head, r.rev FROM account a JOIN repo r ON r.account = a.id AND r.role < 2
         WHERE a.did > ?1 AND a.hosted = 1 AND a.purging = 0 AND r.head IS NOT NULL
           AND (?2 IS NULL OR EXISTS (SELECT 1 FROM collection c JOIN lexicon x ON x.repo = r.id AND x.coll = c.id
                                      WHERE c.account = a.id AND c.name = ?2 AND x.records > 0))
         ORDER BY a.did LIMIT ?3",
    )?;
    let mut rows = select.query(params![after.map_or("", Did::as_str), collection, len(limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(HostedHead {
            did: read_did(&row.get::<_, String>(0)?)?,
            status: read_status(row.get(1)?)?,
            commit: read_cid(&row.get::<_, Vec<u8>>(2)?)?,
            rev: read_tid(row.get(3)?)?,
        });
    }
    Ok(found)
}
