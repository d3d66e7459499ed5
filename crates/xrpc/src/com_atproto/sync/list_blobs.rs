//! `com.atproto.sync.listBlobs`: CIDs of the blobs that can be had here, in order.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, json};

use crate::asked::{Asked, parse_cid};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let (did, since) = (asked.params.did("did")?, asked.params.rev("since")?);
    let asked = asked.about(&did);
    let limit = asked.params.limit(500, 1_000)?;
    let after = asked.params.get("cursor").map(parse_cid).transpose()?;
    let _held = door.limits.heavy(&asked).await?;
    let seen = door.reading.view(asked.viewer, &did).await?;
    let page = door.reading.list_blobs(asked.viewer, &seen, since, after, limit).await?;
    let mut body = Map::new();
    body.insert("cids".to_owned(), page.cids.iter().map(ToString::to_string).collect::<Vec<_>>().into());
    body.extend(page.next.map(|cid| ("cursor".to_owned(), json!(cid.to_string()))));
    Ok(reply::json(&seen, body.into()))
}
