//! `com.atproto.server.requestEmailUpdate`: a code by e-mail, if a change of the address needs one.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
) -> Result<Output<Value>, XrpcError> {
    let required = door.host()?.request_email_update(&access.did).await?;
    Ok(Output(json!({ "tokenRequired": required })))
}
