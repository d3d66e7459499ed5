//! `com.atproto.admin.deleteAccount`: deletes an account without asking its owner. Nothing is left.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_syntax::Did;
use serde::Deserialize;

use super::by;
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// Which one.
#[derive(Debug, Deserialize)]
pub struct Given {
    did: Did,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let (host, by) = (door.host()?, by(&auth));
    host.admin_delete_account(&by, &given.did).await?;
    Ok(StatusCode::OK)
}
