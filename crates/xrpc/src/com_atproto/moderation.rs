//! The methods under `com.atproto.moderation`.

pub mod create_report;
