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
#[serde(rename_all = "camelCase")]
pub struct Given {
    email: String,
    email_auth_factor: Option<bool>,
    token: Option<String>,
}

/// Answers it. With the address that the account has, `emailAuthFactor` says whether a sign-in asks for a code by e-mail.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let token = given.token.as_deref();
    door.host()?
        .update_email(&access.did, &given.email, token, given.email_auth_factor, &access.session)
        .await?;
    Ok(StatusCode::OK)
}
