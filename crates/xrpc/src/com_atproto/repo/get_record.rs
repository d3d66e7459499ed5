//! `com.atproto.repo.getRecord`: one record of the current repo as JSON.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::{account, view};
use crate::asked::Asked;
use crate::com_atproto::sync::get_record::path;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::proxy::handle::public_read;
use crate::reply;

/// Answers it; a record of an account that is not here the AppView may have.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    RawQuery(query): RawQuery,
    asked: Asked,
) -> Result<Response, XrpcError> {
    match here(&door, &asked).await {
        Err(error) if error.name == "RepoNotFound" && door.host.is_some() => {
            let there =
                public_read(&door, "com.atproto.repo.getRecord", (&asked.headers, query.as_deref())).await;
            there.ok_or(error)
        }
        outcome => outcome,
    }
}

async fn here(door: &Xrpc, asked: &Asked) -> Result<Response, XrpcError> {
    let did = account(door, &asked.params.at_identifier("repo")?).await?;
    let (path, wanted) = (path(asked)?, asked.params.cid("cid")?);
    let none = || XrpcError::absent("RecordNotFound", format!("Could not locate record: at://{did}/{path}"));
    let found = door.reading.current_record(asked.viewer, &did, &path).await;
    let (account, head, row) = found.map_err(|refusal| {
        let error = XrpcError::from(refusal);
        if error.name == "BlockNotFound" { none() } else { error }
    })?;
    if wanted.is_some_and(|cid| cid != row.cid) {
        return Err(none());
    }
    if let Some(host) = &door.host
        && host.is_taken_down(&did, path.as_str()).await?
    {
        return Err(none());
    }
    let mut body = Vec::new();
    if !view(&did, &row, &mut body) {
        return Err(none());
    }
    Ok(reply::of(&account, head.rev, reply::json_text(body)))
}
