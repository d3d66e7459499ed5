//! `com.atproto.server.checkAccountStatus`: how far a migration is.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::AccountState;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
) -> Result<Output<AccountState>, XrpcError> {
    Ok(Output(door.host()?.account_state(&access.did).await?))
}
