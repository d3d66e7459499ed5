//! `com.atproto.identity.refreshIdentity`: what is remembered of somebody's identity is asked for anew. At most once a
//! minute for one account, whoever asks.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::IdentityInfo;
use p2pds_syntax::AtIdentifier;
use serde::Deserialize;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// Whose.
#[derive(Debug, Deserialize)]
pub struct Given {
    identifier: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(_): Session,
    Input(given): Input<Given>,
) -> Result<Output<IdentityInfo>, XrpcError> {
    let who = AtIdentifier::parse(&given.identifier)
        .map_err(|_| XrpcError::invalid("identifier must be a valid did or a handle"))?;
    Ok(Output(door.host()?.refresh_identity(&who).await?))
}
