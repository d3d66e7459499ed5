//! `app.bsky.actor.putPreferences`: replaces what the application keeps with the account.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use p2pds_host::Scope;
use serde::Deserialize;
use serde_json::Value;

use super::NAMESPACE;
use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::proxy::handle::elsewhere;

const NSID: &str = "app.bsky.actor.putPreferences";

/// All of them.
#[derive(Debug, Deserialize)]
pub struct Given {
    preferences: Vec<Value>,
}

/// Answers it, unless the caller names another AppView.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    request: Request,
) -> Result<Response, XrpcError> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|_| XrpcError::invalid("the body could not be read, or is too large"))?;
    let body = body.to_bytes();
    if let Some(answer) = elsewhere(&door, &access, NSID, (&parts, Some(body.clone()))).await? {
        return Ok(answer);
    }
    let again = Request::from_parts(parts, Body::from(body));
    let Input(given) = Input::<Given>::from_request(again, &()).await?;
    let full = access.scope == Scope::Full;
    door.host()?.put_preferences(&access.did, NAMESPACE, full, &given.preferences).await?;
    Ok(StatusCode::OK.into_response())
}
