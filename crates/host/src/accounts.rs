//! Accounts: made, logged into, changed, taken down, deleted.

mod config;
pub mod mail;
pub mod tokens;

pub use config::{AccountsConfig, MailConfig, SmtpConfig, SmtpTls};

use crate::passwords::Passwords;
use crate::sessions::Live;

/// What is shared by all that concerns owners.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Where hashing goes through.
    pub(crate) passwords: Passwords,
    /// Sessions known to go on.
    pub(crate) live: Live,
    /// Handles and addresses of accounts that are being made.
    pub(crate) making: std::sync::Mutex<std::collections::HashSet<String>>,
    /// Rings when mail was queued.
    pub(crate) mail: tokio::sync::Notify,
    /// Rings when an account is to be erased.
    pub(crate) erase: tokio::sync::Notify,
}
