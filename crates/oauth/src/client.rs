//! Clients: the applications that ask. What one is called and may do stands in a document that it publishes at its
//! `client_id`, or, while it is developed on somebody's own machine, in the `client_id` itself.
//!
//! Spec: draft-ietf-oauth-client-id-metadata-document, RFC 7591, RFC 8252,
//! <https://atproto.com/specs/oauth#clients>. Not checked: whether a client is what its name and logo say. The pages show
//! its host first.

mod assertion;
mod fetch;
mod id;
mod keys;
mod metadata;
mod redirect;

use p2pds_crypto::jwk::Jwk;

pub(crate) use assertion::{Check, Proven};
pub(crate) use fetch::Clients;
pub(crate) use keys::NONE as NO_KEYS;

/// A client, as its document describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// The host that speaks for it; empty for one on somebody's own machine.
    pub host: String,
    /// What it calls itself. Anybody may call himself anything.
    pub name: Option<String>,
    /// Its page, on its own host.
    pub uri: Option<String>,
    /// Its logo. Never fetched by this server.
    pub logo_uri: Option<String>,
    /// Its terms of service.
    pub tos_uri: Option<String>,
    /// Its privacy policy.
    pub policy_uri: Option<String>,
    /// The scopes that it may ask for.
    pub scope: String,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Whether it runs on people's own machines.
    pub native: bool,
    /// Whether it wants refresh tokens.
    pub refreshes: bool,
    /// Whether it proves itself with keys of its own.
    pub confidential: bool,
    /// The `alg` that it says its request objects have.
    pub(crate) request_object_alg: Option<String>,
    /// Its keys.
    pub(crate) keys: Vec<Jwk>,
}

impl Client {
    /// Whether it is one that is developed on somebody's own machine, of which nothing is known.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.is_empty()
    }
}
