//! `com.atproto.sync.getHead`, which getLatestCommit replaced: the CID of the head.

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
    let (account, head) =
        door.reading.head(asked.viewer, &did).await.map_err(|refusal| match XrpcError::from(refusal) {
            error if error.name == "RepoNotFound" => XrpcError { name: "HeadNotFound", ..error },
            error => error,
        })?;
    Ok(reply::json_of(&account, head.rev, json!({ "root": head.commit.to_string() })))
}
