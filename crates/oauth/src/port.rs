//! What the authorization server asks of whoever keeps the accounts.

use async_trait::async_trait;
use p2pds_syntax::{Did, Nsid};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::scope::PermissionSet;

/// The accounts that may sign in.
#[async_trait]
pub trait AccountPort: Send + Sync + 'static {
    /// Checks who somebody says that he is. Guesses are limited and unknown names take as long as wrong passwords; app
    /// passwords open nothing here.
    async fn log_in(&self, ask: LogIn) -> Result<Account, LoginRefused>;

    /// The second step of a sign-in whose first one asked for more.
    async fn prove(&self, ask: Prove) -> Result<Account, LoginRefused>;

    /// What the browser is given to sign in with a passkey alone (options of `navigator.credentials.get`); nothing where
    /// there are no passkeys.
    fn passkey_question(&self) -> Option<Value> {
        None
    }

    /// Checks who signs in with a passkey alone, as the browser told of it. It has to know its owner.
    async fn passkey(&self, _json: &str) -> Result<Account, LoginRefused> {
        Err(LoginRefused::FactorWrong)
    }

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
    /// A second factor.
    pub factor: Option<Factor>,
    /// Where the request comes from.
    pub address: String,
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogIn")
    }
}

/// What is shown beside the password.
#[derive(Clone)]
pub enum Factor {
    /// A code: of an app, from a mail, or a backup code.
    Code(Zeroizing<String>),
    /// A passkey, as the browser told of it.
    Passkey(String),
}

/// Somebody who goes on signing in.
#[derive(Clone)]
pub struct Prove {
    /// What [`FactorAsked`] brought.
    pub ticket: Zeroizing<String>,
    /// The second factor.
    pub factor: Factor,
    /// Where the request comes from.
    pub address: String,
}

impl std::fmt::Debug for Prove {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prove")
    }
}

/// What is asked for after a password that was right.
#[derive(Clone, PartialEq, Eq)]
pub struct FactorAsked {
    /// The account.
    pub did: Did,
    /// Says that the password was right, for five minutes; the page hands it back with the answer.
    pub ticket: Zeroizing<String>,
    /// A code of an app is good.
    pub app: bool,
    /// A code by e-mail is good; it was sent.
    pub email: bool,
    /// A backup code is good.
    pub backup_code: bool,
    /// A passkey is good: the options of `navigator.credentials.get`.
    pub passkey: Option<Value>,
}

impl std::fmt::Debug for FactorAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FactorAsked").field("did", &self.did).finish_non_exhaustive()
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
    FactorNeeded(Box<FactorAsked>),
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
