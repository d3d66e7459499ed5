//! `app.bsky.actor.getPreferences`: what the application keeps with the account.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::Scope;
use serde_json::{Value, json};

use super::NAMESPACE;
use crate::asked::Asked;
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it. Moderators name the account; what is personal is for them and for full sessions.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    asked: Asked,
) -> Result<Output<Value>, XrpcError> {
    let (did, full) = match &auth {
        Auth::Moderator(_) | Auth::Admin => (asked.params.did("did")?, true),
        other => {
            let access = other.access()?;
            (access.did.clone(), access.scope == Scope::Full)
        }
    };
    let preferences = door.host()?.preferences(&did, NAMESPACE, full).await?;
    Ok(Output(json!({ "preferences": preferences })))
}
