//! Lexicons that cannot be used, and data that breaks them.

use p2pds_syntax::{ErrorKind, Nsid, SyntaxError};

/// A lexicon that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    /// Not the JSON of a lexicon.
    #[error("this is not a lexicon: {problem}")]
    Json {
        /// What the parser said.
        problem: String,
    },
    /// Its name is not an NSID.
    #[error("the lexicon's id is wrong: {0}")]
    Id(#[from] SyntaxError),
    /// A definition that is not allowed where it stands or contradicts itself.
    #[error("the definition {name:?} of the lexicon {id} is wrong: {problem}")]
    Definition {
        /// Which lexicon.
        id: Nsid,
        /// Which of its definitions.
        name: String,
        /// Why.
        problem: String,
    },
    /// A lexicon without definitions.
    #[error("the lexicon {id} defines nothing")]
    Empty {
        /// Which lexicon.
        id: Nsid,
    },
}

impl LexiconError {
    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Data that is not what its schema asks for, or whose schema is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// There is no such schema here, so nothing can be said about the data.
    #[error("the schema {reference} is not known here")]
    UnknownSchema {
        /// `nsid` or `nsid#name`.
        reference: String,
    },
    /// The schema is not of the kind that was asked for.
    #[error("{reference} does not define {expected}")]
    WrongKind {
        /// `nsid` or `nsid#name`.
        reference: String,
        /// Such as `a record`.
        expected: &'static str,
    },
    /// The record key is not of the type that the collection asks for.
    #[error("the record key {rkey:?} is wrong: records of {collection} have {expected}")]
    RecordKey {
        /// The collection.
        collection: Nsid,
        /// The key as given.
        rkey: String,
        /// What its type asks for.
        expected: String,
    },
    /// A value breaks the schema.
    #[error("{} {problem}", if .path.is_empty() { "the value" } else { .path.as_str() })]
    Data {
        /// Where, such as `embed.images[2].alt`; empty for the whole.
        path: String,
        /// Which rule.
        problem: String,
    },
}

impl ValidationError {
    /// [`ErrorKind::NotFound`] if the schema is missing, [`ErrorKind::Invalid`] otherwise.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownSchema { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Invalid,
        }
    }
}
