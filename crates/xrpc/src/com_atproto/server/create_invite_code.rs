//! `com.atproto.server.createInviteCode`: one invite code.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::accounts::{ADMIN, By};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// For how many accounts, and whose it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    use_count: u32,
    for_account: Option<String>,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Input(given): Input<Given>,
) -> Result<Output<Value>, XrpcError> {
    let owner = given.for_account.unwrap_or_else(|| ADMIN.to_owned());
    let made = door.host()?.create_invites(&By::Admin, &[owner], 1, given.use_count).await?;
    let code = made.first().and_then(|made| made.codes.first()).cloned().unwrap_or_default();
    Ok(Output(json!({ "code": code })))
}
