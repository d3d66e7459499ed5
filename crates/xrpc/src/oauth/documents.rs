//! What the server says of itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use p2pds_oauth::OAuth;
use serde_json::Value;

use crate::door::Xrpc;

fn document(door: &Xrpc, read: impl Fn(&OAuth) -> Value) -> Response {
    let Some(oauth) = &door.oauth else {
        return (StatusCode::NOT_FOUND, "nothing here: this node hosts no accounts\n").into_response();
    };
    let mut response = Json(read(oauth)).into_response();
    let kept = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414).
pub(crate) async fn authorization_server(State(door): State<Arc<Xrpc>>) -> Response {
    document(&door, OAuth::metadata)
}

/// `GET /.well-known/oauth-protected-resource` (RFC 9728).
pub(crate) async fn protected_resource(State(door): State<Arc<Xrpc>>) -> Response {
    document(&door, OAuth::resource_metadata)
}

/// `GET /oauth/jwks`.
pub(crate) async fn jwks(State(door): State<Arc<Xrpc>>) -> Response {
    document(&door, OAuth::jwks)
}
