//! `org.p2pds.plc.getLog`: the mirrored identity log of an account that is served, as the directory's audit log has it.
//! Whoever reads it checks it: operations are signed and chained, a mirror cannot make one up.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use p2pds_store::PlcRow;
use p2pds_syntax::{Datetime, Did};
use serde_json::{Value, json};

use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Response, XrpcError> {
    let did = asked.params.did("did")?;
    let log = door.reading.plc_log(asked.viewer, &did).await?;
    if log.operations.is_empty() {
        return Err(XrpcError::absent("LogNotFound", format!("No identity log is mirrored for {did}")));
    }
    let entries: Option<Vec<Value>> = log.operations.iter().map(|row| entry(&did, row)).collect();
    let Some(entries) = entries else {
        return Err(XrpcError::absent(
            "LogNotFound",
            format!("The mirrored log of {did} cannot be read now"),
        ));
    };
    let fetched = log.fetched_at.and_then(Datetime::from_unix_micros).map(|at| at.to_string());
    let mut body = json!({ "did": did.as_str(), "log": entries });
    if let (Some(fetched), Some(body)) = (fetched, body.as_object_mut()) {
        body.insert("fetchedAt".to_owned(), Value::String(fetched));
    }
    Ok(Json(body).into_response())
}

/// One line of an audit log; `None` when the stored operation is damaged.
fn entry(did: &Did, row: &PlcRow) -> Option<Value> {
    let operation: Value = serde_json::from_slice(&row.operation).ok()?;
    Some(json!({
        "did": did.as_str(),
        "operation": operation,
        "cid": row.cid,
        "nullified": row.nullified,
        "createdAt": row.created_at,
    }))
}
