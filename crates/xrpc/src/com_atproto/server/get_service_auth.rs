//! `com.atproto.server.getServiceAuth`: a token by which the account lets its bearer call one method elsewhere.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::Scope;
use p2pds_host::service_auth::check_audience;
use p2pds_syntax::Nsid;
use serde::Serialize;

use crate::asked::Asked;
use crate::auth::Session;
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
    may_ask(access.scope, lxm)?;
    let token = door.host()?.service_token(&access.did, audience, lxm, expires.transpose()?).await?;
    Ok(Output(Answer { token }))
}

/// Whether a session may have a token for a method.
fn may_ask(scope: Scope, lxm: Option<&str>) -> Result<(), XrpcError> {
    // Who was taken down may move away, and nothing else.
    if scope == Scope::Takendown && lxm != Some("com.atproto.server.createAccount") {
        return Err(XrpcError::bad_token("InvalidToken", "Bad token scope: this session may only move away"));
    }
    let Some(lxm) = lxm else { return Ok(()) };
    if privileged(lxm) && !matches!(scope, Scope::Full | Scope::Privileged | Scope::Takendown) {
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
            (Scope::Full, None, true),
            (Scope::Full, message, true),
            (Scope::Full, moving, true),
            (Scope::Full, Some("com.atproto.identity.updateHandle"), false),
            (Scope::Full, Some("com.atproto.identity.UPDATEHANDLE"), false),
            (Scope::AppPassword, plain, true),
            (Scope::AppPassword, message, false),
            (Scope::AppPassword, moving, false),
            (Scope::Privileged, message, true),
            (Scope::Takendown, moving, true),
            (Scope::Takendown, plain, false),
            (Scope::Takendown, None, false),
        ] {
            assert_eq!(may_ask(scope, lxm).is_ok(), ok, "{scope:?} {lxm:?}");
        }
    }
}
