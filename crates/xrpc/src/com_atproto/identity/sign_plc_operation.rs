//! `com.atproto.identity.signPlcOperation`: a change of the account's identity, built and signed here, not submitted.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::PlcChange;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// What is to change, and the token that was sent by e-mail.
#[derive(Debug, Deserialize)]
pub struct Given {
    token: Option<String>,
    #[serde(flatten)]
    change: PlcChange,
}

/// The signed operation.
#[derive(Debug, Serialize)]
pub struct Answer {
    operation: Value,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<Output<Answer>, XrpcError> {
    let token = given.token.filter(|token| !token.is_empty()).ok_or_else(|| {
        XrpcError::invalid(
            "email confirmation token required to sign PLC operations: requestPlcOperationSignature sends one",
        )
    })?;
    let operation = door.host()?.sign_plc_operation(&access.did, &token, given.change).await?;
    Ok(Output(Answer { operation: operation.to_json() }))
}
