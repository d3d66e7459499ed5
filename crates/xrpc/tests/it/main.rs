//! The public door over a real store, without sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod apps;
mod authority;
mod bound;
mod by_cid;
mod hostile;
#[path = "../../../host/tests/shared/mod.rs"]
mod hosting;
mod house;
mod limits;
mod matrix;
mod methods;
mod own;
mod passed_on;
mod reports;
mod scopes;
mod service;
mod table;
