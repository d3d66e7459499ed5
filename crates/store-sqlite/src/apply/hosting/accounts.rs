//! Sessions, app passwords, e-mail tokens, mail, preferences, takedowns, acts. Invites are next door.

use p2pds_store::hosting::{
    AccountsApplied, AccountsUnit, AppPasswordRow, AuditRow, EmailTokenRow, MailRow, PreferenceRow,
    RotateSession, Rotation, SessionRow, TokenTry,
};
use p2pds_store::{CHUNK_ROWS, StoreError};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use crate::apply::{Apply, mismatch};
use crate::codes::len;
use crate::fault::Outcome;

/// How long mail that was given up is kept for the operator, microseconds.
const MAIL_KEPT: i64 = 30 * 24 * 3_600 * 1_000_000;
/// Most used-up refresh tokens of one session that are remembered.
const MOST_USED_UP: i64 = 256;

impl Apply {
    pub(in crate::apply) fn accounts_unit(&mut self, unit: &AccountsUnit) -> Outcome<AccountsApplied> {
        let done = |()| AccountsApplied::Done;
        match unit {
            AccountsUnit::PutSession { row, refresh } => self.put_session(row, refresh.as_ref()).map(done),
            AccountsUnit::RotateSession(rotate) => {
                self.rotate_session(rotate).map(AccountsApplied::Rotation)
            }
            AccountsUnit::DropSession { did, id } => self.drop_session(did, id).map(done),
            AccountsUnit::DropSessions { did, app_password, except } => {
                self.drop_sessions(did, app_password.as_deref(), except.as_deref()).map(done)
            }
            AccountsUnit::ForgetExpired { at } => self.forget_expired(*at).map(AccountsApplied::Forgotten),
            AccountsUnit::PutAppPassword(row) => self.put_app_password(row).map(done),
            AccountsUnit::RehashAppPassword { did, name, password } => self
                .run_with(
                    "UPDATE app_password SET password = ?3 WHERE did = ?1 AND name = ?2",
                    params![did.as_str(), name, password],
                )
                .map(done),
            AccountsUnit::DropAppPasswords { did, name } => {
                self.drop_app_passwords(did, name.as_deref()).map(done)
            }
            AccountsUnit::PutInvites { rows, most } => self.put_invites(rows, most.as_ref()).map(done),
            AccountsUnit::UseInvite { code, did, at } => self.use_invite(code, did, *at).map(done),
            AccountsUnit::DisableInvites { codes, accounts } => {
                self.disable_invites(codes, accounts).map(done)
            }
            AccountsUnit::PutEmailToken(row) => self.put_email_token(row).map(done),
            AccountsUnit::TryEmailToken { did, purpose, hash, at, most } => {
                self.try_email_token(did, purpose, hash, *at, *most).map(AccountsApplied::Token)
            }
            AccountsUnit::TakeEmailToken { did, purpose, hash } => {
                self.take_email_token(did, purpose, hash).map(done)
            }
            AccountsUnit::DropEmailTokens { did } => {
                self.run_with("DELETE FROM email_token WHERE did = ?1", params![did.as_str()]).map(done)
            }
            AccountsUnit::PutMail(row) => self.put_mail(row).map(AccountsApplied::Mail),
            AccountsUnit::MailTried { id, next_at, error, given_up_at } => self
                .run_with(
                    "UPDATE mail SET tries = tries + 1, next_at = ?2, last_error = ?3, given_up_at = ?4 WHERE id = ?1",
                    params![id, next_at, error, given_up_at],
                )
                .map(done),
            AccountsUnit::DropMail { id } => {
                self.run_with("DELETE FROM mail WHERE id = ?1", params![id]).map(done)
            }
            AccountsUnit::PutPreferences { did, namespace, keep, rows } => {
                self.put_preferences(did, namespace, keep, rows).map(done)
            }
            AccountsUnit::PutTakedown(row) => self
                .run_with(
                    "INSERT OR REPLACE INTO takedown VALUES (?1, ?2, ?3, ?4)",
                    params![row.did.as_str(), row.subject, row.reference, row.at],
                )
                .map(done),
            AccountsUnit::DropTakedown { did, subject } => self
                .run_with(
                    "DELETE FROM takedown WHERE did = ?1 AND subject = ?2",
                    params![did.as_str(), subject],
                )
                .map(done),
            AccountsUnit::Audit(row) => self.put_audit(row).map(done),
            AccountsUnit::PutSignup(row) => self
                .run_with(
                    "INSERT OR REPLACE INTO signup VALUES (?1, ?2, ?3, ?4)",
                    params![row.did.as_str(), row.handle, row.operation, row.at],
                )
                .map(done),
            AccountsUnit::DropSignup { did } => {
                self.run_with("DELETE FROM signup WHERE did = ?1", params![did.as_str()]).map(done)
            }
        }
    }

    fn run_with(&self, sql: &str, values: impl rusqlite::Params) -> Outcome<()> {
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn put_session(&self, row: &SessionRow, refresh: Option<&[u8; 32]>) -> Outcome<()> {
        self.run_with(
            "INSERT INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                row.did.as_str(),
                row.id,
                row.app_password,
                row.privileged,
                row.created_at,
                row.used_at,
                row.expires_at
            ],
        )?;
        let Some(hash) = refresh else { return Ok(()) };
        self.run_with(
            "INSERT INTO refresh VALUES (?1, ?2, ?3, NULL)",
            params![row.did.as_str(), row.id, hash.as_slice()],
        )
    }

    fn rotate_session(&self, r: &RotateSession) -> Outcome<Rotation> {
        let did = r.did.as_str();
        let ends: Option<i64> = self
            .conn
            .prepare_cached("SELECT expires_at FROM session WHERE did = ?1 AND id = ?2")?
            .query_row(params![did, r.id], |row| row.get(0))
            .optional()?;
        if ends.is_none_or(|ends| ends <= r.at) {
            return Ok(Rotation::Gone);
        }
        let shown: Option<Option<i64>> = self
            .conn
            .prepare_cached("SELECT until FROM refresh WHERE did = ?1 AND session = ?2 AND hash = ?3")?
            .query_row(params![did, r.id, r.from.as_slice()], |row| row.get(0))
            .optional()?;
        match shown {
            None => return self.drop_session(&r.did, &r.id).map(|()| Rotation::Reused),
            Some(Some(until)) if until <= r.at => {
                return self.drop_session(&r.did, &r.id).map(|()| Rotation::Reused);
            }
            // Shown again within its grace: the answer is the same successor.
            Some(Some(_)) => return Ok(Rotation::Rotated),
            Some(None) => {}
        }
        self.run_with(
            "UPDATE refresh SET until = ?4 WHERE did = ?1 AND session = ?2 AND hash = ?3",
            params![did, r.id, r.from.as_slice(), r.grace_until],
        )?;
        self.run_with(
            "INSERT OR IGNORE INTO refresh VALUES (?1, ?2, ?3, NULL)",
            params![did, r.id, r.to.as_slice()],
        )?;
        self.run_with(
            "UPDATE session SET used_at = ?3, expires_at = ?4 WHERE did = ?1 AND id = ?2",
            params![did, r.id, r.at, r.expires_at],
        )?;
        // What is past its grace is known by its absence.
        self.run_with(
            "DELETE FROM refresh WHERE did = ?1 AND session = ?2 AND (until <= ?3 OR hash IN
               (SELECT hash FROM refresh WHERE did = ?1 AND session = ?2 AND until IS NOT NULL
                ORDER BY until DESC LIMIT -1 OFFSET ?4))",
            params![did, r.id, r.at, MOST_USED_UP],
        )?;
        Ok(Rotation::Rotated)
    }

    fn drop_session(&self, did: &Did, id: &str) -> Outcome<()> {
        self.run_with("DELETE FROM refresh WHERE did = ?1 AND session = ?2", params![did.as_str(), id])?;
        self.run_with("DELETE FROM session WHERE did = ?1 AND id = ?2", params![did.as_str(), id])
    }

    fn drop_sessions(&self, did: &Did, app_password: Option<&str>, except: Option<&str>) -> Outcome<()> {
        let which = "did = ?1 AND (?2 IS NULL OR app_password = ?2) AND (?3 IS NULL OR id <> ?3)";
        self.run_with(
            &format!(
                "DELETE FROM refresh WHERE did = ?1 AND session IN (SELECT id FROM session WHERE {which})"
            ),
            params![did.as_str(), app_password, except],
        )?;
        self.run_with(
            &format!("DELETE FROM session WHERE {which}"),
            params![did.as_str(), app_password, except],
        )?;
        // Those of one app password have nothing to do with what was granted to applications.
        if app_password.is_none() { self.drop_oauth_of(did, except) } else { Ok(()) }
    }

    fn forget_expired(&self, at: i64) -> Outcome<u64> {
        let over: Vec<(String, String)> = self
            .conn
            .prepare_cached("SELECT did, id FROM session WHERE expires_at <= ?1 LIMIT ?2")?
            .query_map(params![at, len(CHUNK_ROWS)], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (did, id) in &over {
            self.run_with("DELETE FROM refresh WHERE did = ?1 AND session = ?2", params![did, id])?;
            self.run_with("DELETE FROM session WHERE did = ?1 AND id = ?2", params![did, id])?;
        }
        let tokens = self
            .conn
            .prepare_cached(
                "DELETE FROM email_token WHERE (did, purpose) IN
                   (SELECT did, purpose FROM email_token WHERE expires_at <= ?1 LIMIT ?2)",
            )?
            .execute(params![at, len(CHUNK_ROWS)])?;
        let mails = self
            .conn
            .prepare_cached(
                "DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE given_up_at < ?1 LIMIT ?2)",
            )?
            .execute(params![at.saturating_sub(MAIL_KEPT), len(CHUNK_ROWS)])?;
        Ok(over.len().saturating_add(tokens).saturating_add(mails) as u64)
    }

    fn put_app_password(&self, row: &AppPasswordRow) -> Outcome<()> {
        let new = self
            .conn
            .prepare_cached("INSERT OR IGNORE INTO app_password VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![row.did.as_str(), row.name, row.password, row.privileged, row.created_at])?;
        if new == 0 {
            return Err(mismatch(&row.did, format!("there is an app password named \"{}\"", row.name)));
        }
        Ok(())
    }

    fn drop_app_passwords(&self, did: &Did, name: Option<&str>) -> Outcome<()> {
        let sql = "DELETE FROM refresh WHERE did = ?1 AND session IN
                     (SELECT id FROM session WHERE did = ?1 AND app_password IS NOT NULL
                        AND (?2 IS NULL OR app_password = ?2))";
        self.run_with(sql, params![did.as_str(), name])?;
        self.run_with(
            "DELETE FROM session WHERE did = ?1 AND app_password IS NOT NULL AND (?2 IS NULL OR app_password = ?2)",
            params![did.as_str(), name],
        )?;
        self.run_with(
            "DELETE FROM app_password WHERE did = ?1 AND (?2 IS NULL OR name = ?2)",
            params![did.as_str(), name],
        )
    }

    fn put_email_token(&self, row: &EmailTokenRow) -> Outcome<()> {
        self.run_with(
            "INSERT OR REPLACE INTO email_token VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                row.did.as_str(),
                row.purpose,
                row.hash.as_slice(),
                row.created_at,
                row.expires_at,
                row.tries
            ],
        )
    }

    fn try_email_token(
        &self,
        did: &Did,
        purpose: &str,
        hash: &[u8; 32],
        at: i64,
        most: u32,
    ) -> Outcome<TokenTry> {
        let row: Option<(Vec<u8>, i64, u32)> = self
            .conn
            .prepare_cached(
                "UPDATE email_token SET tries = tries + 1 WHERE did = ?1 AND purpose = ?2
                 RETURNING hash, expires_at, tries",
            )?
            .query_row(params![did.as_str(), purpose], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?;
        let Some((stored, expires_at, tries)) = row else { return Ok(TokenTry::Wrong) };
        let right = stored == hash.as_slice();
        let late = expires_at <= at;
        if late || (tries >= most && !right) || tries > most {
            self.run_with(
                "DELETE FROM email_token WHERE did = ?1 AND purpose = ?2",
                params![did.as_str(), purpose],
            )?;
        }
        Ok(match (right, late, tries > most) {
            (false, _, _) | (_, _, true) => TokenTry::Wrong,
            (true, true, false) => TokenTry::Expired,
            (true, false, false) => TokenTry::Good,
        })
    }

    fn take_email_token(&self, did: &Did, purpose: &str, hash: &[u8; 32]) -> Outcome<()> {
        let taken = self
            .conn
            .prepare_cached("DELETE FROM email_token WHERE did = ?1 AND purpose = ?2 AND hash = ?3")?
            .execute(params![did.as_str(), purpose, hash.as_slice()])?;
        if taken == 0 {
            return Err(mismatch(did, "the token was used already".into()));
        }
        Ok(())
    }

    fn put_mail(&self, row: &MailRow) -> Outcome<i64> {
        self.run_with(
            "INSERT INTO mail (did, recipient, kind, sealed, created_at, next_at, expires_at, tries)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
            params![
                row.did.as_ref().map(Did::as_str),
                row.to,
                row.kind,
                row.sealed,
                row.created_at,
                row.next_at,
                row.expires_at
            ],
        )?;
        Ok(self.conn.last_insert_rowid())
    }

    fn put_preferences(
        &self,
        did: &Did,
        namespace: &str,
        keep: &[String],
        rows: &[PreferenceRow],
    ) -> Outcome<()> {
        if rows.len() > CHUNK_ROWS {
            return Err(StoreError::InvalidUnit(format!("{} preferences", rows.len())).into());
        }
        let stored: Vec<(i64, String)> = self
            .conn
            .prepare_cached("SELECT at, name FROM preference WHERE did = ?1")?
            .query_map([did.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let below = format!("{namespace}.");
        let mut next = 0_i64;
        for (at, name) in stored {
            let within = name == namespace || name.starts_with(&below);
            if within && !keep.contains(&name) {
                self.run_with(
                    "DELETE FROM preference WHERE did = ?1 AND at = ?2",
                    params![did.as_str(), at],
                )?;
            } else {
                next = next.max(at.saturating_add(1));
            }
        }
        for row in rows {
            self.run_with(
                "INSERT INTO preference VALUES (?1, ?2, ?3, ?4)",
                params![did.as_str(), next, row.name, row.value],
            )?;
            next = next.saturating_add(1);
        }
        Ok(())
    }

    pub(super) fn put_audit(&self, row: &AuditRow) -> Outcome<()> {
        self.run_with(
            "INSERT INTO audit (at, who, what, did, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![row.at, row.who, row.what, row.did.as_ref().map(Did::as_str), row.subject, row.detail],
        )
    }

    /// What was done to an account stays noted when it is purged; what it was about does not.
    pub(in crate::apply) fn blank_audit(&self, did: &Did, most: usize) -> Outcome<usize> {
        let sql = "UPDATE audit SET subject = '', detail = '' WHERE id IN
                     (SELECT id FROM audit WHERE did = ?1 AND (subject <> '' OR detail <> '') LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute(params![did.as_str(), len(most)])?)
    }
}
