//! *Owns*: the SQLite adapter of the store: one file, one writer thread, group commit, readers
//! on their own threads, checkpoints, disk-full behaviour, compression, purge and hygiene.
//! *Speaks*: the port of `p2pds-store`; SQL stays inside.
//! *Knows nothing about*: the network, trees (it marks buckets, it does not compute them), clocks.
//! *Start reading at*: [`SqliteStore`], then `writer.rs` for the group commit and `apply.rs` for
//! what each unit does. `docs/adr/0001-store-layout.md` says why the tables look as they do.

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

mod apply;
mod body;
mod checkpoint;
mod codes;
mod copy;
mod disk;
mod fault;
pub mod foreign;
mod hosting;
mod lock;
mod open;
mod options;
mod prepare;
mod queue;
mod read;
mod readers;
pub mod salvage;
mod store;
mod traces;
mod writer;

pub use open::FILE_NAME;
pub use options::{Options, Synchronous};
pub use store::SqliteStore;
