//! Following accounts: what a stream of repository events says, and what one account's copy should do about it.
//!
//! *Owns* the frames of `com.atproto.sync.subscribeRepos`, and the rules of Sync 1.1 for one account: which event is
//! the next commit, which one says nothing new, which one is a lie, and when the copy is out of step.
//! *Speaks* event-stream frames (DRISL), Sync 1.1.
//! *Knows nothing about* sockets, cursors, stores, clocks: bytes, keys and time are arguments.
//! *Start reading at* [`follow::step`], then [`frame::decode`].
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

pub mod follow;
pub mod frame;

pub use follow::{Context, Decision, Head, Key, Origin, State, Status, step};
pub use frame::{Frame, FrameError, Split, decode, peek};
