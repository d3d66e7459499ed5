//! `com.atproto.identity.resolveHandle`: where a handle leads; one way, as the method has it.

use std::sync::Arc;

use axum::extract::State;
use p2pds_syntax::Did;
use serde::Serialize;

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// The account.
#[derive(Debug, Serialize)]
pub struct Answer {
    did: Did,
}

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<Answer>, XrpcError> {
    let handle = asked.params.need("handle")?;
    let _held = door.limits.heavy(&asked).await?;
    Ok(Output(Answer { did: door.host()?.resolve_handle(handle).await? }))
}
