//! `com.atproto.server.reserveSigningKey`: the key with which an account that is about to be made here will sign.

use std::sync::Arc;

use axum::extract::State;
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// For whom.
#[derive(Debug, Deserialize)]
pub struct Given {
    did: Option<Did>,
}

/// The key as did:key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    signing_key: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Input(given): Input<Given>,
) -> Result<Output<Answer>, XrpcError> {
    Ok(Output(Answer { signing_key: door.host()?.reserve_signing_key(given.did.as_ref()).await? }))
}
