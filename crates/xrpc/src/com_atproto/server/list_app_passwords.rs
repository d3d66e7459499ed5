//! `com.atproto.server.listAppPasswords`: the names of the account's app passwords.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::view;
use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
) -> Result<Output<Value>, XrpcError> {
    let rows = door.host()?.app_passwords(&access.did).await?;
    let passwords: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "name": row.name, "createdAt": view::time(row.created_at), "privileged": row.privileged }))
        .collect();
    Ok(Output(json!({ "passwords": passwords })))
}
