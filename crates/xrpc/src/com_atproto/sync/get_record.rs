//! `com.atproto.sync.getRecord`: a record with the blocks that prove it, or the proof that there is none.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use p2pds_ipld::car::{write_header, write_section};
use p2pds_syntax::{Nsid, RecordPath, Rkey};

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = asked.params.did("did")?;
    let asked = asked.about(&did);
    let path = path(&asked)?;
    let _held = door.limits.usual().await?;
    let seen = door.reading.view(asked.viewer, &did).await?;
    let proved = door.reading.proof(asked.viewer, &seen, &path).await?;
    let mut out = Vec::new();
    write_header(&mut out, &[proved.commit.0]);
    for (cid, bytes) in [&proved.commit].into_iter().chain(&proved.nodes).chain(&proved.record) {
        write_section(&mut out, cid, bytes);
    }
    Ok(reply::mirrored(reply::bytes(reply::CAR, "record.car", out), &seen))
}

/// The record that the parameters name.
pub(crate) fn path(asked: &Asked) -> Result<RecordPath, XrpcError> {
    let collection = Nsid::parse(asked.params.need("collection")?)
        .map_err(|_| XrpcError::invalid("collection must be a valid nsid"))?;
    let rkey = Rkey::parse(asked.params.need("rkey")?)
        .map_err(|_| XrpcError::invalid("rkey must be a valid record key"))?;
    Ok(RecordPath::new(&collection, &rkey))
}
