//! `com.atproto.identity.updateHandle`: another handle, in the account's document, here and in the network.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_host::Chooser;
use serde::Deserialize;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// The handle.
#[derive(Debug, Deserialize)]
pub struct Given {
    handle: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.update_handle(&access.did, &given.handle, Chooser::Owner).await?;
    Ok(StatusCode::OK)
}
