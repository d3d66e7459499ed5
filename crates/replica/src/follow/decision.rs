//! What is to be done about an event.

use p2pds_ipld::Cid;
use p2pds_repo::commit::Commit;
use p2pds_repo::event::{EventError, Verified};
use p2pds_syntax::{ErrorKind, Tid};

use super::Status;

/// What is to be done about an event.
#[derive(Debug)]
pub enum Decision<'a> {
    /// It is the next commit, proved and signed: store its changes and its head.
    Apply {
        /// The commit with its changes.
        event: Verified<'a>,
        /// The host names another revision before this one than the copy has, though the tree before is the same:
        /// revisions between them were not seen.
        skipped: bool,
    },
    /// It is signed and follows by its revision, but its host does not say which tree came before. Plan its changes on
    /// the stored tree: if that gives the commit's root, store them; if not, [`State::fall_back`](super::State::fall_back).
    Compare {
        /// The commit with its changes.
        event: Verified<'a>,
    },
    /// A newer commit over the tree that is stored already: store the head.
    Touch {
        /// The commit.
        commit: Commit,
        /// Its CID.
        cid: Cid,
    },
    /// Nothing.
    Ignore(Ignored),
    /// The copy is out of step: fetch what is missing, then [`State::resynced`](super::State::resynced).
    Resync {
        /// Why.
        why: Resync,
        /// What was wrong with the event, with [`Resync::Unproved`].
        error: Option<EventError>,
    },
    /// It is not believed: report it.
    Refuse(Refused),
    /// Fetch the DID document (and the status) again. For an event that was refused because of it, call
    /// [`step`](super::step) again afterwards, with `again`; see [`Refresh::retry`].
    Refresh {
        /// Why.
        why: Refresh,
        /// When, microseconds since 1970: now, or when the limit allows it.
        at: i64,
    },
    /// The account's status changed. It is in force at once.
    Status {
        /// The status from now on.
        status: Status,
        /// A relay said so: ask the host.
        confirm: bool,
    },
}

/// Why an event needs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It says what is known.
    Same,
    /// It is older than the copy, as after a reconnection.
    Older,
    /// The copy is out of step, a resync is under way, and it was noted what to look for.
    Lost,
    /// The account is not active.
    Inactive,
    /// The identity is going to be refreshed already.
    Scheduled,
    /// The frame concerns no account.
    NotAnAccount,
}

impl Ignored {
    /// A stable word for counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Older => "older",
            Self::Lost => "lost",
            Self::Inactive => "inactive",
            Self::Scheduled => "scheduled",
            Self::NotAnAccount => "not-an-account",
        }
    }
}

/// Why the repository has to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resync {
    /// Nothing is stored.
    Unknown,
    /// The commit follows another tree than the stored one: events are missing.
    Gap,
    /// The host has a newer revision and did not send the event.
    Behind,
    /// `#sync`: the host says that the past does not matter.
    Sync,
    /// An old host's commit was too big for an event.
    TooBig,
    /// An old host threw its history away.
    Rebase,
    /// The commit is signed, but the event does not prove what it says.
    Unproved,
    /// The changes on the stored tree do not give the commit's root.
    Root,
    /// The store did not take the commit.
    Store,
}

impl Resync {
    /// A stable word for counters and findings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Gap => "gap",
            Self::Behind => "behind",
            Self::Sync => "sync",
            Self::TooBig => "too-big",
            Self::Rebase => "rebase",
            Self::Unproved => "unproved",
            Self::Root => "root",
            Self::Store => "store",
        }
    }
}

/// Why the identity is to be fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresh {
    /// An `#identity` event.
    Event,
    /// A signature by no key that is known.
    Signature,
    /// An event from a host that the DID document does not name.
    Host,
    /// A commit of an account that is not active: ask for its status as well.
    Inactive,
}

impl Refresh {
    /// Whether the event is to be looked at again afterwards.
    #[must_use]
    pub const fn retry(self) -> bool {
        !matches!(self, Self::Event)
    }

    /// A stable word for counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Signature => "signature",
            Self::Host => "host",
            Self::Inactive => "inactive",
        }
    }
}

/// Why an event is not believed. The text is for the account's page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Signed by no key of the account.
    #[error(
        "commit {rev} is not signed by a key of this account; whoever sent it made it up, or the account's identity \
         changed and is looked up again"
    )]
    Signature {
        /// Revision of the commit.
        rev: Tid,
        /// When to refresh the identity and ask the host for its head, as the limit did not allow it now.
        recheck_at: Option<i64>,
    },
    /// Sent by a host that does not have the account.
    #[error(
        "the event comes from a host that this account's identity does not name; only its own host may speak for it"
    )]
    Host,
    /// A revision in the future.
    #[error("revision {rev} lies in the future; taking it would hide all later changes, so it is not taken")]
    Future {
        /// The revision.
        rev: Tid,
    },
    /// The host announces a state that is older than the copy.
    #[error(
        "the host announces revision {rev}, which is older than the stored {held}; it may have been restored from an old \
         backup, and the archive never goes back by itself"
    )]
    Older {
        /// Announced.
        rev: Tid,
        /// Stored.
        held: Tid,
    },
    /// Two commits under one revision.
    #[error(
        "there is another commit under the stored revision {rev}: {other} beside {held}; one of the two is not what the \
         owner published, and both are kept"
    )]
    Equivocation {
        /// The revision.
        rev: Tid,
        /// The stored commit.
        held: Cid,
        /// The other one.
        other: Cid,
        /// Block of the other one when it was seen and its signature is good: evidence.
        signed: Option<Vec<u8>>,
    },
    /// The event does not prove what it says, and its commit is not signed either.
    #[error("the event proves nothing: {0}")]
    Proof(#[from] EventError),
}

impl Refused {
    /// A stable word for findings and counters.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Signature { .. } => "bad-signature",
            Self::Host => "foreign-host",
            Self::Future { .. } => "future-rev",
            Self::Older { .. } => "older-head",
            Self::Equivocation { .. } => "equivocation",
            Self::Proof(_) => "no-proof",
        }
    }

    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Host => ErrorKind::Denied,
            Self::Older { .. } | Self::Equivocation { .. } => ErrorKind::Conflict,
            Self::Proof(error) => error.kind(),
            Self::Signature { .. } | Self::Future { .. } => ErrorKind::Invalid,
        }
    }
}
