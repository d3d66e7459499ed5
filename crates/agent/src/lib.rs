//! *Owns*: acting for an account at its own host: an app password becomes a session, with it records are read and
//! written and blobs uploaded.
//! *Speaks*: `com.atproto.server.createSession|refreshSession`, `com.atproto.repo.getRecord|putRecord|uploadBlob`, over
//! the one outbound client.
//! *Knows nothing about*: what is archived here, stores, command lines; OAuth (another way in, later).
//! *Start reading at*: [`Agent::login`]; what is written is in `repo.rs`.

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

mod error;
mod repo;
mod secret;
mod session;

pub use error::AgentError;
pub use repo::{Put, Standing};
pub use secret::Secret;
pub use session::Agent;
