//! `com.atproto.server.requestPasswordReset`: a code by e-mail, if the address is an account's. Whoever asks is not told.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// The address.
#[derive(Debug, Deserialize)]
pub struct Given {
    email: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.request_password_reset(&given.email);
    Ok(StatusCode::OK)
}
