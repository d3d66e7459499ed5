//! `org.p2pds.lexicon.search`: collections whose name begins so, in the order of their names.

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
    let limit = asked.params.limit(50, MOST)?;
    let prefix = asked.params.get("q").unwrap_or_default();
    let index = door.lexicons.of(&door.reading, asked.viewer).await?;
    Ok(Json(lines(index.search(prefix).take(limit))).into_response())
}
