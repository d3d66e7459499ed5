//! `com.atproto.repo.uploadBlob`: bytes in, a reference out, to be named by a record.
//!
//! `BlobTooLarge`, `QuotaExceeded`, `InvalidMimeType`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use futures::StreamExt as _;
use p2pds_oauth::scope::Need;
use serde_json::{Value, json};

use crate::auth::Asking;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::{is_plain, refused};
use crate::output::Output;

pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    caller: Asking,
    headers: HeaderMap,
    body: Body,
) -> Result<Output<Value>, XrpcError> {
    let host = door.host()?;
    let did = caller
        .did()
        .ok_or_else(|| XrpcError::unauthenticated("AuthMissing", "this needs a session of the account"))?;
    if !is_plain(&headers) {
        return Err(XrpcError::invalid(
            "blobs are taken as they are: send the body without Content-Encoding",
        ));
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let mime = text(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut upload = host.begin_upload(did, &mime, length).await?;
    // What it is said to be; and, when all of it is here, what it is.
    caller.may(&Need::Blob { mime: upload.mime() })?;
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        upload.write(piece.map_err(|error| refused(&error))?).await?;
    }
    caller.may(&Need::Blob { mime: upload.mime() })?;
    let blob = upload.finish().await?;
    Ok(Output(json!({
        "blob": {
            "$type": "blob",
            "ref": { "$link": blob.cid.to_string() },
            "mimeType": blob.mime,
            "size": blob.size,
        }
    })))
}
