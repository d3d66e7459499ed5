//! Dropping a repo that is not live, 1,000 rows at a time; a replaced one becomes history.
//!
//! Folding needs no other bookkeeping than the rev `f` at which the repo was replaced. For each of
//! its rows: where the live repo holds the same version since `f`, that version is really as old
//! as the row says; everywhere else the row is a version that ended at `f`. Later commits to the
//! live repo do not disturb this: they only ever add intervals that begin at `f` or later.

use p2pds_store::{Applied, CHUNK_ROWS, RepoId, Role, StoreError};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use super::Apply;
use super::commit::{Owner, Stored};
use crate::codes::{len, past_owner, read_role, role};
use crate::fault::Outcome;

/// A row about to be dropped.
struct Row {
    coll: i64,
    rkey: String,
    stored: Stored,
}

/// How far the search for unnamed blobs came.
enum Looked {
    AtSome { gone: usize },
    AtAll { gone: usize },
}

impl Apply {
    pub(super) fn drop_repo(&mut self, did: &Did, repo: RepoId) -> Outcome<Applied> {
        let account = self.account_id(did)?;
        let found: Option<(i64, Option<i64>, i64)> = self
            .conn
            .prepare_cached("SELECT role, flipped, line FROM repo WHERE id = ?1 AND account = ?2")?
            .query_row(params![repo.0, account], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?;
        let Some((of, flipped, line)) = found else {
            // Dropped before: a worker that was killed after the last step may ask again.
            return Ok(Applied::Chunk { rows: 0, done: true });
        };
        match read_role(of)? {
            Role::Hosted | Role::Archived => {
                return Err(
                    StoreError::InvalidUnit(format!("repo {repo} is live and cannot be dropped")).into()
                );
            }
            Role::Staging | Role::Replaced | Role::Evidence => {}
        }
        let fold = flipped.filter(|_| of == role(Role::Replaced));
        let rows = self.rows_to_drop(repo)?;
        let mut dropped = rows.len();
        if let Some(until) = fold {
            // The repo that took its place: live, or kept as evidence since.
            let heir: Option<i64> = self
                .conn
                .prepare_cached(
                    "SELECT id FROM repo WHERE account = ?1 AND line = ?2 AND (role < 2 OR role = ?3)",
                )?
                .query_row(params![account, line, role(Role::Evidence)], |r| r.get(0))
                .optional()?;
            let owner = Owner { account, past: past_owner(account, line) };
            for row in &rows {
                self.fold(owner, repo, heir, until, row)?;
            }
            if dropped < CHUNK_ROWS {
                let left = CHUNK_ROWS.saturating_sub(dropped);
                dropped = dropped.saturating_add(self.fold_lexicons(repo, heir, left)?);
            }
        }
        self.delete_rows(repo, &rows)?;
        if dropped < CHUNK_ROWS {
            dropped = dropped.saturating_add(self.drop_rest(repo, CHUNK_ROWS.saturating_sub(dropped))?);
        }
        if dropped < CHUNK_ROWS && of == role(Role::Staging) {
            match self.drop_unnamed_blobs(account, repo, CHUNK_ROWS.saturating_sub(dropped))? {
                Looked::AtAll { gone } => {
                    dropped = dropped.saturating_add(gone);
                }
                Looked::AtSome { gone } => {
                    return Ok(Applied::Chunk { rows: dropped.saturating_add(gone) as u64, done: false });
                }
            }
        }
        let done = dropped < CHUNK_ROWS;
        if done {
            self.conn.prepare_cached("DELETE FROM repo WHERE id = ?1")?.execute([repo.0])?;
        }
        Ok(Applied::Chunk { rows: dropped as u64, done })
    }

    fn rows_to_drop(&self, repo: RepoId) -> Outcome<Vec<Row>> {
        let mut select = self.conn.prepare_cached(
            "SELECT coll, rkey, since, cid, body FROM record WHERE repo = ?1 ORDER BY coll, rkey LIMIT ?2",
        )?;
        let rows = select.query_map(params![repo.0, len(CHUNK_ROWS)], |r| {
            let stored = Stored { since: r.get(2)?, cid: r.get(3)?, body: r.get(4)? };
            Ok(Row { coll: r.get(0)?, rkey: r.get(1)?, stored })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn fold(&mut self, owner: Owner, repo: RepoId, heir: Option<i64>, until: i64, row: &Row) -> Outcome<()> {
        if let Some(heir) = heir {
            let same = self
                .conn
                .prepare_cached(
                    "UPDATE record SET since = ?4 WHERE repo = ?1 AND coll = ?2 AND rkey = ?3
                       AND since = ?5 AND cid = ?6",
                )?
                .execute(params![heir, row.coll, row.rkey, row.stored.since, until, row.stored.cid])?;
            if same > 0 {
                return Ok(());
            }
        }
        self.supersede(owner, repo.0, row.coll, &row.rkey, until, &row.stored).map(|_| ())
    }

    /// Deletes the first rows of a repo; they were read in the same order.
    fn delete_rows(&self, repo: RepoId, rows: &[Row]) -> Outcome<()> {
        let Some(last) = rows.last() else { return Ok(()) };
        self.conn
            .prepare_cached("DELETE FROM record WHERE repo = ?1 AND (coll, rkey) <= (?2, ?3)")?
            .execute(params![repo.0, last.coll, last.rkey])?;
        Ok(())
    }

    /// Drops missing blobs that only a repo which never became live has named: nobody will ask for them. Looks at
    /// `most` of the account's blobs, whatever their state, and notes where it stopped in the column of the
    /// head that this repo never gets.
    fn drop_unnamed_blobs(&self, account: i64, repo: RepoId, most: usize) -> Outcome<Looked> {
        let after: Option<Vec<u8>> = self
            .conn
            .prepare_cached("SELECT head FROM repo WHERE id = ?1")?
            .query_row([repo.0], |r| r.get(0))?;
        let mut select = self.conn.prepare_cached(
            "SELECT cid, state = 0 AND NOT EXISTS (SELECT 1 FROM blob_ref r WHERE r.cid = b.cid AND r.repo IN
                 (SELECT id FROM repo WHERE account = ?1 AND id <> ?2 UNION ALL SELECT -?1))
               FROM blob b WHERE account = ?1 AND cid > ?3 ORDER BY cid LIMIT ?4",
        )?;
        let found = select
            .query_map(params![account, repo.0, after.unwrap_or_default(), len(most)], |r| {
                Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, bool>(1)?))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let mut gone = 0_usize;
        for (cid, _) in found.iter().filter(|(_, unnamed)| *unnamed) {
            self.conn
                .prepare_cached("DELETE FROM blob WHERE account = ?1 AND cid = ?2")?
                .execute(params![account, cid])?;
            gone = gone.saturating_add(1);
        }
        self.move_counters(account, 0, len(gone).saturating_neg(), 0)?;
        match found.last() {
            Some((last, _)) if found.len() >= most => {
                self.conn
                    .prepare_cached("UPDATE repo SET head = ?2 WHERE id = ?1")?
                    .execute(params![repo.0, last])?;
                Ok(Looked::AtSome { gone })
            }
            _ => Ok(Looked::AtAll { gone }),
        }
    }

    /// Drops up to `most` rows of the tables beside `record`.
    pub(super) fn drop_rest(&self, repo: RepoId, most: usize) -> Outcome<usize> {
        let mut left = most;
        left = left.saturating_sub(self.drop_lexicons(repo, left)?);
        for sql in [
            "DELETE FROM blob_ref WHERE repo = ?1 AND (cid, coll, rkey) IN
               (SELECT cid, coll, rkey FROM blob_ref WHERE repo = ?1 LIMIT ?2)",
            "DELETE FROM link WHERE repo = ?1 AND (coll, rkey) IN (SELECT coll, rkey FROM link WHERE repo = ?1 LIMIT ?2)",
            "DELETE FROM bucket WHERE repo = ?1 AND lo IN (SELECT lo FROM bucket WHERE repo = ?1 LIMIT ?2)",
            "DELETE FROM bucket_cids WHERE id IN (SELECT id FROM bucket_cids
               WHERE id >= (?1 << 32) AND id < ((?1 + 1) << 32) LIMIT ?2)",
        ] {
            let gone = self.conn.prepare_cached(sql)?.execute(params![repo.0, len(left)])?;
            left = left.saturating_sub(gone);
            if left == 0 {
                break;
            }
        }
        Ok(most.saturating_sub(left))
    }
}
