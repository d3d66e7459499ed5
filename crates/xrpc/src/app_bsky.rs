//! The methods of `app.bsky` that a host answers from its own store.

pub mod actor;
