//! The methods under `com.atproto.repo`.

pub mod apply_writes;
pub mod create_record;
pub mod delete_record;
pub mod describe_repo;
pub mod get_record;
pub mod import_repo;
pub mod list_missing_blobs;
pub mod list_records;
pub mod put_record;
pub mod upload_blob;
mod writing;

use p2pds_ipld::cbor::Limits;
use p2pds_ipld::json::write_json;
use p2pds_store::RecordRow;
use p2pds_syntax::{AtIdentifier, Did};

use crate::door::Xrpc;
use crate::error::XrpcError;

/// The account that a handle or DID names.
pub(crate) async fn account(door: &Xrpc, name: &AtIdentifier) -> Result<Did, XrpcError> {
    match name {
        AtIdentifier::Did(did) => Ok(did.clone()),
        AtIdentifier::Handle(handle) => door
            .reading
            .named(handle.as_str())
            .await?
            .ok_or_else(|| XrpcError::absent("RepoNotFound", format!("Could not find repo: {handle}"))),
    }
}

/// Writes a record as JSON behind what is in `out`; `false`, and nothing, when its bytes are not a record of the data model.
pub(crate) fn view(did: &Did, row: &RecordRow, out: &mut Vec<u8>) -> bool {
    let Some(body) = &row.body else { return false };
    let begun = out.len();
    // A DID, a record path and a CID have no character that JSON escapes.
    for part in
        ["{\"uri\":\"at://", did.as_str(), "/", row.key.as_str(), "\",\"cid\":\"", &row.cid.to_string()]
    {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\",\"value\":");
    let written = write_json(body, &Limits::RECORD, out).is_ok();
    match written {
        true => out.push(b'}'),
        false => out.truncate(begun),
    }
    written
}
