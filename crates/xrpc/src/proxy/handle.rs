//! The handlers of what is passed on.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use p2pds_host::{Access, Host};
use p2pds_oauth::scope::Need;
use p2pds_syntax::{AtUri, Did};
use serde_json::Value;

use super::after_write::Munge;
use super::target::{Named, Service, audience, privileged};
use super::{Passed, Passing, pass, read};
use crate::asked::Params;
use crate::auth::{Asking, Session};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::guard::nsid_of;
use crate::input::refused;

/// What a feed generator is asked.
const FEED_SKELETON: &str = "app.bsky.feed.getFeedSkeleton";
/// The entry of a DID document that takes registrations for notifications.
const NOTIFICATIONS: &str = "bsky_notif";

/// A request that is passed on, taken apart.
struct Incoming {
    nsid: String,
    parts: Parts,
    body: Option<Bytes>,
}

impl Incoming {
    async fn read(request: Request) -> Result<Self, XrpcError> {
        let (parts, body) = request.into_parts();
        let nsid = nsid_of(parts.uri.path()).to_owned();
        if p2pds_syntax::Nsid::parse(&nsid).is_err() {
            return Err(XrpcError::invalid("the path does not end with the name of a method"));
        }
        if !matches!(parts.method, Method::GET | Method::HEAD | Method::POST) {
            return Err(XrpcError::invalid("XRPC requests only supports GET and POST"));
        }
        let bytes = body.collect().await.map_err(|error| refused(&error))?.to_bytes();
        let body = (parts.method == Method::POST).then_some(bytes);
        Ok(Self { nsid, parts, body })
    }

    fn passing(&self) -> Passing<'_> {
        Passing {
            method: self.parts.method.clone(),
            nsid: &self.nsid,
            query: self.parts.uri.query(),
            headers: &self.parts.headers,
            body: self.body.clone(),
            token_for: None,
        }
    }

    fn params(&self) -> Params {
        Params::parse(self.parts.uri.query().unwrap_or_default())
    }
}

/// Direct messages and moving away need the password, or an app password with the privilege. What an application may its
/// scopes say, which the guard has asked for.
fn allowed(caller: &Asking, nsid: &str) -> Result<(), XrpcError> {
    if privileged(nsid) && !caller.is_granted() && !caller.access()?.scope.is_privileged() {
        return Err(XrpcError::new(StatusCode::BAD_REQUEST, "InvalidToken", "Bad token method"));
    }
    Ok(())
}

/// Any method that this host does not answer.
pub(crate) async fn any(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    caller: Asking,
    request: Request,
) -> Result<Response, XrpcError> {
    let incoming = Incoming::read(request).await?;
    allowed(&caller, &incoming.nsid)?;
    let passed = incoming.passing().pass(door.host()?, &door.config.proxy, &access.did).await?;
    Ok(passed.respond().await)
}

async fn completed(
    door: &Xrpc,
    access: &Access,
    request: Request,
    complete: fn(&Munge<'_>, Value) -> Value,
) -> Result<Response, XrpcError> {
    let incoming = Incoming::read(request).await?;
    read::read(door.host()?, &door.config.proxy, &access.did, &incoming.passing(), complete).await
}

macro_rules! completed {
    ($($name:ident: $method:literal, $complete:expr;)+) => {
        $(
            #[doc = concat!("`", $method, "`.")]
            pub(crate) async fn $name(
                State(door): State<Arc<Xrpc>>,
                Session(access): Session,
                request: Request,
            ) -> Result<Response, XrpcError> {
                completed(&door, &access, request, $complete).await
            }
        )+
    };
}

completed! {
    profile: "app.bsky.actor.getProfile", |munge, answer| munge.profile(answer);
    profiles: "app.bsky.actor.getProfiles", |munge, answer| munge.profiles(answer);
    timeline: "app.bsky.feed.getTimeline", |munge, answer| munge.timeline(answer);
    author_feed: "app.bsky.feed.getAuthorFeed", |munge, answer| munge.author_feed(answer);
    likes: "app.bsky.feed.getActorLikes", |munge, answer| munge.likes(answer);
}

/// `app.bsky.feed.getPostThread`.
pub(crate) async fn thread(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    request: Request,
) -> Result<Response, XrpcError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    let uri = params.need("uri")?;
    read::read_thread(door.host()?, &door.config.proxy, &access.did, &incoming.passing(), uri).await
}

/// `app.bsky.feed.getFeed`: the token is for the feed's own service, by way of the AppView.
pub(crate) async fn feed(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    caller: Asking,
    request: Request,
) -> Result<Response, XrpcError> {
    let incoming = Incoming::read(request).await?;
    let (host, config) = (door.host()?, &door.config.proxy);
    // The token that goes along is for another method than the one that was called.
    let aud = audience(config, &incoming.parts.headers, &incoming.nsid)?;
    caller.may(&Need::Rpc { lxm: FEED_SKELETON, aud: &aud })?;
    let params = incoming.params();
    let uri = AtUri::parse(params.need("feed")?)
        .map_err(|_| XrpcError::invalid("feed must be the at:// address of a feed generator"))?;
    let unknown = || XrpcError::absent("UnknownFeed", "could not resolve feed did");
    let view = config.app_view.as_ref().ok_or_else(unknown)?;
    let service = feed_service(host, config, &incoming, view, &uri).await?.ok_or_else(unknown)?;
    let passing = Passing { token_for: Some((service, FEED_SKELETON)), ..incoming.passing() };
    let passed = passing.pass(host, config, &access.did).await?;
    Ok(passed.respond().await)
}

/// The DID of a feed generator's service, as its record names it.
async fn feed_service(
    host: &Host,
    config: &super::ProxyConfig,
    incoming: &Incoming,
    view: &Service,
    uri: &AtUri,
) -> Result<Option<Did>, XrpcError> {
    let (Some(collection), Some(rkey)) = (uri.collection(), uri.rkey()) else { return Ok(None) };
    let query = read::query(&[
        ("repo", uri.authority().as_str()),
        ("collection", collection.as_str()),
        ("rkey", rkey.as_str()),
    ]);
    let asking = Passing {
        method: Method::GET,
        nsid: "com.atproto.repo.getRecord",
        query: Some(&query),
        headers: &incoming.parts.headers,
        body: None,
        token_for: None,
    };
    let passed = asking.pass_unnamed(host, config, view).await?;
    if !passed.is_success() {
        return Ok(None);
    }
    let (_, body) = passed.read(config.max_response).await?;
    let record: Value = serde_json::from_slice(&body).unwrap_or_default();
    let did = record.get("value").and_then(|value| value.get("did")).and_then(Value::as_str);
    Ok(did.and_then(|did| Did::parse(did).ok()))
}

/// `app.bsky.notification.registerPush` and `unregisterPush`: to the service that the body names.
pub(crate) async fn push(
    State(door): State<Arc<Xrpc>>,
    caller: Asking,
    request: Request,
) -> Result<Response, XrpcError> {
    let access = caller.access()?;
    let incoming = Incoming::read(request).await?;
    let (host, config) = (door.host()?, &door.config.proxy);
    let body: Value = serde_json::from_slice(incoming.body.as_deref().unwrap_or_default())
        .map_err(|_| XrpcError::invalid("the body is not JSON"))?;
    let named = body.get("serviceDid").and_then(Value::as_str);
    let did = named.ok_or_else(|| XrpcError::invalid("Input must have the property \"serviceDid\""))?;
    let did = Did::parse(did).map_err(|_| XrpcError::invalid("serviceDid must be a valid did"))?;
    caller.may(&Need::Rpc { lxm: &incoming.nsid, aud: &format!("{did}#{NOTIFICATIONS}") })?;
    let service = match config.app_view.as_ref().filter(|view| view.did == did) {
        Some(view) => view.clone(),
        None => pass::resolve(host, &Named { did, service: NOTIFICATIONS.to_owned() }).await?,
    };
    let passed: Passed = incoming.passing().pass_to(host, config, &access.did, &service).await?;
    Ok(passed.respond().await)
}

/// What the caller wants of another AppView than ours, although this host answers the method: `None` when he does not.
///
/// # Errors
/// The service cannot be found or does not answer.
pub(crate) async fn elsewhere(
    door: &Xrpc,
    access: &Access,
    nsid: &str,
    request: (&Parts, Option<Bytes>),
) -> Result<Option<Response>, XrpcError> {
    let (parts, body) = request;
    let Some(named) = parts.headers.get("atproto-proxy").and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let ours = |view: &Service| named == format!("{}#bsky_appview", view.did);
    if door.config.proxy.app_view.as_ref().is_some_and(ours) {
        return Ok(None);
    }
    let method = parts.method.clone();
    let passing =
        Passing { method, nsid, query: parts.uri.query(), headers: &parts.headers, body, token_for: None };
    let passed = passing.pass(door.host()?, &door.config.proxy, &access.did).await?;
    Ok(Some(passed.respond().await))
}

/// A public read that the AppView may answer for an account that is not hosted here; `None` when it does not know it.
pub(crate) async fn public_read(
    door: &Xrpc,
    nsid: &str,
    parts: (&axum::http::HeaderMap, Option<&str>),
) -> Option<Response> {
    let (host, config) = (door.host.as_ref()?, &door.config.proxy);
    let view = config.app_view.as_ref()?;
    let passing =
        Passing { method: Method::GET, nsid, query: parts.1, headers: parts.0, body: None, token_for: None };
    match passing.pass_unnamed(host, config, view).await {
        Ok(passed) if passed.is_success() => Some(passed.respond().await),
        _ => None,
    }
}
