//! Frames of `subscribeRepos`: a header and a payload, two items of CBOR in one WebSocket message.
//!
//! [`peek`] says whom a frame concerns, at the price of a few dozen bytes; [`decode`] reads it whole, without copying
//! the blocks. Frames are neither hashed nor signed, so the order of keys in header and payload does not matter;
//! everything else is strict DRISL, and nothing is allocated before its bytes are there.
//!
//! A frame that is no CBOR is [`FrameError::Malformed`]. One that is CBOR and breaks the schema is
//! [`FrameError::Event`], which names its account and number where it could be read, so that a stream can go on behind
//! it. Operations and types that are not known are [`Frame::Unknown`].

mod encode;
mod error;
mod fields;
mod read;

use p2pds_ipld::cbor::{Limits, write_uint};
use p2pds_repo::event::CommitEvent;
use p2pds_syntax::{Did, Tid};

pub use error::FrameError;
pub use read::{Kind, Peek, decode, peek};

/// Most bytes of one frame: the limit of the protocol.
pub const MAX_FRAME: usize = 5 << 20;

/// The largest number of an event: integers of the protocol stay exact in JavaScript.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// Longest text of one field that is not an identifier.
pub const MAX_TEXT: usize = 2048;

/// Bounds for items that are passed over.
const LIMITS: Limits = Limits { max_len: MAX_FRAME, ..Limits::RECORD };

/// A frame without its number, see [`Frame::split`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Up to the number.
    pub before: Vec<u8>,
    /// Behind it.
    pub after: Vec<u8>,
}

impl Split {
    /// The whole frame with this number.
    #[must_use]
    pub fn with(&self, seq: u64) -> Vec<u8> {
        let room = self.before.len().saturating_add(self.after.len()).saturating_add(9);
        let mut out = Vec::with_capacity(room);
        out.extend_from_slice(&self.before);
        write_uint(&mut out, seq);
        out.extend_from_slice(&self.after);
        out
    }
}

/// What one frame says.
#[derive(Debug, Clone)]
pub enum Frame<'a> {
    /// A commit, with its proof.
    Commit(Commit<'a>),
    /// The account's state as it is now, without saying how it came about.
    Sync(Sync<'a>),
    /// DID document or handle changed: look again.
    Identity(Identity<'a>),
    /// The account's status at its host.
    Account(Account<'a>),
    /// A word about the stream itself, such as `OutdatedCursor`.
    Info(Info<'a>),
    /// The stream ends, with a reason such as `FutureCursor` or `ConsumerTooSlow`.
    Error(Failure<'a>),
    /// Something newer than this program; to be ignored.
    Unknown(Unknown<'a>),
}

/// `#commit`.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// Number in the stream.
    pub seq: u64,
    /// When the host sent it first, as text.
    pub time: &'a str,
    /// What it says, unproved.
    pub event: CommitEvent<'a>,
    /// Flags that hosts older than Sync 1.1 set instead of sending a proof.
    pub legacy: Option<Legacy>,
}

/// An event of an old host that carries no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legacy {
    /// `tooBig`: more operations or blocks than an event holds.
    TooBig,
    /// `rebase`: the history was thrown away.
    Rebase,
}

/// `#sync`.
#[derive(Debug, Clone)]
pub struct Sync<'a> {
    /// Number in the stream.
    pub seq: u64,
    /// When the host sent it first, as text.
    pub time: &'a str,
    /// The account.
    pub did: Did,
    /// Its revision.
    pub rev: Tid,
    /// A CAR with the commit.
    pub blocks: &'a [u8],
}

/// `#identity`.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Number in the stream.
    pub seq: u64,
    /// When the host sent it first, as text.
    pub time: &'a str,
    /// The account.
    pub did: Did,
    /// Its handle, unverified.
    pub handle: Option<&'a str>,
}

/// `#account`.
#[derive(Debug, Clone)]
pub struct Account<'a> {
    /// Number in the stream.
    pub seq: u64,
    /// When the host sent it first, as text.
    pub time: &'a str,
    /// The account.
    pub did: Did,
    /// Whether the host has its repository and gives it out.
    pub active: bool,
    /// Why not.
    pub status: Option<&'a str>,
}

/// `#info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info<'a> {
    /// Such as `OutdatedCursor`.
    pub name: &'a str,
    /// In words.
    pub message: Option<&'a str>,
}

/// An error frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Such as `FutureCursor`.
    pub error: &'a str,
    /// In words.
    pub message: Option<&'a str>,
}

/// An operation or a type that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// Operation of the header.
    pub op: i64,
    /// Type of the header.
    pub kind: Option<&'a str>,
    /// Number in the stream, if it has one where others have theirs.
    pub seq: Option<u64>,
}

impl Frame<'_> {
    /// Number in the stream, for the cursor.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Commit(frame) => Some(frame.seq),
            Self::Sync(frame) => Some(frame.seq),
            Self::Identity(frame) => Some(frame.seq),
            Self::Account(frame) => Some(frame.seq),
            Self::Unknown(frame) => frame.seq,
            Self::Info(_) | Self::Error(_) => None,
        }
    }

    /// The account that it concerns.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::Commit(frame) => Some(&frame.event.repo),
            Self::Sync(frame) => Some(&frame.did),
            Self::Identity(frame) => Some(&frame.did),
            Self::Account(frame) => Some(&frame.did),
            Self::Info(_) | Self::Error(_) | Self::Unknown(_) => None,
        }
    }

    /// The frame's bytes in canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode::frame(self)
    }

    /// The frame cut where its number goes: whoever gives out the numbers writes `before`, the number as an unsigned
    /// integer of CBOR, `after`. The number that it has counts for nothing; `None` for a frame without one.
    #[must_use]
    pub fn split(&self) -> Option<Split> {
        encode::split(self).map(|(before, after)| Split { before, after })
    }
}
