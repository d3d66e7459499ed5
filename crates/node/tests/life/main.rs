//! The program as its users start it: node and commands, with and without each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod answers;
mod claim;
mod home;
mod node;
mod service;
