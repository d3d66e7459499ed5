//! `com.atproto.server.refreshSession`: new tokens for a refresh token.

use std::sync::Arc;

use axum::extract::State;
use serde_json::Value;

use super::view;
use crate::auth::Refreshing;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Refreshing(refresh): Refreshing,
) -> Result<Output<Value>, XrpcError> {
    Ok(Output(view::session(&door.host()?.refresh(&refresh).await?)))
}
