//! What the methods that write to a repo share: whose it is, how fields are read, how a commit is answered.

use p2pds_host::write::{Status, Swap, Write, WriteOptions, WriteResult, Written};
use p2pds_host::{Access, Host};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_ipld::json::into_record;
use p2pds_oauth::scope::{Need, RepoAction};
use p2pds_syntax::{AtIdentifier, Did, Nsid, Rkey};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use crate::auth::Asking;
use crate::error::XrpcError;
use crate::meter::Meter;

/// The account whose repo is named, which must be the caller's own.
///
/// # Errors
/// It is somebody else's, or nobody's.
pub(super) async fn own_repo(host: &Host, access: &Access, repo: &str) -> Result<Did, XrpcError> {
    // Nearly every caller writes his DID as it is in his token.
    if repo == access.did.as_str() {
        return Ok(access.did.clone());
    }
    let login = match AtIdentifier::parse(repo) {
        Ok(AtIdentifier::Did(did)) => host.store().login(&did).await,
        Ok(AtIdentifier::Handle(handle)) => host.store().login_by_handle(handle.as_str()).await,
        Err(error) => return Err(field("repo", &error.to_string())),
    };
    match login.map_err(p2pds_host::HostError::from)?.map(|login| login.did) {
        Some(did) if did == access.did => Ok(did),
        Some(_) => Err(XrpcError::unauthenticated(
            "AuthenticationRequired",
            "Authentication Required: the repo is another account's; log in as that account",
        )),
        None => Err(XrpcError::new(
            axum::http::StatusCode::FORBIDDEN,
            "AccountNotFound",
            "Account not found; `repo` is the DID or handle of the account that is logged in",
        )),
    }
}

/// Writes to the caller's own repo, which is how all four methods do it: an application must have been granted each write
/// of them, by collection and action, before the first is looked at.
///
/// # Errors
/// `ScopeMissingError`; what the host says.
pub(super) async fn commit(
    host: &Host,
    (caller, meter): (&Asking, &Meter),
    did: &Did,
    writes: Vec<Write>,
    options: WriteOptions,
) -> Result<Written, XrpcError> {
    let mut points: u32 = 0;
    for write in &writes {
        let (collection, actions, costs): (&Nsid, &[RepoAction], u32) = match write {
            Write::Create { collection, .. } => (collection, &[RepoAction::Create], 3),
            Write::Update { collection, .. } => (collection, &[RepoAction::Update], 2),
            // It does the one or the other.
            Write::Put { collection, .. } => (collection, &[RepoAction::Create, RepoAction::Update], 2),
            Write::Delete { collection, .. } => (collection, &[RepoAction::Delete], 1),
        };
        for action in actions {
            caller.may(&Need::Repo { collection: collection.as_str(), action: *action })?;
        }
        points = points.saturating_add(costs);
    }
    // Counted when it is allowed: nobody uses up what others may write.
    meter.writes(did, points)?;
    Ok(host.write(did, writes, options).await?)
}

/// A field of the input that is not what it must be.
pub(super) fn field(name: &str, problem: &str) -> XrpcError {
    XrpcError::invalid(format!("Input/{name} is not valid: {problem}"))
}

pub(super) fn collection(text: &str) -> Result<Nsid, XrpcError> {
    Nsid::parse(text).map_err(|error| field("collection", &error.to_string()))
}

pub(super) fn rkey(text: &str) -> Result<Rkey, XrpcError> {
    Rkey::parse(text).map_err(|error| field("rkey", &error.to_string()))
}

pub(super) fn cid(name: &str, text: Option<&str>) -> Result<Option<Cid>, XrpcError> {
    text.map(|text| text.parse::<Cid>().map_err(|error| field(name, &error.to_string()))).transpose()
}

/// The record as the data model has it; what would not come back unchanged is refused.
pub(super) fn record(name: &str, json: Json) -> Result<Value, XrpcError> {
    into_record(json).map_err(|error| field(name, &error.to_string()))
}

/// `swapRecord`: left out, null, or a CID.
pub(super) fn swap(text: Option<Option<String>>) -> Result<Swap, XrpcError> {
    Ok(match text {
        None => Swap::Any,
        Some(None) => Swap::Absent,
        Some(Some(text)) => cid("swapRecord", Some(&text))?.map_or(Swap::Any, Swap::Is),
    })
}

/// Reads a field that may be left out and may not be null.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Reads a field so that null and left out stay two things.
pub(super) fn nullable<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

/// A commit as methods answer it.
#[derive(Debug, Serialize)]
pub(super) struct CommitMeta {
    cid: String,
    rev: String,
}

impl CommitMeta {
    pub(super) fn of(written: &Written) -> Self {
        Self { cid: written.commit.to_string(), rev: written.rev.to_string() }
    }
}

/// The answer of createRecord and putRecord.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WroteRecord {
    uri: String,
    cid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<CommitMeta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_status: Option<&'static str>,
}

impl WroteRecord {
    pub(super) fn of(did: &Did, written: &Written) -> Result<Self, XrpcError> {
        let result = written.results.first().ok_or_else(nothing)?;
        let (uri, cid, status) = parts(did, result).ok_or_else(nothing)?;
        let commit = written.changed.then(|| CommitMeta::of(written));
        Ok(Self { uri, cid, commit, validation_status: status })
    }
}

/// URI, CID and status of a record that was written.
pub(super) fn parts(did: &Did, result: &WriteResult) -> Option<(String, String, Option<&'static str>)> {
    let uri = format!("at://{did}/{}", result.path);
    Some((uri, result.cid?.to_string(), result.status.map(Status::as_str)))
}

fn nothing() -> XrpcError {
    XrpcError::new(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        "InternalServerError",
        "the write has no result; this is a defect of the host",
    )
}
