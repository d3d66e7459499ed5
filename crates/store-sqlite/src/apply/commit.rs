//! One commit onto the live repo: records, history, blob references, buckets and head together.

use p2pds_store::{RepoId, StoreError};
use rusqlite::{OptionalExtension, params};

use super::lexicon::Moves;
use super::staging::Noted;
use super::{Apply, mismatch};
use crate::codes::{cid, len, past_owner, read_cid, read_tid, tid};
use crate::fault::Outcome;
use crate::prepare::{PackedChange, PackedCommit};

/// Whose a version is: the account, and its number in `past` for the line of history in hand.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) account: i64,
    pub(super) past: i64,
}

/// A record version as it is stored.
pub(super) struct Stored {
    pub(super) since: i64,
    pub(super) cid: Vec<u8>,
    pub(super) body: Option<Vec<u8>>,
}

/// Records created, updated and deleted.
fn counts(changes: &[PackedChange]) -> (i64, i64, i64) {
    let of = |kind: fn(&PackedChange) -> bool| len(changes.iter().filter(|c| kind(c)).count());
    (
        of(|c| c.old.is_none()),
        of(|c| c.old.is_some() && c.new.is_some()),
        of(|c| c.old.is_some() && c.new.is_none()),
    )
}

impl Apply {
    pub(super) fn apply_commit(&mut self, commit: &PackedCommit) -> Outcome<()> {
        let did = &commit.did;
        let account = self.account_id(did)?;
        let live: Option<(i64, i64, i64)> = self
            .conn
            .prepare_cached("SELECT id, rev, line FROM repo WHERE account = ?1 AND role < 2")?
            .query_row([account], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?;
        let found = live.map(|(_, rev, _)| read_tid(rev)).transpose()?;
        let (Some((repo, _, line)), Some(rev)) = (live, found) else {
            return Err(StoreError::HeadMoved {
                did: did.clone(),
                expected: Some(commit.expect),
                found: None,
            }
            .into());
        };
        if rev != commit.expect {
            return Err(
                StoreError::HeadMoved { did: did.clone(), expected: Some(commit.expect), found }.into()
            );
        }
        if commit.head.rev <= rev {
            return Err(
                StoreError::NotNewer { did: did.clone(), found: rev, offered: commit.head.rev }.into()
            );
        }
        let (repo, owner) = (RepoId(repo), Owner { account, past: past_owner(account, line) });
        let (mut records, mut bytes) = (0_i64, 0_i64);
        let mut moves = Moves::default();
        for change in &commit.changes {
            let (coll, r, b) = self.change(commit, owner, repo, change)?;
            moves.add(coll, r);
            records = records.saturating_add(r);
            bytes = bytes.saturating_add(b);
        }
        self.move_lexicons(repo, tid(commit.head.rev), &moves)?;
        self.update_buckets(repo, commit.head.rev, &commit.buckets, &commit.changes)?;
        let noted =
            Noted { at: commit.seen.at, since: commit.seen.since, counts: Some(counts(&commit.changes)) };
        self.set_head(account, repo, &commit.head, &noted)?;
        if records != 0 || bytes != 0 {
            self.count(repo, records, bytes)?;
        }
        Ok(())
    }

    /// One record; answers its collection and by how much it moves the counters of records and bytes.
    fn change(
        &mut self,
        commit: &PackedCommit,
        owner: Owner,
        repo: RepoId,
        change: &PackedChange,
    ) -> Outcome<(i64, i64, i64)> {
        let account = owner.account;
        let coll = self.collection_id(account, change.key.collection())?;
        let rkey = change.key.rkey();
        let stored = self.stored(repo.0, coll, rkey)?;
        let stored_cid = stored.as_ref().map(|s| read_cid(&s.cid)).transpose()?;
        if stored_cid != change.old {
            let say = |c: Option<p2pds_ipld::Cid>| c.map_or("nothing".into(), |c| c.to_string());
            return Err(mismatch(
                &commit.did,
                format!("{} should hold {} and holds {}", change.key, say(change.old), say(stored_cid)),
            ));
        }
        let rev = tid(commit.head.rev);
        let mut moved = (0_i64, 0_i64);
        if let Some(old) = &stored {
            let size = self.supersede(owner, repo.0, coll, rkey, rev, old)?;
            moved = (-1, len(size).saturating_neg());
        }
        match (&stored, &change.new) {
            (None, None) => return Err(mismatch(&commit.did, format!("{} does not exist", change.key))),
            (Some(_), None) => {
                self.conn
                    .prepare_cached("DELETE FROM record WHERE repo = ?1 AND coll = ?2 AND rkey = ?3")?
                    .execute(params![repo.0, coll, rkey])?;
            }
            (_, Some(new)) => {
                self.conn
                    .prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                    .execute(params![repo.0, coll, rkey, rev, cid(&new.cid), new.bytes])?;
                for blob in &new.blobs {
                    self.refer(account, repo.0, blob, coll, rkey)?;
                }
                moved = (moved.0.saturating_add(1), moved.1.saturating_add(len(new.size)));
            }
        }
        Ok((coll, moved.0, moved.1))
    }

    /// The stored version of a record.
    pub(super) fn stored(&self, repo: i64, coll: i64, rkey: &str) -> Outcome<Option<Stored>> {
        Ok(self
            .conn
            .prepare_cached(
                "SELECT since, cid, body FROM record WHERE repo = ?1 AND coll = ?2 AND rkey = ?3",
            )?
            .query_row(params![repo, coll, rkey], |r| {
                Ok(Stored { since: r.get(0)?, cid: r.get(1)?, body: r.get(2)? })
            })
            .optional()?)
    }

    /// Puts a version into the history and moves its blob references there; answers its size.
    pub(super) fn supersede(
        &mut self,
        owner: Owner,
        repo: i64,
        coll: i64,
        rkey: &str,
        until: i64,
        old: &Stored,
    ) -> Outcome<usize> {
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO past VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![owner.past, coll, rkey, until, old.since, old.cid, old.body])?;
        let body = match &old.body {
            Some(packed) => crate::body::unpack(packed)?,
            None => None,
        };
        let Some(body) = body else { return Ok(0) };
        for blob in super::blobs::named_by(&body) {
            self.unrefer(repo, &blob, coll, rkey)?;
            self.refer_past(owner.account, &blob, coll, rkey)?;
        }
        Ok(body.len())
    }
}
