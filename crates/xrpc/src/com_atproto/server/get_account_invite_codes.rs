//! `com.atproto.server.getAccountInviteCodes`: the codes that the account may give away.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::view;
use crate::asked::Asked;
use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it. Both switches are on unless they are turned off.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    asked: Asked,
) -> Result<Output<Value>, XrpcError> {
    let on = |name| match asked.params.get(name) {
        None => Ok(true),
        Some(_) => asked.params.flag(name),
    };
    let (used, create) = (on("includeUsed")?, on("createAvailable")?);
    let rows = door.host()?.account_invites(&access.did, create).await?;
    let wanted = rows.iter().filter(|row| !row.disabled && (used || row.used_up() < row.uses));
    let codes: Vec<Value> = wanted.map(view::invite).collect();
    Ok(Output(json!({ "codes": codes })))
}
