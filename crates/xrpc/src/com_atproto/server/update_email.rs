//! `com.atproto.server.updateEmail`: another address for the account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// The address, and the code that was sent to the one before.
#[derive(Debug, Deserialize)]
pub struct Given {
    email: String,
    token: Option<String>,
}

/// Answers it. `emailAuthFactor` is taken and changes nothing: no account here has a second factor.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let token = given.token.as_deref();
    door.host()?.update_email(&access.did, &given.email, token, &access.session).await?;
    Ok(StatusCode::OK)
}
