//! `com.atproto.repo.putRecord`: a record at a key, whether there is one or not. What stands there already is not
//! written again, and the answer names no commit then.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::write::{Validate, Write, WriteOptions};
use serde::Deserialize;
use serde_json::Value;

use super::writing::{WroteRecord, cid, collection, commit, given, nullable, own_repo, record, rkey, swap};
use crate::auth::Asking;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::meter::Meter;
use crate::output::Output;

/// What it is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    repo: String,
    collection: String,
    rkey: String,
    #[serde(default, deserialize_with = "given")]
    validate: Option<bool>,
    record: Value,
    #[serde(default, deserialize_with = "nullable")]
    swap_record: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    swap_commit: Option<String>,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    caller: Asking,
    meter: Meter,
    Input(asked): Input<Asked>,
) -> Result<Output<WroteRecord>, XrpcError> {
    let host = door.host()?;
    let did = own_repo(host, caller.access()?, &asked.repo).await?;
    let write = Write::Put {
        collection: collection(&asked.collection)?,
        rkey: rkey(&asked.rkey)?,
        record: record("record", asked.record)?,
        swap: swap(asked.swap_record)?,
    };
    let options = WriteOptions {
        swap_commit: cid("swapCommit", asked.swap_commit.as_deref())?,
        validate: Validate::from_field(asked.validate),
        replace_duplicates: false,
    };
    let written = commit(host, (&caller, &meter), &did, vec![write], options).await?;
    Ok(Output(WroteRecord::of(&did, &written)?))
}
