//! The methods under `com.atproto.server`.

pub mod get_service_auth;
