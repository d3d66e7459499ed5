//! *Owns*: the authorization server of hosted accounts: what an application may be granted, and what it was granted.
//! *Speaks*: OAuth 2.1 as AT Protocol profiles it; the store underneath; the account port that the host fills.
//! *Knows nothing about*: HTTP surfaces, pages, repos, how passwords are kept.
//! *Start reading at*: [`scope`] for what can be granted.

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

pub mod scope;
