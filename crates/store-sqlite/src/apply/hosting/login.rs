//! Who logs in.

use p2pds_store::{Login, LoginPatch, StoreError};
use p2pds_syntax::Did;
use rusqlite::params;

use crate::apply::Apply;
use crate::fault::{Fault, Outcome};
use crate::read;

impl Apply {
    pub(in crate::apply) fn put_login(&mut self, login: &Login) -> Outcome<()> {
        let account = self.account_id(&login.did)?;
        self.write_login(account, login)?;
        self.set_hosted(account, true)
    }

    fn write_login(&self, account: i64, login: &Login) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO login (account, email, email_confirmed_at, password, created_at, deactivated_at,
                   delete_after, takedown, invites_disabled, invited_by, signing_key, signing_did_key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT (account) DO UPDATE SET email = ?2, email_confirmed_at = ?3, password = ?4,
                   created_at = ?5, deactivated_at = ?6, delete_after = ?7, takedown = ?8, invites_disabled = ?9,
                   invited_by = ?10, signing_key = ?11, signing_did_key = ?12",
            )?
            .execute(params![
                account,
                login.email,
                login.email_confirmed_at,
                login.password,
                login.created_at,
                login.deactivated_at,
                login.delete_after,
                login.takedown,
                login.invites_disabled,
                login.invited_by,
                login.signing_key,
                login.signing_did_key
            ])
            .map_err(taken)?;
        Ok(())
    }

    fn set_hosted(&self, account: i64, hosted: bool) -> Outcome<()> {
        self.conn
            .prepare_cached("UPDATE account SET hosted = ?2 WHERE id = ?1 AND hosted <> ?2")?
            .execute(params![account, hosted])
            .map_err(taken)?;
        Ok(())
    }

    pub(in crate::apply) fn patch_login(&mut self, did: &Did, patch: &LoginPatch) -> Outcome<()> {
        let account = self.account_id(did)?;
        let Some(mut login) = read::hosting::login::one(&self.conn, did)? else {
            return Err(super::super::mismatch(did, "it is not hosted here".into()));
        };
        patch.clone().apply(&mut login);
        self.write_login(account, &login)
    }

    pub(in crate::apply) fn drop_login(&mut self, did: &Did) -> Outcome<()> {
        let account = self.account_id(did)?;
        self.conn.prepare_cached("DELETE FROM login WHERE account = ?1")?.execute([account])?;
        self.drop_factors(did)?;
        self.set_hosted(account, false)
    }
}

/// A handle or address that another hosted account has.
pub(in crate::apply) fn taken(error: rusqlite::Error) -> Fault {
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
        let said = error.to_string();
        if said.contains("login.email") {
            return StoreError::Taken("e-mail address").into();
        }
        if said.contains("account.handle") {
            return StoreError::Taken("handle").into();
        }
    }
    error.into()
}
