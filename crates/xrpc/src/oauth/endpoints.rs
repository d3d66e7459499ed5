//! What applications post.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use p2pds_oauth::{Form, OAuth, OAuthError};
use serde_json::json;

use super::answer::{fresh, limit, refusal};
use crate::asked::{Caller, PeerAddress};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::{self, Bounded, Pace};
use crate::meter::{Meter, OAUTH_PUSH, OAUTH_TOKEN, Rule};

/// Most bytes of a request.
const MOST: u64 = 64 * 1024;
/// Time for all of it to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What came, as the server wants it.
struct Posted {
    form: Form,
    /// All values of the header `DPoP`.
    proofs: Vec<String>,
}

enum Stopped {
    Limit(XrpcError),
    Refused(OAuthError),
}

impl Posted {
    fn proofs(&self) -> Vec<&str> {
        self.proofs.iter().map(String::as_str).collect()
    }
}

async fn posted(door: &Arc<Xrpc>, rule: &'static Rule, request: Request) -> Result<Posted, Stopped> {
    let (parts, body) = request.into_parts();
    let caller = Caller::of(door, parts.extensions.get::<PeerAddress>(), &parts.headers);
    let meter = Meter::new(door, caller.counted, door.is_free(&caller, &parts.headers));
    // Before anything is refused the body is bounded: that sees to it that the refusal is heard.
    let body = HttpBody::new(Bounded::new(body, MOST, Pace::Within(BODY_TIME)));
    meter.take(rule, &meter.address(), 1).map_err(Stopped::Limit)?;
    let read = kind(&parts.headers).map_err(Stopped::Refused)?;
    let proofs = proofs(&parts.headers).map_err(Stopped::Refused)?;
    let bytes = body.collect().await.map_err(|error| Stopped::Limit(input::refused(&error)))?.to_bytes();
    let form = read(&bytes).map_err(Stopped::Refused)?;
    Ok(Posted { form, proofs })
}

type Read = fn(&[u8]) -> Result<Form, OAuthError>;

/// How the body is to be read: a form as the specifications have it, or JSON as the clients of the network send it.
fn kind(headers: &HeaderMap) -> Result<Read, OAuthError> {
    // RFC 6749 2.3.1: no client has a password here.
    if headers.contains_key(header::AUTHORIZATION) {
        return Err(OAuthError::ClientAuth("there is no authentication by header here"));
    }
    if !input::is_plain(headers) {
        return Err(OAuthError::Body("it is compressed"));
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let kind = kinds.next().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kinds.next().is_some() {
        return Err(OAuthError::Body("it has two media types"));
    }
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Ok(Form::urlencoded),
        "application/json" => Ok(Form::json),
        _ => Err(OAuthError::Body(
            "its media type is neither application/x-www-form-urlencoded nor application/json",
        )),
    }
}

fn proofs(headers: &HeaderMap) -> Result<Vec<String>, OAuthError> {
    headers
        .get_all("dpop")
        .iter()
        .map(|value| value.to_str().map(str::to_owned).map_err(|_| OAuthError::DpopRepeated))
        .collect()
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "nothing here: this node hosts no accounts\n").into_response()
}

fn stopped(oauth: &OAuth, stopped: &Stopped) -> Response {
    match stopped {
        Stopped::Limit(error) => limit(oauth, error),
        Stopped::Refused(error) => refusal(oauth, error),
    }
}

/// `POST /oauth/par` (RFC 9126).
pub(crate) async fn par(State(door): State<Arc<Xrpc>>, request: Request) -> Response {
    let Some(oauth) = &door.oauth else { return nothing() };
    let posted = match posted(&door, &OAUTH_PUSH, request).await {
        Ok(posted) => posted,
        Err(why) => return stopped(oauth, &why),
    };
    match oauth.par(&posted.form, &posted.proofs()).await {
        Ok(pushed) => {
            let body = json!({ "request_uri": pushed.request_uri, "expires_in": pushed.expires_in });
            fresh(oauth, StatusCode::CREATED, body)
        }
        Err(error) => refusal(oauth, &error),
    }
}

/// `POST /oauth/token` (RFC 6749 3.2).
pub(crate) async fn token(State(door): State<Arc<Xrpc>>, request: Request) -> Response {
    let Some(oauth) = &door.oauth else { return nothing() };
    let posted = match posted(&door, &OAUTH_TOKEN, request).await {
        Ok(posted) => posted,
        Err(why) => return stopped(oauth, &why),
    };
    match oauth.token(&posted.form, &posted.proofs()).await {
        Ok(tokens) => fresh(oauth, StatusCode::OK, tokens.to_json()),
        Err(error) => refusal(oauth, &error),
    }
}

/// `POST /oauth/revoke` (RFC 7009).
pub(crate) async fn revoke(State(door): State<Arc<Xrpc>>, request: Request) -> Response {
    let Some(oauth) = &door.oauth else { return nothing() };
    let posted = match posted(&door, &OAUTH_TOKEN, request).await {
        Ok(posted) => posted,
        Err(why) => return stopped(oauth, &why),
    };
    match oauth.revoke(&posted.form, &posted.proofs()).await {
        Ok(()) => fresh(oauth, StatusCode::OK, json!({})),
        Err(error) => refusal(oauth, &error),
    }
}
