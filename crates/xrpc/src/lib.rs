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

mod asked;
mod by_cid;
mod com_atproto;
mod config;
mod door;
mod error;
mod limits;
mod org_p2pds;
pub mod proxy;
mod reply;
mod table;

pub use asked::{Asked, Params, PeerAddress};
pub use config::{Net, XrpcConfig};
pub use door::{Xrpc, router};
pub use error::XrpcError;
pub use reply::MIRROR;
pub use table::{ABSENT, Credentials, METHODS, Method, Reason};
