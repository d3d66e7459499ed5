//! `com.atproto.sync.listReposByCollection`: the accounts served here that have records in a collection.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::Response;
use p2pds_reading::Refusal;
use p2pds_store::AccountStatus;
use p2pds_syntax::Nsid;
use serde_json::json;

use super::list_repos::{after, cursor, hosted, page};
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let limit = asked.params.limit(500, 2_000)?;
    let collection = Nsid::parse(asked.params.need("collection")?)
        .map_err(|_| XrpcError::invalid("collection must be a valid nsid"))?;
    if hosted(&door, &asked) {
        let after = cursor(&asked)?;
        let _held = door.limits.heavy(&asked).await?;
        let heads = door.reading.hosted(after.as_ref(), Some(&collection), limit).await?;
        let active = heads.iter().filter(|head| head.status == AccountStatus::Active);
        let repos = active.map(|head| json!({ "did": head.did })).collect();
        let next = heads.last().map(|head| &head.did).filter(|_| heads.len() >= limit);
        return Ok(Json(page(repos, next)).into_response());
    }
    let after = after(&door, &asked)?;
    let _held = door.limits.heavy(&asked).await?;
    let dids = door.reading.served(after.as_ref(), Some(collection.as_str()), limit);
    let mut repos = Vec::new();
    for did in &dids {
        match door.reading.account(asked.viewer, did).await {
            Ok(_) => repos.push(json!({ "did": did })),
            Err(Refusal::Store(error)) => return Err(Refusal::Store(error).into()),
            Err(_) => {}
        }
    }
    Ok(Json(page(repos, dids.last().filter(|_| dids.len() >= limit))).into_response())
}
