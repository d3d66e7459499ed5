//! Who an account is: DID documents, did:plc operation logs, did:web and handle rules.
//!
//! *Owns*: [`DidDocument`], everything about [`plc`] operations and logs (reading, validating, building), [`web`], [`handle`].
//! *Speaks*: JSON and DAG-CBOR bytes; times are arguments.
//! *Knows nothing about*: networks, DNS, caches, stores. Whoever fetches hands in what came back.
//! *Start reading at*: [`plc::validate_log`], then [`DidDocument::parse`].
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

mod bounded;
pub mod doc;
pub mod handle;
pub mod plc;
pub mod web;

pub use doc::{DidDocument, DocumentError};
pub use web::did_web_url;
