//! Owns: who an account is now: the identity cache, handle resolution both ways, the PLC mirror and its alarms.
//! Speaks: handles and DIDs in, [`Identity`] out; logs, evidence and findings into the store.
//! Knows nothing about: repos, blobs, who is archived and why.
//! Start reading at: [`Directory::resolve`], then `did.rs` (did:plc by its log) and `mirror.rs` (what an answer may change).
//!
//! A did:plc is believed because of its log, which is fetched whole and validated from the DID up; the
//! document is derived from it. A bare document is used only where no log was ever seen, and is marked so.
//! No answer makes a mirrored log shorter or different. A did:web is the word of its host.
//!
//! Answers are fresh for an hour and, when asking again fails, usable for a day; failures are remembered for
//! half a minute and longer each time; the same question is asked once at a time, however many ask it.

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

mod cache;
mod config;
mod did;
mod error;
pub mod export;
mod handle;
mod identity;
mod mirror;
mod resolve;

pub use config::DirectoryConfig;
pub use error::DirectoryError;
pub use identity::{HandleState, Identity, Source};
pub use mirror::{log_of_rows, plc_rows};
pub use resolve::Directory;
