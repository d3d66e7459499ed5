//! Answers, and the headers that go with them.
//!
//! Bytes that strangers wrote are never shown by a browser as a page of this host: see [`guarded`].

mod body;
mod cid;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use p2pds_reading::{Car, View};
use p2pds_store::Account;
use p2pds_syntax::Tid;
use serde_json::Value;

pub(crate) use body::bounded;
pub(crate) use cid::{blob, raw_blob};

use crate::limits::Held;

/// Media type of CAR files.
pub const CAR: &str = "application/vnd.ipld.car";
/// Says that an answer comes from a mirror: the host of the account as this node knows it, and the rev that is served.
pub const MIRROR: HeaderName = HeaderName::from_static("x-p2pds-mirror");

/// What an answer about an account is a mirror of.
fn mirror_of(account: &Account, rev: Option<String>) -> Option<HeaderValue> {
    if account.hosted {
        return None;
    }
    let host = account.pds.as_deref().unwrap_or("none");
    let host = host.split_once("://").map_or(host, |(_, rest)| rest).trim_end_matches('/');
    let rev = rev.or_else(|| account.rev.map(|rev| rev.to_string()))?;
    HeaderValue::from_str(&format!("{host}; rev={rev}")).ok()
}

/// Marks an answer as a mirror's.
pub fn mirrored(mut response: Response, seen: &View) -> Response {
    if let Some(value) = mirror_of(&seen.account, Some(seen.head.rev.to_string())) {
        response.headers_mut().insert(MIRROR, value);
    }
    response
}

/// Marks an answer as a mirror's, when no head was looked at.
pub fn mirrored_account(mut response: Response, account: &Account) -> Response {
    if let Some(value) = mirror_of(account, None) {
        response.headers_mut().insert(MIRROR, value);
    }
    response
}

/// A JSON answer about an account whose head has this rev.
pub fn json_of(account: &Account, rev: Tid, body: Value) -> Response {
    of(account, rev, Json(body).into_response())
}

/// An answer about an account whose head has this rev.
pub fn of(account: &Account, rev: Tid, mut response: Response) -> Response {
    if let Some(value) = mirror_of(account, Some(rev.to_string())) {
        response.headers_mut().insert(MIRROR, value);
    }
    response
}

/// A JSON answer about an account.
pub fn json(seen: &View, body: Value) -> Response {
    mirrored(Json(body).into_response(), seen)
}

/// A JSON answer that was written already.
pub fn json_text(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// Bytes to be saved, not shown.
pub fn bytes(mime: &'static str, name: &str, body: Vec<u8>) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    attach(response.headers_mut(), name);
    response
}

/// A streamed CAR; `held` is let go of when it ends.
pub fn car(car: Car, tag: &str, name: &str, held: Held) -> Response {
    let mut response = HttpResponse::new(Body::from_stream(bounded(car, held)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CAR));
    attach(headers, name);
    tagged(headers, tag);
    response
}

/// Names the file under which a browser saves the answer. `name` is made by us: CIDs, revs, endings.
pub fn attach(headers: &mut HeaderMap, name: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
}

/// An answer that may be kept, and must be asked about each time: an account may be withdrawn at any moment.
pub fn tagged(headers: &mut HeaderMap, tag: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        headers.insert(header::ETAG, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
}

/// `304` when the caller has what the tag names.
pub fn not_modified(headers: &HeaderMap, tag: &str) -> Option<Response> {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let same = given.flat_map(|list| list.split(',')).any(|one| {
        let one = one.trim();
        let one = one.strip_prefix("W/").unwrap_or(one);
        one == "*" || one.trim_matches('"') == tag
    });
    same.then(|| {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        tagged(response.headers_mut(), tag);
        response
    })
}

/// What every answer carries: nothing of it is a page, runs, or is guessed to be something else; any web page may read
/// it, because it is public or needs a token that no browser adds by itself.
pub fn guarded(response: &mut Response) {
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "*"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
}
