//! `com.atproto.server.requestAccountDelete`: a code by e-mail, without which no account is deleted.

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
    door.host()?.request_account_delete(&access.did).await?;
    Ok(StatusCode::OK)
}
