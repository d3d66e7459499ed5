//! Why a frame cannot be read.

use p2pds_ipld::CborError;
use p2pds_syntax::{Did, ErrorKind};

use super::MAX_FRAME;

/// Why a frame cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than the protocol allows.
    #[error("the frame has {0} bytes, at most {MAX_FRAME} are read")]
    TooLong(usize),
    /// Not two items of strict CBOR: header and payload.
    #[error("the frame is not what a repository stream sends: {0}")]
    Malformed(#[from] CborError),
    /// An event that breaks its schema. The frames behind it may be good ones.
    #[error("the event{} cannot be read: its field `{field}` {why}", of(.seq, .did))]
    Event {
        /// Type of the frame, such as `#commit`.
        kind: &'static str,
        /// The first field that is wrong.
        field: &'static str,
        /// What is wrong with it.
        why: String,
        /// Number of the event, when that could be read.
        seq: Option<u64>,
        /// Account of the event, when that could be read.
        did: Option<Did>,
    },
}

impl FrameError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong(_) => ErrorKind::Limited,
            Self::Malformed(_) | Self::Event { .. } => ErrorKind::Invalid,
        }
    }

    /// Number of the event, when that could be read.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Event { seq, .. } => *seq,
            _ => None,
        }
    }

    /// Account of the event, when that could be read.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match self {
            Self::Event { did, .. } => did.as_ref(),
            _ => None,
        }
    }
}

fn of(seq: &Option<u64>, did: &Option<Did>) -> String {
    let mut out = String::new();
    if let Some(seq) = seq {
        out.push_str(&format!(" {seq}"));
    }
    if let Some(did) = did {
        out.push_str(&format!(" of {did}"));
    }
    out
}
