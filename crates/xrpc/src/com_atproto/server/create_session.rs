//! `com.atproto.server.createSession`: logging in, with the password or an app password.

use std::sync::Arc;

use axum::extract::State;
use p2pds_host::accounts::Credentials;
use serde::Deserialize;
use serde_json::Value;

use super::view;
use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::input::Input;
use crate::meter::Meter;
use crate::output::Output;

/// Who, and how he proves it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    identifier: String,
    password: String,
    auth_factor_token: Option<String>,
    #[serde(default)]
    allow_takendown: bool,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given")
    }
}

/// Answers it. Accounts that ask for more than the password say so with `AuthFactorTokenRequired`; the code of an app, one
/// that was sent by e-mail, or a backup code is `authFactorToken` then.
pub async fn handle(
    State(door): State<Arc<Xrpc>>,
    meter: Meter,
    Input(given): Input<Given>,
) -> Result<Output<Value>, XrpcError> {
    let host = door.host()?;
    meter.login(&given.identifier)?;
    let credentials = Credentials {
        identifier: &given.identifier,
        password: &given.password,
        auth_factor_token: given.auth_factor_token.as_deref(),
        allow_takendown: given.allow_takendown,
        address: &meter.address(),
    };
    Ok(Output(view::session(&host.log_in(credentials).await?)))
}
