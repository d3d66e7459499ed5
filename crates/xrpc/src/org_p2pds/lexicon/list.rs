//! `org.p2pds.lexicon.list`: collections, those with the most records first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::{MOST, lines};
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let limit = asked.params.limit(100, MOST)?;
    let index = door.lexicons.of(&door.reading, asked.viewer).await?;
    Ok(Json(lines(index.by_records().into_iter().take(limit))).into_response())
}
