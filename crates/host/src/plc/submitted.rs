//! `submitPlcOperation`: an operation that somebody else signed, checked before it is passed on.
//!
//! What the directory gets is our encoding of what was read, and the account must be usable here afterwards: this host's
//! rotation key in it, this host and its signing key for the account named, the handle the account's.

use p2pds_identity::plc::{Data, Operation, Unsigned};
use p2pds_syntax::{Did, Handle};
use serde_json::Value;

use super::sign;
use crate::error::{HostError, HostResult};
use crate::host::Host;

/// What an operation must say about an account of this host.
pub(crate) struct Wanted<'a> {
    /// This host's rotation key, as did:key.
    pub(crate) rotation_key: &'a str,
    /// This host's origin.
    pub(crate) endpoint: &'a str,
    /// The account's signing key here, as did:key.
    pub(crate) signing_key: &'a str,
    /// The account's handle, if it has one.
    pub(crate) handle: Option<&'a Handle>,
}

/// Reads an operation and checks that it may be submitted for an account of this host.
pub(crate) fn check_submitted(operation: &Value, wanted: &Wanted<'_>) -> HostResult<Operation> {
    let operation = Operation::from_json(operation)
        .map_err(|error| HostError::invalid(format!("Invalid operation: {error}")))?;
    let data = match operation.unsigned() {
        Unsigned::Update { prev: Some(_), data } => data,
        Unsigned::Update { prev: None, .. } | Unsigned::LegacyCreate(_) => {
            return Err(HostError::invalid(
                "Invalid operation: it creates an identity; one that continues this account's log is wanted",
            ));
        }
        Unsigned::Tombstone { .. } => {
            return Err(HostError::invalid(
                "Invalid operation: it deletes the identity; deactivate or delete the account instead",
            ));
        }
    };
    check_content(data, wanted)?;
    Ok(operation)
}

fn check_content(data: &Data, wanted: &Wanted<'_>) -> HostResult<()> {
    let refused = |words: String| Err(HostError::invalid(words));
    if !data.rotation_keys.iter().any(|key| key == wanted.rotation_key) {
        return refused(format!(
            "Rotation keys do not include server's rotation key: add {}, as getRecommendedDidCredentials says",
            wanted.rotation_key
        ));
    }
    let service = data.services.get("atproto_pds");
    if service.is_none_or(|service| service.kind != "AtprotoPersonalDataServer") {
        return refused(
            "Incorrect type on atproto_pds service: AtprotoPersonalDataServer is wanted".to_owned(),
        );
    }
    if service.is_none_or(|service| service.endpoint != wanted.endpoint) {
        return refused(format!("Incorrect endpoint on atproto_pds service: {} is wanted", wanted.endpoint));
    }
    if data.signing_key() != Some(wanted.signing_key) {
        return refused(format!(
            "Incorrect signing key: verificationMethods.atproto must be {}",
            wanted.signing_key
        ));
    }
    if let Some(handle) = wanted.handle
        && data.also_known_as.first().map(String::as_str) != Some(&format!("at://{handle}"))
    {
        return refused(format!("Incorrect handle in alsoKnownAs: at://{handle} must come first"));
    }
    Ok(())
}

impl Host {
    /// Submits an operation that [`check_submitted`] passed. Done twice, it is there once.
    pub(crate) async fn submit_checked(&self, did: &Did, operation: &Operation) -> HostResult<()> {
        let log = self.plc_log_now(did).await?;
        let cid = operation.cid();
        if log.canonical().any(|entry| entry.cid == cid) {
            return Ok(());
        }
        sign::check_next(&log, operation, self.now())?;
        self.submit_plc(did, operation).await
    }
}
