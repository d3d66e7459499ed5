//! Bucket rows and their prefix lists.

use p2pds_repo::bucket::{self, Bucket};
use p2pds_store::{BucketChange, BucketRow, BucketUpdate, RepoId, StoreError};
use p2pds_syntax::{Did, Tid};
use rusqlite::{OptionalExtension, params};

use super::Apply;
use crate::codes::{cid, len, read_cid, read_tid, tid};
use crate::fault::Outcome;
use crate::prepare::PackedChange;

/// The key of a row of `bucket_cids`.
pub(crate) fn cids_id(repo: i64, number: i64) -> i64 {
    repo.wrapping_shl(32).wrapping_add(number)
}

impl Apply {
    /// Writes one bucket; `keep_rev` leaves the rev of a stored one as it is.
    pub(super) fn put_bucket(&mut self, repo: RepoId, row: &BucketRow, keep_rev: bool) -> Outcome<()> {
        let (layer, root) = row.layer_root.as_ref().map(|(layer, root)| (*layer, cid(root))).unzip();
        let lo_cid = row.lo_cid.as_ref().map(cid);
        let number: Option<i64> = self
            .conn
            .prepare_cached(
                "INSERT INTO bucket (repo, lo, lo_cid, n, layer, root, dirty, rev)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (repo, lo) DO UPDATE SET lo_cid = ?3, n = ?4, layer = ?5, root = ?6, dirty = ?7,
                   rev = iif(?9, rev, ?8) RETURNING cids",
            )?
            .query_row(
                params![repo.0, row.lo, lo_cid, row.n, layer, root, row.dirty, tid(row.rev), keep_rev],
                |r| r.get(0),
            )?;
        if row.dirty {
            // The old list stays where it is; it is not looked at while the bucket is dirty.
            return Ok(());
        }
        let number = match number {
            Some(number) => number,
            None => self.number_bucket(repo, &row.lo)?,
        };
        self.put_prefixes(repo, number, row)
    }

    fn put_prefixes(&self, repo: RepoId, number: i64, row: &BucketRow) -> Outcome<()> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO bucket_cids (id, cids) VALUES (?1, ?2)")?
            .execute(params![cids_id(repo.0, number), row.prefixes])?;
        Ok(())
    }

    /// Writes new buckets: first all rows, then all prefix lists, so that the rows, which every
    /// write reads, lie side by side in the file.
    pub(super) fn add_buckets(&mut self, repo: RepoId, rows: &[BucketRow]) -> Outcome<()> {
        let first: i64 = self
            .conn
            .prepare_cached(
                "UPDATE repo SET next_cids = next_cids + ?2 WHERE id = ?1 RETURNING next_cids - ?2 + 1",
            )?
            .query_row(params![repo.0, len(rows.len())], |r| r.get(0))?;
        let mut insert = self.conn.prepare_cached(
            "INSERT OR REPLACE INTO bucket (repo, lo, lo_cid, n, layer, root, dirty, rev, cids)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for (number, row) in (first..).zip(rows) {
            let (layer, root) = row.layer_root.as_ref().map(|(layer, root)| (*layer, cid(root))).unzip();
            let lo_cid = row.lo_cid.as_ref().map(cid);
            let rev = tid(row.rev);
            insert.execute(params![repo.0, row.lo, lo_cid, row.n, layer, root, row.dirty, rev, number])?;
        }
        drop(insert);
        (first..).zip(rows).try_for_each(|(number, row)| self.put_prefixes(repo, number, row))
    }

    /// Gives a bucket its number for `bucket_cids`.
    fn number_bucket(&self, repo: RepoId, lo: &[u8]) -> Outcome<i64> {
        let number: i64 = self
            .conn
            .prepare_cached("UPDATE repo SET next_cids = next_cids + 1 WHERE id = ?1 RETURNING next_cids")?
            .query_row([repo.0], |r| r.get(0))?;
        self.conn
            .prepare_cached("UPDATE bucket SET cids = ?3 WHERE repo = ?1 AND lo = ?2")?
            .execute(params![repo.0, lo, number])?;
        Ok(number)
    }

    fn delete_bucket(&mut self, repo: RepoId, lo: &[u8]) -> Outcome<()> {
        let number: Option<Option<i64>> = self
            .conn
            .prepare_cached("DELETE FROM bucket WHERE repo = ?1 AND lo = ?2 RETURNING cids")?
            .query_row(params![repo.0, lo], |r| r.get(0))
            .optional()?;
        if let Some(Some(number)) = number {
            self.conn
                .prepare_cached("DELETE FROM bucket_cids WHERE id = ?1")?
                .execute([cids_id(repo.0, number)])?;
        }
        Ok(())
    }

    fn change_bucket(&mut self, repo: RepoId, change: &BucketChange, keep_rev: bool) -> Outcome<()> {
        match change {
            BucketChange::Put(row) => self.put_bucket(repo, row, keep_rev),
            BucketChange::Delete(lo) => self.delete_bucket(repo, lo),
        }
    }

    /// The buckets' part of a commit.
    pub(super) fn update_buckets(
        &mut self,
        repo: RepoId,
        rev: Tid,
        update: &BucketUpdate,
        changes: &[PackedChange],
    ) -> Outcome<()> {
        match update {
            BucketUpdate::Planned(planned) => {
                planned.iter().try_for_each(|change| self.change_bucket(repo, change, false))
            }
            BucketUpdate::MarkDirty => self.mark_buckets(repo, rev, changes),
        }
    }

    fn mark_buckets(&mut self, repo: RepoId, rev: Tid, changes: &[PackedChange]) -> Outcome<()> {
        let keys: Vec<_> = changes
            .iter()
            .map(|change| (change.key.as_bytes(), change.new.as_ref().map(|new| new.cid)))
            .collect();
        let mut failed = None;
        let marked = bucket::mark(&keys, |key, below| match self.find_bucket(repo, key, below) {
            Ok(found) => found,
            Err(fault) => {
                failed = Some(fault);
                None
            }
        });
        if let Some(fault) = failed {
            return Err(fault);
        }
        for change in marked {
            match change {
                bucket::BucketChange::Put(b) => {
                    let touched = self
                        .conn
                        .prepare_cached(
                            "UPDATE bucket SET lo_cid = ?3, n = ?4, layer = NULL, root = NULL, dirty = 1, rev = ?5
                             WHERE repo = ?1 AND lo = ?2",
                        )?
                        .execute(params![repo.0, b.lo, b.lo_cid.as_ref().map(cid), b.n, tid(rev)])?;
                    if touched == 0 {
                        let row = BucketRow {
                            lo: b.lo,
                            lo_cid: b.lo_cid,
                            n: b.n,
                            layer_root: None,
                            dirty: true,
                            rev,
                            prefixes: Vec::new(),
                        };
                        self.put_bucket(repo, &row, false)?;
                    }
                }
                bucket::BucketChange::Delete(lo) => self.delete_bucket(repo, &lo)?,
            }
        }
        Ok(())
    }

    /// The stored bucket with the greatest `lo` at most `key`, or below it.
    fn find_bucket(&self, repo: RepoId, key: &[u8], below: bool) -> Outcome<Option<Bucket>> {
        let sql = if below {
            "SELECT lo, lo_cid, n FROM bucket WHERE repo = ?1 AND lo < ?2 ORDER BY lo DESC LIMIT 1"
        } else {
            "SELECT lo, lo_cid, n FROM bucket WHERE repo = ?1 AND lo <= ?2 ORDER BY lo DESC LIMIT 1"
        };
        let row: Option<(Vec<u8>, Option<Vec<u8>>, u32)> = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![repo.0, key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?;
        row.map(|(lo, lo_cid, n)| {
            let lo_cid = lo_cid.as_deref().map(read_cid).transpose()?;
            Ok(Bucket { lo, lo_cid, n, ..Bucket::empty() })
        })
        .transpose()
    }

    pub(super) fn put_buckets(
        &mut self,
        did: &Did,
        repo: RepoId,
        rev: Tid,
        changes: &[BucketChange],
    ) -> Outcome<()> {
        let account = self.account_id(did)?;
        let found: Option<i64> = self
            .conn
            .prepare_cached("SELECT rev FROM repo WHERE id = ?1 AND account = ?2 AND role < 2")?
            .query_row(params![repo.0, account], |r| r.get(0))
            .optional()?;
        let Some(found) = found else { return Err(StoreError::UnknownRepo(repo).into()) };
        if found != tid(rev) {
            let found = Some(read_tid(found)?);
            return Err(StoreError::HeadMoved { did: did.clone(), expected: Some(rev), found }.into());
        }
        changes.iter().try_for_each(|change| self.change_bucket(repo, change, true))
    }
}
