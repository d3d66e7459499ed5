//! Signed operations.

use p2pds_crypto::PublicKey;
use p2pds_ipld::{Cid, cbor};
use p2pds_syntax::Did;
use serde::{Deserialize, Deserializer};

use super::data::{Data, Service};
use super::{PlcError, Signature, Unsigned};
use crate::bounded;

/// A signed operation, of any of the three types.
///
/// Reading is strict: unknown and missing fields are refused, so that an operation that was read encodes to the bytes
/// that were signed. [`Operation::cid`] and [`Operation::verify`] work on those bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    unsigned: Unsigned,
    signature: Signature,
}

/// The fields of the legacy `create` type, which is read and never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyCreate {
    /// The `did:key` that signs the repository and has the lower authority.
    pub signing_key: String,
    /// The `did:key` of higher authority.
    pub recovery_key: String,
    /// The first handle, without `at://`.
    pub handle: String,
    /// The first host.
    pub service: String,
}

impl Operation {
    /// Puts a signature to an operation. Nothing is verified.
    pub fn new(unsigned: Unsigned, signature: Signature) -> Self {
        Self { unsigned, signature }
    }

    /// Reads the JSON of an operation.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, PlcError> {
        Self::deserialize(json).map_err(|e| PlcError::Operation { problem: e.to_string() })
    }

    /// The JSON form, as the directory takes it (`POST /{did}`).
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = self.unsigned.to_json();
        if let Some(object) = json.as_object_mut() {
            object.insert("sig".to_owned(), self.signature.to_string().into());
        }
        json
    }

    /// The signed operation as DAG-CBOR.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut fields = self.unsigned.to_cbor_fields();
        fields.push(("sig", cbor::Value::Text(self.signature.to_string())));
        cbor::encode(&cbor::Value::map(fields))
    }

    /// The CID of the signed operation, by which the next one names it.
    pub fn cid(&self) -> Cid {
        Cid::of_cbor(&self.to_cbor())
    }

    /// The operation without its signature.
    pub fn unsigned(&self) -> &Unsigned {
        &self.unsigned
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The operation that this one continues from; `None` if it creates the account.
    pub fn prev(&self) -> Option<&Cid> {
        self.unsigned.prev()
    }

    /// The content, the legacy type translated; `None` for a tombstone.
    pub fn data(&self) -> Option<Data> {
        self.unsigned.data()
    }

    /// Whether it deletes the account.
    pub fn is_tombstone(&self) -> bool {
        matches!(self.unsigned, Unsigned::Tombstone { .. })
    }

    /// The DID that this operation creates, if it creates one: the first 24 base32 characters of its SHA-256.
    pub fn created_did(&self) -> Option<Did> {
        if self.is_tombstone() || self.prev().is_some() {
            return None;
        }
        let hash = p2pds_ipld::sha256(&self.to_cbor());
        let text = data_encoding::BASE32_NOPAD.encode(&hash).to_ascii_lowercase();
        Did::parse(&format!("did:plc:{}", text.get(..24)?)).ok()
    }

    /// Whether this key made the signature.
    pub fn verify(&self, key: &PublicKey) -> bool {
        key.verify(&self.unsigned.to_cbor(), self.signature.as_bytes()).is_ok()
    }
}

impl serde::Serialize for Operation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// All fields of all types, so that one pass reads any of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "present")]
    prev: Option<Option<String>>,
    sig: String,
    #[serde(default, deserialize_with = "some_list")]
    rotation_keys: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_map")]
    verification_methods: Option<std::collections::BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "some_list")]
    also_known_as: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_map")]
    services: Option<std::collections::BTreeMap<String, Service>>,
    signing_key: Option<String>,
    recovery_key: Option<String>,
    handle: Option<String>,
    service: Option<String>,
}

/// Tells a field that is `null` from one that is missing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn some_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    bounded::list(deserializer).map(Some)
}

fn some_map<'de, D, T>(deserializer: D) -> Result<Option<std::collections::BTreeMap<String, T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    bounded::map(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fields::deserialize(deserializer)?.into_operation().map_err(serde::de::Error::custom)
    }
}

impl Fields {
    fn into_operation(mut self) -> Result<Operation, String> {
        let signature = Signature::parse(&self.sig)?;
        let prev = match self.prev.take() {
            None => return Err("the field \"prev\" is missing".to_owned()),
            Some(None) => None,
            Some(Some(text)) => {
                Some(text.parse::<Cid>().map_err(|e| format!("the field \"prev\" is not a CID: {e}"))?)
            }
        };
        let unsigned = match self.kind.as_str() {
            "plc_operation" => Unsigned::Update { prev, data: self.data()? },
            "plc_tombstone" => Unsigned::Tombstone {
                prev: prev.ok_or("a plc_tombstone must name the operation it continues from")?,
            },
            "create" if prev.is_none() => Unsigned::LegacyCreate(self.legacy()?),
            "create" => return Err("a legacy \"create\" operation must have \"prev\": null".to_owned()),
            other => return Err(format!("{other:?} is no known type of operation")),
        };
        self.nothing_left()?;
        Ok(Operation { unsigned, signature })
    }

    fn data(&mut self) -> Result<Data, String> {
        Ok(Data {
            rotation_keys: required(&mut self.rotation_keys, "rotationKeys")?,
            verification_methods: required(&mut self.verification_methods, "verificationMethods")?,
            also_known_as: required(&mut self.also_known_as, "alsoKnownAs")?,
            services: required(&mut self.services, "services")?,
        })
    }

    fn legacy(&mut self) -> Result<LegacyCreate, String> {
        Ok(LegacyCreate {
            signing_key: required(&mut self.signing_key, "signingKey")?,
            recovery_key: required(&mut self.recovery_key, "recoveryKey")?,
            handle: required(&mut self.handle, "handle")?,
            service: required(&mut self.service, "service")?,
        })
    }

    /// Refuses fields of another type of operation: they would be lost when the operation is encoded.
    fn nothing_left(&self) -> Result<(), String> {
        let left = [
            ("rotationKeys", self.rotation_keys.is_some()),
            ("verificationMethods", self.verification_methods.is_some()),
            ("alsoKnownAs", self.also_known_as.is_some()),
            ("services", self.services.is_some()),
            ("signingKey", self.signing_key.is_some()),
            ("recoveryKey", self.recovery_key.is_some()),
            ("handle", self.handle.is_some()),
            ("service", self.service.is_some()),
        ];
        match left.iter().find(|(_, there)| *there) {
            Some((name, _)) => {
                Err(format!("the field {name:?} does not belong to a {:?} operation", self.kind))
            }
            None => Ok(()),
        }
    }
}

fn required<T>(field: &mut Option<T>, name: &str) -> Result<T, String> {
    field.take().ok_or_else(|| format!("the field {name:?} is missing"))
}
