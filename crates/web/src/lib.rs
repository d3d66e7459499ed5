//! *Owns*: the pages that people use: what stands on them, in which words, and what their forms do.
//! *Speaks*: HTML, Fluent, server-sent events; the services underneath.
//! *Knows nothing about*: the store's rows, sockets, how anything is fetched, proved or signed.
//! *Start reading at*: `router.rs` for what there is, then any page: `pages/home.rs`.

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
