//! `com.atproto.server.createAccount`: a new account, with a new identity or one that is brought along.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::accounts::{By, NewAccount};
use p2pds_syntax::Did;
use serde::Deserialize;
use serde_json::Value;

use super::view;
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// What somebody who signs up says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    handle: String,
    email: Option<String>,
    password: Option<String>,
    invite_code: Option<String>,
    recovery_key: Option<String>,
    did: Option<Did>,
    plc_op: Option<Value>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<Output<Value>, XrpcError> {
    if given.plc_op.is_some() {
        return Err(XrpcError::invalid(
            "Unsupported input: \"plcOp\". Identities are made here, or brought along and changed afterwards",
        ));
    }
    let asked = NewAccount {
        handle: given.handle,
        email: given.email,
        password: given.password,
        invite_code: given.invite_code,
        recovery_key: given.recovery_key,
        did: given.did,
        requester: auth.did().cloned(),
        by: By::Owner,
    };
    Ok(Output(view::session(&door.host()?.create_account(asked).await?)))
}
