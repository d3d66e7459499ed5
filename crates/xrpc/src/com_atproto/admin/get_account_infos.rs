//! `com.atproto.admin.getAccountInfos`: several accounts; those that are not here are left out.

use std::sync::Arc;

use axum::extract::State;
use p2pds_syntax::{Did, ErrorKind};
use serde_json::{Value, json};

use super::view;
use crate::asked::Asked;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Accounts of one call.
const MOST: usize = 500;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>, asked: Asked) -> Result<Output<Value>, XrpcError> {
    let host = door.host()?;
    let mut infos = Vec::new();
    for text in asked.params.all("dids").take(MOST) {
        let did = Did::parse(text).map_err(|_| XrpcError::invalid("dids must be valid dids"))?;
        match host.account_info(&did).await {
            Ok(info) => infos.push(view::account(&info)),
            Err(error) if error.name == "NotFound" || error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Output(json!({ "infos": infos })))
}
