//! Who logs in: one row for each hosted account.

use std::fmt;

use async_trait::async_trait;
use p2pds_syntax::Did;

use crate::{BlobRow, StoreResult};

/// What a hosted account has beside its account. Neither password nor key is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub did: Did,
    /// Its e-mail address in lower case, unique among the hosted; empty for none.
    pub email: String,
    /// When the address was confirmed, microseconds since 1970.
    pub email_confirmed_at: Option<i64>,
    /// How its password is checked: a PHC string, or `salt:hash` as the reference's scrypt writes it.
    pub password: String,
    /// When the account was made here.
    pub created_at: i64,
    /// Since when it is switched off by its owner.
    pub deactivated_at: Option<i64>,
    /// When a deactivated account is deleted.
    pub delete_after: Option<i64>,
    /// Reference of the takedown, while there is one.
    pub takedown: Option<String>,
    /// Whether it gets no invite codes.
    pub invites_disabled: bool,
    /// The invite code with which it was made.
    pub invited_by: Option<String>,
    /// Its signing key, wrapped.
    pub signing_key: Vec<u8>,
    /// The public half as did:key.
    pub signing_did_key: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("did", &self.did).finish_non_exhaustive()
    }
}

/// A partial update of a login: only what is `Some` changes. In the doubled options `Some(None)` clears the value.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct LoginPatch {
    /// New address.
    pub email: Option<String>,
    /// When it was confirmed.
    pub email_confirmed_at: Option<Option<i64>>,
    /// New password, as it is checked.
    pub password: Option<String>,
    /// Switched off since.
    pub deactivated_at: Option<Option<i64>>,
    /// To be deleted at.
    pub delete_after: Option<Option<i64>>,
    /// Takedown.
    pub takedown: Option<Option<String>>,
    /// Invite switch.
    pub invites_disabled: Option<bool>,
    /// New signing key, wrapped, and as did:key.
    pub signing_key: Option<(Vec<u8>, String)>,
}

impl fmt::Debug for LoginPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginPatch").finish_non_exhaustive()
    }
}

impl LoginPatch {
    /// Applies the patch (the model's and the adapters' one definition of it).
    pub fn apply(self, login: &mut Login) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        set(&mut login.email, self.email);
        set(&mut login.email_confirmed_at, self.email_confirmed_at);
        set(&mut login.password, self.password);
        set(&mut login.deactivated_at, self.deactivated_at);
        set(&mut login.delete_after, self.delete_after);
        set(&mut login.takedown, self.takedown);
        set(&mut login.invites_disabled, self.invites_disabled);
        if let Some((key, did_key)) = self.signing_key {
            login.signing_key = key;
            login.signing_did_key = did_key;
        }
    }
}

/// Reading logins, and what is temporary.
#[async_trait]
pub trait LoginStore: Send + Sync + 'static {
    /// The login of an account; `None` when it is not hosted here, or being purged.
    async fn login(&self, did: &Did) -> StoreResult<Option<Login>>;
    /// The login with this address (lower case).
    async fn login_by_email(&self, email: &str) -> StoreResult<Option<Login>>;
    /// The login of the hosted account with this handle (lower case).
    async fn login_by_handle(&self, handle: &str) -> StoreResult<Option<Login>>;
    /// Logins in the order of their DIDs, beginning after `after`.
    async fn logins(&self, after: Option<&Did>, limit: usize) -> StoreResult<Vec<Login>>;
    /// Accounts whose time to be deleted has come, the longest overdue first.
    async fn logins_to_delete(&self, now: i64, limit: usize) -> StoreResult<Vec<Did>>;
    /// Blobs of all accounts that were uploaded before this time and are still temporary, the oldest first.
    async fn temporary_blobs(&self, before: i64, limit: usize) -> StoreResult<Vec<(Did, BlobRow)>>;
}
