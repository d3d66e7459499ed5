//! `com.atproto.server.getServiceAuth`: a token by which the account lets its bearer call one method elsewhere.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::Scope;
use p2pds_host::service_auth::check_audience;
use p2pds_syntax::Nsid;
use serde::Serialize;

use crate::asked::Asked;
use crate::auth::{Asking, Session};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;
use crate::proxy::target::{privileged, protected};

/// The token.
#[derive(Debug, Serialize)]
pub struct Answer {
    token: String,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    caller: Asking,
    asked: Asked,
) -> Result<Output<Answer>, XrpcError> {
    let audience = asked.params.need("aud")?;
    check_audience(audience)?;
    let lxm = asked.params.get("lxm");
    if lxm.is_some_and(|lxm| Nsid::parse(lxm).is_err()) {
        return Err(XrpcError::invalid("lxm must be a valid nsid"));
    }
    let expires = asked.params.get("exp").map(|text| {
        text.parse::<u64>().map_err(|_| XrpcError::invalid("exp must be an integer: seconds since 1970"))
    });
    // For what an application may have one, the guard has asked its scopes.
    may_ask((!caller.is_granted()).then_some(access.scope), lxm)?;
    let token = door.host()?.service_token(&access.did, audience, lxm, expires.transpose()?).await?;
    Ok(Output(Answer { token }))
}

/// Whether a session may have a token for a method; `scope` is what one that was opened with a password may.
fn may_ask(scope: Option<Scope>, lxm: Option<&str>) -> Result<(), XrpcError> {
    // Who was taken down may move away, and nothing else.
    if scope == Some(Scope::Takendown) && lxm != Some("com.atproto.server.createAccount") {
        return Err(XrpcError::bad_token("InvalidToken", "Bad token scope: this session may only move away"));
    }
    let Some(lxm) = lxm else { return Ok(()) };
    let enough = |scope| matches!(scope, Scope::Full | Scope::Privileged | Scope::Takendown);
    if privileged(lxm) && !scope.is_none_or(enough) {
        return Err(XrpcError::invalid(format!(
            "insufficient access to request a service auth token for the following method: {lxm}"
        )));
    }
    if protected(lxm) {
        return Err(XrpcError::invalid(format!(
            "cannot request a service auth token for the following protected method: {lxm}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_have_a_token_for_what() {
        let message = Some("chat.bsky.convo.sendMessage");
        let moving = Some("com.atproto.server.createAccount");
        let plain = Some("app.bsky.feed.getTimeline");
        for (scope, lxm, ok) in [
            (Some(Scope::Full), None, true),
            (Some(Scope::Full), message, true),
            (Some(Scope::Full), moving, true),
            (Some(Scope::Full), Some("com.atproto.identity.updateHandle"), false),
            (Some(Scope::Full), Some("com.atproto.identity.UPDATEHANDLE"), false),
            (Some(Scope::AppPassword), plain, true),
            (Some(Scope::AppPassword), message, false),
            (Some(Scope::AppPassword), moving, false),
            (Some(Scope::Privileged), message, true),
            (Some(Scope::Takendown), moving, true),
            (Some(Scope::Takendown), plain, false),
            (Some(Scope::Takendown), None, false),
            (None, message, true),
            (None, moving, true),
            (None, Some("com.atproto.server.createAppPassword"), false),
        ] {
            assert_eq!(may_ask(scope, lxm).is_ok(), ok, "{scope:?} {lxm:?}");
        }
    }
}
