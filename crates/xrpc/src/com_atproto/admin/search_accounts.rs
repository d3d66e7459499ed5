//! `com.atproto.admin.searchAccounts`: accounts whose address holds a text, or all.

use std::sync::Arc;

use axum::extract::State;
use p2pds_syntax::Did;
use serde_json::{Value, json};

use super::view;
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<Value>, XrpcError> {
    let limit = asked.params.limit(50, 100)?;
    let after = asked.params.get("cursor").map(Did::parse).transpose();
    let after = after.map_err(|_| XrpcError::invalid("Malformed cursor"))?;
    let found = door.host()?.accounts_page(asked.params.get("email"), after.as_ref(), limit).await?;
    let mut out = json!({ "accounts": found.iter().map(view::account).collect::<Vec<_>>() });
    if let (Some(last), true, Some(out)) = (found.last(), found.len() == limit, out.as_object_mut()) {
        out.insert("cursor".to_owned(), last.login.did.as_str().into());
    }
    Ok(Output(out))
}
