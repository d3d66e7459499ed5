//! did:plc: operations, logs, and the rules that make a log believable without trusting the directory.
//!
//! A did:plc is the hash of its first operation. Every later operation names its predecessor by hash and is signed by one
//! of the *rotation keys* that the predecessor lists, in order of authority. Within 72 hours a key of higher authority may
//! *fork* the history: it continues from an earlier operation and so *nullifies* what came after. A log with all of its
//! operations, nullified ones included, can therefore be checked from the DID alone: [`validate_log`].
//!
//! What validation cannot show: that the directory handed out *all* operations, and when they really arrived (`createdAt` is
//! the directory's word). [`compare`] finds out whether two answers contradict each other.
//!
//! Spec: <https://web.plc.directory/spec/v0.1/did-plc>.

mod audit;
mod change;
mod data;
mod error;
mod explain;
mod log;
mod operation;
mod signature;
mod unsigned;
mod validate;

pub use audit::{LogEntry, parse_audit, write_audit};
pub use change::{LogChange, compare};
pub use data::{Data, Service};
pub use error::{EntryFault, PlcError};
pub use explain::{Difference, Signer, Step, Undo, differences};
pub use log::{KeyPeriod, Log, State};
pub use operation::{LegacyCreate, Operation};
pub use signature::Signature;
pub use unsigned::Unsigned;
pub use validate::validate_log;

/// Largest operation that is read, in bytes of signed DAG-CBOR: the limit of the specification.
pub const MAX_OPERATION_READ: usize = 7_500;

/// Most rotation keys of an operation that is read; the directory allows 10. Without a bound, a log of 8 MiB could ask
/// for a million signature checks.
pub const MAX_ROTATION_KEYS_READ: usize = 32;

/// Largest operation that is built, in bytes of signed DAG-CBOR: the limit of the directory's server.
pub const MAX_OPERATION_WRITTEN: usize = 4_000;

/// How long a key of higher authority may undo an operation, in microseconds: 72 hours, the last instant included.
pub const RECOVERY_WINDOW_MICROS: i64 = 72 * 3600 * 1_000_000;
