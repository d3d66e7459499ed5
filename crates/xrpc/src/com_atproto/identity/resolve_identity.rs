//! `com.atproto.identity.resolveIdentity`: DID, handle and document, the handle checked both ways.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::IdentityInfo;

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<IdentityInfo>, XrpcError> {
    let who = asked.params.at_identifier("identifier")?;
    let _held = door.limits.heavy(&asked).await?;
    Ok(Output(door.host()?.identity_info(&who).await?))
}
