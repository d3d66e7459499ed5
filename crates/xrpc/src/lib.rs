//! *Owns*: the public door: which methods there are, who may call them and how often, and what goes out with which
//! headers. One file for each lexicon method.
//! *Speaks*: XRPC over HTTP, RASL, the IPFS trustless gateway; [`p2pds_reading`] underneath.
//! *Knows nothing about*: sockets, the store's rows, how data got here, the operator.
//! *Start reading at*: `table.rs` for what is served, then any method: `com_atproto/sync/get_latest_commit.rs`.

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

mod app_bsky;
mod asked;
mod auth;
mod by_cid;
mod com_atproto;
mod config;
mod door;
mod error;
mod firehose;
mod guard;
mod input;
mod limits;
pub mod meter;
mod oauth;
mod org_p2pds;
mod output;
pub mod proxy;
mod reply;
mod table;
mod well_known;

pub use asked::{Asked, Caller, Params, PeerAddress, counted_address};
pub use auth::{Asking, Auth, Called, Grant, Refreshing, Secret, Session, authenticate};
pub use config::{
    Net, OwnCall, OwnCalls, SEEN_BYTES, SEEN_CALLER, SEEN_FORWARDED, SEEN_HOST, SEEN_PEER, SEEN_TRUSTED,
    XrpcConfig,
};
pub use door::{Xrpc, router};
pub use error::XrpcError;
pub use input::Input;
pub use limits::{InForce, in_force};
pub use output::Output;
pub use reply::MIRROR;
pub use table::{
    Body, By, Credentials, FAMILIES, Kind, Method, Most, Permission, ROUTES, Reason, Route, Served, Sessions,
    UNLISTED, method, methods,
};
