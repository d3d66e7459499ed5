//! The identifiers of AT Protocol, parsed once and newtypes afterwards.
//!
//! *Owns*: `Did`, `Handle`, `Nsid`, `Rkey`, `Tid`, `AtUri`, `RecordPath`, the string formats of lexicons, and
//! [`ErrorKind`], the one vocabulary in which every crate classifies its errors.
//! *Speaks*: nothing but text; every parser is hand written, linear and free of panics.
//! *Knows nothing about*: networks, stores, keys, clocks, CBOR.
//! *Start reading at*: [`Did`] for the shape all newtypes share, then [`Tid`] and [`RecordPath`].
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

mod at_identifier;
mod at_uri;
mod cid_text;
mod datetime;
mod did;
mod domain;
mod error;
mod handle;
pub mod json;
mod language;
mod newtype;
mod nsid;
mod record_path;
mod rkey;
mod tid;
mod uri;

pub use at_identifier::AtIdentifier;
pub use at_uri::AtUri;
pub use cid_text::CidText;
pub use datetime::Datetime;
pub use did::{Did, DidMethod};
pub use error::{ErrorKind, SyntaxError};
pub use handle::Handle;
pub use language::Language;
pub use nsid::Nsid;
pub use record_path::RecordPath;
pub use rkey::Rkey;
pub use tid::Tid;
pub use uri::Uri;
