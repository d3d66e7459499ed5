//! How accounts and subjects are told to operators.

use p2pds_host::accounts::{AccountInfo, INVALID_HANDLE, Subject};
use p2pds_ipld::Cid;
use p2pds_syntax::{AtUri, Did, RecordPath};
use serde_json::{Map, Value, json};

use crate::asked::parse_cid;
use crate::com_atproto::server::view::{invite, time};
use crate::error::XrpcError;

/// `com.atproto.admin.defs#accountView`.
pub(crate) fn account(info: &AccountInfo) -> Value {
    let mut out = Map::new();
    let login = &info.login;
    out.insert("did".to_owned(), login.did.as_str().into());
    out.insert("handle".to_owned(), info.account.handle.as_deref().unwrap_or(INVALID_HANDLE).into());
    if !login.email.is_empty() {
        out.insert("email".to_owned(), login.email.as_str().into());
    }
    out.insert("indexedAt".to_owned(), time(login.created_at).into());
    if let Some(row) = &info.invited_by {
        out.insert("invitedBy".to_owned(), invite(row));
    }
    out.insert("invites".to_owned(), info.invites.iter().map(invite).collect());
    out.insert("invitesDisabled".to_owned(), login.invites_disabled.into());
    if let Some(at) = login.email_confirmed_at {
        out.insert("emailConfirmedAt".to_owned(), time(at).into());
    }
    if let Some(at) = login.deactivated_at {
        out.insert("deactivatedAt".to_owned(), time(at).into());
    }
    Value::Object(out)
}

/// A subject from its JSON.
pub(crate) fn subject(value: &Value) -> Result<Subject, XrpcError> {
    let text = |name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| XrpcError::invalid(format!("Input/subject must have the property \"{name}\"")))
    };
    let did =
        |text: &str| Did::parse(text).map_err(|_| XrpcError::invalid("subject/did must be a valid did"));
    match text("$type")? {
        "com.atproto.admin.defs#repoRef" => Ok(Subject::Account(did(text("did")?)?)),
        "com.atproto.admin.defs#repoBlobRef" => {
            Ok(Subject::Blob(did(text("did")?)?, parse_cid(text("cid")?)?))
        }
        "com.atproto.repo.strongRef" => record(text("uri")?),
        other => Err(XrpcError::invalid(format!("Invalid subject ({other})"))),
    }
}

/// A record that a URI names.
pub(crate) fn record(uri: &str) -> Result<Subject, XrpcError> {
    let invalid = || XrpcError::invalid("uri must name a record: at://did/collection/rkey");
    let uri = AtUri::parse(uri).map_err(|_| invalid())?;
    let did = Did::parse(&uri.authority().to_string()).map_err(|_| invalid())?;
    let (collection, rkey) = uri.collection().zip(uri.rkey()).ok_or_else(invalid)?;
    let path: RecordPath = format!("{collection}/{rkey}").parse().map_err(|_| invalid())?;
    Ok(Subject::Record(did, path))
}

/// A subject as JSON.
pub(crate) fn subject_json(subject: &Subject, cid: Option<&Cid>) -> Value {
    match subject {
        Subject::Account(did) => json!({ "$type": "com.atproto.admin.defs#repoRef", "did": did.as_str() }),
        Subject::Blob(did, cid) => {
            json!({ "$type": "com.atproto.admin.defs#repoBlobRef", "did": did.as_str(), "cid": cid.to_string() })
        }
        Subject::Record(did, path) => json!({
            "$type": "com.atproto.repo.strongRef",
            "uri": format!("at://{did}/{path}"),
            "cid": cid.map(Cid::to_string),
        }),
    }
}
