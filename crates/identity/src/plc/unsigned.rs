//! Operations before they are signed: building them.

use p2pds_crypto::{DidKey, PublicKey, Signer};
use p2pds_ipld::{Cid, cbor};

use super::{Data, LegacyCreate, MAX_OPERATION_WRITTEN, Operation, PlcError, Signature};

/// An operation without its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsigned {
    /// `plc_operation`: creates the account (without `prev`) or replaces all of its data.
    Update {
        /// The operation that this one continues from.
        prev: Option<Cid>,
        /// The new content.
        data: Data,
    },
    /// `create`, the old way to create an account.
    LegacyCreate(LegacyCreate),
    /// `plc_tombstone`: deletes the account.
    Tombstone {
        /// The operation that this one continues from.
        prev: Cid,
    },
}

/// The limits of the directory's server.
const MAX_LIST: usize = 10;
const MAX_NAME: usize = 258;
const MAX_ID: usize = 32;
const MAX_SERVICE_TYPE: usize = 256;
const MAX_ENDPOINT: usize = 512;
const MAX_DID_KEY: usize = 256;

impl Unsigned {
    /// The first operation of a new account. Its hash is the DID: [`Operation::created_did`].
    pub fn genesis(data: Data) -> Self {
        Self::Update { prev: None, data }
    }

    /// An operation that replaces all data. To change some of it, start from
    /// [`Log::data`](crate::plc::Log::data), or use [`Log::update`](crate::plc::Log::update).
    pub fn update(prev: &Cid, data: Data) -> Self {
        Self::Update { prev: Some(*prev), data }
    }

    /// An operation that deletes the account.
    pub fn tombstone(prev: &Cid) -> Self {
        Self::Tombstone { prev: *prev }
    }

    /// The operation that this one continues from.
    pub fn prev(&self) -> Option<&Cid> {
        match self {
            Self::Update { prev, .. } => prev.as_ref(),
            Self::LegacyCreate(_) => None,
            Self::Tombstone { prev } => Some(prev),
        }
    }

    /// The content, the legacy type translated; `None` for a tombstone.
    pub fn data(&self) -> Option<Data> {
        match self {
            Self::Update { data, .. } => Some(data.clone()),
            Self::LegacyCreate(c) => {
                Some(Data::of_legacy(&c.signing_key, &c.recovery_key, &c.handle, &c.service))
            }
            Self::Tombstone { .. } => None,
        }
    }

    /// The bytes that are signed.
    pub fn to_cbor(&self) -> Vec<u8> {
        cbor::encode(&cbor::Value::map(self.to_cbor_fields()))
    }

    pub(crate) fn to_cbor_fields(&self) -> Vec<(&'static str, cbor::Value)> {
        let text = |text: &str| cbor::Value::Text(text.to_owned());
        let link = |cid: &Cid| cbor::Value::Text(cid.to_string());
        match self {
            Self::Update { prev, data } => {
                let mut fields = data.to_cbor_fields();
                fields.push(("type", text("plc_operation")));
                fields.push(("prev", prev.as_ref().map_or(cbor::Value::Null, link)));
                fields
            }
            Self::LegacyCreate(create) => vec![
                ("type", text("create")),
                ("signingKey", text(&create.signing_key)),
                ("recoveryKey", text(&create.recovery_key)),
                ("handle", text(&create.handle)),
                ("service", text(&create.service)),
                ("prev", cbor::Value::Null),
            ],
            Self::Tombstone { prev } => vec![("type", text("plc_tombstone")), ("prev", link(prev))],
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let prev = self.prev().map(Cid::to_string);
        match self {
            Self::Update { data, .. } => serde_json::json!({
                "type": "plc_operation",
                "rotationKeys": data.rotation_keys,
                "verificationMethods": data.verification_methods,
                "alsoKnownAs": data.also_known_as,
                "services": data.services,
                "prev": prev,
            }),
            Self::LegacyCreate(create) => serde_json::json!({
                "type": "create",
                "signingKey": create.signing_key,
                "recoveryKey": create.recovery_key,
                "handle": create.handle,
                "service": create.service,
                "prev": prev,
            }),
            Self::Tombstone { .. } => serde_json::json!({ "type": "plc_tombstone", "prev": prev }),
        }
    }

    /// Checks the limits of the directory and signs.
    ///
    /// Not checked: that the signer's key has the authority to; the log that the operation continues knows, and
    /// [`Log::append`](crate::plc::Log::append) asks it.
    pub fn sign(self, signer: &dyn Signer) -> Result<Operation, PlcError> {
        self.check_limits()?;
        let signature = signer.sign(&self.to_cbor())?;
        let operation = Operation::new(self, Signature::from_bytes(signature));
        let bytes = operation.to_cbor().len();
        if bytes > MAX_OPERATION_WRITTEN {
            return refused(format!("it has {bytes} bytes, {MAX_OPERATION_WRITTEN} are allowed"));
        }
        Ok(operation)
    }

    fn check_limits(&self) -> Result<(), PlcError> {
        match self {
            Self::Update { data, .. } => check_data(data),
            Self::LegacyCreate(_) => refused("the type \"create\" is read, never written".to_owned()),
            Self::Tombstone { .. } => Ok(()),
        }
    }
}

/// Whether a list of `did:key`s has this key.
pub(crate) fn has_key(keys: &[String], key: &PublicKey) -> bool {
    let wanted = key.to_did_key();
    keys.contains(&wanted)
}

fn refused<T>(problem: String) -> Result<T, PlcError> {
    Err(PlcError::Refused { problem })
}

fn check_data(data: &Data) -> Result<(), PlcError> {
    let counts = [
        ("rotation keys", data.rotation_keys.len()),
        ("verification methods", data.verification_methods.len()),
        ("names (alsoKnownAs)", data.also_known_as.len()),
        ("services", data.services.len()),
    ];
    if let Some((what, count)) = counts.iter().find(|(_, count)| *count > MAX_LIST) {
        return refused(format!("{count} {what} where {MAX_LIST} are allowed"));
    }
    if data.rotation_keys.is_empty() {
        return refused("without rotation keys nobody could ever change the account again".to_owned());
    }
    for (at, key) in data.rotation_keys.iter().enumerate() {
        if let Err(error) = PublicKey::from_did_key(key) {
            return refused(format!("rotation key {}: {error}", at.saturating_add(1)));
        }
        if data.rotation_keys.iter().take(at).any(|earlier| earlier == key) {
            return refused(format!("the rotation key {key} is listed twice"));
        }
    }
    for (at, name) in data.also_known_as.iter().enumerate() {
        if name.len() > MAX_NAME {
            return refused(format!(
                "name {} has {} characters, {MAX_NAME} are allowed",
                at.saturating_add(1),
                name.len()
            ));
        }
        if data.also_known_as.iter().take(at).any(|earlier| earlier == name) {
            return refused(format!("the name {name:?} is listed twice"));
        }
    }
    for (id, key) in &data.verification_methods {
        if id.len() > MAX_ID || key.len() > MAX_DID_KEY {
            return refused(format!("the verification method {id:?} is too long"));
        }
        if let Err(error) = DidKey::parse(key) {
            return refused(format!("verification method {id:?}: {error}"));
        }
    }
    for (id, service) in &data.services {
        if id.len() > MAX_ID || service.kind.len() > MAX_SERVICE_TYPE || service.endpoint.len() > MAX_ENDPOINT
        {
            return refused(format!("the service {id:?} is too long"));
        }
    }
    Ok(())
}
