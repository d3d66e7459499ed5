//! The methods under `com.atproto.sync`.

pub mod get_latest_commit;
