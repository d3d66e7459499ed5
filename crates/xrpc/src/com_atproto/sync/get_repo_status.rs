//! `com.atproto.sync.getRepoStatus`: whether a repo is served, and why not when its owner or host withdrew it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::Response;
use p2pds_reading::Refusal;
use serde_json::json;

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = asked.params.did("did")?;
    match door.reading.head(asked.viewer, &did).await {
        Ok((account, head)) => {
            let body = json!({ "did": did, "active": true, "rev": head.rev.to_string() });
            Ok(reply::json_of(&account, head.rev, body))
        }
        Err(Refusal::Withdrawn { did, status }) => {
            Ok(Json(json!({ "did": did, "active": false, "status": status })).into_response())
        }
        Err(refusal) => Err(refusal.into()),
    }
}
