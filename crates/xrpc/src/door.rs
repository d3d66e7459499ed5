//! The door itself: what all methods share, the routes, and what happens to every request before and after its method.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use p2pds_host::Host;
use p2pds_oauth::OAuth;
use p2pds_reading::Reading;

use crate::asked::{Caller, PeerAddress};
use crate::auth::is_peer;
use crate::by_cid::{ipfs, rasl};
use crate::config::{
    BYPASS, SEEN_BYTES, SEEN_CALLER, SEEN_FORWARDED, SEEN_HOST, SEEN_PEER, SEEN_TRUSTED, XrpcConfig,
};
use crate::error::XrpcError;
use crate::firehose::Seats;
use crate::guard::{guard, nsid_of};
use crate::limits::{Left, Limits};
use crate::meter::Meters;
use crate::oauth;
use crate::reply;
use crate::table::{self, BY_CID, BY_NAME, UNLISTED, methods};
use crate::well_known;

/// What the methods share.
pub struct Xrpc {
    /// The only way to stored bytes.
    pub reading: Reading,
    /// The hosted accounts; `None` on an archive node.
    pub host: Option<Host>,
    /// The sessions of applications; `None` where there are none.
    pub oauth: Option<OAuth>,
    /// Settings.
    pub config: XrpcConfig,
    /// Sums of the index of lexicons.
    pub lexicons: crate::org_p2pds::lexicon::Index,
    /// What callers may cost.
    pub(crate) limits: Limits,
    /// How often they may ask for single things.
    pub(crate) meters: Meters,
    /// Who listens to the firehose.
    pub(crate) seats: Arc<Seats>,
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
        let (limits, meters) = (Limits::new(&config), Meters::new(config.rate_limits));
        let untrusted_proxy = AtomicBool::default();
        Self {
            reading,
            host: None,
            oauth: None,
            config,
            lexicons: Default::default(),
            limits,
            meters,
            seats: Arc::default(),
            untrusted_proxy,
        }
    }

    /// Says goodbye to everybody who listens to the firehose; nobody may begin to.
    pub async fn close_streams(&self) {
        self.seats.close().await;
    }

    /// The same with hosted accounts behind it.
    #[must_use]
    pub fn with_host(mut self, host: Option<Host>) -> Self {
        self.host = host;
        self
    }

    /// The same with the authorization server of those accounts.
    #[must_use]
    pub fn with_oauth(mut self, oauth: Option<OAuth>) -> Self {
        self.oauth = oauth;
        self
    }
}

impl Xrpc {
    /// The hosted accounts.
    ///
    /// # Errors
    /// `MethodNotImplemented`: this node hosts none.
    pub fn host(&self) -> Result<&Host, XrpcError> {
        self.host
            .as_ref()
            .ok_or_else(|| XrpcError::not_implemented("this node archives accounts and hosts none"))
    }

    /// Whether the operator lets this caller ask as often as he likes.
    pub(crate) fn is_free(&self, caller: &Caller, headers: &HeaderMap) -> bool {
        // Anybody behind a proxy that nobody configured can write what he likes into its header.
        let address = self.config.bypass.iter().any(|net| net.contains(caller.address));
        let key = headers.get(BYPASS).and_then(|value| value.to_str().ok());
        address
            || key.is_some_and(|key| {
                self.config.bypass_key.is_some_and(|known| known.is(key)) || self.config.own_calls.is(key)
            })
    }

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

/// All public routes. The host name was checked before; requests carry a [`PeerAddress`]. Each is guarded by its entry
/// in the table, and what has none is guarded as what is passed on.
pub fn router(door: Arc<Xrpc>) -> Router {
    let guarded = |route: MethodRouter<Arc<Xrpc>>, method: &'static table::Method| {
        route.layer(middleware::from_fn_with_state((Arc::clone(&door), method), guard))
    };
    let mut router = Router::new();
    for method in methods() {
        let path = format!("/xrpc/{}", method.nsid);
        router = router
            .route(&format!("{path}/"), guarded((method.route)(), method))
            .route(&path, guarded((method.route)(), method));
    }
    router
        .route("/xrpc/{*method}", guarded((UNLISTED.route)(), &UNLISTED))
        .route("/.well-known/rasl/{cid}", guarded(get(rasl::handle), &BY_CID))
        .route("/ipfs/{cid}", guarded(get(ipfs::handle), &BY_CID))
        .route("/.well-known/atproto-did", guarded(get(well_known::atproto_did), &BY_NAME))
        .route("/.well-known/did.json", guarded(get(well_known::did_json), &BY_NAME))
        .route("/tls-check", guarded(get(well_known::tls_check), &BY_NAME))
        .route("/.well-known/oauth-authorization-server", get(oauth::authorization_server))
        .route("/.well-known/oauth-protected-resource", get(oauth::protected_resource))
        .route("/oauth/jwks", get(oauth::jwks))
        .route("/oauth/par", post(oauth::par))
        .route("/oauth/token", post(oauth::token))
        .route("/oauth/revoke", post(oauth::revoke))
        .layer(middleware::from_fn_with_state(Arc::clone(&door), around))
        .with_state(door)
}

/// Counts the request, answers preflights, and gives every answer the headers that keep browsers from running it.
async fn around(State(door): State<Arc<Xrpc>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<PeerAddress>().copied();
    let caller = Caller::of(&door, peer.as_ref(), request.headers());
    if request.headers().contains_key("x-forwarded-for") && peer.is_some_and(|peer| peer.0 == caller.counted)
    {
        door.say_untrusted(caller.counted);
    }
    let seen = seen_by_itself(&door, &caller, peer, &request);
    if let Some(seen) = &seen
        && request.method() == Method::POST
    {
        return arrived(request.into_body(), seen).await;
    }
    // Whole repos have a count of their own, and peers and the operator's friends none.
    let free = nsid_of(request.uri().path()) == "com.atproto.sync.getRepo"
        || door.is_free(&caller, request.headers())
        || is_peer(&door, request.headers());
    let counted = if free { Ok(None) } else { door.limits.request(caller.counted, Instant::now()) };
    let mut response = match counted {
        Err(error) => error.into_response(),
        Ok(left) => {
            let mut response =
                if request.method() == Method::OPTIONS { preflight() } else { next.run(request).await };
            // The rule that leaves least is the one to know.
            let own = response.extensions_mut().remove::<Left>();
            let least = [left, own].into_iter().flatten().min_by_key(|left| left.remaining);
            if let Some(left) = least {
                say_left(&mut response, left);
            }
            response
        }
    };
    reply::guarded(&mut response);
    response.headers_mut().extend(seen.into_iter().flatten());
    response
}

/// Largest body that this node sends to itself.
const OWN_BODY: usize = 8 << 20;

/// Answers this node's own call with how much of its body has come through the proxies.
async fn arrived(body: Body, seen: &HeaderMap) -> Response {
    let bytes = axum::body::to_bytes(body, OWN_BODY).await.map_or(0, |bytes| bytes.len());
    let mut response = StatusCode::NO_CONTENT.into_response();
    reply::guarded(&mut response);
    response.headers_mut().extend(seen.clone());
    response.headers_mut().insert(HeaderName::from_static(SEEN_BYTES), bytes.into());
    response
}

/// What only this node learns, when it asks itself by its public name: how the proxies before it have passed that on.
fn seen_by_itself(
    door: &Xrpc,
    caller: &Caller,
    peer: Option<PeerAddress>,
    request: &Request,
) -> Option<HeaderMap> {
    let key = request.headers().get(BYPASS).and_then(|value| value.to_str().ok());
    key.filter(|key| door.config.own_calls.is(key))?;
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(named).unwrap_or_default();
    let peer = peer.map_or(caller.counted, |peer| peer.0);
    let trusted =
        peer.to_canonical().is_loopback() || door.config.trusted_proxies.iter().any(|net| net.contains(peer));
    let fields = [
        (SEEN_HOST, host.to_owned()),
        (SEEN_CALLER, caller.counted.to_string()),
        (SEEN_PEER, peer.to_string()),
        (SEEN_TRUSTED, trusted.to_string()),
    ];
    let field = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
    };
    let forwarded = request.headers().get("x-forwarded-for").cloned();
    let forwarded = forwarded.map(|value| (HeaderName::from_static(SEEN_FORWARDED), value));
    Some(fields.into_iter().filter_map(field).chain(forwarded).collect())
}

fn say_left(response: &mut Response, left: Left) {
    let fields = [
        ("ratelimit-limit", left.limit.to_string()),
        ("ratelimit-remaining", left.remaining.to_string()),
        ("ratelimit-reset", left.reset.to_string()),
        ("ratelimit-policy", format!("{};w={}", left.limit, left.window)),
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
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST"),
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
