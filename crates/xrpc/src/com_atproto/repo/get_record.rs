//! `com.atproto.repo.getRecord`: one record of the current repo as JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::{account, view};
use crate::asked::Asked;
use crate::com_atproto::sync::get_record::path;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::reply;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = account(&door, &asked.params.at_identifier("repo")?)?;
    let (path, wanted) = (path(&asked)?, asked.params.cid("cid")?);
    let seen = door.reading.view(asked.viewer, &did).await?;
    let none = || XrpcError::absent("RecordNotFound", format!("Could not locate record: at://{did}/{path}"));
    let row = door.reading.served_record(asked.viewer, &seen, &path).await.map_err(|refusal| {
        let error = XrpcError::from(refusal);
        if error.name == "BlockNotFound" { none() } else { error }
    })?;
    if wanted.is_some_and(|cid| cid != row.cid) {
        return Err(none());
    }
    Ok(reply::json(&seen, view(&did, &row).ok_or_else(none)?))
}
