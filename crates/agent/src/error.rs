//! What can go wrong at the account's host.

use p2pds_net::NetError;
use p2pds_syntax::{Did, ErrorKind};

/// Any failure of acting for an account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The host does not accept name and password.
    #[error(
        "{host} does not accept this password for {account}: {message}. Make an app password in the account's settings \
         and use that; nothing was changed"
    )]
    Login {
        /// The host.
        host: String,
        /// The account as named.
        account: String,
        /// In the host's words.
        message: String,
    },
    /// The session is another account's.
    #[error("{host} opened a session for {got} and not for {wanted}; nothing was changed")]
    OtherAccount {
        /// The host.
        host: String,
        /// Whose session it is.
        got: String,
        /// Whose it should be.
        wanted: Did,
    },
    /// The session ended and could not be renewed.
    #[error("{host} ended the session: {message}; log in again")]
    Expired {
        /// The host.
        host: String,
        /// In the host's words.
        message: String,
    },
    /// Something else stands there than a moment ago.
    #[error(
        "{path} was changed at {host} meanwhile; nothing was written. Look again, then repeat the command"
    )]
    Moved {
        /// The host.
        host: String,
        /// Collection and key.
        path: String,
    },
    /// The host refused, or could not be reached.
    #[error("{doing} failed: {source}")]
    Host {
        /// What was being done.
        doing: String,
        /// What happened.
        #[source]
        source: NetError,
    },
    /// The session that is kept is of no use.
    #[error(transparent)]
    Session(Box<crate::oauth::SignInError>),
    /// The host's answer is not what the method answers.
    #[error("{host} answered {doing} with something else than the protocol says: {what}")]
    Answer {
        /// The host.
        host: String,
        /// What was being done.
        doing: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl AgentError {
    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Login { .. } | Self::OtherAccount { .. } | Self::Expired { .. } => ErrorKind::Denied,
            Self::Moved { .. } => ErrorKind::Conflict,
            Self::Host { source, .. } => source.kind(),
            Self::Session(source) => source.kind(),
            Self::Answer { .. } => ErrorKind::Unavailable,
        }
    }
}
