//! The index of lexicons.

use p2pds_store::{CollectionCount, LexiconRow, RepoId};
use p2pds_syntax::Did;
use rusqlite::{Connection, params};

use super::repo::owner;
use crate::codes::{read_tid, uint};
use crate::fault::Outcome;

/// Collections of these accounts' live repos, in name order. What a flip replaced and is not dropped yet is asked for
/// the rev at which a collection was seen first.
pub(crate) fn of(conn: &Connection, accounts: &[Did]) -> Outcome<Vec<LexiconRow>> {
    let mut select = conn.prepare_cached(
        "SELECT rtrim(c.name, '/'), count(DISTINCT iif(r.role < 2 AND l.records > 0, a.id, NULL)),
           sum(iif(r.role < 2, l.records, 0)), min(l.first), max(l.last)
         FROM json_each(?1) w JOIN account a ON a.did = w.value AND a.purging = 0
         JOIN repo r ON r.account = a.id AND r.role IN (0, 1, 3) AND r.kind = 0
         JOIN lexicon l ON l.repo = r.id
         JOIN collection c ON c.account = a.id AND c.id = l.coll
         GROUP BY c.name ORDER BY 1",
    )?;
    let mut rows = select.query([list(accounts)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(LexiconRow {
            collection: r.get(0)?,
            repos: uint(r.get(1)?),
            records: uint(r.get(2)?),
            first: read_tid(r.get(3)?)?,
            last: read_tid(r.get(4)?)?,
        });
    }
    Ok(found)
}

/// A JSON array of DIDs; their characters need no escapes.
fn list(accounts: &[Did]) -> String {
    let quoted: Vec<String> = accounts.iter().map(|did| format!("\"{did}\"")).collect();
    format!("[{}]", quoted.join(","))
}

/// Records by collection of one repo, in tree order.
pub(crate) fn collections(conn: &Connection, repo: RepoId) -> Outcome<Vec<CollectionCount>> {
    let account = owner(conn, repo)?;
    let mut select = conn.prepare_cached(
        "SELECT rtrim(c.name, '/'), l.records FROM lexicon l JOIN collection c ON c.account = ?2 AND c.id = l.coll
         WHERE l.repo = ?1 AND l.records > 0 ORDER BY c.name",
    )?;
    let rows = select.query_map(params![repo.0, account], |r| {
        Ok(CollectionCount { collection: r.get(0)?, records: uint(r.get(1)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Live repos whose counters are not what a count of their records gives.
pub(crate) fn check(conn: &Connection) -> Outcome<Vec<String>> {
    let mut select = conn.prepare(
        "WITH live AS (SELECT r.id, a.did FROM repo r JOIN account a ON a.id = r.account
                         WHERE r.role < 2 AND a.purging = 0),
              counted AS (SELECT repo, coll, count(*) AS n FROM record GROUP BY repo, coll)
         SELECT DISTINCT live.did FROM live JOIN
           (SELECT repo, coll, n FROM counted EXCEPT SELECT repo, coll, records FROM lexicon
            UNION ALL
            SELECT * FROM (SELECT repo, coll, records FROM lexicon WHERE records <> 0
                           EXCEPT SELECT repo, coll, n FROM counted)) wrong
           ON wrong.repo = live.id ORDER BY 1 LIMIT 100",
    )?;
    let dids = select.query_map([], |r| r.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let say = |did| format!("the index of lexicons does not match the records of {did}");
    Ok(dids.into_iter().map(say).collect())
}
