//! Accounts: made, logged into, changed, taken down, deleted.

mod app_passwords;
mod audit;
mod config;
mod email;
mod erase;
pub mod factors;
mod guesses;
mod info;
mod invites;
mod log_in;
pub mod mail;
mod often;
mod preferences;
mod sign_up;
mod status;
pub mod tokens;
mod unfinished;

pub use audit::{Act, By};

pub use config::{AccountsConfig, MailConfig, SmtpConfig, SmtpTls};
pub use email::{Reset, fit_email};
pub use erase::{Deleted, EraseJob};
pub use guesses::plain as plain_name;
pub use info::AccountInfo;
pub use invites::{ADMIN, AccountCodes, MOST_CODES};
pub use log_in::{AccountView, Credentials, INVALID_HANDLE, LoggedIn, status_word};
pub use mail::{MailJob, NotSent, Sender, check_address, check_smtp};
pub use sign_up::NewAccount;
pub use status::{Subject, SubjectStatus};
pub use unfinished::UnfinishedJob;

use p2pds_syntax::Did;

use crate::passwords::Passwords;
use crate::sessions::Live;
use guesses::Guesses;
use often::Often;

/// What is shared by all that concerns owners.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Where hashing goes through.
    pub(crate) passwords: Passwords,
    /// Wrong passwords, counted.
    pub(crate) guesses: Guesses,
    /// Mails with codes that were sent, counted.
    pub(crate) often: Often,
    /// Addresses for which a new password was asked, not looked up yet.
    pub(crate) forgot: std::sync::Mutex<std::collections::VecDeque<String>>,
    /// Sessions known to go on.
    pub(crate) live: Live,
    /// Handles and addresses of accounts that are being made.
    pub(crate) making: std::sync::Mutex<std::collections::HashSet<String>>,
    /// Records and blobs that are taken down; read from the store once.
    pub(crate) hidden: tokio::sync::OnceCell<std::sync::RwLock<std::collections::HashSet<(Did, String)>>>,
    /// Rings when mail was queued.
    pub(crate) mail: tokio::sync::Notify,
    /// One account is erased at a time.
    pub(crate) erasing: tokio::sync::Mutex<()>,
    /// Rings when an account is to be erased.
    pub(crate) erase: tokio::sync::Notify,
}
