//! `com.atproto.identity.requestPlcOperationSignature`: a token by e-mail, without which this host signs no change of the
//! account's identity.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
) -> Result<StatusCode, XrpcError> {
    door.host()?.request_plc_signature(&access.did).await?;
    Ok(StatusCode::OK)
}
