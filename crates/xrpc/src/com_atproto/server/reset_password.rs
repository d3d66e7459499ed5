//! `com.atproto.server.resetPassword`: a new password, by the code that was sent.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;

/// The code and the password.
#[derive(Deserialize)]
pub struct Given {
    token: String,
    password: String,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given")
    }
}

/// Answers it.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    door.host()?.reset_password(&given.token, &given.password).await?;
    Ok(StatusCode::OK)
}
