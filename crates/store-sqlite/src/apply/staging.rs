//! Filling a staging repo and flipping it in.

use p2pds_store::{BucketRow, Head, Kind, RepoId, Role, StoreError};
use p2pds_syntax::{Did, RecordPath, Tid};
use rusqlite::{OptionalExtension, params};

use super::lexicon::Moves;
use super::{Apply, mismatch};
use crate::codes::{cid, kind, len, read_tid, role, tid};
use crate::fault::{Fault, Outcome};
use crate::prepare::Packed;

/// The live repo as a flip sees it.
struct Live {
    id: i64,
    rev: i64,
    line: i64,
    data: Vec<u8>,
}

impl Live {
    /// Whether a head is newer than this one, or says the same.
    fn continues_with(&self, head: &Head) -> bool {
        tid(head.rev) > self.rev || (tid(head.rev) == self.rev && cid(&head.data).as_slice() == self.data)
    }
}

/// How a repo is flipped in.
#[derive(Clone, Copy)]
pub(super) struct Flip {
    pub(super) role: Role,
    pub(super) accept_older: bool,
    pub(super) at: i64,
}

/// What the history says about a head beside the head itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Noted {
    pub(super) at: i64,
    pub(super) since: Option<Tid>,
    /// Records created, updated and deleted.
    pub(super) counts: Option<(i64, i64, i64)>,
}

impl Apply {
    pub(super) fn begin_staging(&mut self, did: &Did, of: Kind, rev: Tid) -> Outcome<RepoId> {
        let account = self.account_id(did)?;
        let id = self
            .conn
            .prepare_cached(
                "INSERT INTO repo (account, kind, role, rev, records, record_bytes, next_cids)
                 VALUES (?1, ?2, ?3, ?4, 0, 0, 0) RETURNING id",
            )?
            .query_row(params![account, kind(of), role(Role::Staging), tid(rev)], |r| r.get(0))?;
        Ok(RepoId(id))
    }

    /// The rev that a staging repo is staged for.
    fn staging_rev(&self, account: i64, repo: RepoId) -> Outcome<i64> {
        self.conn
            .prepare_cached("SELECT rev FROM repo WHERE id = ?1 AND account = ?2 AND role = ?3")?
            .query_row(params![repo.0, account, role(Role::Staging)], |r| r.get(0))
            .optional()?
            .ok_or_else(|| StoreError::UnknownRepo(repo).into())
    }

    pub(super) fn stage_records(
        &mut self,
        did: &Did,
        repo: RepoId,
        rows: &[(RecordPath, Packed)],
    ) -> Outcome<()> {
        let account = self.account_id(did)?;
        let rev = self.staging_rev(account, repo)?;
        let mut bytes = 0_usize;
        let mut collections = Vec::with_capacity(rows.len());
        let mut last: Option<(&str, i64)> = None;
        for (key, packed) in rows {
            let coll = match last {
                Some((name, id)) if name == key.collection() => id,
                _ => self.collection_id(account, key.collection())?,
            };
            last = Some((key.collection(), coll));
            collections.push(coll);
            bytes = bytes.saturating_add(packed.size);
        }
        let mut insert = self.conn.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for ((key, packed), coll) in rows.iter().zip(&collections) {
            insert
                .execute(params![repo.0, coll, key.rkey(), rev, cid(&packed.cid), packed.bytes])
                .map_err(|e| duplicate(e, did, key))?;
        }
        drop(insert);
        for ((key, packed), coll) in rows.iter().zip(&collections) {
            for blob in &packed.blobs {
                self.refer(account, repo.0, blob, *coll, key.rkey())?;
            }
        }
        let mut moves = Moves::default();
        collections.iter().for_each(|coll| moves.add(*coll, 1));
        self.move_lexicons(repo, rev, &moves)?;
        self.count(repo, len(rows.len()), len(bytes))
    }

    /// Moves a repo's counters.
    pub(super) fn count(&self, repo: RepoId, records: i64, bytes: i64) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "UPDATE repo SET records = records + ?2, record_bytes = record_bytes + ?3 WHERE id = ?1",
            )?
            .execute(params![repo.0, records, bytes])?;
        Ok(())
    }

    pub(super) fn stage_buckets(&mut self, did: &Did, repo: RepoId, rows: &[BucketRow]) -> Outcome<()> {
        let account = self.account_id(did)?;
        self.staging_rev(account, repo)?;
        self.add_buckets(repo, rows)
    }

    pub(super) fn flip(
        &mut self,
        did: &Did,
        repo: RepoId,
        expect: Option<Tid>,
        head: &Head,
        how: Flip,
    ) -> Outcome<Option<RepoId>> {
        let account = self.account_id(did)?;
        let staged = self.staging_rev(account, repo)?;
        if staged != tid(head.rev) {
            return Err(mismatch(did, format!("repo {repo} was staged for another rev than {}", head.rev)));
        }
        let live: Option<Live> = self
            .conn
            .prepare_cached("SELECT id, rev, line, data FROM repo WHERE account = ?1 AND role < 2")?
            .query_row([account], |r| {
                Ok(Live { id: r.get(0)?, rev: r.get(1)?, line: r.get(2)?, data: r.get(3)? })
            })
            .optional()?;
        let found = live.as_ref().map(|live| read_tid(live.rev)).transpose()?;
        if found != expect {
            return Err(StoreError::HeadMoved { did: did.clone(), expected: expect, found }.into());
        }
        if let Some(found) = found
            && head.rev <= found
            && !how.accept_older
        {
            return Err(StoreError::NotNewer { did: did.clone(), found, offered: head.rev }.into());
        }
        let replaced = match &live {
            None => None,
            Some(live) if live.continues_with(head) => {
                self.conn
                    .prepare_cached("UPDATE repo SET role = ?2, flipped = ?3 WHERE id = ?1")?
                    .execute(params![live.id, role(Role::Replaced), tid(head.rev)])?;
                Some(RepoId(live.id))
            }
            // Its rows cannot become the history of a head that is older: both stay as they are.
            Some(live) => {
                self.conn
                    .prepare_cached("UPDATE repo SET role = ?2 WHERE id = ?1")?
                    .execute(params![live.id, role(Role::Evidence)])?;
                None
            }
        };
        let line = match &live {
            None => 0,
            Some(live) if replaced.is_some() => live.line,
            Some(_) => self.next_line(account)?,
        };
        if line != live.as_ref().map_or(0, |live| live.line) {
            // Nothing of a new line has been pruned.
            self.conn
                .prepare_cached("UPDATE account SET horizon = NULL WHERE id = ?1")?
                .execute([account])?;
        }
        self.conn.prepare_cached("UPDATE repo SET role = ?2, line = ?3 WHERE id = ?1")?.execute(params![
            repo.0,
            role(how.role),
            line
        ])?;
        self.set_head(account, repo, head, &Noted { at: how.at, ..Noted::default() })?;
        Ok(replaced)
    }

    /// A line of history that no row has yet.
    fn next_line(&self, account: i64) -> Outcome<i64> {
        Ok(self
            .conn
            .prepare_cached(
                "SELECT 1 + max((SELECT coalesce(max(line), 0) FROM repo WHERE account = ?1),
                   (SELECT coalesce(max(line), 0) FROM commit_log WHERE account = ?1))",
            )?
            .query_row([account], |r| r.get(0))?)
    }

    /// Writes the head of a live repo and its entry in the history.
    pub(super) fn set_head(&mut self, account: i64, repo: RepoId, head: &Head, noted: &Noted) -> Outcome<()> {
        let key = self.key_id(account, &head.key)?;
        let (rev, data) = (tid(head.rev), cid(&head.data));
        self.conn
            .prepare_cached(
                "UPDATE repo SET rev = ?2, data = ?3, head = ?4, sig = ?5, key = ?6, raw = ?7 WHERE id = ?1",
            )?
            .execute(params![repo.0, rev, data, cid(&head.commit), head.sig, key, head.raw])?;
        self.conn
            .prepare_cached(
                "INSERT INTO commit_log (account, rev, data, sig, key, raw, seen_at, since, created, updated, deleted, line)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, (SELECT line FROM repo WHERE id = ?12))
                 ON CONFLICT (account, rev) DO UPDATE SET data = ?3, sig = ?4, key = ?5, raw = ?6, line = excluded.line",
            )?
            .execute(params![
                account,
                rev,
                data,
                head.sig,
                key,
                head.raw,
                Some(noted.at).filter(|at| *at != 0),
                noted.since.map(tid),
                noted.counts.map(|c| c.0),
                noted.counts.map(|c| c.1),
                noted.counts.map(|c| c.2),
                repo.0,
            ])?;
        Ok(())
    }

    pub(super) fn repair(
        &mut self,
        did: &Did,
        repo: RepoId,
        key: &RecordPath,
        packed: &Packed,
    ) -> Outcome<()> {
        let account = self.account_id(did)?;
        let coll = self.collection_id(account, key.collection())?;
        let had: Option<bool> = self
            .conn
            .prepare_cached(
                "SELECT body IS NOT NULL FROM record WHERE repo = ?1 AND coll = ?2 AND rkey = ?3 AND cid = ?4
                   AND repo IN (SELECT id FROM repo WHERE account = ?5 AND role < 2)",
            )?
            .query_row(params![repo.0, coll, key.rkey(), cid(&packed.cid), account], |r| r.get(0))
            .optional()?;
        let Some(had) = had else {
            return Err(mismatch(did, format!("{key} is not stored with CID {}", packed.cid)));
        };
        self.conn
            .prepare_cached("UPDATE record SET body = ?4 WHERE repo = ?1 AND coll = ?2 AND rkey = ?3")?
            .execute(params![repo.0, coll, key.rkey(), packed.bytes])?;
        for blob in &packed.blobs {
            self.refer(account, repo.0, blob, coll, key.rkey())?;
        }
        if !had {
            self.count(repo, 0, len(packed.size))?;
        }
        Ok(())
    }
}

/// A key that is there already is the caller's mistake, not the database's.
fn duplicate(error: rusqlite::Error, did: &Did, key: &RecordPath) -> Fault {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => mismatch(did, format!("{key} is staged twice")),
        _ => error.into(),
    }
}
