//! Marks of subjects.

use p2pds_store::{RepoId, StoreError};
use p2pds_syntax::RecordPath;
use rusqlite::{Connection, params};

use crate::codes::len;
use crate::fault::Outcome;

/// Records of a collection with this mark.
pub(crate) fn linked(
    conn: &Connection,
    repo: RepoId,
    collection: &str,
    target: [u8; 16],
    limit: usize,
) -> Outcome<Vec<RecordPath>> {
    let mut select = conn.prepare_cached(
        "SELECT l.rkey FROM link l WHERE l.repo = ?1 AND l.target = ?3 AND l.coll =
           (SELECT c.id FROM collection c JOIN repo r ON r.account = c.account WHERE r.id = ?1 AND c.name = ?2)
         ORDER BY l.rkey LIMIT ?4",
    )?;
    let mut rows = select.query(params![repo.0, format!("{collection}/"), target, len(limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let path = format!("{collection}/{}", row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
        found
            .push(RecordPath::parse(&path).map_err(|error| StoreError::Damaged(format!("a mark: {error}")))?);
    }
    Ok(found)
}
