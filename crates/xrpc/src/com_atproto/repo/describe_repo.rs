//! `com.atproto.repo.describeRepo`: handle, DID document as it was seen last, collections.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use p2pds_syntax::AtIdentifier;
use serde_json::{Value, json};

use super::account;
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = account(&door, &asked.params.at_identifier("repo")?).await?;
    let _held = door.limits.usual().await?;
    let known = door.reading.describe(asked.viewer, &did).await?;
    let document = match &door.host {
        // Its document changes here, and is asked for when it is old.
        Some(host) if known.view.account.hosted => {
            let found = host.directory().resolve(&AtIdentifier::Did(did.clone())).await.ok();
            found.and_then(|identity| serde_json::from_str(&identity.doc_json).ok())
        }
        _ => known.document.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()),
    };
    let claims = |handle: &str| {
        let names = document.as_ref().and_then(|doc| doc.get("alsoKnownAs")).and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(&format!("at://{handle}"))))
    };
    let correct = known.handle.as_deref().is_some_and(|handle| !known.view.account.hosted || claims(handle));
    let body = json!({
        "handle": known.handle.as_deref().unwrap_or("handle.invalid"),
        "did": did,
        "didDoc": document.unwrap_or_else(|| json!({ "id": did })),
        "collections": known.collections,
        "handleIsCorrect": correct,
    });
    Ok(reply::json(&known.view, body))
}
