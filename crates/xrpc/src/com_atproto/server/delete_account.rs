//! `com.atproto.server.deleteAccount`: by password and the code that was sent. Nothing is left.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_syntax::Did;
use serde::Deserialize;

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::meter::Meter;

/// Which account, its password, and the code.
#[derive(Deserialize)]
pub struct Given {
    did: Did,
    password: String,
    token: String,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("did", &self.did).finish_non_exhaustive()
    }
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    meter: Meter,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.delete_account(&given.did, &given.password, &given.token, &meter.address()).await?;
    Ok(StatusCode::OK)
}
