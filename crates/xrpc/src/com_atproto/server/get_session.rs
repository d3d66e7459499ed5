//! `com.atproto.server.getSession`: whose session it is, and how the account stands. The e-mail address is for applications
//! that were granted it.

use std::sync::Arc;

use axum::extract::State;
use p2pds_oauth::scope::{AccountAction, AccountAttr, Need};
use serde_json::Value;

use super::view;
use crate::auth::{Asking, Session};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    caller: Asking,
) -> Result<Output<Value>, XrpcError> {
    let mut account = view::account(&door.host()?.account_view(&access.did).await?);
    if caller.may(&Need::Account { attr: AccountAttr::Email, action: AccountAction::Read }).is_err() {
        account.retain(|field, _| !field.starts_with("email"));
    }
    Ok(Output(Value::Object(account)))
}
