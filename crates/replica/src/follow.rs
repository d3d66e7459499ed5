//! One account under Sync 1.1: what each event means for the copy that is kept.
//!
//! [`step`] takes the state, one frame and what is known at that moment, and says what to do. It never moves a head
//! back, never believes a commit without a signature by a key of the account, and asks for a fresh DID document at most
//! once a minute.
//!
//! Three answers move the state at once, in the trust that the caller carries them out in order: [`Decision::Apply`],
//! [`Decision::Compare`] and [`Decision::Touch`]. When storing fails, or the comparison does, the caller says so with
//! [`State::fall_back`]. After [`Decision::Resync`] the account is out of step until [`State::resynced`].
//!
//! Not checked here: records against lexicons, older revisions against the stored history, quotas.

mod decision;
mod state;
mod step;

use p2pds_crypto::PublicKey;

pub use decision::{Decision, Ignored, Refresh, Refused, Resync};
pub use state::{Head, State, Status};
pub use step::step;

/// How far a revision may lie in the future, and how long a withdrawn key still counts: clocks disagree.
pub const MAX_SKEW_MICROS: i64 = 5 * 60 * 1_000_000;

/// Least time between two refreshes of one account's identity.
pub const REFRESH_EVERY_MICROS: i64 = 60 * 1_000_000;

/// Who sent the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The host that the account's DID document names.
    Host,
    /// A relay, which repeats what hosts said.
    Relay,
    /// A host that the DID document, as it is known here, does not name.
    Other,
}

/// A key that signs, or signed, for the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub key: PublicKey,
    /// When the log withdrew it, microseconds since 1970; `None` for the current one.
    pub until: Option<i64>,
}

/// What is known when an event is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'k> {
    /// Microseconds since 1970.
    pub now: i64,
    /// Who sent the event.
    pub origin: Origin,
    /// The account's keys, the current one first. Keys that were withdrawn sign nothing newer than their end.
    pub keys: &'k [Key],
    /// Whether this event was looked at before and the identity was refreshed since then.
    pub again: bool,
}
