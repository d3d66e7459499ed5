//! `com.atproto.admin.getAccountInfo`: one account.

use std::sync::Arc;

use axum::extract::State;
use serde_json::Value;

use super::view;
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<Value>, XrpcError> {
    let info = door.host()?.account_info(&asked.params.did("did")?).await?;
    Ok(Output(view::account(&info)))
}
