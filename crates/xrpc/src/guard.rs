//! What is asked of every request before its handler runs, in this order: the HTTP method, whether the method is served,
//! how often the caller asked, who he is, whether he was granted it, how often his account asked, and whether the body may
//! be what it says it is.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method as Http, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use p2pds_syntax::Nsid;

use crate::asked::{Caller, PeerAddress};
use crate::auth::{Called, authenticate, is_dpop, settle};
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::{self, Pace};
use crate::meter::{By, Meter};
use crate::table::{self, Body, Kind, Method, Most, Reason, Served, UNLISTED};

/// The room that a guard stands in: the door, and the entry.
pub(crate) type Guarded = (Arc<Xrpc>, &'static Method);

/// Time for the whole of a small body to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes that must come in each second of a large one.
const LEAST_RATE: u64 = 1_024;

/// Guards one method.
pub(crate) async fn guard(State((door, method)): State<Guarded>, request: Request, next: Next) -> Response {
    let caller = Caller::of(&door, request.extensions().get::<PeerAddress>(), request.headers());
    let meter = Meter::new(&door, caller.counted, door.is_free(&caller, request.headers()));
    let dpop = is_dpop(request.headers());
    let mut response = match admit(&door, method, request, caller, &meter).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let Some(left) = meter.least() {
        response.extensions_mut().insert(left);
    }
    private(&door, &mut response);
    if dpop {
        hand_out_nonce(&door, &mut response);
    }
    response
}

/// The nonce for the next proof goes with every answer to somebody who brings proofs: RFC 9449, 8.2 and 9.
fn hand_out_nonce(door: &Xrpc, response: &mut Response) {
    let nonce = door.oauth.as_ref().and_then(|oauth| HeaderValue::try_from(oauth.nonce()).ok());
    if let Some(nonce) = nonce {
        response.headers_mut().insert("dpop-nonce", nonce);
    }
}

/// Answers of a host differ with who asks.
fn private(door: &Xrpc, response: &mut Response) {
    if door.host.is_some() {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Authorization"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
    }
}

async fn admit(
    door: &Arc<Xrpc>,
    method: &'static Method,
    mut request: Request,
    caller: Caller,
    meter: &Meter,
) -> Result<Request, XrpcError> {
    let (parts, body) = request.into_parts();
    let most = most(door, method.body);
    // Bodies of unknown length end at the limit as well. Small ones have a time in which they come, large ones a pace.
    let pace = match method.body {
        Body::Json(_) | Body::None => Pace::Within(BODY_TIME),
        Body::Bytes(_) | Body::Any(_) => Pace::PerSecond(LEAST_RATE),
    };
    // Before anything is refused: it sees to it that the refusal is heard.
    request = Request::from_parts(parts, HttpBody::new(input::Bounded::new(body, most, pace)));
    served(door, method)?;
    if std::ptr::eq(method, &UNLISTED) {
        unlisted(request.uri().path())?;
    }
    fits(method.kind, request.method())?;
    for rule in method.rules.iter().filter(|rule| rule.by == By::Address) {
        meter.take(rule, &meter.address(), 1)?;
    }
    let called =
        Called { http: request.method().as_str(), path: request.uri().path(), headers: request.headers() };
    let mut auth = authenticate(door, method, called).await?;
    settle(door, method, (request.headers(), request.uri()), &mut auth)?;
    if let Some(did) = auth.did() {
        for rule in method.rules.iter().filter(|rule| rule.by == By::Account) {
            meter.take(rule, &format!("{} {did}", method.nsid), 1)?;
        }
    }
    let carried = carried(request.headers())?;
    match method.body {
        Body::None if carried != Carried::Nothing => {
            return Err(XrpcError::invalid("A request body was provided when none was expected"));
        }
        Body::Json(_) if method.kind == Kind::Procedure => input::may_be_json(request.headers())?,
        _ => {}
    }
    if matches!(carried, Carried::Bytes(length) if length > most) {
        return Err(XrpcError::too_large(most));
    }
    let extensions = request.extensions_mut();
    extensions.insert(auth);
    extensions.insert(caller);
    extensions.insert(meter.clone());
    Ok(request)
}

fn served(door: &Xrpc, method: &Method) -> Result<(), XrpcError> {
    let why = match method.served {
        Served::Absent(Reason::OtherService) => "this method is another service's",
        Served::Absent(Reason::Replaced) => "this method was replaced by another one, which is served here",
        Served::Absent(Reason::Nowhere) => "nobody serves this method",
        Served::Hosting if door.host.is_none() => {
            "this node archives accounts and hosts none: ask the account's own host"
        }
        Served::PassedOn if door.host.is_none() => {
            "this node archives accounts: this method is another service's"
        }
        Served::Always | Served::Hosting | Served::PassedOn => return Ok(()),
    };
    Err(XrpcError::not_implemented(why))
}

/// The method that a path names. A slash behind it is as good as none, as with the reference server.
pub(crate) fn nsid_of(path: &str) -> &str {
    let name = path.strip_prefix("/xrpc/").unwrap_or_default();
    name.strip_suffix('/').unwrap_or(name)
}

/// What may be passed on: a method's name, and not one of ours in other letters, which others would take for ours.
fn unlisted(path: &str) -> Result<(), XrpcError> {
    let name = nsid_of(path);
    if Nsid::parse(name).is_ok() && table::method(name).is_none() {
        return Ok(());
    }
    Err(XrpcError::not_implemented("no such method is known here"))
}

fn fits(kind: Kind, method: &Http) -> Result<(), XrpcError> {
    let (fits, expected) = match kind {
        Kind::Query => (method == Http::GET || method == Http::HEAD, "GET"),
        Kind::Subscription => (method == Http::GET, "GET"),
        Kind::Procedure => (method == Http::POST, "POST"),
        Kind::Any => (method == Http::GET || method == Http::HEAD || method == Http::POST, "GET or POST"),
    };
    if fits {
        return Ok(());
    }
    let message = format!("Incorrect HTTP method ({method}): expected {expected}");
    Err(XrpcError::new(StatusCode::METHOD_NOT_ALLOWED, "InvalidRequest", message))
}

/// Most bytes of a request.
fn most(door: &Xrpc, body: Body) -> u64 {
    let Some(host) = &door.host else { return 0 };
    match body {
        Body::None => 0,
        Body::Json(most) | Body::Any(most) => most,
        Body::Bytes(Most::Blob) => host.config().blob_limit,
        Body::Bytes(Most::Import) => host.config().import_limit,
    }
}

#[derive(PartialEq, Eq)]
enum Carried {
    Nothing,
    Bytes(u64),
    /// As many as come.
    Some,
}

fn carried(headers: &HeaderMap) -> Result<Carried, XrpcError> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next();
    if lengths.next().is_some() || first.is_some() && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(XrpcError::invalid("the request says in two ways how long it is"));
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(Carried::Some);
    }
    match first.map(|value| value.to_str().ok().and_then(|text| text.parse::<u64>().ok())) {
        None | Some(Some(0)) => Ok(Carried::Nothing),
        Some(Some(length)) => Ok(Carried::Bytes(length)),
        Some(None) => Err(XrpcError::invalid("Content-Length must be a number")),
    }
}

impl XrpcError {
    /// A request that no guard let in: refused, and told to the operator, because it is our mistake.
    pub(crate) fn unguarded(path: &str) -> Self {
        tracing::error!(event = "serving.unguarded", path, "a route has no entry in the table of methods");
        Self::unauthenticated("AuthMissing", "this route cannot be called")
    }
}
