//! The methods under `com.atproto`.

pub mod admin;
pub mod identity;
pub mod moderation;
pub mod repo;
pub mod server;
pub mod sync;
pub mod temp;
