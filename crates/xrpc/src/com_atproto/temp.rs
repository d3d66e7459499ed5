//! The methods under `com.atproto.temp`.

pub mod check_signup_queue;
