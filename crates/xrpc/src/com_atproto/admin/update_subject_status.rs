//! `com.atproto.admin.updateSubjectStatus`: takes an account, record or blob down or shows it again; switches an account
//! off or on.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::accounts::Subject;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{by, view};
use crate::auth::Auth;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// Whether something applies, and the moderator's reference.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Status {
    applied: bool,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

/// What becomes of what.
#[derive(Debug, Deserialize)]
pub struct Given {
    subject: Value,
    takedown: Option<Status>,
    deactivated: Option<Status>,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    auth: Auth,
    Input(given): Input<Given>,
) -> Result<Output<Value>, XrpcError> {
    let (host, by) = (door.host()?, by(&auth));
    let subject = view::subject(&given.subject)?;
    let down = given.takedown.as_ref().is_some_and(|status| status.applied);
    if down && given.deactivated.as_ref().is_some_and(|status| !status.applied) {
        return Err(XrpcError::invalid("Cannot activate and takedown an account at the same time"));
    }
    if let Some(status) = &given.takedown {
        if status.applied {
            host.take_down(&by, &subject, status.reference.as_deref()).await?;
        } else {
            host.restore(&by, &subject).await?;
        }
    }
    if let Subject::Account(did) = &subject {
        match &given.deactivated {
            Some(Status { applied: true, .. }) => host.admin_deactivate(&by, did).await?,
            Some(Status { applied: false, .. }) => host.admin_activate(&by, did).await?,
            None if given.takedown.is_none() => host.repeat_status(did).await?,
            None => {}
        }
    }
    let mut out = json!({ "subject": given.subject });
    if let (Some(status), Some(out)) = (given.takedown, out.as_object_mut()) {
        out.insert("takedown".to_owned(), json!(status));
    }
    Ok(Output(out))
}
