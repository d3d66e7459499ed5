//! What is reached over HTTP and is no lexicon method. All of it is public; none of it takes credentials.

/// Who answers a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The node: its own door, or its pages.
    Node,
    /// This crate.
    Here,
    /// This crate, when the node hosts accounts.
    Hosting,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Its path.
    pub path: &'static str,
    /// Who answers it.
    pub by: By,
}

const fn route(path: &'static str, by: By) -> Route {
    Route { path, by }
}

/// All of them.
pub const ROUTES: &[Route] = &[
    route("/", By::Node),
    route("/livez", By::Node),
    route("/readyz", By::Node),
    route("/robots.txt", By::Node),
    route("/xrpc/_health", By::Node),
    route("/ipfs/{cid}", By::Here),
    route("/.well-known/rasl/{cid}", By::Here),
    route("/.well-known/atproto-did", By::Hosting),
    route("/.well-known/did.json", By::Hosting),
    route("/tls-check", By::Hosting),
    route("/.well-known/oauth-protected-resource", By::Hosting),
    route("/.well-known/oauth-authorization-server", By::Hosting),
    route("/oauth/jwks", By::Hosting),
    route("/oauth/par", By::Hosting),
    route("/oauth/token", By::Hosting),
    route("/oauth/revoke", By::Hosting),
    route("/oauth/authorize", By::Node),
    route("/account", By::Node),
];
