//! `com.atproto.admin.updateAccountHandle`: another handle for an account, reserved names included.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_host::Chooser;
use p2pds_syntax::Did;
use serde::Deserialize;

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// Whose, and which.
#[derive(Debug, Deserialize)]
pub struct Given {
    did: Did,
    handle: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.update_handle(&given.did, &given.handle, Chooser::Operator).await?;
    Ok(StatusCode::OK)
}
