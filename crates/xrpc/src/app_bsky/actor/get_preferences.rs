//! `app.bsky.actor.getPreferences`: what the application keeps with the account.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use p2pds_host::Scope;
use serde_json::json;

use super::NAMESPACE;
use crate::asked::Asked;
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;
use crate::proxy::handle::elsewhere;

const NSID: &str = "app.bsky.actor.getPreferences";

/// Answers it, unless the caller names another AppView. Moderators name the account; what is personal is for them and for
/// full sessions.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    asked: Asked,
    request: Request,
) -> Result<Response, XrpcError> {
    let (did, full) = match &auth {
        Auth::Moderator(_) | Auth::Admin => (asked.params.did("did")?, true),
        other => {
            let access = other.access()?;
            let (parts, _) = request.into_parts();
            if let Some(answer) = elsewhere(&door, access, NSID, (&parts, None)).await? {
                return Ok(answer);
            }
            (access.did.clone(), access.scope == Scope::Full)
        }
    };
    let preferences = door.host()?.preferences(&did, NAMESPACE, full).await?;
    Ok(Output(json!({ "preferences": preferences })).into_response())
}
