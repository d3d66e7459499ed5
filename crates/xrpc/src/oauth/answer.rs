//! How the endpoints answer.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use p2pds_oauth::{OAuth, OAuthError};
use serde_json::{Value, json};

use crate::error::XrpcError;

/// RFC 9449 8.
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A body that nobody keeps, with the nonce for the next request.
pub(super) fn fresh(oauth: &OAuth, status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    if let Ok(nonce) = HeaderValue::try_from(oauth.nonce()) {
        headers.insert(NONCE, nonce);
    }
    response
}

/// A refusal (RFC 6749 5.2).
pub(super) fn refusal(oauth: &OAuth, error: &OAuthError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    metrics::counter!("p2pds_oauth_refusals_total", "error" => error.error()).increment(1);
    fresh(oauth, status, json!({ "error": error.error(), "error_description": error.to_string() }))
}

/// A refusal that has nothing to do with what was asked: too often, too long.
pub(super) fn limit(oauth: &OAuth, error: &XrpcError) -> Response {
    let name = match error.status {
        StatusCode::TOO_MANY_REQUESTS => "temporarily_unavailable",
        _ => "invalid_request",
    };
    let mut response =
        fresh(oauth, error.status, json!({ "error": name, "error_description": error.message }));
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
