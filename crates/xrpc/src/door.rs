//! The door itself: what all methods share, the routes, and what happens to every request before and after its method.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use p2pds_host::Host;
use p2pds_reading::{Reading, Viewer};

use crate::asked::{PeerAddress, from, viewer};
use crate::by_cid::{ipfs, rasl};
use crate::config::XrpcConfig;
use crate::error::XrpcError;
use crate::limits::{Left, Limits, WINDOW};
use crate::reply;
use crate::table::{METHODS, Reason, absent};

/// What the methods share.
pub struct Xrpc {
    /// The only way to stored bytes.
    pub reading: Reading,
    /// The hosted accounts; `None` on an archive node.
    pub host: Option<Host>,
    /// Settings.
    pub config: XrpcConfig,
    /// Sums of the index of lexicons.
    pub lexicons: crate::org_p2pds::lexicon::Index,
    /// What callers may cost.
    pub(crate) limits: Limits,
    /// Whether it was said that a proxy is not trusted.
    untrusted_proxy: AtomicBool,
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
        let limits = Limits::new(&config);
        let untrusted_proxy = AtomicBool::default();
        Self { reading, host: None, config, lexicons: Default::default(), limits, untrusted_proxy }
    }

    /// The same with hosted accounts behind it.
    #[must_use]
    pub fn with_host(mut self, host: Option<Host>) -> Self {
        self.host = host;
        self
    }
}

impl Xrpc {
    /// Says once that a proxy beside this node speaks for all its callers.
    fn say_untrusted(&self, address: IpAddr) {
        let beside = match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
        if beside && !self.untrusted_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "serving.proxy", %address,
                "a proxy forwards requests, and all its callers count as one: if it is yours, set serving.trusted_proxies",
            );
        }
    }
}

/// All public routes. The host name was checked before; requests carry a [`PeerAddress`].
pub fn router(door: Arc<Xrpc>) -> Router {
    let mut router = Router::new();
    for method in METHODS {
        router = router.route(&format!("/xrpc/{}", method.nsid), (method.route)());
    }
    router
        .route("/xrpc/{*method}", any(unknown))
        .route("/.well-known/rasl/{cid}", get(rasl::handle))
        .route("/ipfs/{cid}", get(ipfs::handle))
        .layer(middleware::from_fn_with_state(Arc::clone(&door), around))
        .with_state(door)
}

async fn unknown(uri: Uri) -> Response {
    let message = match absent(uri.path().trim_start_matches("/xrpc/")) {
        Some(Reason::Hosting) => "this node archives accounts and hosts none: ask the account's own host",
        Some(Reason::OtherService) => "this node archives accounts: this method is another service's",
        Some(Reason::Replaced) => "this method was replaced by another one, which is served here",
        None => "no such method is known here",
    };
    XrpcError::not_implemented(message).into_response()
}

/// Counts the request, answers preflights, and gives every answer the headers that keep browsers from running it.
async fn around(State(door): State<Arc<Xrpc>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<PeerAddress>().copied();
    let address = from(&door, peer.as_ref(), request.headers());
    if request.headers().contains_key("x-forwarded-for") && peer.is_some_and(|peer| peer.0 == address) {
        door.say_untrusted(address);
    }
    let counted = match viewer(&door, request.headers()) {
        Ok(Viewer::Peer) => Ok(None),
        _ => door.limits.request(address, Instant::now()),
    };
    let mut response = match counted {
        Err(error) => error.into_response(),
        Ok(left) => {
            let mut response =
                if request.method() == Method::OPTIONS { preflight() } else { next.run(request).await };
            if let Some(left) = left {
                say_left(&mut response, left);
            }
            response
        }
    };
    reply::guarded(&mut response);
    response
}

fn say_left(response: &mut Response, left: Left) {
    let fields = [
        ("ratelimit-limit", left.limit.to_string()),
        ("ratelimit-remaining", left.remaining.to_string()),
        ("ratelimit-reset", left.reset.to_string()),
        ("ratelimit-policy", format!("{};w={}", left.limit, WINDOW.as_secs())),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}

/// Any web page may ask: see [`reply::guarded`].
fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*, authorization"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in fields_of(fixed) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn fields_of<const N: usize>(fixed: [(HeaderName, &'static str); N]) -> [(HeaderName, HeaderValue); N] {
    fixed.map(|(name, value)| (name, HeaderValue::from_static(value)))
}
