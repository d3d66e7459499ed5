//! `com.atproto.sync.getBlob`: a blob, or a range of it. Hashed before the first byte goes out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;

use crate::asked::{Asked, parse_cid};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    method: Method,
    asked: Asked,
) -> Result<Response, XrpcError> {
    let did = asked.params.did("did")?;
    let asked = asked.about(&did);
    let cid = parse_cid(asked.params.need("cid")?)?;
    let account = door.reading.account(asked.viewer, &did).await?;
    let mime = door.reading.blob_row(asked.viewer, &did, &cid).await.map_err(blob_name)?.mime;
    let response = reply::blob(&door, &asked, &method, &did, &cid, &mime).await.map_err(blob_name_of)?;
    Ok(reply::mirrored_account(response, &account))
}

fn blob_name(refusal: p2pds_reading::Refusal) -> XrpcError {
    blob_name_of(refusal.into())
}

/// What is blocked is a blob here.
fn blob_name_of(error: XrpcError) -> XrpcError {
    if error.name == "BlockNotFound" { XrpcError { name: "BlobNotFound", ..error } } else { error }
}
