//! `app.bsky.actor.putPreferences`: replaces what the application keeps with the account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_host::Scope;
use serde::Deserialize;
use serde_json::Value;

use super::NAMESPACE;
use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// All of them.
#[derive(Debug, Deserialize)]
pub struct Given {
    preferences: Vec<Value>,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let full = access.scope == Scope::Full;
    door.host()?.put_preferences(&access.did, NAMESPACE, full, &given.preferences).await?;
    Ok(StatusCode::OK)
}
