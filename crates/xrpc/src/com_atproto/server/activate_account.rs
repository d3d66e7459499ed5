//! `com.atproto.server.activateAccount`: the account is this host's from now on; its document says so already.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
) -> Result<StatusCode, XrpcError> {
    door.host()?.activate_account(&access.did).await?;
    Ok(StatusCode::OK)
}
