//! Why somebody could not be signed in, or a session is of no use.

use p2pds_directory::DirectoryError;
use p2pds_net::NetError;
use p2pds_store::StoreError;
use p2pds_syntax::{Did, ErrorKind, SyntaxError};

use crate::AgentError;
use crate::seal::SealError;

/// A failed sign-in at somebody else's host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// Neither handle, DID nor address.
    #[error(
        "{typed:?} is neither a handle (alice.example.com) nor a DID nor the address of a host: {source}"
    )]
    NotAnAccount {
        /// What was typed, shortened.
        typed: String,
        /// What is wrong with it.
        #[source]
        source: SyntaxError,
    },
    /// The account could not be found.
    #[error("{0}")]
    Account(#[from] Box<DirectoryError>),
    /// The account's identity names no host.
    #[error("the identity of {did} names no host, so there is nowhere to sign in")]
    NoHost {
        /// The account.
        did: Did,
    },
    /// The host has no OAuth.
    #[error("{host} does not offer sign-in by OAuth; use an app password of the account instead")]
    NoOAuth {
        /// The host.
        host: String,
    },
    /// What the server says about itself breaks the rules of AT Protocol.
    #[error("{server} cannot be signed in to: {what}. Its operator has to mend that")]
    Server {
        /// The server.
        server: String,
        /// Which rule.
        what: String,
    },
    /// The server could not be asked.
    #[error("{doing} failed: {source}")]
    Net {
        /// What was being done.
        doing: &'static str,
        /// What happened.
        #[source]
        source: NetError,
    },
    /// The server refuses, in its own words.
    #[error("{server} refused {doing}: {error}{}", said(message))]
    Refused {
        /// The server.
        server: String,
        /// What was being done.
        doing: &'static str,
        /// The error's name.
        error: String,
        /// More about it; may be empty.
        message: String,
    },
    /// The person said no.
    #[error("at {server} the request was declined; nothing was changed here")]
    Declined {
        /// The server.
        server: String,
    },
    /// Nothing is known of such a sign-in: too old, used before, or never begun here.
    #[error(
        "this sign-in is not known here any more: each works once, within ten minutes, and not after a restart; begin again"
    )]
    UnknownState,
    /// Another browser began it.
    #[error("this sign-in was begun in another browser, and can only be finished there; begin again here")]
    OtherBrowser,
    /// The answer is not that of the server that was asked.
    #[error("the answer came from {got} and not from {wanted}; nothing was changed. Begin again")]
    Issuer {
        /// Who was asked.
        wanted: String,
        /// Who answered.
        got: String,
    },
    /// Somebody else signed in than was named.
    #[error("{server} signed in {got}, and not {wanted}")]
    Subject {
        /// The server.
        server: String,
        /// Who was named.
        wanted: Did,
        /// Who it is.
        got: Did,
    },
    /// The server vouches for an account that is hosted elsewhere.
    #[error(
        "{server} vouches for {did}, but that account's host has its sign-ins done by {at}; nothing was changed"
    )]
    NotItsAccount {
        /// The server.
        server: String,
        /// The account.
        did: Did,
        /// Who may vouch for it.
        at: String,
    },
    /// The answer is not what it should be.
    #[error("{server} answered {doing} with something else than the protocol says: {what}")]
    Answer {
        /// The server.
        server: String,
        /// What was being done.
        doing: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// Too many sign-ins are under way.
    #[error("too many sign-ins are under way here; try again in a few minutes")]
    Busy,
    /// This node has no address that a server could send people back to.
    #[error(
        "this node has no address that people can be sent back to: open it as http://127.0.0.1:{port}, for example through \
         `ssh -L {port}:127.0.0.1:{port}`, or give it a public name with https (http.hostname)"
    )]
    NoAddress {
        /// The port.
        port: u16,
    },
    /// The sealed session cannot be read, or there is no entropy.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The app password did not work.
    #[error(transparent)]
    Password(AgentError),
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

impl SignInError {
    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAnAccount { .. } | Self::NoAddress { .. } => ErrorKind::Invalid,
            Self::Account(source) => source.kind(),
            Self::NoHost { .. } | Self::NoOAuth { .. } => ErrorKind::NotFound,
            Self::Server { .. } | Self::Answer { .. } => ErrorKind::Unavailable,
            Self::Net { source, .. } => source.kind(),
            Self::Refused { .. }
            | Self::Declined { .. }
            | Self::UnknownState
            | Self::OtherBrowser
            | Self::Issuer { .. }
            | Self::Subject { .. }
            | Self::NotItsAccount { .. } => ErrorKind::Denied,
            Self::Busy => ErrorKind::Limited,
            Self::Seal(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Password(error) => error.kind(),
        }
    }

    /// A stable word for each, which pages have a sentence for.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnAccount { .. } => "not-an-account",
            Self::Account(_) => "account",
            Self::NoHost { .. } => "no-host",
            Self::NoOAuth { .. } => "no-oauth",
            Self::Server { .. } => "server",
            Self::Net { .. } => "net",
            Self::Refused { .. } => "refused",
            Self::Declined { .. } => "declined",
            Self::UnknownState => "unknown-state",
            Self::OtherBrowser => "other-browser",
            Self::Issuer { .. } => "issuer",
            Self::Subject { .. } => "subject",
            Self::NotItsAccount { .. } => "not-its-account",
            Self::Answer { .. } => "answer",
            Self::Busy => "busy",
            Self::NoAddress { .. } => "no-address",
            Self::Seal(_) => "seal",
            Self::Store(_) => "store",
            Self::Password(_) => "password",
        }
    }
}

impl From<AgentError> for SignInError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Session(error) => *error,
            error => Self::Password(error),
        }
    }
}

impl From<DirectoryError> for SignInError {
    fn from(error: DirectoryError) -> Self {
        Self::Account(Box::new(error))
    }
}

/// Text from elsewhere, fit for one line of a report.
pub(crate) fn plain(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}
