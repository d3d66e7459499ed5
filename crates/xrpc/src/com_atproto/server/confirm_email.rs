//! `com.atproto.server.confirmEmail`: the address is the account's, as the code shows that was sent to it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// The address and the code.
#[derive(Debug, Deserialize)]
pub struct Given {
    email: String,
    token: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.confirm_email(&access.did, &given.email, &given.token).await?;
    Ok(StatusCode::OK)
}
