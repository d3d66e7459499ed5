//! `com.atproto.sync.getRepo`: a whole repo as a CAR in streamable order, or what of it is new since a rev.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::Response;

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let (did, since) = (asked.params.did("did")?, asked.params.rev("since")?);
    let asked = asked.about(&did);
    // Whoever has some of it, or all, is not sent it from its beginning.
    let whole = since.is_none() && !asked.headers.contains_key(header::IF_NONE_MATCH);
    let seen = match whole {
        true => door.reading.view_to_send(asked.viewer, &did).await?,
        false => door.reading.view(asked.viewer, &did).await?,
    };
    let tag = match since {
        Some(since) => format!("{}.{since}", seen.head.commit),
        None => seen.head.commit.to_string(),
    };
    if let Some(same) = reply::not_modified(&asked.headers, &tag) {
        return Ok(reply::mirrored(same, &seen));
    }
    let held = door.limits.repo(&asked)?;
    let car = door.reading.car(asked.viewer, seen.clone(), since).await?;
    let name = format!("{}.car", seen.head.rev);
    Ok(reply::mirrored(reply::car(car, &tag, &name, held), &seen))
}
