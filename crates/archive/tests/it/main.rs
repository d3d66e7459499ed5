//! The archive against a scripted network: adding, syncing, checking, importing, removing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod add;
mod fake;
mod follow;
mod history;
mod import;
mod intake;
mod quota;
mod reading;
mod remove;
mod scrub;
mod sync;
mod verify;
mod watch;
