//! `com.atproto.server.getSession`: whose session it is, and how the account stands.

use std::sync::Arc;

use axum::extract::State;
use serde_json::Value;

use super::view;
use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
) -> Result<Output<Value>, XrpcError> {
    Ok(Output(Value::Object(view::account(&door.host()?.account_view(&access.did).await?))))
}
