//! `com.atproto.server.describeServer`: what this host offers, and whose it is.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::output::Output;

/// Answers it.
pub async fn handle(State(door): State<Arc<Xrpc>>) -> Result<Output<Value>, XrpcError> {
    let config = door.host()?.config();
    let accounts = &config.accounts;
    let named = |fields: &[(&str, &Option<String>)]| {
        let there = fields
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), Value::from(value.as_deref()?))));
        Value::Object(there.collect::<Map<_, _>>())
    };
    Ok(Output(json!({
        "did": config.service_did.as_str(),
        "availableUserDomains": config.handle_domains,
        "inviteCodeRequired": config.invite_required,
        "blobUploadLimit": config.blob_limit,
        "links": named(&[
            ("privacyPolicy", &accounts.privacy_policy_url),
            ("termsOfService", &accounts.terms_of_service_url),
        ]),
        "contact": named(&[("email", &accounts.contact_email)]),
    })))
}
