//! Adding and changing accounts.

use p2pds_store::{Account, AccountPatch, StoreError};
use p2pds_syntax::Did;
use rusqlite::params;

use super::Apply;
use super::hosting::login::taken;
use crate::codes::{int, keep, origin, serve, status, verified};
use crate::fault::Outcome;
use crate::read;

impl Apply {
    pub(super) fn add_account(&mut self, a: &Account) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO account (did, handle, pds, status, origin, verified, serve, serve_basis, added_at,
                   last_sync_at, last_attempt_at, last_sync_error, last_verified_at, last_verify_ok, car_bytes,
                   blobs_held, blobs_missing, blob_bytes, paused, quota, purging,
                   priority, keep, keep_basis, withdrawn_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, 0, 0, ?16, ?17, 0,
                   ?18, ?19, ?20, ?21)
                 ON CONFLICT (did) DO NOTHING",
            )?
            .execute(params![
                a.did.as_str(),
                a.handle,
                a.pds,
                status(a.status),
                origin(a.origin),
                verified(a.verified),
                serve(a.serve),
                a.serve_basis,
                a.added_at,
                a.last_sync_at,
                a.last_attempt_at,
                a.last_sync_error,
                a.last_verified_at,
                a.last_verify_ok,
                int(a.car_bytes),
                a.paused,
                a.quota.map(int),
                a.priority,
                keep(a.keep),
                a.keep_basis,
                a.withdrawn_at,
            ])?;
        self.account_id(&a.did).map(|_| ())
    }

    pub(super) fn patch_account(&mut self, did: &Did, patch: &AccountPatch) -> Outcome<()> {
        let id = self.account_id(did)?;
        let Some(mut a) = read::account::load(&self.conn, did)? else {
            return Err(StoreError::UnknownAccount(did.clone()).into());
        };
        patch.clone().apply(&mut a);
        self.conn
            .prepare_cached(
                "UPDATE account SET handle = ?2, pds = ?3, status = ?4, origin = ?5, verified = ?6, serve = ?7,
                   serve_basis = ?8, last_sync_at = ?9, last_attempt_at = ?10, last_sync_error = ?11,
                   last_verified_at = ?12, last_verify_ok = ?13, car_bytes = ?14, paused = ?15, quota = ?16,
                   priority = ?17, keep = ?18, keep_basis = ?19, withdrawn_at = ?20
                 WHERE id = ?1",
            )?
            .execute(params![
                id,
                a.handle,
                a.pds,
                status(a.status),
                origin(a.origin),
                verified(a.verified),
                serve(a.serve),
                a.serve_basis,
                a.last_sync_at,
                a.last_attempt_at,
                a.last_sync_error,
                a.last_verified_at,
                a.last_verify_ok,
                int(a.car_bytes),
                a.paused,
                a.quota.map(int),
                a.priority,
                keep(a.keep),
                a.keep_basis,
                a.withdrawn_at,
            ])
            .map_err(taken)?;
        Ok(())
    }
}
