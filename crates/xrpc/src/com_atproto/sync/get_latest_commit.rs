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
    let did = asked.params.did("did")?;
    let asked = asked.about(&did);
    let (account, head) = door.reading.head(asked.viewer, &did).await?;
    let body = json!({ "cid": head.commit.to_string(), "rev": head.rev.to_string() });
    Ok(reply::json_of(&account, head.rev, body))
}
