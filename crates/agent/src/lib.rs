//! *Owns*: acting for an account at its own host: signing in by OAuth or with an app password, keeping the sessions
//! sealed, reading and writing records with them, uploading blobs.
//! *Speaks*: OAuth as AT Protocol profiles it (PAR, PKCE, DPoP), `com.atproto.server.createSession|refreshSession`,
//! `com.atproto.repo.getRecord|putRecord|uploadBlob`, over the one outbound client.
//! *Knows nothing about*: what is archived here, pages, command lines.
//! *Start reading at*: [`Agents::begin`] and [`Agents::finish`] for signing in, [`Agent`] for what is done with it.

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
mod oauth;
mod repo;
mod seal;
mod secret;
mod session;

pub use error::AgentError;
pub use oauth::{
    Agents, AgentsDeps, Begin, Begun, CALLBACK_PATH, Callback, Clock, METADATA_PATH, Need, PUBLISHED, Proved,
    SignInError, SignedIn, Us,
};
pub use repo::{Put, Standing};
pub use seal::{Seal, SealError};
pub use secret::Secret;
pub use session::Agent;
