//! Owns: every outbound connection of the node; the address table, DNS, limits, retries.
//! Speaks: HTTP/1.1 and 2 and WebSocket over TLS, DNS, the error envelope of XRPC.
//! Knows nothing about: DIDs, repos, blobs, the store.
//! Start reading at: [`Client`], then `target.rs` (what may be asked) and `address.rs` (what may be reached).
//!
//! A request passes four gates: the URL rules (https, ports 443 and 80, literal
//! addresses of any spelling judged), the manners towards its host (slots, rate,
//! `Retry-After`), the resolver (every DNS answer filtered at the moment of
//! connecting), and the limits of its body (size after decompression, rate, time).
//! Redirects pass all four again. No proxy is taken from the environment.
//!
//! Not checked: whether a public address is the node's own.

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

pub mod address;
mod client;
mod config;
mod dns;
mod error;
mod forward;
mod limiter;
mod pace;
mod response;
mod retry;
mod roots;
mod target;
mod ws;
mod xrpc;

pub use address::{Reach, is_public};
pub use client::Client;
pub use config::{GetOptions, NetConfig};
pub use dns::Resolver;
pub use error::NetError;
pub use forward::Forward;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use pace::{Pace, Pause, SystemPace};
pub use response::Response;
pub use roots::read_roots;
pub use ws::{WsOptions, WsStream};
