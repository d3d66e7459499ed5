//! `com.atproto.server.requestEmailConfirmation`: a code by e-mail that confirms the address.

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
    door.host()?.request_email_confirmation(&access.did).await?;
    Ok(StatusCode::OK)
}
