//! `com.atproto.repo.deleteRecord`: no record at a key any more. Where none is, that is a success without a commit.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::write::{Swap, Write, WriteOptions};
use serde::{Deserialize, Serialize};

use super::writing::{CommitMeta, cid, collection, commit, given, own_repo, rkey};
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
    swap_record: Option<String>,
    #[serde(default, deserialize_with = "given")]
    swap_commit: Option<String>,
}

/// What it answers.
#[derive(Debug, Serialize)]
pub struct Deleted {
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitMeta>,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    caller: Asking,
    meter: Meter,
    Input(asked): Input<Asked>,
) -> Result<Output<Deleted>, XrpcError> {
    let host = door.host()?;
    let did = own_repo(host, caller.access()?, &asked.repo).await?;
    let write = Write::Delete {
        collection: collection(&asked.collection)?,
        rkey: rkey(&asked.rkey)?,
        swap: cid("swapRecord", asked.swap_record.as_deref())?.map_or(Swap::Any, Swap::Is),
        missing_ok: true,
    };
    let swap_commit = cid("swapCommit", asked.swap_commit.as_deref())?;
    let written = commit(
        host,
        (&caller, &meter),
        &did,
        vec![write],
        WriteOptions { swap_commit, ..WriteOptions::default() },
    )
    .await?;
    Ok(Output(Deleted { commit: written.changed.then(|| CommitMeta::of(&written)) }))
}
