//! Invite codes and who used them.

use p2pds_store::hosting::InviteRow;
use p2pds_store::{CHUNK_ROWS, StoreError};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use crate::apply::{Apply, mismatch};
use crate::fault::Outcome;

impl Apply {
    pub(super) fn put_invites(&self, rows: &[InviteRow], most: Option<&(Did, u32)>) -> Outcome<()> {
        if rows.len() > CHUNK_ROWS {
            return Err(StoreError::InvalidUnit(format!("{} invites", rows.len())).into());
        }
        let mut put = self.conn.prepare_cached("INSERT INTO invite VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0)")?;
        for row in rows {
            put.execute(params![
                row.code,
                row.uses,
                row.disabled,
                row.for_account,
                row.created_by,
                row.created_at
            ])?;
            for (did, at) in &row.used {
                self.note_use(&row.code, did, *at)?;
            }
        }
        let Some((did, most)) = most else { return Ok(()) };
        let made: u32 = self
            .conn
            .prepare_cached("SELECT count(*) FROM invite WHERE for_account = ?1 AND created_by <> 'admin'")?
            .query_row([did.as_str()], |r| r.get(0))?;
        if made > *most {
            return Err(mismatch(did, "invites were made at the same time by another request".into()));
        }
        Ok(())
    }

    fn note_use(&self, code: &str, did: &Did, at: i64) -> Outcome<()> {
        let new = self
            .conn
            .prepare_cached("INSERT OR IGNORE INTO invite_use VALUES (?1, ?2, ?3)")?
            .execute(params![code, did.as_str(), at])?;
        if new > 0 {
            self.conn.prepare_cached("UPDATE invite SET used = used + 1 WHERE code = ?1")?.execute([code])?;
        }
        Ok(())
    }

    pub(super) fn use_invite(&self, code: &str, did: &Did, at: i64) -> Outcome<()> {
        let good: Option<bool> = self
            .conn
            .prepare_cached(
                "SELECT used < uses AND disabled = 0 AND NOT EXISTS
                   (SELECT 1 FROM account JOIN login ON login.account = account.id
                    WHERE account.did = for_account AND login.takedown IS NOT NULL)
                 FROM invite WHERE code = ?1",
            )?
            .query_row([code], |r| r.get(0))
            .optional()?;
        if good != Some(true) {
            return Err(mismatch(did, "the invite code is not good".into()));
        }
        self.note_use(code, did, at)
    }

    pub(super) fn disable_invites(&self, codes: &[String], accounts: &[String]) -> Outcome<()> {
        let mut by_code = self.conn.prepare_cached("UPDATE invite SET disabled = 1 WHERE code = ?1")?;
        for code in codes {
            by_code.execute([code])?;
        }
        let mut by_owner =
            self.conn.prepare_cached("UPDATE invite SET disabled = 1 WHERE for_account = ?1")?;
        for account in accounts {
            by_owner.execute([account])?;
        }
        Ok(())
    }

    /// Forgets who used invites; that they were used stays.
    pub(in crate::apply) fn forget_invite_uses(&self, did: &Did, most: usize) -> Outcome<usize> {
        let codes: Vec<String> = self
            .conn
            .prepare_cached("SELECT code FROM invite_use WHERE did = ?1 LIMIT ?2")?
            .query_map(params![did.as_str(), crate::codes::len(most)], |r| r.get(0))?
            .collect::<Result<_, _>>()?;
        for code in &codes {
            self.conn
                .prepare_cached("UPDATE invite SET forgotten = forgotten + 1 WHERE code = ?1")?
                .execute([code])?;
            self.conn
                .prepare_cached("DELETE FROM invite_use WHERE code = ?1 AND did = ?2")?
                .execute(params![code, did.as_str()])?;
        }
        Ok(codes.len())
    }
}
