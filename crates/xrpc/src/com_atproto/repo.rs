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

use p2pds_ipld::cbor::{Limits, decode};
use p2pds_ipld::json::to_json;
use p2pds_store::RecordRow;
use p2pds_syntax::{AtIdentifier, Did};
use serde_json::{Value, json};

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

/// A record as JSON; `None` when its bytes are not a record of the data model.
pub(crate) fn view(did: &Did, row: &RecordRow) -> Option<Value> {
    let value = decode(row.body.as_ref()?, &Limits::RECORD).ok()?;
    Some(
        json!({ "uri": format!("at://{did}/{}", row.key), "cid": row.cid.to_string(), "value": to_json(&value) }),
    )
}
