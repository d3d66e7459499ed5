//! The door itself: what all methods share, and the routes.

use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use p2pds_reading::Reading;

use crate::config::XrpcConfig;
use crate::error::XrpcError;
use crate::table::METHODS;

/// What the methods share.
pub struct Xrpc {
    /// The only way to stored bytes.
    pub reading: Reading,
    /// Settings.
    pub config: XrpcConfig,
    /// Sums of the index of lexicons.
    pub lexicons: crate::org_p2pds::lexicon::Index,
}

impl std::fmt::Debug for Xrpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Xrpc").finish_non_exhaustive()
    }
}

impl Xrpc {
    /// A door to what `reading` gives out.
    #[must_use]
    pub fn new(reading: Reading, config: XrpcConfig) -> Self {
        Self { reading, config, lexicons: Default::default() }
    }
}

/// All public routes. The host name was checked before; requests carry a [`PeerAddress`](crate::PeerAddress).
pub fn router(door: Arc<Xrpc>) -> Router {
    let mut router = Router::new();
    for method in METHODS {
        router = router.route(&format!("/xrpc/{}", method.nsid), (method.route)());
    }
    router.route("/xrpc/{*method}", axum::routing::any(unknown)).with_state(door)
}

async fn unknown(uri: Uri) -> Response {
    let nsid = uri.path().trim_start_matches("/xrpc/");
    let known = crate::table::ABSENT.iter().any(|(absent, _)| *absent == nsid);
    let message =
        if known { "this archive node does not serve this method" } else { "no such method is known here" };
    XrpcError::not_implemented(message).into_response()
}
