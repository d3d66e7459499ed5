//! The methods under `app.bsky.actor`.

pub mod get_preferences;
pub mod put_preferences;

/// What an application may keep here.
pub(crate) const NAMESPACE: &str = "app.bsky";
