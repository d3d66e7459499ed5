//! `com.atproto.sync.getLatestCommit`: CID and rev of the head that is served.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = asked.params.did("did")?;
    let (_, head) = door.reading.repo(asked.viewer, &did).await?;
    Ok(Json(json!({ "cid": head.commit.to_string(), "rev": head.rev.to_string() })).into_response())
}
