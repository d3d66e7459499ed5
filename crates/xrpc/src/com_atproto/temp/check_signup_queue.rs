//! `com.atproto.temp.checkSignupQueue`: there is no queue here: whoever has an account may use it.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, _: Session) -> Result<Output<Value>, XrpcError> {
    door.host()?;
    Ok(Output(json!({ "activated": true })))
}
