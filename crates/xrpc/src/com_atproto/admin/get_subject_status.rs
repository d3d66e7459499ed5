//! `com.atproto.admin.getSubjectStatus`: whether an account, record or blob is taken down.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::accounts::Subject;
use serde_json::{Value, json};

use super::view;
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<Value>, XrpcError> {
    let params = &asked.params;
    let subject = match (params.get("blob"), params.get("uri"), params.get("did")) {
        (Some(_), _, None) => return Err(XrpcError::invalid("Must provide a did to request blob state")),
        (Some(_), _, Some(_)) => {
            let cid = params.cid("blob")?.ok_or_else(|| XrpcError::invalid("blob must be a cid"))?;
            Subject::Blob(params.did("did")?, cid)
        }
        (None, Some(uri), _) => view::record(uri)?,
        (None, None, Some(_)) => Subject::Account(params.did("did")?),
        (None, None, None) => return Err(XrpcError::invalid("No provided subject")),
    };
    let status = door.host()?.subject_status(&subject).await?;
    let takedown = match &status.takedown {
        Some(reference) => json!({ "applied": true, "ref": reference }),
        None => json!({ "applied": false }),
    };
    let mut out =
        json!({ "subject": view::subject_json(&subject, status.cid.as_ref()), "takedown": takedown });
    if let (Some(deactivated), Some(out)) = (status.deactivated, out.as_object_mut()) {
        out.insert("deactivated".to_owned(), json!({ "applied": deactivated }));
    }
    Ok(Output(out))
}
