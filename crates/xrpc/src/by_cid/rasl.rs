//! RASL: `/.well-known/rasl/{cid}`, bytes by their CID and nothing else. No negotiation, no redirects.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::{Found, find};
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers GET and HEAD.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Path(name): Path<String>,
    method: Method,
    asked: Asked,
) -> Result<Response, XrpcError> {
    let Ok(cid) = name.parse() else {
        return Err(XrpcError::invalid("this is no CID: version 1, base32, SHA-256, dag-cbor or raw"));
    };
    if !door.config.gateway {
        return Ok(absent());
    }
    if door.reading.is_blocked(&cid).await? {
        return Ok((StatusCode::GONE, "blocked by the operator of this node\n").into_response());
    }
    match find(&door, &asked, &cid).await? {
        None => Ok(absent()),
        Some(Found::Block { seen, bytes }) => {
            let mut response = match reply::not_modified(&asked.headers, &name) {
                Some(same) => same,
                None => reply::bytes("application/octet-stream", &format!("{cid}.bin"), bytes),
            };
            reply::tagged(response.headers_mut(), &name);
            Ok(reply::mirrored(response, &seen))
        }
        Some(Found::Blob { account }) => {
            let response = reply::raw_blob(&door, &asked, &method, &account.did, &cid).await?;
            Ok(reply::mirrored_account(response, &account))
        }
    }
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, "no account that is served here has this CID\n").into_response()
}
