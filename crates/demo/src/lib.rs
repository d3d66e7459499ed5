//! *Owns*: a whole network in one process, on loopback, in a temporary directory: a PLC directory, a name server, two
//! hosts, a stream that merges both, five people with life going on, and a desk to try things at.
//! *Speaks*: what the real ones speak: HTTP, DNS, WebSocket; to the services underneath, as the node does.
//! *Knows nothing about*: the node that is pointed at it, the public network, anybody's real data.
//! *Start reading at*: [`Network::start`], then `people.rs` for who lives there.

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

mod chance;
mod desk;
mod error;
mod life;
mod names;
mod network;
mod people;
mod picture;
mod place;
mod plc;
mod relay;
mod sayings;
mod socket;
mod words;

pub use error::DemoError;
pub use life::Pace;
pub use network::{Network, Options};
pub use people::Sample;
