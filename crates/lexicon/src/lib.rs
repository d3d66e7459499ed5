//! Lexicons: schemas of records and methods, and checking data against them.
//!
//! *Owns*: the schema model ([`Document`], [`Schema`]), the [`Catalog`] that resolves references, the validator.
//! *Speaks*: lexicon JSON (version 1) and `ipld` values.
//! *Knows nothing about*: how schemas are found or published, CBOR bytes, repositories. Data model rules are `ipld`'s.
//! *Start reading at*: [`Catalog::validate_record`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod catalog;
mod document;
mod error;
mod schema;
mod validate;

pub use catalog::Catalog;
pub use document::Document;
pub use error::{LexiconError, ValidationError};
pub use schema::{
    ArraySchema, BlobSchema, Body, BooleanSchema, BytesSchema, Definition, IntegerSchema, KeyType,
    MethodError, ObjectSchema, Params, Permission, PermissionSet, Procedure, Query, RecordSchema, RefSchema,
    Schema, StringFormat, StringSchema, Subscription, UnionSchema,
};
