//! What can be wrong with PLC operations and logs.

use p2pds_crypto::KeyError;
use p2pds_ipld::Cid;
use p2pds_syntax::{Did, ErrorKind};

/// An operation or a log that is not believed, or an operation that may not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlcError {
    /// Not JSON, or not the JSON of an audit log.
    #[error("the PLC log cannot be read: {problem}")]
    Json {
        /// What the parser said, with line and column.
        problem: String,
    },
    /// An operation with fields that are missing, unknown or of the wrong type.
    #[error("the PLC operation is malformed: {problem}")]
    Operation {
        /// Which field, and why.
        problem: String,
    },
    /// A log without operations.
    #[error("the PLC log of {did} is empty, so nothing is known about it")]
    Empty {
        /// Whose log.
        did: Did,
    },
    /// One entry of a log breaks a rule.
    #[error("operation {} of the PLC log of {did} is not valid: {fault}", .index.saturating_add(1))]
    Entry {
        /// Whose log.
        did: Did,
        /// Which entry, counted from zero.
        index: usize,
        /// The rule.
        fault: EntryFault,
    },
    /// An operation that the directory would refuse, found before it is signed.
    #[error("the directory would refuse this operation: {problem}")]
    Refused {
        /// The limit that it exceeds.
        problem: String,
    },
    /// The account is deleted, so there is nothing to continue from.
    #[error(
        "{did} has been deleted (tombstoned); only an earlier rotation key can undo that, within 72 hours"
    )]
    Tombstoned {
        /// Whose log.
        did: Did,
    },
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] p2pds_crypto::SignError),
}

/// The rule that an entry of a log breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// The entry is about somebody else.
    #[error("it belongs to {found}")]
    WrongDid {
        /// The DID in the entry.
        found: Did,
    },
    /// Larger than [`crate::plc::MAX_OPERATION_READ`].
    #[error("it has {bytes} bytes, {} are allowed", crate::plc::MAX_OPERATION_READ)]
    TooLarge {
        /// Size of its DAG-CBOR.
        bytes: usize,
    },
    /// More rotation keys than [`crate::plc::MAX_ROTATION_KEYS_READ`]: each is a signature to check for every fork.
    #[error("it has {count} rotation keys, {} are read", crate::plc::MAX_ROTATION_KEYS_READ)]
    TooManyKeys {
        /// How many it has.
        count: usize,
    },
    /// The directory's CID is not the hash of the operation.
    #[error("it is listed as {listed} but its hash is {computed}")]
    WrongCid {
        /// The CID in the entry.
        listed: Cid,
        /// The CID of the operation in the entry.
        computed: Cid,
    },
    /// A did:key that is not one.
    #[error("its {role} {key:?} cannot be used: {source}")]
    BadKey {
        /// `rotation key` or `verification method`.
        role: &'static str,
        /// The key as written.
        key: String,
        /// Why.
        source: KeyError,
    },
    /// The first operation has a predecessor, or is a tombstone.
    #[error("the first operation must create the account, this one continues another")]
    NotGenesis,
    /// The hash of the first operation gives another DID.
    #[error("it creates {computed}")]
    WrongGenesis {
        /// The DID that the operation creates.
        computed: Did,
    },
    /// A later operation without predecessor, or of the legacy `create` type.
    #[error("only the first operation may create the account")]
    SecondGenesis,
    /// The same operation twice.
    #[error("the same operation is listed twice")]
    Duplicate,
    /// Its predecessor does not come before it.
    #[error("its predecessor {prev} is not among the operations before it")]
    UnknownPrev {
        /// The predecessor it names.
        prev: Cid,
    },
    /// It continues from an operation that had been nullified.
    #[error("its predecessor {prev} was nullified")]
    PrevNullified {
        /// The predecessor it names.
        prev: Cid,
    },
    /// It continues from a tombstone.
    #[error("nothing may follow a deletion; undoing one has to continue from the operation before it")]
    AfterTombstone,
    /// No rotation key of its predecessor (or, for the first operation, of its own) made the signature.
    #[error("its signature was made by none of the {keys} rotation keys that were in force")]
    BadSignature {
        /// How many were tried.
        keys: usize,
    },
    /// It forks the history with a key that has no higher authority than the one it overrules.
    #[error("it overrules an operation that was signed by a key of equal or higher authority")]
    LowAuthority,
    /// It forks the history too late.
    #[error("it overrules an operation that was {hours} hours old, 72 are allowed")]
    TooLate {
        /// Age of the oldest operation that it would nullify, rounded up.
        hours: i64,
    },
    /// Its time does not lie after that of the operation it follows.
    #[error("its time {created_at} does not lie after that of the operation before it")]
    TimeOrder {
        /// The directory's time for it.
        created_at: String,
    },
    /// The directory says otherwise about whether it counts.
    #[error("it is listed with nullified = {listed}, and the operations after it say the opposite")]
    WrongNullified {
        /// The directory's claim.
        listed: bool,
    },
}

impl PlcError {
    /// Logs and operations that break rules are [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Json { .. } | Self::Operation { .. } | Self::Empty { .. } | Self::Entry { .. } => {
                ErrorKind::Invalid
            }
            Self::Refused { .. } => ErrorKind::Limited,
            Self::Tombstoned { .. } => ErrorKind::Conflict,
            Self::Sign(error) => error.kind(),
        }
    }

    /// The rule that an entry broke, if this is about one entry.
    pub fn fault(&self) -> Option<&EntryFault> {
        match self {
            Self::Entry { fault, .. } => Some(fault),
            _ => None,
        }
    }
}
