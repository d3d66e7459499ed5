//! The public door over a real store, without sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod by_cid;
mod hostile;
mod house;
mod matrix;
mod methods;
mod own;
mod table;
