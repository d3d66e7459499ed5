//! `com.atproto.admin.sendEmail`: a message to the owner of an account.

use std::sync::Arc;

use axum::extract::State;
use p2pds_syntax::Did;
use serde::Deserialize;
use serde_json::{Value, json};

use super::by;
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// To whom, and what.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    recipient_did: Did,
    content: String,
    subject: Option<String>,
}

/// Answers it. The message is queued durably then.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<Output<Value>, XrpcError> {
    let subject = given.subject.as_deref().unwrap_or("Message via your PDS");
    door.host()?.admin_send_email(&by(&auth), &given.recipient_did, subject, &given.content).await?;
    Ok(Output(json!({ "sent": true })))
}
