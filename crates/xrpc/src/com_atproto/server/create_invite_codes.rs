//! `com.atproto.server.createInviteCodes`: invite codes, so many for each account.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::accounts::{ADMIN, By};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// How many, for how many accounts each, and whose they are.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    #[serde(default = "one")]
    code_count: usize,
    use_count: u32,
    for_accounts: Option<Vec<String>>,
}

fn one() -> usize {
    1
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Input(given): Input<Given>,
) -> Result<Output<Value>, XrpcError> {
    let owners = given.for_accounts.unwrap_or_else(|| vec![ADMIN.to_owned()]);
    let made = door.host()?.create_invites(&By::Admin, &owners, given.code_count, given.use_count).await?;
    let codes: Vec<Value> =
        made.iter().map(|made| json!({ "account": made.account, "codes": made.codes })).collect();
    Ok(Output(json!({ "codes": codes })))
}
