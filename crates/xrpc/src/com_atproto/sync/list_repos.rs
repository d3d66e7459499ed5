//! `com.atproto.sync.listRepos`: the accounts that are hosted here, by DID; those that are served as a mirror are listed
//! under the name of the mirror only, so that nobody takes this node for their host.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::Response;
use p2pds_reading::Refusal;
use p2pds_store::AccountStatus;
use p2pds_syntax::Did;
use serde_json::{Map, Value, json};

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let limit = asked.params.limit(500, 1_000)?;
    if hosted(&door, &asked) {
        return host(&door, &asked, limit).await;
    }
    let after = after(&door, &asked)?;
    let _held = door.limits.heavy(&asked).await?;
    let dids = door.reading.served(after.as_ref(), None, limit);
    let mut repos = Vec::new();
    for did in &dids {
        match door.reading.repo(asked.viewer, did).await {
            Ok((_, head)) => repos.push(json!({
                "did": did, "head": head.commit.to_string(), "rev": head.rev.to_string(), "active": true,
            })),
            Err(Refusal::Store(error)) => return Err(Refusal::Store(error).into()),
            // Not for this reader, or withdrawn.
            Err(_) => {}
        }
    }
    Ok(Json(page(repos, dids.last().filter(|_| dids.len() >= limit))).into_response())
}

/// Whether those are listed who are hosted here: under every name but the mirror's.
pub(crate) fn hosted(door: &Xrpc, asked: &Asked) -> bool {
    door.host.is_some() && door.config.mirror_hostname.as_deref() != Some(asked.host.as_str())
}

/// Where the list of hosted accounts goes on.
pub(crate) fn cursor(asked: &Asked) -> Result<Option<Did>, XrpcError> {
    let cursor = asked.params.get("cursor").map(Did::parse).transpose();
    cursor.map_err(|_| XrpcError::invalid("cursor must be the last did of the page before"))
}

async fn host(door: &Xrpc, asked: &Asked, limit: usize) -> Result<Response, XrpcError> {
    let after = cursor(asked)?;
    let _held = door.limits.heavy(asked).await?;
    let heads = door.reading.hosted(after.as_ref(), None, limit).await?;
    let repos = heads.iter().map(|head| {
        let mut repo = json!({
            "did": head.did, "head": head.commit.to_string(), "rev": head.rev.to_string(),
            "active": head.status == AccountStatus::Active,
        });
        if head.status != AccountStatus::Active
            && let Some(fields) = repo.as_object_mut()
        {
            fields.insert("status".to_owned(), head.status.as_str().into());
        }
        repo
    });
    let next = heads.last().map(|head| &head.did).filter(|_| heads.len() >= limit);
    Ok(Json(page(repos.collect(), next)).into_response())
}

/// Where the list goes on; and whether lists are given out under the name that was asked.
pub(crate) fn after(door: &Xrpc, asked: &Asked) -> Result<Option<Did>, XrpcError> {
    let named = door.config.mirror_hostname.as_deref() == Some(asked.host.as_str());
    if !named && !door.config.archive_only {
        return Err(XrpcError::not_implemented("lists are given out under the name of the mirror only"));
    }
    cursor(asked)
}

/// A page of repos.
pub(crate) fn page(repos: Vec<Value>, next: Option<&Did>) -> Value {
    let mut body = Map::new();
    body.extend(next.map(|did| ("cursor".to_owned(), json!(did))));
    body.insert("repos".to_owned(), repos.into());
    body.into()
}
