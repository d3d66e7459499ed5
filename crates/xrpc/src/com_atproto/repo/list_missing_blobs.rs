//! `com.atproto.repo.listMissingBlobs`: the blobs that records name and that are not here yet, for moving in.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::HostError;
use p2pds_store::BlobFilter;
use serde::Serialize;

use crate::asked::Asked;
use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// What it answers.
#[derive(Debug, Serialize)]
pub struct Missing {
    blobs: Vec<RecordBlob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// One of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordBlob {
    cid: String,
    record_uri: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    asked: Asked,
) -> Result<Output<Missing>, XrpcError> {
    let host = door.host()?;
    let (limit, after) = (asked.params.limit(500, 1_000)?, asked.params.cid("cursor")?);
    let did = &access.did;
    let found =
        host.store().blobs(did, BlobFilter::Missing, after.as_ref(), limit).await.map_err(HostError::from)?;
    let mut blobs = Vec::with_capacity(found.len());
    for blob in &found {
        // One that only the history names is nobody's to bring.
        let named = host.store().blob_referers(did, &blob.cid).await.map_err(HostError::from)?;
        if let Some(path) = named.first() {
            blobs.push(RecordBlob { cid: blob.cid.to_string(), record_uri: format!("at://{did}/{path}") });
        }
    }
    Ok(Output(Missing { blobs, cursor: found.last().map(|blob| blob.cid.to_string()) }))
}
