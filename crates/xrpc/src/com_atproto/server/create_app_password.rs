//! `com.atproto.server.createAppPassword`: a password for one app, told this once.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::view;
use crate::auth::Session;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::output::Output;

/// What it is to be.
#[derive(Debug, Deserialize)]
pub struct Given {
    name: String,
    #[serde(default)]
    privileged: bool,
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Session(access): Session,
    Input(given): Input<Given>,
) -> Result<Output<Value>, XrpcError> {
    let made = door.host()?.create_app_password(&access.did, &given.name, given.privileged).await?;
    let (row, password) = made;
    Ok(Output(json!({
        "name": row.name,
        "password": password.as_str(),
        "createdAt": view::time(row.created_at),
        "privileged": row.privileged,
    })))
}
