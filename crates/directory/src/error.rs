//! Why an account could not be found. The kind decides what is remembered: an
//! answer that says no replaces what was known, silence does not.

use p2pds_identity::doc::DocumentError;
use p2pds_identity::handle::HandleError;
use p2pds_identity::plc::PlcError;
use p2pds_identity::web::DidWebError;
use p2pds_net::NetError;
use p2pds_store::StoreError;
use p2pds_syntax::{Did, ErrorKind, Handle};

/// A failed resolution.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectoryError {
    /// No handle can be under this top-level domain.
    #[error("{handle} cannot be resolved: .{tld} is not part of the public internet", tld = handle.tld())]
    ReservedDomain {
        /// The handle.
        handle: Handle,
    },
    /// DNS and HTTPS both answered, and neither names an account.
    #[error(
        "no account has the handle {handle}: DNS has no TXT record _atproto.{handle}, and {https}; check the spelling, or use the account's DID"
    )]
    HandleNotFound {
        /// The handle.
        handle: Handle,
        /// What the HTTPS way said.
        https: String,
    },
    /// The proof of the handle is there and wrong.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The handle leads to an account that does not claim it.
    #[error("{handle} points to {did}, but that account calls itself {claimed}; if it is the account you mean, use the DID", claimed = claimed.as_ref().map_or("nothing", Handle::as_str))]
    HandleMismatch {
        /// The handle asked for.
        handle: Handle,
        /// Where it leads.
        did: Did,
        /// The handle in the DID's document.
        claimed: Option<Handle>,
    },
    /// Neither did:plc nor did:web.
    #[error("{did} is neither a did:plc nor a did:web; AT Protocol knows no others")]
    UnknownMethod {
        /// The DID.
        did: Did,
    },
    /// A did:web that AT Protocol does not allow.
    #[error(transparent)]
    DidWeb(#[from] DidWebError),
    /// Nobody knows the DID.
    #[error("{did} is not known to {asked}; check the spelling")]
    DidNotFound {
        /// The DID.
        did: Did,
        /// Who was asked.
        asked: String,
    },
    /// The DID was deleted by its owner.
    #[error("{did} was deleted by its owner at {at}; a recovery key can undo that within 72 hours")]
    Tombstoned {
        /// The DID.
        did: Did,
        /// When, as the directory wrote it.
        at: String,
    },
    /// The PLC log breaks the rules.
    #[error("what {asked} says about this account is not believed: {source}")]
    Log {
        /// Who was asked.
        asked: String,
        /// The rule.
        source: PlcError,
    },
    /// The PLC log has operations of the future.
    #[error(
        "{asked} dates the last operation of {did} at {at}, which has not come yet; check this machine's clock, and if it is right, try again later"
    )]
    FutureLog {
        /// The DID.
        did: Did,
        /// Who was asked.
        asked: String,
        /// The time of the last operation.
        at: String,
    },
    /// The directory shows no log, a shorter one, or another one than was seen before.
    #[error(
        "{asked} does not show the history of {did} that was seen before, so no operation can be built on top of it; \
         look at what `p2pds plc` says about this account, and try again later"
    )]
    NoLog {
        /// The DID.
        did: Did,
        /// Who was asked.
        asked: String,
    },
    /// The DID document cannot be used.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A request failed.
    #[error("{what} could not be fetched: {source}")]
    Net {
        /// What was to be fetched.
        what: String,
        /// Why not.
        source: NetError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is closing.
    #[error("the directory is closing")]
    Closed,
}

impl DirectoryError {
    /// The kind that retry and reporting go by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ReservedDomain { .. } | Self::UnknownMethod { .. } | Self::HandleMismatch { .. } => {
                ErrorKind::Invalid
            }
            Self::HandleNotFound { .. } | Self::DidNotFound { .. } | Self::Tombstoned { .. } => {
                ErrorKind::NotFound
            }
            Self::Handle(e) => e.kind(),
            Self::DidWeb(e) => e.kind(),
            Self::Log { source, .. } => source.kind(),
            Self::Document(e) => e.kind(),
            Self::Net { source, .. } => source.kind(),
            Self::Store(e) => e.kind(),
            Self::FutureLog { .. } | Self::NoLog { .. } | Self::Closed => ErrorKind::Unavailable,
        }
    }

    /// Whether this is an answer about the account. Silence, refusals and failures of our own are not.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            Self::ReservedDomain { .. }
            | Self::HandleNotFound { .. }
            | Self::Handle(_)
            | Self::HandleMismatch { .. }
            | Self::UnknownMethod { .. }
            | Self::DidWeb(_)
            | Self::DidNotFound { .. }
            | Self::Tombstoned { .. }
            | Self::Document(_) => true,
            // A log that breaks the rules says something about the directory, not about the account.
            Self::Log { .. }
            | Self::FutureLog { .. }
            | Self::NoLog { .. }
            | Self::Net { .. }
            | Self::Store(_)
            | Self::Closed => false,
        }
    }
}
