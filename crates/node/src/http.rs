//! The public door over TCP: health, a banner, the check of the Host header, and what is served to others (`xrpc`).

mod listener;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use p2pds_web::{nothing_here, wants_page};
use p2pds_xrpc::Xrpc;

pub use listener::{CONNECTIONS, serve};

use crate::node::health::Health;

/// What the public door needs to know.
#[derive(Debug)]
pub struct Door {
    /// Whether the node can do its work.
    pub health: Arc<Health>,
    /// The public host name, lower case.
    pub hostname: Option<String>,
    /// The name under which it is asked as a mirror, lower case.
    pub mirror_hostname: Option<String>,
    /// Domains that handles are given out under, each with its leading dot; `None` when no accounts are hosted.
    pub handle_domains: Option<Vec<String>>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The public routes.
pub fn router(door: Arc<Door>, xrpc: Arc<Xrpc>, pages: Router) -> Router {
    let own = Router::new()
        .route(
            "/robots.txt",
            get(|| async { "# Crawling the public API is allowed\nUser-agent: *\nAllow: /\n" }),
        )
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/xrpc/_health", get(health))
        .with_state(Arc::clone(&door));
    own.merge(p2pds_xrpc::router(xrpc))
        .merge(pages.layer(middleware::from_fn_with_state(Arc::clone(&door), plain_for_programs)))
        .layer(middleware::from_fn_with_state(door, own_host_only))
        .layer(middleware::from_fn(crate::metrics::door::count))
}

/// Where programs ask, whatever they say that they want.
const OF_PROGRAMS: [&str; 4] = ["xrpc", ".well-known", "oauth", "ipfs"];

/// Programs that ask for `/` get a few lines of text, and one line where nothing is; browsers, which say that they want
/// HTML, get pages.
async fn plain_for_programs(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let wants_page = wants_page(request.headers());
    if path == "/" && !wants_page {
        return banner(&door).into_response();
    }
    if request.extensions().get::<MatchedPath>().is_some() {
        return next.run(request).await;
    }
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !wants_page || !looks || OF_PROGRAMS.contains(&first) {
        return nothing_here();
    }
    let shown = next.run(request).await;
    // Under the name of a hosted account, or of a mirror, there are no pages.
    if shown.status() == StatusCode::MISDIRECTED_REQUEST { nothing_here() } else { shown }
}

fn banner(door: &Door) -> String {
    let (what, more) = if door.handle_domains.is_some() {
        (
            "an AT Protocol Personal Data Server",
            "It hosts accounts: most of its API is under /xrpc/, and apps log in with this host name.",
        )
    } else {
        (
            "an AT Protocol archive node",
            "It keeps verified copies of accounts, and serves those that its operator chose to serve.",
        )
    };
    format!(
        "p2pds {}: {what}\n\n{more}\nHealth: http://{}/xrpc/_health\n",
        env!("CARGO_PKG_VERSION"),
        door.address
    )
}

async fn health(State(door): State<Arc<Door>>) -> Response {
    let version = env!("CARGO_PKG_VERSION");
    match door.health.check().await {
        Ok(()) => axum::Json(serde_json::json!({ "version": version })).into_response(),
        Err(reason) => {
            tracing::error!(event = "node.unhealthy", reason, "not healthy");
            let body = serde_json::json!({ "version": version, "error": "Service Unavailable" });
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
        }
    }
}

async fn ready(State(door): State<Arc<Door>>) -> Response {
    match door.health.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the log says why\n").into_response(),
    }
}

/// Refuses requests that were made for another name: a web page whose name was pointed at this
/// address (DNS rebinding) sends its own name.
async fn own_host_only(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let host = requested_host(request.headers(), request.uri());
    let own = |host: &String| {
        [&door.hostname, &door.mirror_hostname].into_iter().any(|name| is_own_host(host, name.as_deref()))
    };
    if host.as_ref().is_some_and(own)
        || host.as_ref().is_some_and(|host| of_handle(&door, host, request.uri()))
    {
        return next.run(request).await;
    }
    (
        StatusCode::MISDIRECTED_REQUEST,
        "this node does not answer to that host name; its operator can set http.hostname\n",
    )
        .into_response()
}

/// Whether a request may be for a hosted account's own name: those under the handle domains, and what is asked of any
/// name that may lead here, which answers by the name alone and gives out nothing that is not public.
fn of_handle(door: &Door, host: &str, uri: &Uri) -> bool {
    let Some(domains) = &door.handle_domains else { return false };
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let under = |domain: &String| name.len() > domain.len() && name.ends_with(domain.as_str());
    domains.iter().any(under) || matches!(uri.path(), "/.well-known/atproto-did" | "/.well-known/did.json")
}

fn requested_host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str().to_owned());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?.to_owned();
    hosts.next().is_none().then_some(host)
}

fn is_own_host(host: &str, hostname: Option<&str>) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    if name == "localhost" || name.ends_with(".localhost") || Some(name) == hostname {
        return true;
    }
    name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) && !name.is_empty() => {
            if name.starts_with('[') || !name.contains(':') { name } else { host }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (host, own) in [
            ("localhost:3000", true),
            ("LOCALHOST", true),
            ("127.0.0.1:3000", true),
            ("[::1]:3000", true),
            ("[::1]", true),
            ("::1", true),
            ("192.168.1.7", true),
            ("pds.example.com", true),
            ("pds.example.com.:443", true),
            ("PDS.example.com:443", true),
            ("evil.example.com", false),
            ("127.0.0.1.evil.com", false),
            ("", false),
            (":3000", false),
        ] {
            assert_eq!(is_own_host(host, Some("pds.example.com")), own, "{host}");
        }
        assert!(!is_own_host("pds.example.com", None));
    }
}
