//! The public door over TCP: health, a banner, and the check of the Host header.
//!
//! Serving archives to others comes later, through this same router.

mod listener;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

pub use listener::serve;

use crate::node::health::Health;

/// What the public door needs to know.
#[derive(Debug)]
pub struct Door {
    /// Whether the node can do its work.
    pub health: Arc<Health>,
    /// The public host name, lower case.
    pub hostname: Option<String>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The public routes.
pub fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/", get(banner))
        .route(
            "/robots.txt",
            get(|| async { "# Crawling the public API is allowed\nUser-agent: *\nAllow: /\n" }),
        )
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/xrpc/_health", get(health))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&door), own_host_only))
        .with_state(door)
}

async fn banner(State(door): State<Arc<Door>>) -> String {
    format!(
        "p2pds {}: an AT Protocol archive node\n\n\
         It keeps verified copies of accounts for its operator and serves nobody's data to the public.\n\
         Health: http://{}/xrpc/_health\n",
        env!("CARGO_PKG_VERSION"),
        door.address
    )
}

async fn health(State(door): State<Arc<Door>>) -> Response {
    let version = env!("CARGO_PKG_VERSION");
    match door.health.check().await {
        Ok(()) => axum::Json(serde_json::json!({ "version": version })).into_response(),
        Err(reason) => {
            tracing::error!(reason, "not healthy");
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

async fn not_found(uri: Uri) -> Response {
    if uri.path().starts_with("/xrpc/") {
        let body = serde_json::json!({
            "error": "MethodNotImplemented",
            "message": "this node archives accounts; it does not serve this method",
        });
        return (StatusCode::NOT_IMPLEMENTED, axum::Json(body)).into_response();
    }
    (StatusCode::NOT_FOUND, "nothing here\n").into_response()
}

/// Refuses requests that were made for another name: a web page whose name was pointed at this
/// address (DNS rebinding) sends its own name.
async fn own_host_only(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let host = requested_host(request.headers(), request.uri());
    if host.is_some_and(|host| is_own_host(&host, door.hostname.as_deref())) {
        return next.run(request).await;
    }
    (
        StatusCode::MISDIRECTED_REQUEST,
        "this node does not answer to that host name; its operator can set http.hostname\n",
    )
        .into_response()
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
