//! `com.atproto.sync.getLatestCommit`: CID and rev of the head that is served.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let seen = door.reading.view(asked.viewer, &asked.params.did("did")?).await?;
    Ok(reply::json(&seen, json!({ "cid": seen.head.commit.to_string(), "rev": seen.head.rev.to_string() })))
}
