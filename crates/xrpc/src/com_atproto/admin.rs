//! The methods under `com.atproto.admin`.

pub mod update_account_handle;
