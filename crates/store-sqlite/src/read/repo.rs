//! Repos, heads, buckets, collections.

use p2pds_store::{BucketRow, ChangeCounts, CommitRow, Head, Repo, RepoId, StoreError};
use p2pds_syntax::{Did, Tid};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::account;
use crate::codes::{len, read_cid, read_kind, read_role, read_tid, tid, uint};
use crate::fault::Outcome;

const COLUMNS: &str = "SELECT r.id, a.did, r.kind, r.role, r.rev, r.data, r.head, r.sig, k.did_key, r.raw,
  r.records, r.record_bytes, r.line
  FROM repo r JOIN account a ON a.id = r.account
  LEFT JOIN signing_key k ON k.account = r.account AND k.id = r.key";

fn sig(bytes: &[u8]) -> Result<[u8; 64], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged("a stored signature is not 64 bytes long".into()))
}

fn read(r: &Row<'_>) -> Outcome<Repo> {
    let did: String = r.get(1)?;
    let rev = read_tid(r.get(4)?)?;
    let data: Option<Vec<u8>> = r.get(5)?;
    let head = match data {
        None => None,
        Some(data) => Some(Head {
            rev,
            data: read_cid(&data)?,
            commit: read_cid(&r.get::<_, Vec<u8>>(6)?)?,
            sig: sig(&r.get::<_, Vec<u8>>(7)?)?,
            key: r.get::<_, Option<String>>(8)?.unwrap_or_default(),
            raw: r.get(9)?,
        }),
    };
    Ok(Repo {
        id: RepoId(r.get(0)?),
        did: account::did(&did)?,
        kind: read_kind(r.get(2)?)?,
        role: read_role(r.get(3)?)?,
        rev,
        head,
        records: uint(r.get(10)?),
        record_bytes: uint(r.get(11)?),
        line: r.get(12)?,
    })
}

/// The live repo of an account that is not being purged.
pub(crate) fn live(conn: &Connection, did: &Did) -> Outcome<Option<Repo>> {
    let mut select = conn.prepare_cached(&format!(
        "{COLUMNS} WHERE r.account = (SELECT id FROM account WHERE did = ?1 AND purging = 0) AND r.role < 2"
    ))?;
    let mut rows = select.query([did.as_str()])?;
    rows.next()?.map(read).transpose()
}

/// All repos of one account, or of all.
pub(crate) fn all(conn: &Connection, did: Option<&Did>) -> Outcome<Vec<Repo>> {
    let mut select =
        conn.prepare_cached(&format!("{COLUMNS} WHERE ?1 IS NULL OR a.did = ?1 ORDER BY r.id"))?;
    let mut rows = select.query([did.map(Did::as_str)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The account of a repo that may be read.
pub(crate) fn owner(conn: &Connection, repo: RepoId) -> Outcome<i64> {
    owner_at(conn, repo).map(|(account, ..)| account)
}

/// The account of a repo that may be read, the repo's rev, and its line of history.
pub(crate) fn owner_at(conn: &Connection, repo: RepoId) -> Outcome<(i64, i64, i64)> {
    conn.prepare_cached(
        "SELECT a.id, r.rev, r.line FROM repo r JOIN account a ON a.id = r.account
         WHERE r.id = ?1 AND a.purging = 0",
    )?
    .query_row([repo.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
    .optional()?
    .ok_or_else(|| StoreError::UnknownRepo(repo).into())
}

/// All buckets of a repo.
pub(crate) fn buckets(conn: &Connection, repo: RepoId, prefixes: bool) -> Outcome<Vec<BucketRow>> {
    owner(conn, repo)?;
    let sql = if prefixes {
        "SELECT b.lo, b.lo_cid, b.n, b.layer, b.root, b.dirty, b.rev, iif(b.dirty, NULL, c.cids) FROM bucket b
           LEFT JOIN bucket_cids c ON c.id = (b.repo << 32) + b.cids WHERE b.repo = ?1 ORDER BY b.lo"
    } else {
        "SELECT lo, lo_cid, n, layer, root, dirty, rev, NULL FROM bucket WHERE repo = ?1 ORDER BY lo"
    };
    let mut select = conn.prepare_cached(sql)?;
    read_buckets(select.query([repo.0])?)
}

/// Some buckets of a repo, with their prefixes.
pub(crate) fn bucket_page(
    conn: &Connection,
    repo: RepoId,
    from: &[u8],
    limit: usize,
) -> Outcome<Vec<BucketRow>> {
    owner(conn, repo)?;
    let mut select = conn.prepare_cached(
        "SELECT b.lo, b.lo_cid, b.n, b.layer, b.root, b.dirty, b.rev, iif(b.dirty, NULL, c.cids) FROM bucket b
           LEFT JOIN bucket_cids c ON c.id = (b.repo << 32) + b.cids
           WHERE b.repo = ?1 AND b.lo >= ?2 ORDER BY b.lo LIMIT ?3",
    )?;
    read_buckets(select.query(params![repo.0, from, len(limit)])?)
}

fn read_buckets(mut rows: rusqlite::Rows<'_>) -> Outcome<Vec<BucketRow>> {
    let mut found = Vec::new();
    let damaged = |e: rusqlite::types::FromSqlError| StoreError::Damaged(format!("a bucket: {e}"));
    while let Some(r) = rows.next()? {
        let lo_cid = r.get_ref(1)?.as_blob_or_null().map_err(damaged)?.map(read_cid).transpose()?;
        let root = r.get_ref(4)?.as_blob_or_null().map_err(damaged)?.map(read_cid).transpose()?;
        found.push(BucketRow {
            lo: r.get(0)?,
            lo_cid,
            n: r.get(2)?,
            layer_root: r.get::<_, Option<u8>>(3)?.zip(root),
            dirty: r.get(5)?,
            rev: read_tid(r.get(6)?)?,
            prefixes: r.get::<_, Option<Vec<u8>>>(7)?.unwrap_or_default(),
        });
    }
    Ok(found)
}

/// First keys of the buckets that may hold a block.
pub(crate) fn candidates(conn: &Connection, repo: RepoId, prefix: [u8; 4]) -> Outcome<Vec<Vec<u8>>> {
    owner(conn, repo)?;
    let mut numbers = Vec::new();
    {
        let mut select = conn.prepare_cached(
            "SELECT id - (?1 << 32), cids FROM bucket_cids WHERE id >= (?1 << 32) AND id < ((?1 + 1) << 32)",
        )?;
        let mut rows = select.query([repo.0])?;
        let wanted = u32::from_ne_bytes(prefix);
        while let Some(r) = rows.next()? {
            let list = r.get_ref(1)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?;
            if list.as_chunks::<4>().0.iter().any(|p| u32::from_ne_bytes(*p) == wanted) {
                numbers.push(r.get::<_, i64>(0)?);
            }
        }
    }
    let mut found = Vec::new();
    let mut select = conn.prepare_cached("SELECT lo, dirty, cids FROM bucket WHERE repo = ?1 ORDER BY lo")?;
    let mut rows = select.query([repo.0])?;
    while let Some(r) = rows.next()? {
        let number: Option<i64> = r.get(2)?;
        if r.get::<_, bool>(1)? || number.is_some_and(|n| numbers.contains(&n)) {
            found.push(r.get(0)?);
        }
    }
    Ok(found)
}

/// Heads of an account in rev order.
pub(crate) fn commits(
    conn: &Connection,
    did: &Did,
    after: Option<Tid>,
    limit: usize,
) -> Outcome<Vec<CommitRow>> {
    let from = after.map_or(-1, tid);
    heads(conn, "c.rev > ?2 ORDER BY c.rev", did, from, limit)
}

/// Heads of an account, newest first.
pub(crate) fn history(
    conn: &Connection,
    did: &Did,
    before: Option<Tid>,
    limit: usize,
) -> Outcome<Vec<CommitRow>> {
    let to = before.map_or(i64::MAX, tid);
    heads(conn, "c.rev < ?2 ORDER BY c.rev DESC", did, to, limit)
}

fn heads(conn: &Connection, which: &str, did: &Did, edge: i64, limit: usize) -> Outcome<Vec<CommitRow>> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT c.rev, c.data, c.sig, k.did_key, c.raw, r.head, c.seen_at, c.since, c.created, c.updated,
           c.deleted, c.line FROM commit_log c
         LEFT JOIN signing_key k ON k.account = c.account AND k.id = c.key
         LEFT JOIN repo r ON r.account = c.account AND r.role < 2 AND r.rev = c.rev
         WHERE c.account = (SELECT id FROM account WHERE did = ?1 AND purging = 0) AND {which} LIMIT ?3"
    ))?;
    let mut rows = select.query(params![did.as_str(), edge, len(limit)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let (rev, data) = (read_tid(r.get(0)?)?, read_cid(&r.get::<_, Vec<u8>>(1)?)?);
        let sig = sig(&r.get::<_, Vec<u8>>(2)?)?;
        let raw: Option<Vec<u8>> = r.get(4)?;
        let stored: Option<Vec<u8>> = r.get(5)?;
        let commit = match (stored, &raw) {
            (Some(cid), _) => read_cid(&cid)?,
            (None, Some(raw)) => p2pds_ipld::Cid::of_cbor(raw),
            (None, None) => p2pds_store::commit_cid(did, rev, &data, &sig)?,
        };
        let key = r.get::<_, Option<String>>(3)?.unwrap_or_default();
        let count = |at: usize| r.get::<_, Option<i64>>(at).map(|n| n.map(uint));
        let counts = match (count(8)?, count(9)?, count(10)?) {
            (Some(created), Some(updated), Some(deleted)) => Some(ChangeCounts { created, updated, deleted }),
            _ => None,
        };
        found.push(CommitRow {
            head: Head { rev, data, commit, sig, key, raw },
            seen_at: r.get(6)?,
            since: r.get::<_, Option<i64>>(7)?.map(read_tid).transpose()?,
            counts,
            line: r.get(11)?,
        });
    }
    Ok(found)
}
