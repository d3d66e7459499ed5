//! `com.atproto.server.deactivateAccount`: switches the account off; it is deleted later if its owner says so.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_syntax::Datetime;
use serde::Deserialize;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// When it is to be deleted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    delete_after: Option<String>,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let after = given.delete_after.as_deref().map(|text| {
        Datetime::parse(text)
            .map(|at| at.unix_micros())
            .map_err(|_| XrpcError::invalid("deleteAfter must be a datetime, such as 2026-12-31T00:00:00Z"))
    });
    door.host()?.deactivate_account(&access.did, after.transpose()?).await?;
    Ok(StatusCode::OK)
}
