//! Events: what subscribers of the firehose are told, in one order for all accounts.

mod tail;

use async_trait::async_trait;
use bytes::Bytes;
use p2pds_syntax::Did;

pub use tail::{Replay, Tail, TailChange};

use crate::StoreResult;

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A commit with its proof.
    Commit,
    /// A head without what led to it.
    Sync,
    /// The identity changed.
    Identity,
    /// The status of the account changed.
    Account,
}

impl EventKind {
    /// The protocol's word, without its `#`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Sync => "sync",
            Self::Identity => "identity",
            Self::Account => "account",
        }
    }
}

/// An event that has no number yet. Its frame is `before`, the number as a CBOR integer, `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Whom it concerns. It need not be an account of this store any more.
    pub did: Did,
    /// What it tells.
    pub kind: EventKind,
    /// When it was made, microseconds since 1970.
    pub at: i64,
    /// The frame up to its number.
    pub before: Vec<u8>,
    /// The frame after its number.
    pub after: Vec<u8>,
}

impl NewEvent {
    /// The frame with this number.
    #[must_use]
    pub fn frame(&self, seq: i64) -> Vec<u8> {
        let size = self.before.len().saturating_add(self.after.len()).saturating_add(9);
        let mut frame = Vec::with_capacity(size);
        frame.extend_from_slice(&self.before);
        push_uint(&mut frame, u64::try_from(seq).unwrap_or(0));
        frame.extend_from_slice(&self.after);
        frame
    }
}

/// A CBOR unsigned integer in its shortest form.
fn push_uint(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let [.., a, b, c, d] = bytes;
    match value {
        0..24 => out.push(d),
        24..0x100 => out.extend([0x18, d]),
        0x100..0x1_0000 => out.extend([0x19, c, d]),
        0x1_0000..0x1_0000_0000 => out.extend([0x1a, a, b, c, d]),
        _ => {
            out.push(0x1b);
            out.extend(bytes);
        }
    }
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number. Numbers ascend, have gaps, and are never used twice.
    pub seq: i64,
    /// Whom it concerns.
    pub did: Did,
    /// What it tells.
    pub kind: EventKind,
    /// When it was made, microseconds since 1970.
    pub at: i64,
    /// The frame as it is sent.
    pub frame: Bytes,
}

/// What is stored of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTotals {
    /// How many are stored.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// The greatest number that was ever given or jumped to.
    pub last_seq: i64,
}

/// Where the stored events begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstEvent {
    /// Number of the oldest stored event.
    pub seq: i64,
    /// When it was made.
    pub at: i64,
}

/// Reading events.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Events with a number greater than `seq`, in order: at most `limit`, and not more after the one with which
    /// their frames reach `max_bytes`.
    async fn events_after(&self, seq: i64, limit: usize, max_bytes: usize) -> StoreResult<Vec<EventRow>>;
    /// The oldest stored event.
    async fn first_event(&self) -> StoreResult<Option<FirstEvent>>;
    /// The greatest number that was ever given or jumped to; 0 when there was none.
    async fn last_seq(&self) -> StoreResult<i64>;
    /// The first stored event that was made at this time (microseconds since 1970) or later.
    async fn event_at_or_after(&self, time: i64) -> StoreResult<Option<i64>>;
    /// How many events are stored, and their bytes.
    async fn event_totals(&self) -> StoreResult<EventTotals>;
    /// The newest events, in memory.
    fn tail(&self) -> std::sync::Arc<Tail>;
}
