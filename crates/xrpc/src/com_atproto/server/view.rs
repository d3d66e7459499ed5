//! How accounts, sessions and invites are told.

use std::sync::Arc;

use p2pds_host::accounts::{AccountView, LoggedIn};
use p2pds_store::hosting::InviteRow;
use p2pds_syntax::Datetime;
use serde_json::{Map, Value, json};

/// A time as JSON has it.
pub(crate) fn time(micros: i64) -> String {
    let millis = micros.div_euclid(1_000).saturating_mul(1_000);
    Datetime::from_unix_micros(millis)
        .map_or_else(|| "1970-01-01T00:00:00.000Z".to_owned(), |at| at.to_string())
}

/// A DID document; kept as it came.
fn document(text: &Arc<str>) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// An account as its session is told of it.
pub(crate) fn account(view: &AccountView) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("did".to_owned(), view.did.as_str().into());
    if let Some(document) = view.document.as_ref().and_then(document) {
        out.insert("didDoc".to_owned(), document);
    }
    out.insert("handle".to_owned(), view.handle.as_str().into());
    if let Some(email) = &view.email {
        out.insert("email".to_owned(), email.as_str().into());
    }
    out.insert("emailConfirmed".to_owned(), view.email_confirmed.into());
    if view.email_auth_factor {
        out.insert("emailAuthFactor".to_owned(), true.into());
    }
    out.insert("active".to_owned(), view.active.into());
    if let Some(status) = view.status {
        out.insert("status".to_owned(), status.into());
    }
    out
}

/// A session that was begun or refreshed.
pub(crate) fn session(begun: &LoggedIn) -> Value {
    let mut out = account(&begun.account);
    out.insert("accessJwt".to_owned(), begun.tokens.access.as_str().into());
    out.insert("refreshJwt".to_owned(), begun.tokens.refresh.as_str().into());
    Value::Object(out)
}

/// An invite code and who used it.
pub(crate) fn invite(row: &InviteRow) -> Value {
    let uses: Vec<Value> =
        row.used.iter().map(|(did, at)| json!({ "usedBy": did.as_str(), "usedAt": time(*at) })).collect();
    json!({
        "code": row.code,
        "available": row.uses.saturating_sub(row.forgotten),
        "disabled": row.disabled,
        "forAccount": row.for_account,
        "createdBy": row.created_by,
        "createdAt": time(row.created_at),
        "uses": uses,
    })
}
