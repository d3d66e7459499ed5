//! did:plc identities of hosted accounts: making them, changing them, handing operations to the directory.
//!
//! Every operation that is signed here was built here from typed fields ([`Data`]) on top of the account's own verified
//! log: its predecessor is one of that log's operations, so that it can be an operation of no other DID, and its bytes
//! are our encoding, so that they can be no commit and no token. Nothing that somebody else composed is signed.

use std::sync::Arc;

use p2pds_crypto::PublicKey;
use p2pds_directory::DirectoryError;
use p2pds_identity::plc::{Data, Log, Operation, PlcError, Unsigned};
use p2pds_net::{GetOptions, NetError};
use p2pds_syntax::{AtIdentifier, Did, DidMethod, ErrorKind, Handle};
use serde::Deserialize;

use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::reason::Reason;

mod change;
mod sign;
mod submitted;

pub use change::PlcChange;
pub(crate) use submitted::{Wanted, check_submitted};

/// How often an operation is offered to a directory that does not answer, and built anew when somebody else was faster.
const TRIES: u32 = 3;
/// The pause before the next try, milliseconds for each try so far.
const PAUSE_MS: u64 = 400;
/// The longest answer of the directory that is read.
const MAX_ANSWER: u64 = 64 * 1024;

/// What became of an operation that was offered.
enum Offered {
    /// The directory took it.
    Taken,
    /// It said no, and why.
    Refused(HostError),
    /// It did not answer; it may have taken it.
    Silence(HostError),
}

impl Host {
    /// The first operation of a new identity and the DID that it creates. Rotation keys in order of authority: the
    /// user's own, the one that the operator configured, this host's.
    ///
    /// # Errors
    /// The user's key is not one that PLC takes, or the handle is too long for it.
    pub fn new_identity(
        &self,
        handle: &Handle,
        signing_key: &PublicKey,
        recovery_key: Option<&str>,
    ) -> HostResult<(Did, Operation)> {
        if let Some(text) = recovery_key {
            PublicKey::from_did_key(text).map_err(|e| {
                HostError::invalid(format!(
                    "recoveryKey cannot be used: {e}; it must be a did:key of K-256 or P-256"
                ))
                .because(Reason::RecoveryKeyUnfit)
            })?;
        }
        let mut data = Data { rotation_keys: self.rotation_keys(recovery_key), ..Data::default() };
        data.set_handle(handle);
        data.set_signing_key(signing_key);
        data.set_pds(&self.config().public_url);
        let operation = Unsigned::genesis(data).sign(&*self.keys().plc_rotation()).map_err(of_plc)?;
        let did = operation.created_did().ok_or_else(|| {
            HostError::new(ErrorKind::Bug, "InternalServerError", "no identity came out of it")
        })?;
        Ok((did, operation))
    }

    /// Rotation keys of identities made or recommended here, without repetition.
    pub(crate) fn rotation_keys(&self, recovery_key: Option<&str>) -> Vec<String> {
        let own = self.keys().plc_rotation().public_key().to_did_key();
        let configured = self.config().recovery_key.clone();
        let mut keys: Vec<String> = Vec::new();
        for key in recovery_key.map(str::to_owned).into_iter().chain(configured).chain([own]) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The log of a hosted did:plc as the directory tells it now, proved from the DID up, and no shorter or different
    /// than what was seen before.
    ///
    /// # Errors
    /// The directory does not answer, has less than it had, or the account is gone there.
    pub async fn plc_log_now(&self, did: &Did) -> HostResult<Arc<Log>> {
        if did.method() != DidMethod::Plc {
            return Err(HostError::invalid(format!(
                "{did} is not a did:plc: its document is changed where it is served, not by PLC operations"
            )));
        }
        self.directory().log_now(did).await.map_err(of_directory)
    }

    /// Changes the identity of a hosted did:plc: nothing is sent when nothing would change. Gives back whether something
    /// was.
    ///
    /// # Errors
    /// This host's key may not sign for the account, or the directory does not take the operation.
    pub async fn update_plc(&self, did: &Did, change: impl Fn(&mut Data) + Send) -> HostResult<bool> {
        let mut attempt = 0;
        loop {
            attempt = u32::saturating_add(attempt, 1);
            let log = self.plc_log_now(did).await?;
            let Some((before, mut after)) = log.data().map(|data| (data.clone(), data)) else {
                return Err(of_plc(PlcError::Tombstoned { did: did.clone() }));
            };
            change(&mut after);
            if after == before {
                return Ok(false);
            }
            let operation = sign::next(self.keys(), &log, after, self.now())?;
            match self.submit_plc(did, &operation).await {
                Ok(()) => return Ok(true),
                // Somebody else's operation came in between: ours is built again, on top of it.
                Err(error) if attempt < TRIES && error.kind() == ErrorKind::Invalid => {
                    if self.plc_log_now(did).await?.head() == log.head() {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands an operation to the PLC directory. Done twice, it is there once: before a failure is believed, the log is
    /// asked whether the operation arrived.
    ///
    /// # Errors
    /// The directory refused it (its words), or did not answer in several tries.
    pub async fn submit_plc(&self, did: &Did, operation: &Operation) -> HostResult<()> {
        let mut attempt = 0;
        let outcome = loop {
            attempt = u32::saturating_add(attempt, 1);
            match self.offer(did, operation).await {
                Offered::Taken => break Ok(()),
                Offered::Refused(_) | Offered::Silence(_) if self.is_logged(did, operation).await => {
                    break Ok(());
                }
                Offered::Refused(error) => break Err(error),
                Offered::Silence(error) if attempt >= TRIES => break Err(error),
                Offered::Silence(_) => {
                    let pause = u64::from(attempt).saturating_mul(PAUSE_MS);
                    tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
                }
            }
        };
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        // The stored log is what verifying and promoting go by; of a new identity it is fetched by the node's own job.
        if outcome.is_ok() && operation.prev().is_some() {
            let known = self.directory().log_now(did).await;
            if let Err(error) = known {
                tracing::debug!(event = "plc.not-read", %did, %error, "the log could not be read back now; a job does it later");
            }
        }
        match &outcome {
            Ok(()) => {
                tracing::info!(event = "plc.submitted", %did, cid = %operation.cid(), "the directory has an operation");
            }
            Err(error) => {
                tracing::warn!(event = "plc.not-submitted", %did, %error, "the directory did not take an operation");
            }
        }
        outcome
    }

    async fn is_logged(&self, did: &Did, operation: &Operation) -> bool {
        let cid = operation.cid();
        match self.directory().log_now(did).await {
            Ok(log) => log.canonical().any(|entry| entry.cid == cid),
            Err(_) => false,
        }
    }

    async fn offer(&self, did: &Did, operation: &Operation) -> Offered {
        let url = format!("{}/{did}", self.config().plc_url.trim_end_matches('/'));
        let options = GetOptions::json(MAX_ANSWER);
        let answer = match self.net().post_json(&url, operation, &options).await {
            Ok(answer) => answer,
            Err(error @ NetError::RateLimited { wait_ms, .. }) => {
                return Offered::Refused(HostError::limited(
                    wait_ms.div_ceil(1000),
                    format!("the PLC directory: {error}"),
                ));
            }
            Err(error @ NetError::Refused { .. }) => {
                return Offered::Refused(HostError::upstream(format!(
                    "the PLC directory: {error}. That is what the settings say: network.plc_url (PDS_DID_PLC_URL) must \
                     name a directory on the network, or for a test network on this machine PDS_DEV_MODE must be true"
                )));
            }
            Err(error) => {
                return Offered::Silence(HostError::upstream(format!("the PLC directory: {error}")));
            }
        };
        let status = answer.status();
        if status.is_success() {
            return Offered::Taken;
        }
        let words = answer.json::<Words>(MAX_ANSWER).await.map(|words| words.message).unwrap_or_default();
        let words: String = words.chars().filter(|c| !c.is_control()).take(300).collect();
        let said = format!("the PLC directory refused the operation ({}): {words}", status.as_u16());
        if status.is_server_error() {
            Offered::Silence(HostError::upstream(said))
        } else {
            Offered::Refused(HostError::invalid(said))
        }
    }
}

/// How the directory words its refusals.
#[derive(Deserialize)]
struct Words {
    message: String,
}

/// What a broken rule of PLC means to the person who asked.
pub(crate) fn of_plc(error: PlcError) -> HostError {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Limited => HostError::invalid(error.to_string()),
        ErrorKind::Conflict => HostError::named("DidDeactivated", error.to_string()),
        kind => HostError::new(kind, "InternalServerError", error.to_string()),
    }
}

/// What a failed resolution means to the person who asked.
pub(crate) fn of_directory(error: DirectoryError) -> HostError {
    let words = error.to_string();
    match error {
        DirectoryError::Tombstoned { .. } => HostError::named("DidDeactivated", words),
        DirectoryError::DidNotFound { .. } => HostError::named("DidNotFound", words),
        DirectoryError::HandleNotFound { .. }
        | DirectoryError::ReservedDomain { .. }
        | DirectoryError::HandleMismatch { .. }
        | DirectoryError::Handle(_) => HostError::named("HandleNotFound", words),
        DirectoryError::Store(error) => error.into(),
        other => match other.kind() {
            ErrorKind::Invalid => HostError::invalid(words),
            _ => HostError::upstream(words),
        },
    }
}

#[cfg(test)]
mod tests;
