//! Blobs and who names them.

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_store::{BlobRef, BlobState, StoreError};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use super::{Apply, mismatch};
use crate::codes::{blob_cid, int};
use crate::fault::Outcome;

/// Stored numbers of the states.
const MISSING: i64 = 0;
const HELD: i64 = 1;
const GONE: i64 = 2;
const TEMPORARY: i64 = 3;
const QUARANTINED: i64 = 4;

/// Blobs that a block names; none when it is not a record that we can read.
pub(super) fn named_by(block: &[u8]) -> Vec<Cid> {
    let mut found = Vec::new();
    let scanned = scan(block, &Limits::RECORD, &mut |item| {
        if let Item::Blob(blob) = item {
            found.push(blob.cid);
        }
    });
    if scanned.is_err() {
        found.clear();
    }
    found
}

impl Apply {
    /// Notes that a record names a blob; a blob not seen before is missing from now on.
    pub(super) fn refer(
        &mut self,
        account: i64,
        repo: i64,
        blob: &BlobRef,
        coll: i64,
        rkey: &str,
    ) -> Outcome<()> {
        let cid = blob_cid(&blob.cid);
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO blob_ref VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![repo, cid, coll, rkey])?;
        let new = self
            .conn
            .prepare_cached("INSERT OR IGNORE INTO blob VALUES (?1, ?2, ?3, ?4, 0, 0, 0, NULL)")?
            .execute(params![account, cid, int(blob.size), blob.mime])?;
        if new > 0 {
            return self.move_counters(account, 0, 1, 0);
        }
        // One that was uploaded and waited for this record.
        let size: Option<i64> = self
            .conn
            .prepare_cached(
                "UPDATE blob SET state = ?3, next_try = 0 WHERE account = ?1 AND cid = ?2 AND state = ?4
                 RETURNING size",
            )?
            .query_row(params![account, cid, HELD, TEMPORARY], |r| r.get(0))
            .optional()?;
        size.map_or(Ok(()), |size| self.move_counters(account, 1, 0, size))
    }

    pub(super) fn unrefer(&mut self, repo: i64, blob: &Cid, coll: i64, rkey: &str) -> Outcome<()> {
        self.conn
            .prepare_cached("DELETE FROM blob_ref WHERE repo = ?1 AND cid = ?2 AND coll = ?3 AND rkey = ?4")?
            .execute(params![repo, blob_cid(blob), coll, rkey])?;
        Ok(())
    }

    /// Notes that a superseded version names a blob: the history needs it.
    pub(super) fn refer_past(&mut self, account: i64, blob: &Cid, coll: i64, rkey: &str) -> Outcome<()> {
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO blob_ref VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![account.saturating_neg(), blob_cid(blob), coll, rkey])?;
        Ok(())
    }

    pub(super) fn move_counters(&self, account: i64, held: i64, missing: i64, bytes: i64) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "UPDATE account SET blobs_held = blobs_held + ?2, blobs_missing = blobs_missing + ?3,
                   blob_bytes = blob_bytes + ?4 WHERE id = ?1",
            )?
            .execute(params![account, held, missing, bytes])?;
        Ok(())
    }

    /// State and size of a stored blob.
    fn blob_state(&self, account: i64, cid: &Cid) -> Outcome<Option<(i64, i64)>> {
        Ok(self
            .conn
            .prepare_cached("SELECT state, size FROM blob WHERE account = ?1 AND cid = ?2")?
            .query_row(params![account, blob_cid(cid)], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?)
    }

    pub(super) fn put_blob(
        &mut self,
        did: &Did,
        cid: &Cid,
        (size, mime): (Option<u64>, Option<&str>),
        to: &BlobState,
    ) -> Outcome<()> {
        let account = self.account_id(did)?;
        let old = self.blob_state(account, cid)?;
        let (state, tries, next_try, note) = match to {
            BlobState::Missing { tries, last_error, next_try } => {
                (MISSING, i64::from(*tries), *next_try, last_error.as_deref())
            }
            BlobState::Held => (HELD, 0, 0, None),
            BlobState::Gone { reason } => (GONE, 0, 0, reason.as_deref()),
            BlobState::Temporary { at } => (TEMPORARY, 0, *at, None),
            BlobState::Quarantined { reference } => (QUARANTINED, 0, 0, Some(reference.as_str())),
        };
        let size = size.map(int).or(old.map(|(_, size)| size)).unwrap_or(0);
        self.conn
            .prepare_cached(
                "INSERT INTO blob VALUES (?1, ?2, ?3, coalesce(?8, ''), ?4, ?5, ?6, ?7)
                 ON CONFLICT (account, cid) DO UPDATE SET size = ?3, mime = coalesce(?8, mime), state = ?4,
                   tries = ?5, next_try = ?6, note = ?7",
            )?
            .execute(params![account, blob_cid(cid), size, state, tries, next_try, note, mime])?;
        let weigh = |state: i64, size: i64| match state {
            HELD => (1_i64, 0_i64, size),
            MISSING => (0, 1, 0),
            _ => (0, 0, 0),
        };
        let before = old.map_or((0, 0, 0), |(state, size)| weigh(state, size));
        let after = weigh(state, size);
        self.move_counters(
            account,
            after.0.saturating_sub(before.0),
            after.1.saturating_sub(before.1),
            after.2.saturating_sub(before.2),
        )
    }

    pub(super) fn drop_blob(&mut self, did: &Did, cid: &Cid) -> Outcome<()> {
        let account = self.account_id(did)?;
        let named: bool = self
            .conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM blob_ref WHERE cid = ?2
                   AND repo IN (SELECT id FROM repo WHERE account = ?1 UNION ALL SELECT -?1))",
            )?
            .query_row(params![account, blob_cid(cid)], |r| r.get(0))?;
        if named {
            return Err(mismatch(did, format!("a record still names blob {cid}")));
        }
        let Some((state, size)) = self.blob_state(account, cid)? else { return Ok(()) };
        self.conn
            .prepare_cached("DELETE FROM blob WHERE account = ?1 AND cid = ?2")?
            .execute(params![account, blob_cid(cid)])?;
        match state {
            HELD => self.move_counters(account, -1, 0, size.saturating_neg()),
            MISSING => self.move_counters(account, 0, -1, 0),
            GONE | TEMPORARY | QUARANTINED => Ok(()),
            other => Err(StoreError::Damaged(format!("a blob state with number {other}")).into()),
        }
    }
}
