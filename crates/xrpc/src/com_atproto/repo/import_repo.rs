//! `com.atproto.repo.importRepo`: a repo from another host takes the place of the account's own.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use p2pds_host::HostError;

use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::refused;

/// Answers it: nothing, when all went well.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, XrpcError> {
    let host = door.host()?;
    may_be_car(&headers)?;
    // What ended the body has a status of its own.
    let ended: Mutex<Option<XrpcError>> = Mutex::default();
    let chunks = body.into_data_stream().map(|chunk| {
        chunk.map_err(|error| {
            let error = refused(&error);
            let words = HostError::invalid(error.message.clone());
            *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            words
        })
    });
    let imported = host.import_repo(&access.did, chunks).await;
    if let Some(error) = ended.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    imported?;
    Ok(StatusCode::OK.into_response())
}

/// The media type of the lexicon; clients that know none better say that it is bytes.
fn may_be_car(headers: &HeaderMap) -> Result<(), XrpcError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let fits = ["application/vnd.ipld.car", "application/octet-stream"];
    if fits.iter().any(|fit| essence.eq_ignore_ascii_case(fit)) {
        return Ok(());
    }
    Err(XrpcError::invalid(
        "Wrong request encoding (Content-Type): expected application/vnd.ipld.car, the repo as a CAR file",
    ))
}
