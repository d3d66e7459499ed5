//! Forgetting history: superseded versions and old heads, a few hundred rows at a time.

use std::collections::BTreeMap;

use p2pds_ipld::Cid;
use p2pds_store::{Applied, CHUNK_ROWS, StoreError};
use p2pds_syntax::{Did, Tid};
use rusqlite::{OptionalExtension, params};

use super::{Apply, mismatch};
use crate::codes::{len, past_owner, past_owners, read_tid, tid};
use crate::fault::Outcome;

/// Rows that one unit deletes: a fifth of what a plain deletion may, because the rows lie all over
/// the table and their blob references are looked after as well.
const ROWS: usize = CHUNK_ROWS / 5;

/// Remaining versions of a record that are searched for a blob. If one is not found among the
/// newest of them its reference is kept until those are gone: never lost, at most late.
const SEARCHED: usize = 64;

/// A record (collection and key) and the blobs that its deleted versions named.
type Named = BTreeMap<(i64, String), Vec<Cid>>;

impl Apply {
    pub(super) fn prune(&mut self, did: &Did, line: u32, before: Option<Tid>) -> Outcome<Applied> {
        let (account, line) = (self.account_id(did)?, i64::from(line));
        match before {
            Some(before) => self.move_horizon(did, account, line, before)?,
            None => self.check_gone(did, account, line)?,
        }
        let upto = before.map_or(i64::MAX, tid);
        let (mut gone, named) = self.delete_past(past_owner(account, line), upto)?;
        for ((coll, rkey), blobs) in named {
            self.release(account, coll, &rkey, blobs)?;
        }
        if gone < ROWS {
            let left = len(ROWS.saturating_sub(gone));
            gone = gone.saturating_add(
                self.conn
                    .prepare_cached(
                        "DELETE FROM commit_log WHERE account = ?1 AND rev IN
                           (SELECT rev FROM commit_log WHERE account = ?1 AND rev < ?2 AND line = ?3 LIMIT ?4)",
                    )?
                    .execute(params![account, upto, line, left])?,
            );
        }
        Ok(Applied::Chunk { rows: gone as u64, done: gone < ROWS })
    }

    /// From here on older states of the live line count as pruned, though their rows are still there.
    fn move_horizon(&self, did: &Did, account: i64, line: i64, before: Tid) -> Outcome<()> {
        let live: Option<i64> = self
            .conn
            .prepare_cached("SELECT rev FROM repo WHERE account = ?1 AND role < 2 AND line = ?2")?
            .query_row(params![account, line], |r| r.get(0))
            .optional()?;
        let Some(live) = live else {
            return Err(mismatch(did, format!("line {line} is not the live one, and is pruned whole")));
        };
        if tid(before) > live {
            return Err(mismatch(did, format!("{before} is newer than the live head {}", read_tid(live)?)));
        }
        self.conn
            .prepare_cached("UPDATE account SET horizon = max(coalesce(horizon, 0), ?2) WHERE id = ?1")?
            .execute(params![account, tid(before)])?;
        Ok(())
    }

    fn check_gone(&self, did: &Did, account: i64, line: i64) -> Outcome<()> {
        let there: bool = self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM repo WHERE account = ?1 AND line = ?2)")?
            .query_row(params![account, line], |r| r.get(0))?;
        if there {
            return Err(mismatch(did, format!("line {line} still has a repo; drop that first")));
        }
        Ok(())
    }

    /// Deletes the versions that were superseded first.
    fn delete_past(&self, owner: i64, upto: i64) -> Outcome<(usize, Named)> {
        let mut select = self.conn.prepare_cached(
            "SELECT coll, rkey, until, body FROM past WHERE account = ?1 AND until <= ?2
             ORDER BY until LIMIT ?3",
        )?;
        let mut delete = self.conn.prepare_cached(
            "DELETE FROM past WHERE account = ?1 AND coll = ?2 AND rkey = ?3 AND until = ?4",
        )?;
        let mut found: Vec<(i64, String, i64, Vec<Cid>)> = Vec::new();
        let mut rows = select.query(params![owner, upto, len(ROWS)])?;
        while let Some(row) = rows.next()? {
            let packed = row.get_ref(3)?.as_blob_or_null().map_err(|e| StoreError::Damaged(e.to_string()))?;
            // A body that cannot be read names nothing that could be found.
            let body = packed.and_then(|packed| crate::body::unpack(packed).ok().flatten());
            let blobs = body.map(|body| super::blobs::named_by(&body)).unwrap_or_default();
            found.push((row.get(0)?, row.get(1)?, row.get(2)?, blobs));
        }
        drop(rows);
        let gone = found.len();
        let mut named = Named::new();
        for (coll, rkey, until, blobs) in found {
            delete.execute(params![owner, coll, rkey, until])?;
            if !blobs.is_empty() {
                named.entry((coll, rkey)).or_default().extend(blobs);
            }
        }
        Ok((gone, named))
    }

    /// Takes back the references to blobs that no remaining version of a record names.
    fn release(&mut self, account: i64, coll: i64, rkey: &str, mut blobs: Vec<Cid>) -> Outcome<()> {
        for owner in self.past_owners_of(account)? {
            let mut select = self.conn.prepare_cached(
                "SELECT body FROM past WHERE account = ?1 AND coll = ?2 AND rkey = ?3 ORDER BY until DESC LIMIT ?4",
            )?;
            let mut rows = select.query(params![owner, coll, rkey, len(SEARCHED)])?;
            let mut searched = 0_usize;
            while let Some(row) = rows.next()? {
                searched = searched.saturating_add(1);
                let packed =
                    row.get_ref(0)?.as_blob_or_null().map_err(|e| StoreError::Damaged(e.to_string()))?;
                let Some(body) = packed.and_then(|packed| crate::body::unpack(packed).ok().flatten()) else {
                    continue;
                };
                let named = super::blobs::named_by(&body);
                blobs.retain(|blob| !named.contains(blob));
                if blobs.is_empty() {
                    return Ok(());
                }
            }
            if searched == SEARCHED {
                return Ok(());
            }
        }
        for blob in blobs {
            self.unrefer(account.saturating_neg(), &blob, coll, rkey)?;
        }
        Ok(())
    }

    /// Whose numbers the rows of an account have in `past`: one for each line of its history.
    pub(super) fn past_owners_of(&self, account: i64) -> Outcome<Vec<i64>> {
        let (first, last) = past_owners(account);
        let mut owners = vec![account];
        let mut next =
            self.conn.prepare_cached("SELECT min(account) FROM past WHERE account > ?1 AND account <= ?2")?;
        let mut after = first.saturating_sub(1);
        while let Some(owner) = next.query_row(params![after, last], |r| r.get::<_, Option<i64>>(0))? {
            owners.push(owner);
            after = owner;
        }
        Ok(owners)
    }
}
