//! `org.p2pds.lexicon.stats`: how many different collections, and how many records in all.

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
    let stats = door.lexicons.of(&door.reading, asked.viewer).await?.stats();
    Ok(Json(json!({ "uniqueNsids": stats.lexicons, "totalRecords": stats.records })).into_response())
}
