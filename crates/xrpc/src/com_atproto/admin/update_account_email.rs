//! `com.atproto.admin.updateAccountEmail`: another address for an account, unconfirmed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::by;
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// Whose (handle or DID), and which.
#[derive(Debug, Deserialize)]
pub struct Given {
    account: String,
    email: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let (host, by) = (door.host()?, by(&auth));
    let did = host.hosted_account(&given.account).await?;
    host.admin_set_email(&by, &did, &given.email).await?;
    Ok(StatusCode::OK)
}
