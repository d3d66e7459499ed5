//! The methods under `com.atproto`.

pub mod repo;
pub mod server;
pub mod sync;
