//! `com.atproto.server.deleteSession`: logging out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::Refreshing;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Refreshing(refresh): Refreshing,
) -> Result<StatusCode, XrpcError> {
    door.host()?.end_session(&refresh).await?;
    Ok(StatusCode::OK)
}
