//! `com.atproto.admin.disableInviteCodes`: switches codes off, by name or by owner.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::by;
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// Which ones.
#[derive(Debug, Deserialize)]
pub struct Given {
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    accounts: Vec<String>,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let (host, by) = (door.host()?, by(&auth));
    host.disable_invites(&by, given.codes, given.accounts).await?;
    Ok(StatusCode::OK)
}
