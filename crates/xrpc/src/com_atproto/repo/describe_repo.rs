//! `com.atproto.repo.describeRepo`: handle, DID document as it was seen last, collections.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::account;
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = account(&door, &asked.params.at_identifier("repo")?)?;
    let _held = door.limits.heavy(&asked).await?;
    let known = door.reading.describe(asked.viewer, &did).await?;
    let document = known.document.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let body = json!({
        "handle": known.handle.as_deref().unwrap_or("handle.invalid"),
        "did": did,
        "didDoc": document.unwrap_or_else(|| json!({ "id": did })),
        "collections": known.collections,
        "handleIsCorrect": known.handle.is_some(),
    });
    Ok(reply::json(&known.view, body))
}
