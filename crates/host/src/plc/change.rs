//! `signPlcOperation`: what an owner asks to change, and signing it.
//!
//! The request is read into typed fields, each of which replaces the field of the account's last operation. What comes
//! out is our encoding of those fields, a type word and our own log's head; so a request can choose keys, names and
//! services of its own identity and nothing else about what is signed.

use std::collections::BTreeMap;

use p2pds_crypto::PublicKey;
use p2pds_identity::plc::{Data, Log, Operation, PlcError, Service};
use p2pds_syntax::{Did, DidMethod, Handle};
use serde::Deserialize;

use super::{of_plc, sign};
use crate::accounts::tokens::TokenPurpose;
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::keys::Keys;

/// The input of `com.atproto.identity.signPlcOperation`; fields that are missing stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlcChange {
    /// `did:key`s in order of authority.
    pub rotation_keys: Option<Vec<String>>,
    /// URIs, the handle first.
    pub also_known_as: Option<Vec<String>>,
    /// Named `did:key`s.
    pub verification_methods: Option<BTreeMap<String, String>>,
    /// Named services.
    pub services: Option<BTreeMap<String, Service>>,
}

impl PlcChange {
    /// Checks what the directory does not, so that nobody locks themselves out by a typing error.
    ///
    /// # Errors
    /// What is wrong, by field.
    pub fn check(&self) -> HostResult<()> {
        let wrong = |field: &str, why: String| Err(HostError::invalid(format!("{field}: {why}")));
        for (at, key) in self.rotation_keys.iter().flatten().enumerate() {
            if let Err(error) = PublicKey::from_did_key(key) {
                return wrong(&format!("rotationKeys[{at}]"), error.to_string());
            }
        }
        for (at, name) in self.also_known_as.iter().flatten().enumerate() {
            if let Some(why) = fault_of_name(name) {
                return wrong(&format!("alsoKnownAs[{at}]"), why);
            }
        }
        if let Some(key) = self.verification_methods.as_ref().and_then(|methods| methods.get("atproto"))
            && let Err(error) = PublicKey::from_did_key(key)
        {
            return wrong("verificationMethods.atproto", error.to_string());
        }
        for (name, service) in self.services.iter().flatten() {
            if let Some(why) = fault_of_service(name, service) {
                return wrong(&format!("services.{name}"), why);
            }
        }
        Ok(())
    }

    /// The data with this change.
    #[must_use]
    pub fn apply(self, mut data: Data) -> Data {
        if let Some(keys) = self.rotation_keys {
            data.rotation_keys = keys;
        }
        if let Some(names) = self.also_known_as {
            data.also_known_as = names;
        }
        if let Some(methods) = self.verification_methods {
            data.verification_methods = methods;
        }
        if let Some(services) = self.services {
            data.services = services;
        }
        data
    }
}

fn fault_of_name(name: &str) -> Option<String> {
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Some("it has characters that no URI has".to_owned());
    }
    match name.split_once(':') {
        Some(("at", _)) => {
            let handle = name.strip_prefix("at://").unwrap_or_default();
            Handle::parse(handle).err().map(|error| format!("after \"at://\" a handle is wanted: {error}"))
        }
        Some((scheme, rest)) if !scheme.is_empty() && !rest.is_empty() => None,
        _ => Some("a URI is wanted, such as at://alice.example.com".to_owned()),
    }
}

fn fault_of_service(name: &str, service: &Service) -> Option<String> {
    if service.endpoint.chars().any(|c| c.is_control() || c.is_whitespace()) || service.endpoint.is_empty() {
        return Some("the endpoint is not a URL".to_owned());
    }
    if name != "atproto_pds" {
        return None;
    }
    let data = Data { services: [(name.to_owned(), service.clone())].into(), ..Data::default() };
    data.pds().is_none().then(|| {
        "it must have the type AtprotoPersonalDataServer and as endpoint the origin of a host, such as \
         https://pds.example.com"
            .to_owned()
    })
}

impl Host {
    /// `requestPlcOperationSignature`: sends the token by e-mail.
    ///
    /// # Errors
    /// The account has no address, or is no did:plc.
    pub async fn request_plc_signature(&self, did: &Did) -> HostResult<()> {
        let login = self.hosted(did).await?;
        if did.method() != DidMethod::Plc {
            return Err(HostError::invalid(format!(
                "{did} is not a did:plc: its document is changed where it is served, without this host"
            )));
        }
        self.send_email_token(&login, TokenPurpose::PlcOperation).await
    }

    /// `signPlcOperation`: the next operation of an account with what its owner asks for, signed, not submitted. The
    /// token is used up with it.
    ///
    /// # Errors
    /// `InvalidToken`, `ExpiredToken`; the change is not one that the directory takes; this host's key may not sign for
    /// the account.
    pub async fn sign_plc_operation(
        &self,
        did: &Did,
        token: &str,
        change: PlcChange,
    ) -> HostResult<Operation> {
        change.check()?;
        let take = self.check_email_token(did, TokenPurpose::PlcOperation, token).await?;
        let log = self.plc_log_now(did).await?;
        let operation = signed(self.keys(), &log, change, self.now())?;
        self.store().apply(take).await.map_err(Self::token_taken)?;
        tracing::info!(event = "plc.signed", %did, cid = %operation.cid(), "an operation was signed for its owner");
        Ok(operation)
    }
}

/// The pure part of [`Host::sign_plc_operation`].
pub(super) fn signed(keys: &Keys, log: &Log, change: PlcChange, now: i64) -> HostResult<Operation> {
    change.check()?;
    let data = log.data().ok_or_else(|| of_plc(PlcError::Tombstoned { did: log.did().clone() }))?;
    sign::next(keys, log, change.apply(data), now)
}
