//! A repo without records in one step, and what a live repo stands for.

use p2pds_repo::bucket::Bucket;
use p2pds_repo::mst::empty_root;
use p2pds_store::{BucketRow, Head, Kind, RepoId, Role, StoreError};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use super::staging::Noted;
use super::{Apply, mismatch};
use crate::codes::{kind, read_tid, role, tid};
use crate::fault::Outcome;

impl Apply {
    pub(super) fn open_repo(&mut self, did: &Did, head: &Head, of: Role, at: i64) -> Outcome<RepoId> {
        let account = self.account_id(did)?;
        let live: Option<i64> = self
            .conn
            .prepare_cached("SELECT rev FROM repo WHERE account = ?1 AND role < 2")?
            .query_row([account], |r| r.get(0))
            .optional()?;
        if let Some(rev) = live {
            let found = Some(read_tid(rev)?);
            return Err(StoreError::HeadMoved { did: did.clone(), expected: None, found }.into());
        }
        if head.data != empty_root() {
            return Err(mismatch(did, format!("{} is not the root of a tree without records", head.data)));
        }
        let id: i64 = self
            .conn
            .prepare_cached(
                "INSERT INTO repo (account, kind, role, rev, records, record_bytes, next_cids)
                 VALUES (?1, ?2, ?3, ?4, 0, 0, 0) RETURNING id",
            )?
            .query_row(params![account, kind(Kind::Mst), role(of), tid(head.rev)], |r| r.get(0))?;
        let bucket = BucketRow::new(Bucket::empty(), head.rev);
        self.add_buckets(RepoId(id), &[bucket])?;
        let noted = Noted { at, since: None, counts: Some((0, 0, 0)) };
        self.set_head(account, RepoId(id), head, &noted)?;
        Ok(RepoId(id))
    }

    pub(super) fn set_role(&mut self, did: &Did, of: Role) -> Outcome<()> {
        let account = self.account_id(did)?;
        let live = self
            .conn
            .prepare_cached("UPDATE repo SET role = ?2 WHERE account = ?1 AND role < 2")?
            .execute(params![account, role(of)])?;
        if live == 0 {
            return Err(mismatch(did, "it has no live repo".into()));
        }
        Ok(())
    }
}
