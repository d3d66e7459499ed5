//! `com.atproto.repo.applyWrites`: up to 200 creates, updates and deletes in one commit, all or none.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::write::{MAX_WRITES, Swap, Validate, Write, WriteOptions, WriteResult};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::writing::{CommitMeta, cid, collection, commit, field, given, own_repo, parts, record, rkey};
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
    #[serde(default, deserialize_with = "given")]
    validate: Option<bool>,
    writes: Vec<Item>,
    #[serde(default, deserialize_with = "given")]
    swap_commit: Option<String>,
}

/// One write.
#[derive(Debug, Deserialize)]
pub struct Item {
    #[serde(rename = "$type")]
    kind: Option<String>,
    collection: String,
    #[serde(default, deserialize_with = "given")]
    rkey: Option<String>,
    value: Option<Value>,
}

/// What it answers.
#[derive(Debug, Serialize)]
pub struct Applied {
    commit: CommitMeta,
    results: Vec<ItemResult>,
}

/// What became of one write.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemResult {
    #[serde(rename = "$type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_status: Option<&'static str>,
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    fn of(kind: Option<&str>) -> Result<Self, XrpcError> {
        match kind {
            Some("com.atproto.repo.applyWrites#create") => Ok(Self::Create),
            Some("com.atproto.repo.applyWrites#update") => Ok(Self::Update),
            Some("com.atproto.repo.applyWrites#delete") => Ok(Self::Delete),
            Some(kind) => Err(XrpcError::invalid(format!(
                "Action not supported: {kind}; the $type of a write is com.atproto.repo.applyWrites#create, #update or #delete"
            ))),
            None => Err(XrpcError::invalid(
                "every write has a $type: com.atproto.repo.applyWrites#create, #update or #delete",
            )),
        }
    }

    fn result(self) -> &'static str {
        match self {
            Self::Create => "com.atproto.repo.applyWrites#createResult",
            Self::Update => "com.atproto.repo.applyWrites#updateResult",
            Self::Delete => "com.atproto.repo.applyWrites#deleteResult",
        }
    }
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    caller: Asking,
    meter: Meter,
    Input(asked): Input<Asked>,
) -> Result<Output<Applied>, XrpcError> {
    let host = door.host()?;
    let did = own_repo(host, caller.access()?, &asked.repo).await?;
    if asked.writes.len() > MAX_WRITES {
        return Err(XrpcError::invalid(format!(
            "Too many writes. Max: {MAX_WRITES}; send them in several calls"
        )));
    }
    let actions =
        asked.writes.iter().map(|item| Action::of(item.kind.as_deref())).collect::<Result<Vec<_>, _>>()?;
    let mut writes = Vec::with_capacity(actions.len());
    for (at, (item, action)) in asked.writes.into_iter().zip(&actions).enumerate() {
        writes.push(write(at, item, *action)?);
    }
    let options = WriteOptions {
        swap_commit: cid("swapCommit", asked.swap_commit.as_deref())?,
        validate: Validate::from_field(asked.validate),
        replace_duplicates: false,
    };
    let written = commit(host, (&caller, &meter), &did, writes, options).await?;
    let results = actions.iter().zip(&written.results).map(|(action, result)| answer(&did, *action, result));
    Ok(Output(Applied { commit: CommitMeta::of(&written), results: results.collect() }))
}

fn write(at: usize, item: Item, action: Action) -> Result<Write, XrpcError> {
    let name = |field: &str| format!("writes/{at}/{field}");
    let missing = |what: &str| field(&name(what), "it is missing");
    let (collection, key) = (collection(&item.collection)?, item.rkey.as_deref().map(rkey).transpose()?);
    let value = |value: Option<Value>| {
        value.ok_or_else(|| missing("value")).and_then(|value| record(&name("value"), value))
    };
    Ok(match action {
        Action::Create => Write::Create { collection, rkey: key, record: value(item.value)? },
        Action::Update => {
            let rkey = key.ok_or_else(|| missing("rkey"))?;
            Write::Update { collection, rkey, record: value(item.value)? }
        }
        Action::Delete => {
            let rkey = key.ok_or_else(|| missing("rkey"))?;
            Write::Delete { collection, rkey, swap: Swap::Any, missing_ok: false }
        }
    })
}

fn answer(did: &Did, action: Action, result: &WriteResult) -> ItemResult {
    let (uri, cid, validation_status) = match parts(did, result) {
        Some((uri, cid, status)) => (Some(uri), Some(cid), status),
        None => (None, None, None),
    };
    ItemResult { kind: action.result(), uri, cid, validation_status }
}
