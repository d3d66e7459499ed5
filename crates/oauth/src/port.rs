//! What the authorization server asks of whoever keeps the accounts.

use async_trait::async_trait;
use p2pds_syntax::{Did, Nsid};
use zeroize::Zeroizing;

use crate::scope::PermissionSet;

/// The accounts that may sign in.
#[async_trait]
pub trait AccountPort: Send + Sync + 'static {
    /// Checks who somebody says that he is. Guesses are limited and unknown names take as long as wrong passwords; app
    /// passwords open nothing here.
    async fn log_in(&self, ask: LogIn) -> Result<Account, LoginRefused>;

    /// An account; `None` when it is not hosted here.
    ///
    /// # Errors
    /// Why that cannot be told now.
    async fn account(&self, did: &Did) -> Result<Option<Account>, String>;

    /// The account that a handle or DID names, for hints; `None` when none here does.
    ///
    /// # Errors
    /// Why that cannot be told now.
    async fn find(&self, hint: &str) -> Result<Option<Account>, String>;

    /// A permission set, resolved and kept for a while.
    ///
    /// # Errors
    /// Why it cannot be had, for people.
    async fn permission_set(&self, nsid: &Nsid) -> Result<PermissionSet, String>;
}

/// Somebody who signs in.
#[derive(Clone)]
pub struct LogIn {
    /// Handle, DID or e-mail address.
    pub identifier: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// A second factor: a code, or a backup code.
    pub factor: Option<Zeroizing<String>>,
    /// Where the request comes from.
    pub address: String,
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogIn")
    }
}

/// Why somebody is not signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefused {
    /// Unknown name or wrong password: which of them is not told.
    #[error("wrong name or password")]
    Wrong,
    /// The password is right, and this account asks for a second factor.
    #[error("a second factor is needed")]
    FactorNeeded,
    /// The second factor is not right.
    #[error("the second factor is not right")]
    FactorWrong,
    /// The account was taken down.
    #[error("this account was taken down: ask the operator of this host")]
    Takendown,
    /// Too many wrong guesses.
    #[error("too many wrong passwords were tried: wait {seconds} seconds")]
    TooMany {
        /// How long.
        seconds: u64,
    },
    /// It cannot be checked now.
    #[error("this could not be checked now: {0}")]
    Unavailable(String),
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// It is in use.
    Active,
    /// Its owner switched it off.
    Deactivated,
    /// The operator did.
    Takendown,
}

/// An account, as the pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// It.
    pub did: Did,
    /// Its handle, or `handle.invalid`.
    pub handle: String,
    /// Its address.
    pub email: Option<String>,
    /// Whether that is confirmed.
    pub email_confirmed: bool,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// A name to show.
    pub display_name: Option<String>,
}

impl Account {
    /// Whether it is in use.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == AccountStatus::Active
    }
}
