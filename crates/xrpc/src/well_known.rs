//! What is asked by name and not by method: whose handle a name is, the document that it stands for, and whether a proxy
//! may get a certificate for it. Which name, the `Host` header says; the node has looked at it before.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// `/.well-known/atproto-did`.
pub async fn atproto_did(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let Some(host) = &door.host else { return Ok(nothing()) };
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    match host.did_of_name(&asked.host).await? {
        Some(did) => Ok((plain, did.as_str().to_owned()).into_response()),
        None => Ok((StatusCode::NOT_FOUND, plain, "User not found\n").into_response()),
    }
}

/// `/.well-known/did.json`.
pub async fn did_json(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let Some(host) = &door.host else { return Ok(nothing()) };
    let named = asked.headers.get(header::HOST).and_then(|name| name.to_str().ok());
    match host.document_of_name(named.unwrap_or(&asked.host)).await? {
        Some(document) => {
            let kind = [(header::CONTENT_TYPE, "application/did+ld+json")];
            Ok((kind, document.to_string()).into_response())
        }
        None => Ok(nothing()),
    }
}

/// `/tls-check?domain=`: 200 or 404, as Caddy asks (`on_demand_tls`).
pub async fn tls_check(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let Some(host) = &door.host else { return Ok(nothing()) };
    let domain = asked.params.need("domain")?;
    if host.may_have_certificate(domain).await? {
        return Ok("yes\n".into_response());
    }
    Ok((StatusCode::NOT_FOUND, "no account of this host has that name\n").into_response())
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "nothing here\n").into_response()
}
