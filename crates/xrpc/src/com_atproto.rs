//! The methods under `com.atproto`.

pub mod sync;
