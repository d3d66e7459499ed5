//! Factors beside the password.

use p2pds_store::StoreError;
use p2pds_store::hosting::{FactorsApplied, FactorsUnit, PasskeyRow, PasskeyUse};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension as _, Params, params};

use crate::apply::{Apply, mismatch};
use crate::fault::Outcome;

/// Most backup codes of one account.
const MOST_CODES: usize = 50;
/// Challenges that ended, forgotten with each that is answered.
const FORGOTTEN: i64 = 100;

impl Apply {
    pub(in crate::apply) fn factors(&mut self, unit: &FactorsUnit) -> Outcome<FactorsApplied> {
        match unit {
            FactorsUnit::SetTotp { did, sealed, step, at } => {
                self.factor_row(did)?;
                self.change_factor(
                    "UPDATE factor SET totp = ?2, totp_step = ?3, totp_at = ?4 WHERE did = ?1",
                    params![did.as_str(), sealed, step, at],
                )?;
            }
            FactorsUnit::DropTotp { did } => {
                self.change_factor(
                    "UPDATE factor SET totp = NULL, totp_at = NULL WHERE did = ?1",
                    [did.as_str()],
                )?;
            }
            FactorsUnit::SetEmail { did, on } => {
                if *on {
                    self.factor_row(did)?;
                }
                self.change_factor("UPDATE factor SET email = ?2 WHERE did = ?1", params![did.as_str(), on])?;
            }
            FactorsUnit::PutPasskey { row, most } => self.put_passkey(row, *most)?,
            FactorsUnit::NamePasskey { did, id, name } => {
                let sql = "UPDATE passkey SET name = ?3 WHERE did = ?1 AND id = ?2";
                return self.yes_if_any(sql, params![did.as_str(), id, name]);
            }
            FactorsUnit::DropPasskey { did, id } => {
                let sql = "DELETE FROM passkey WHERE did = ?1 AND id = ?2";
                return self.yes_if_any(sql, params![did.as_str(), id]);
            }
            FactorsUnit::PutBackupCodes { did, codes, at } => self.put_backup_codes(did, codes, *at)?,
            FactorsUnit::Try { did, most, within, at } => return self.count_try(did, *most, *within, *at),
            FactorsUnit::TakeTotp { did, step } => {
                let sql = "UPDATE factor SET totp_step = ?2, tries = 0
                           WHERE did = ?1 AND totp IS NOT NULL AND totp_step < ?2";
                return self.yes_if_any(sql, params![did.as_str(), step]);
            }
            FactorsUnit::TakeBackupCode { did, code } => {
                let sql = "DELETE FROM backup_code WHERE did = ?1 AND hash = ?2";
                let taken = self.yes_if_any(sql, params![did.as_str(), code.as_slice()])?;
                if taken == FactorsApplied::Yes {
                    self.forget_tries(did)?;
                }
                return Ok(taken);
            }
            FactorsUnit::UsePasskey(used) => return self.use_passkey(used),
            FactorsUnit::SpendChallenge { challenge, ends_at, at } => {
                return self.spend_challenge(challenge, *ends_at, *at);
            }
            FactorsUnit::ForgetTries { did } => self.forget_tries(did)?,
            FactorsUnit::DropFactors { did } => self.drop_factors(did)?,
        }
        Ok(FactorsApplied::Yes)
    }

    /// Removes all factors of an account.
    pub(in crate::apply) fn drop_factors(&self, did: &Did) -> Outcome<()> {
        for table in ["factor", "passkey", "backup_code"] {
            self.change_factor(&format!("DELETE FROM {table} WHERE did = ?1"), [did.as_str()])?;
        }
        Ok(())
    }

    fn change_factor(&self, sql: &str, values: impl Params) -> Outcome<()> {
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn yes_if_any(&self, sql: &str, values: impl Params) -> Outcome<FactorsApplied> {
        let changed = self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(if changed > 0 { FactorsApplied::Yes } else { FactorsApplied::No })
    }

    fn factor_row(&self, did: &Did) -> Outcome<()> {
        self.change_factor(
            "INSERT OR IGNORE INTO factor (did, email, totp_step, tries, tries_since) VALUES (?1, 0, 0, 0, 0)",
            [did.as_str()],
        )
    }

    fn forget_tries(&self, did: &Did) -> Outcome<()> {
        self.change_factor("UPDATE factor SET tries = 0 WHERE did = ?1", [did.as_str()])
    }

    fn put_passkey(&self, row: &PasskeyRow, most: u32) -> Outcome<()> {
        let have: u32 = self
            .conn
            .prepare_cached("SELECT count(*) FROM passkey WHERE did = ?1")?
            .query_row([row.did.as_str()], |row| row.get(0))?;
        if have >= most {
            return Err(mismatch(&row.did, format!("it has {have} passkeys already")));
        }
        let new = self
            .conn
            .prepare_cached(
                "INSERT OR IGNORE INTO passkey (id, did, key, count, name, transports, copyable, copied, discoverable,
                   created_at, used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                row.id,
                row.did.as_str(),
                row.key,
                row.count,
                row.name,
                row.transports,
                row.copyable,
                row.copied,
                row.discoverable,
                row.created_at,
                row.used_at
            ])?;
        if new == 0 {
            return Err(mismatch(&row.did, "the passkey is known already".into()));
        }
        Ok(())
    }

    fn put_backup_codes(&self, did: &Did, codes: &[[u8; 32]], at: i64) -> Outcome<()> {
        if codes.len() > MOST_CODES {
            return Err(StoreError::InvalidUnit(format!("{} backup codes", codes.len())).into());
        }
        self.factor_row(did)?;
        self.change_factor("UPDATE factor SET codes_at = ?2 WHERE did = ?1", params![did.as_str(), at])?;
        self.change_factor("DELETE FROM backup_code WHERE did = ?1", [did.as_str()])?;
        for code in codes {
            self.change_factor(
                "INSERT INTO backup_code (did, hash) VALUES (?1, ?2)",
                params![did.as_str(), code.as_slice()],
            )?;
        }
        Ok(())
    }

    fn count_try(&self, did: &Did, most: u32, within: i64, at: i64) -> Outcome<FactorsApplied> {
        self.factor_row(did)?;
        let (tries, since): (u32, i64) = self
            .conn
            .prepare_cached("SELECT tries, tries_since FROM factor WHERE did = ?1")?
            .query_row([did.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let ends = since.saturating_add(within);
        // A clock that was set back must not lock anybody out for longer than it says.
        let goes_on = tries > 0 && since <= at && at < ends;
        if goes_on && tries >= most {
            return Ok(FactorsApplied::Later(ends));
        }
        let (tries, since) = if goes_on { (tries.saturating_add(1), since) } else { (1, at) };
        self.change_factor(
            "UPDATE factor SET tries = ?2, tries_since = ?3 WHERE did = ?1",
            params![did.as_str(), tries, since],
        )?;
        Ok(FactorsApplied::Yes)
    }

    fn use_passkey(&self, used: &PasskeyUse) -> Outcome<FactorsApplied> {
        let count: Option<u32> = self
            .conn
            .prepare_cached("SELECT count FROM passkey WHERE did = ?1 AND id = ?2")?
            .query_row(params![used.did.as_str(), used.id], |row| row.get(0))
            .optional()?;
        let Some(count) = count else { return Ok(FactorsApplied::No) };
        if self.spend_challenge(&used.challenge, used.ends_at, used.at)? == FactorsApplied::No {
            return Ok(FactorsApplied::No);
        }
        if (count > 0 || used.count > 0) && used.count <= count {
            return Ok(FactorsApplied::CountBack);
        }
        self.change_factor(
            "UPDATE passkey SET count = ?3, copied = ?4, used_at = ?5 WHERE did = ?1 AND id = ?2",
            params![used.did.as_str(), used.id, used.count, used.copied, used.at],
        )?;
        self.forget_tries(&used.did)?;
        Ok(FactorsApplied::Yes)
    }

    fn spend_challenge(&self, challenge: &[u8; 32], ends_at: i64, at: i64) -> Outcome<FactorsApplied> {
        self.change_factor(
            "DELETE FROM spent_challenge WHERE hash IN
               (SELECT hash FROM spent_challenge WHERE ends_at <= ?1 ORDER BY ends_at LIMIT ?2)",
            params![at, FORGOTTEN],
        )?;
        if ends_at <= at {
            return Ok(FactorsApplied::No);
        }
        self.yes_if_any(
            "INSERT OR IGNORE INTO spent_challenge (hash, ends_at) VALUES (?1, ?2)",
            params![challenge.as_slice(), ends_at],
        )
    }
}
