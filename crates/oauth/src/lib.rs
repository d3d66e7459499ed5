//! *Owns*: the authorization server of hosted accounts: what an application may be granted, and what it was granted.
//! *Speaks*: OAuth 2.1 as AT Protocol profiles it; the store underneath; the account port that the host fills.
//! *Knows nothing about*: HTTP surfaces, pages, repos, how passwords are kept.
//! *Start reading at*: [`OAuth::par`], [`OAuth::begin`], [`OAuth::token`], [`OAuth::check`], in the order in which an
//! application meets them; [`scope`] for what can be granted.

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

mod authorize;
mod browser;
mod check;
mod client;
mod error;
mod form;
mod nonce;
mod port;
mod request;
pub mod scope;
mod secrets;
mod server;
mod token;

pub use authorize::{Authorization, Begun, DeviceAccount, Redirect};
pub use browser::{Device, DeviceId, Grant, SignedIn};
pub use check::{Granted, Refused};
pub use client::Client;
pub use error::OAuthError;
pub use form::Form;
pub use nonce::MOST_REMEMBERED;
pub use port::{Account, AccountPort, AccountStatus, Factor, FactorAsked, LogIn, LoginRefused, Prove};
pub use request::{Mode, Parameters, Prompt, Pushed};
pub use server::{
    ACCESS_SECONDS, CHALLENGE_LASTS, CODE_LASTS, CONFIDENTIAL_LASTS, CONFIDENTIAL_REFRESH, Clock,
    MOST_REQUESTS, OAuth, OAuthConfig, OAuthDeps, PUBLIC_LASTS, REQUEST_LASTS,
};
pub use token::{ACCESS_TYP, Tokens};
