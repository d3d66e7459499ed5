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

mod archived;
mod ask;
mod assets;
mod browser;
mod cookies;
mod door;
mod drills;
mod form;
mod gallery;
mod identities;
mod jobs;
mod layout;
mod node_side;
pub mod pages;
mod parts;
mod plans;
mod qr;
mod query;
mod refused;
mod router;
mod safety;
pub(crate) mod samples;
mod shown;
mod tar;
mod web;
mod words;

pub use door::{Door, DoorConfig, DoorDeps, VisitorAddress, claim_address};
pub use gallery::gallery;
pub use node_side::{
    AlertNote, CapacityNote, CheckNote, LimitNote, LimitsNote, NodeSide, SettingNote, Trouble, WorkerNote,
};
pub use pages::nowhere::{plain as nothing_here, wants_page};
pub use pages::operator::limit_key;
pub use router::{PATHS, router};
pub use web::{Web, WebConfig, WebDeps};
pub use words::{Arg, Figure, Locale, Sentence, Words};
