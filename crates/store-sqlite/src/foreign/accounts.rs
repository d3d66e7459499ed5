//! Its `account.sqlite`.

use std::collections::HashMap;

use p2pds_store::StoreResult;
use p2pds_store::foreign::{ForeignAccount, ForeignAppPassword, ForeignInvite};

use super::open::{Source, maybe_text, text};

pub(super) fn accounts(source: &Source) -> StoreResult<Vec<ForeignAccount>> {
    // Servers from before deactivation have neither column.
    let since = if source.has("actor", "deactivatedAt")? {
        "actor.deactivatedAt, actor.deleteAfter"
    } else {
        "NULL, NULL"
    };
    let sql = format!(
        "SELECT actor.did, actor.handle, actor.createdAt, actor.takedownRef, {since}, account.email, \
         account.passwordScrypt, account.emailConfirmedAt, account.invitesDisabled \
         FROM actor LEFT JOIN account ON account.did = actor.did ORDER BY actor.did"
    );
    source.rows(&sql, [], |row| {
        Ok(ForeignAccount {
            did: text(row, 0)?,
            handle: maybe_text(row, 1)?,
            created_at: text(row, 2)?,
            takedown: maybe_text(row, 3)?,
            deactivated_at: maybe_text(row, 4)?,
            delete_after: maybe_text(row, 5)?,
            email: maybe_text(row, 6)?,
            password: maybe_text(row, 7)?,
            email_confirmed_at: maybe_text(row, 8)?,
            invites_disabled: row.get::<_, Option<i64>>(9)?.unwrap_or(0) != 0,
        })
    })
}

pub(super) fn app_passwords(source: &Source, did: &str) -> StoreResult<Vec<ForeignAppPassword>> {
    let privileged = if source.has("app_password", "privileged")? { "privileged" } else { "0" };
    let sql = format!(
        "SELECT name, passwordScrypt, createdAt, {privileged} FROM app_password WHERE did = ?1 ORDER BY name"
    );
    source.rows(&sql, [did], |row| {
        Ok(ForeignAppPassword {
            name: text(row, 0)?,
            password: text(row, 1)?,
            created_at: text(row, 2)?,
            privileged: row.get::<_, Option<i64>>(3)?.unwrap_or(0) != 0,
        })
    })
}

pub(super) fn invites(source: &Source) -> StoreResult<Vec<ForeignInvite>> {
    let sql = "SELECT code, usedBy, usedAt FROM invite_code_use ORDER BY code, usedAt, usedBy";
    let mut uses: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for (code, by, at) in source.rows(sql, [], |row| Ok((text(row, 0)?, text(row, 1)?, text(row, 2)?)))? {
        uses.entry(code).or_default().push((by, at));
    }
    let sql = "SELECT code, availableUses, disabled, forAccount, createdBy, createdAt FROM invite_code ORDER BY code";
    source.rows(sql, [], |row| {
        let code = text(row, 0)?;
        Ok(ForeignInvite {
            available: u32::try_from(row.get::<_, i64>(1)?.max(0)).unwrap_or(u32::MAX),
            disabled: row.get::<_, Option<i64>>(2)?.unwrap_or(0) != 0,
            for_account: text(row, 3)?,
            created_by: text(row, 4)?,
            created_at: text(row, 5)?,
            uses: uses.remove(&code).unwrap_or_default(),
            code,
        })
    })
}
