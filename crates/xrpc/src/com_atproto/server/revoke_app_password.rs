//! `com.atproto.server.revokeAppPassword`: ends an app password and its sessions.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// Which one.
#[derive(Debug, Deserialize)]
pub struct Given {
    name: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.revoke_app_password(&access.did, &given.name).await?;
    Ok(StatusCode::OK)
}
