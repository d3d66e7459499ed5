//! What a host or relay does wrong, as data: a script is a list of rules, each of which says when and what.

use serde::{Deserialize, Serialize};

/// When a rule applies and what happens then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// To which events.
    pub when: When,
    /// What happens instead of sending the event, or with it.
    pub what: Behaviour,
    /// How often at most, over all connections; `None`: whenever it applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Rule {
    /// Always.
    #[must_use]
    pub const fn always(what: Behaviour) -> Self {
        Self { when: When::Always, what, times: None }
    }

    /// At the event of this number, once: when it is asked for again, the truth is told.
    #[must_use]
    pub const fn once(seq: u64, what: Behaviour) -> Self {
        Self { when: When::Seq(seq), what, times: Some(1) }
    }

    /// At every event of one account.
    #[must_use]
    pub const fn account(n: usize, what: Behaviour) -> Self {
        Self { when: When::Account(n), what, times: None }
    }

    /// At so many events of a thousand, the same ones each time.
    #[must_use]
    pub const fn per_mille(share: u32, what: Behaviour) -> Self {
        Self { when: When::PerMille(share), what, times: None }
    }
}

/// To which events a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// To all.
    Always,
    /// To the event of this number.
    Seq(u64),
    /// To this one and all behind it.
    From(u64),
    /// To every one whose number this divides.
    Every(u64),
    /// To those of one account, by its place in the plan.
    Account(usize),
    /// To so many of a thousand, chosen by number.
    PerMille(u32),
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// The event is withheld.
    Drop,
    /// The event comes twice.
    Duplicate,
    /// The event comes after the one that follows it.
    Swap,
    /// Commit signed by a key that is not the account's.
    ForgeSignature,
    /// A commit that the event's account signed, announced as the event of another account.
    ForeignDid,
    /// The same tree under a revision so many seconds older, signed.
    OlderRev(u64),
    /// The same tree under a revision so many seconds ahead of now, signed.
    FutureRev(u64),
    /// A second commit under the same revision, signed, behind the first.
    Equivocate,
    /// `prevData` names a tree that never was.
    WrongPrevData,
    /// Neither `prevData` nor `prev`: a host older than Sync 1.1.
    MissingPrevData,
    /// `since` names a revision that never was.
    WrongSince,
    /// An operation names another record than the tree holds.
    WrongOp,
    /// One operation is not mentioned.
    HideOp,
    /// One block of the proof is missing.
    MissingBlock,
    /// One byte of one block is another.
    FlipBlock,
    /// Blocks that nothing asks for, this many bytes.
    ExtraBlocks(usize),
    /// `tooBig`, without blocks: an old host.
    TooBig,
    /// `rebase`, an old host.
    Rebase,
    /// The frame ends after so many bytes of a hundred; the WebSocket message is whole.
    TruncateFrame(u8),
    /// A message of noise, this many bytes.
    Garbage(usize),
    /// A frame of an unknown type before the event.
    UnknownType,
    /// A frame of an unknown operation before the event.
    UnknownOp,
    /// An event that breaks its schema: the DID is no DID.
    BadDid,
    /// The number of the event runs backwards.
    OldSeq,
    /// The number of the event is beyond what JavaScript can count.
    HugeSeq,
    /// `#account` with this status for an account, from here; an empty status makes it active.
    AccountStatus(String),
    /// `#identity` before the event, this many times.
    IdentityFlood(u32),
    /// `#info` of this name before the event.
    Info(String),
    /// An error frame of this name, then the end.
    Error(String),
    /// A whole message of this many bytes.
    HugeFrame(usize),
    /// A message that says it is this long, and the connection stays open without it.
    LongFrame(u64),
    /// The event, so many bytes a second.
    Trickle(u64),
    /// A message in fragments without end.
    EndlessFragments,
    /// A message in fragments of one byte, with a ping between them, one every so many milliseconds.
    DripFragments(u64),
    /// Pings, this many, before the event.
    PingFlood(u32),
    /// The event as text.
    Text,
    /// A frame with a reserved bit, as if it were compressed.
    Compressed,
    /// A frame masked as only clients do.
    Masked,
    /// Silence for so many milliseconds before the event.
    Stall(u64),
    /// A proper goodbye with this code.
    Close(u16),
    /// The connection breaks.
    Reset,
    /// The connection breaks in the middle of the event.
    CutFrame,
}
