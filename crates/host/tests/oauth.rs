//! The authorization server on a host's accounts: an application from its first request to its last, and everything that
//! must not work, each with the line of the specification that says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

#[path = "oauth/app.rs"]
mod app;
#[path = "oauth/documents.rs"]
mod documents;
#[path = "oauth/flow.rs"]
mod flow;
#[path = "oauth/negative.rs"]
mod negative;
#[path = "oauth/negative/page.rs"]
mod negative_page;
#[path = "oauth/negative/tokens.rs"]
mod negative_tokens;
mod shared;
#[path = "oauth/site.rs"]
mod site;
