//! `com.atproto.repo.listRecords`: records of one collection, newest key first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use p2pds_ipld::json::write_text;
use p2pds_reading::Order;
use p2pds_syntax::{Nsid, Rkey};

use super::{account, view};
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = account(&door, &asked.params.at_identifier("repo")?).await?;
    let collection = Nsid::parse(asked.params.need("collection")?)
        .map_err(|_| XrpcError::invalid("collection must be a valid nsid"))?;
    let limit = asked.params.limit(50, 100)?;
    let order = if asked.params.flag("reverse")? { Order::Ascending } else { Order::Descending };
    let cursor = asked.params.get("cursor");
    if cursor.is_some_and(|rkey| Rkey::parse(rkey).is_err()) {
        return Err(XrpcError::invalid("cursor must be the last record key of the page before"));
    }
    let _held = door.limits.usual().await?;
    let seen = door.reading.view(asked.viewer, &did).await?;
    let page = door.reading.list(asked.viewer, &seen, &collection, (cursor, order), limit).await?;
    let mut body = b"{".to_vec();
    if let Some(rkey) = &page.next {
        body.extend_from_slice(b"\"cursor\":");
        write_text(rkey.as_bytes(), &mut body);
        body.push(b',');
    }
    body.extend_from_slice(b"\"records\":[");
    let mut first = true;
    for row in &page.rows {
        if let Some(host) = &door.host
            && host.is_taken_down(&did, row.key.as_str()).await?
        {
            continue;
        }
        let begun = body.len();
        if !first {
            body.push(b',');
        }
        match view(&did, row, &mut body) {
            true => first = false,
            false => body.truncate(begun),
        }
    }
    body.extend_from_slice(b"]}");
    Ok(reply::mirrored(reply::json_text(body), &seen))
}
