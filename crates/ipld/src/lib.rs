//! CIDs, strict DRISL/DAG-CBOR, its JSON form, and CAR v1.
//!
//! *Owns* the bytes of blocks and of CAR files, and the rules for what is canonical.
//! *Speaks* DASL CID, DRISL/DAG-CBOR without floats, AT Protocol JSON (`$link`, `$bytes`), CAR v1.
//! *Knows nothing about* repositories, trees, accounts, files or networks.
//! *Start reading at* [`cid::Cid`], then [`cbor::validate`].
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

pub mod car;
pub mod cbor;
pub mod cid;
mod error;
pub mod json;
mod sha;
mod varint;

pub use cid::{CID_LEN, Cid, CidError, Codec};
pub use error::{CborError, CborFault};
pub use sha::{sha256, sha256_front};
