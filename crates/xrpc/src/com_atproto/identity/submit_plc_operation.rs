//! `com.atproto.identity.submitPlcOperation`: an operation that was signed elsewhere, checked and handed to the directory.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// The operation.
#[derive(Debug, Deserialize)]
pub struct Given {
    operation: Value,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.submit_plc_operation(&access.did, &given.operation).await?;
    Ok(StatusCode::OK)
}
