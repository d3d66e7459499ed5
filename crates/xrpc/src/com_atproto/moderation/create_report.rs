//! `com.atproto.moderation.createReport`: for the moderation service, where the caller names one or the operator has chosen
//! one; else for the operator of this host.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use p2pds_host::Host;
use p2pds_store::hosting::{ReportRow, keep_report, words_fit};
use p2pds_syntax::{AtUri, Did};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::asked::parse_cid;
use crate::auth::{Asking, Session};
use crate::com_atproto::server::view::time;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::{Input, may_be_json};
use crate::output::Output;
use crate::proxy;

/// Its own name.
const NSID: &str = "com.atproto.moderation.createReport";
/// Longest name of a reason, bytes; known ones are far shorter.
const LONGEST_REASON: usize = 500;

/// The report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    reason_type: String,
    reason: Option<String>,
    subject: Value,
}

/// What it is about.
struct About {
    /// Whose it is.
    did: Option<Did>,
    /// A DID, or the address of a record.
    subject: String,
    cid: Option<String>,
}

/// Answers it, or passes it on.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    caller: Asking,
    request: Request,
) -> Result<Response, XrpcError> {
    let named = request.headers().contains_key(proxy::target::PROXY);
    if named || door.config.proxy.default_for(NSID).is_some() {
        return proxy::handle::any(State(door), Session(access), caller, request).await;
    }
    may_be_json(request.headers())?;
    let Input(given) = Input::<Given>::from_request(request, &()).await?;
    let host = door.host()?;
    let reason = given.reason.unwrap_or_default();
    if !words_fit(&reason) {
        return Err(XrpcError::invalid("Input/reason must not be longer than 2000 graphemes"));
    }
    let kind = given.reason_type;
    if kind.is_empty() || kind.len() > LONGEST_REASON || kind.chars().any(char::is_control) {
        return Err(XrpcError::invalid("Input/reasonType must be the name of a reason"));
    }
    let about = about(host, &given.subject).await?;
    let row = ReportRow {
        id: 0,
        at: host.now(),
        by: Some(access.did.clone()),
        contact: String::new(),
        did: about.did,
        subject: about.subject,
        cid: about.cid,
        kind,
        words: reason,
        closed: None,
    };
    let mut out = json!({
        "reasonType": row.kind, "subject": given.subject, "reportedBy": access.did, "createdAt": time(row.at),
    });
    if let Some(fields) = out.as_object_mut().filter(|_| !row.words.is_empty()) {
        fields.insert("reason".to_owned(), row.words.as_str().into());
    }
    let kept = keep_report(host.store(), row).await.map_err(p2pds_host::HostError::from)?;
    let id = kept.ok_or_else(|| {
        XrpcError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ReportsFull",
            "the operator of this host has too many reports open to take another one; write to them instead",
        )
    })?;
    if let Some(fields) = out.as_object_mut() {
        fields.insert("id".to_owned(), id.into());
    }
    Ok(Output(out).into_response())
}

async fn about(host: &Host, subject: &Value) -> Result<About, XrpcError> {
    let text = |name: &str| {
        let value = subject.get(name).and_then(Value::as_str);
        value.ok_or_else(|| XrpcError::invalid(format!("Input/subject must have the property \"{name}\"")))
    };
    match text("$type")? {
        "com.atproto.admin.defs#repoRef" => {
            let did = Did::parse(text("did")?)
                .map_err(|_| XrpcError::invalid("Input/subject/did must be a valid did"))?;
            Ok(About { subject: did.to_string(), did: Some(did), cid: None })
        }
        "com.atproto.repo.strongRef" => {
            let uri = AtUri::parse(text("uri")?)
                .map_err(|_| XrpcError::invalid("Input/subject/uri must be a valid at-uri"))?;
            let cid = parse_cid(text("cid")?)?.to_string();
            let whose = uri.authority().to_string();
            let did = match Did::parse(&whose) {
                Ok(did) => Some(did),
                // A handle, perhaps of somebody here.
                Err(_) => host.hosted_account(&whose).await.ok(),
            };
            Ok(About { did, subject: uri.to_string(), cid: Some(cid) })
        }
        _ => Err(XrpcError::invalid("Input/subject must be an account or a record")),
    }
}
