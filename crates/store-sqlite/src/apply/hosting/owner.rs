//! Who owns the node, who is signed in, and sessions at hosts of others.

use p2pds_store::hosting::{AgentSessionRow, ClaimRow, DropSessions, OwnerApplied, OwnerUnit, WebSessionRow};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension as _, params};

use crate::apply::Apply;
use crate::fault::Outcome;

impl Apply {
    pub(in crate::apply) fn owner_unit(&mut self, unit: &OwnerUnit) -> Outcome<OwnerApplied> {
        let done = match unit {
            OwnerUnit::PutClaim(row) => self.put_claim(row),
            OwnerUnit::TakeClaim { code, session } => self.take_claim(code, session),
            OwnerUnit::SignIn { from, session } => self.sign_in(from.as_ref(), session),
            OwnerUnit::TouchSession { token, at, ends_at, address } => self
                .conn
                .prepare_cached(
                    "UPDATE web_session SET used_at = ?2, ends_at = ?3, address = ?4 WHERE token = ?1",
                )?
                .execute(params![token, at, ends_at, address])
                .map(|_| true)
                .map_err(Into::into),
            OwnerUnit::DropSessions(which) => self.drop_web_sessions(*which).map(|()| true),
            OwnerUnit::PutAgent(row) => self.put_agent(row),
            OwnerUnit::DropAgent { did } => {
                self.conn.execute("DELETE FROM agent_session WHERE did = ?1", [did.as_str()])?;
                Ok(true)
            }
            OwnerUnit::PutOwnKey { did, key, at } => {
                let sql = "INSERT OR IGNORE INTO own_key VALUES (?1, ?2, ?3)";
                self.conn.execute(sql, params![did.as_str(), key, at])?;
                Ok(true)
            }
            OwnerUnit::DropOwnKey { did, key } => {
                let sql = "DELETE FROM own_key WHERE did = ?1 AND key = ?2";
                self.conn.execute(sql, params![did.as_str(), key])?;
                Ok(true)
            }
        }?;
        Ok(if done { OwnerApplied::Yes } else { OwnerApplied::No })
    }

    fn put_claim(&self, row: &ClaimRow) -> Outcome<bool> {
        self.conn.execute(
            "INSERT OR REPLACE INTO claim VALUES (1, ?1, ?2, ?3)",
            params![row.code, row.again, row.created_at],
        )?;
        Ok(true)
    }

    fn take_claim(&self, code: &[u8; 32], session: &WebSessionRow) -> Outcome<bool> {
        let sql = "SELECT again FROM claim WHERE code = ?1";
        let again: Option<bool> = self.conn.query_row(sql, [code], |row| row.get(0)).optional()?;
        let Some(again) = again else { return Ok(false) };
        if !again && self.owner_did()?.is_some() {
            return Ok(false);
        }
        self.conn.execute("DELETE FROM claim", [])?;
        self.conn.execute("DELETE FROM owner", [])?;
        self.drop_web_sessions(DropSessions::All)?;
        self.put_web_session(session)?;
        Ok(true)
    }

    fn sign_in(&self, from: Option<&[u8; 32]>, session: &WebSessionRow) -> Outcome<bool> {
        let Some(did) = session.did.as_ref().map(Did::as_str) else { return Ok(false) };
        match self.owner_did()? {
            Some(owner) if owner == did => {}
            Some(_) => return Ok(false),
            None => {
                let Some(from) = from else { return Ok(false) };
                let sql =
                    "SELECT count(*) FROM web_session WHERE token = ?1 AND did IS NULL AND ends_at > ?2";
                let claimant: i64 =
                    self.conn.query_row(sql, params![from, session.created_at], |row| row.get(0))?;
                if claimant == 0 {
                    return Ok(false);
                }
                self.conn
                    .execute("INSERT INTO owner VALUES (1, ?1, ?2)", params![did, session.created_at])?;
                // A code that was printed and not used would be a second way in.
                self.conn.execute("DELETE FROM claim", [])?;
            }
        }
        if let Some(from) = from {
            self.drop_web_sessions(DropSessions::One(*from))?;
        }
        self.put_web_session(session)?;
        Ok(true)
    }

    fn owner_did(&self) -> Outcome<Option<String>> {
        Ok(self.conn.query_row("SELECT did FROM owner", [], |row| row.get(0)).optional()?)
    }

    fn put_web_session(&self, row: &WebSessionRow) -> Outcome<()> {
        self.conn.execute("DELETE FROM web_session WHERE ends_at <= ?1", [row.created_at])?;
        self.conn.execute(
            "INSERT OR REPLACE INTO web_session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                row.token,
                row.did.as_ref().map(Did::as_str),
                row.created_at,
                row.used_at,
                row.ends_at,
                row.address,
                row.agent
            ],
        )?;
        Ok(())
    }

    fn drop_web_sessions(&self, which: DropSessions) -> Outcome<()> {
        match which {
            DropSessions::One(token) => {
                self.conn.execute("DELETE FROM web_session WHERE token = ?1", [token])?
            }
            DropSessions::AllBut(token) => {
                self.conn.execute("DELETE FROM web_session WHERE token <> ?1", [token])?
            }
            DropSessions::All => self.conn.execute("DELETE FROM web_session", [])?,
        };
        Ok(())
    }

    fn put_agent(&self, row: &AgentSessionRow) -> Outcome<bool> {
        let values = params![
            row.did.as_str(),
            row.version,
            row.kind,
            row.host,
            row.scope,
            row.sealed,
            row.created_at,
            row.updated_at
        ];
        let changed = if row.version == 0 {
            let sql = "INSERT OR REPLACE INTO agent_session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            self.conn.prepare_cached(sql)?.execute(values)?
        } else {
            let sql = "UPDATE agent_session SET version = ?2, kind = ?3, host = ?4, scope = ?5, sealed = ?6,
                         created_at = ?7, updated_at = ?8 WHERE did = ?1 AND version = ?2 - 1";
            self.conn.prepare_cached(sql)?.execute(values)?
        };
        Ok(changed > 0)
    }
}
