//! `com.atproto.admin.updateAccountHandle`: another handle for an account, reserved names included.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_host::Chooser;
use p2pds_host::accounts::Act;
use p2pds_syntax::Did;
use serde::Deserialize;

use super::by;
use crate::auth::Auth;
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
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let host = door.host()?;
    host.update_handle(&given.did, &given.handle, Chooser::Operator).await?;
    let (by, what) = (by(&auth), "updateAccountHandle");
    host.audit(Act { by: &by, what, did: Some(&given.did), subject: "", detail: &given.handle }).await?;
    Ok(StatusCode::OK)
}
