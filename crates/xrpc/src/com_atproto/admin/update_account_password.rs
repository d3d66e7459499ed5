//! `com.atproto.admin.updateAccountPassword`: another password for an account; its sessions end.

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

/// Whose, and which.
#[derive(Deserialize)]
pub struct Given {
    did: Did,
    password: String,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given")
    }
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    let (host, by) = (door.host()?, by(&auth));
    host.admin_set_password(&by, &given.did, &given.password).await?;
    Ok(StatusCode::OK)
}
