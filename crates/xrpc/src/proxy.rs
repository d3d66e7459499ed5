//! Requests that this host passes on in an account's name: to the service that the caller names, or to the default one.

pub mod after_write;
pub mod target;
