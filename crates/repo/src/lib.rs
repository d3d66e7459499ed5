//! The repository engine: MST, buckets, write planning, commits, diff, proofs, inversion, CAR files.
//!
//! *Owns* the tree rules: what the one tree of a sorted list of records is, and every proof about it.
//! *Speaks* repository format 3, Sync 1.1 commit events, CAR v1 of whole repositories.
//! *Knows nothing about* storage, networks, clocks, accounts' policies: bytes, time and keys are arguments.
//! *Start reading at* [`mst`], then [`bucket`].
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

pub mod bucket;
pub mod car_in;
pub mod car_out;
pub mod commit;
pub mod event;
pub mod mst;
