//! *Owns*: hosted accounts: their write path, sessions, identities, events, blobs, migration.
//! *Speaks*: the protocol's names for errors; units to the store, bytes to blobs, operations to the PLC directory.
//! *Knows nothing about*: HTTP, headers, routes; the archive.
//! *Start reading at*: [`Host`], then `write.rs`; `moving.rs` for accounts that come out of the archive.

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

mod access;
pub mod accounts;
mod activation;
pub mod blobs;
mod clock;
mod config;
mod error;
pub mod events;
pub mod firehose;
mod handles;
mod host;
mod identity;
pub mod jobs;
pub mod keys;
pub mod lexicons;
mod moving;
pub mod oauth;
pub mod passwords;
mod plc;
mod reason;
pub mod relay;
pub mod service_auth;
pub mod sessions;
mod since;
mod single_user;
mod well_known;
pub mod write;

pub use access::{Access, Refresh, Scope, Standing};
pub use activation::AccountState;
pub use clock::Clock;
pub use config::HostConfig;
pub use error::{HostError, HostResult};
pub use handles::{Chooser, Claim};
pub use host::{Host, HostDeps};
pub use identity::{IdentityInfo, Recommended};
pub use moving::{ArchiveSide, PROMOTION};
pub use plc::PlcChange;
pub use reason::Reason;
pub use since::Since;
pub use single_user::SingleUser;
