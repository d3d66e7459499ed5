//! `com.atproto.identity.resolveDid`: the document of a DID, whoever hosts the account.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    did_doc: Value,
}

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<Answer>, XrpcError> {
    let did = asked.params.did("did")?;
    let _held = door.limits.heavy(&asked).await?;
    Ok(Output(Answer { did_doc: door.host()?.did_document(&did).await? }))
}
