//! `com.atproto.server.resetPassword`: a new password, by the code that was sent.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use p2pds_host::accounts::Reset;
use serde::Deserialize;

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::meter::Meter;

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
    meter: Meter,
    Input(given): Input<Given>,
) -> Result<StatusCode, XrpcError> {
    // As the reference has it, app passwords go on here; the page of a forgotten password offers to end them.
    let address = meter.address();
    let reset =
        Reset { token: &given.token, password: &given.password, end_app_passwords: false, address: &address };
    door.host()?.reset_password(reset).await?;
    Ok(StatusCode::OK)
}
