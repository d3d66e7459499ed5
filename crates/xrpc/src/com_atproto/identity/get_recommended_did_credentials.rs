//! `com.atproto.identity.getRecommendedDidCredentials`: what the document of the account should say while it is here.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::Recommended;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
) -> Result<Output<Recommended>, XrpcError> {
    Ok(Output(door.host()?.recommended_credentials(&access.did).await?))
}
