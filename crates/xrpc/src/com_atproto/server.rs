//! The methods under `com.atproto.server`.

pub mod activate_account;
pub mod check_account_status;
pub mod get_service_auth;
pub mod reserve_signing_key;
