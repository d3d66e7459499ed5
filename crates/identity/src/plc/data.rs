//! What a did:plc says at one moment.

use std::collections::BTreeMap;

use p2pds_crypto::PublicKey;
use p2pds_ipld::cbor::Value;
use p2pds_syntax::Handle;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::doc::pds_origin;
use crate::plc::PlcError;

/// The name of the verification method that signs repositories.
const SIGNING_KEY: &str = "atproto";
/// The name of the service that hosts the account.
const PDS: &str = "atproto_pds";
/// The type of that service.
const PDS_TYPE: &str = "AtprotoPersonalDataServer";

/// Keys, names and services of a did:plc; the content of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    /// `did:key`s that may sign the next operation, highest authority first.
    #[serde(deserialize_with = "bounded::list")]
    pub rotation_keys: Vec<String>,
    /// Named `did:key`s; `atproto` signs the repository.
    #[serde(deserialize_with = "bounded::map")]
    pub verification_methods: BTreeMap<String, String>,
    /// URIs; the first `at://` one is the handle.
    #[serde(deserialize_with = "bounded::list")]
    pub also_known_as: Vec<String>,
    /// Named services; `atproto_pds` is the host.
    #[serde(deserialize_with = "bounded::map")]
    pub services: BTreeMap<String, Service>,
}

/// One service of a did:plc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Such as `AtprotoPersonalDataServer`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A URL.
    pub endpoint: String,
}

impl Data {
    /// The first handle that it names; unproven until it resolves back.
    pub fn handle(&self) -> Option<Handle> {
        self.also_known_as.iter().find_map(|uri| Handle::parse(uri.strip_prefix("at://")?).ok())
    }

    /// The `did:key` that signs the repository, as written.
    pub fn signing_key(&self) -> Option<&str> {
        self.verification_methods.get(SIGNING_KEY).map(String::as_str)
    }

    /// The origin of the host, such as `https://pds.example.com`, if there is a usable one.
    pub fn pds(&self) -> Option<String> {
        self.services.get(PDS).filter(|s| s.kind == PDS_TYPE).and_then(|s| pds_origin(&s.endpoint))
    }

    /// Puts a handle in place of the first one, keeping other names.
    pub fn set_handle(&mut self, handle: &Handle) {
        let uri = format!("at://{handle}");
        match self.also_known_as.iter_mut().find(|name| name.starts_with("at://")) {
            Some(name) => *name = uri,
            None => self.also_known_as.insert(0, uri),
        }
    }

    /// Sets the key that signs the repository.
    pub fn set_signing_key(&mut self, key: &PublicKey) {
        self.verification_methods.insert(SIGNING_KEY.to_owned(), key.to_did_key());
    }

    /// Sets the host.
    pub fn set_pds(&mut self, endpoint: &str) {
        let service = Service { kind: PDS_TYPE.to_owned(), endpoint: endpoint.to_owned() };
        self.services.insert(PDS.to_owned(), service);
    }

    /// Gives a key the highest authority; where it stood before, it is taken away.
    pub fn put_rotation_key_first(&mut self, key: &PublicKey) {
        let key = key.to_did_key();
        self.rotation_keys.retain(|other| *other != key);
        self.rotation_keys.insert(0, key);
    }

    /// Takes over what a new host recommends (`com.atproto.identity.getRecommendedDidCredentials`), field by field where
    /// it says something, and keeps `keep` as the rotation keys of highest authority.
    pub fn adopt(&mut self, recommended: &serde_json::Value, keep: &[PublicKey]) -> Result<(), PlcError> {
        fn field<T: serde::de::DeserializeOwned>(
            recommended: &serde_json::Value,
            name: &str,
        ) -> Result<Option<T>, PlcError> {
            match recommended.get(name) {
                None | Some(serde_json::Value::Null) => Ok(None),
                Some(value) => serde_json::from_value(value.clone())
                    .map(Some)
                    .map_err(|e| PlcError::Operation { problem: format!("recommended {name}: {e}") }),
            }
        }
        if let Some(keys) = field(recommended, "rotationKeys")? {
            self.rotation_keys = keys;
        }
        if let Some(names) = field(recommended, "alsoKnownAs")? {
            self.also_known_as = names;
        }
        if let Some(methods) = field(recommended, "verificationMethods")? {
            self.verification_methods = methods;
        }
        if let Some(services) = field(recommended, "services")? {
            self.services = services;
        }
        for key in keep.iter().rev() {
            self.put_rotation_key_first(key);
        }
        Ok(())
    }

    /// The four fields as DAG-CBOR map entries.
    pub(crate) fn to_cbor_fields(&self) -> Vec<(&'static str, Value)> {
        let texts = |list: &[String]| Value::Array(list.iter().cloned().map(Value::Text).collect());
        let methods =
            self.verification_methods.iter().map(|(name, key)| (name.clone(), Value::Text(key.clone())));
        let services = self.services.iter().map(|(name, service)| {
            let fields = [
                ("type", Value::Text(service.kind.clone())),
                ("endpoint", Value::Text(service.endpoint.clone())),
            ];
            (name.clone(), Value::map(fields))
        });
        vec![
            ("rotationKeys", texts(&self.rotation_keys)),
            ("verificationMethods", Value::map(methods)),
            ("alsoKnownAs", texts(&self.also_known_as)),
            ("services", Value::map(services)),
        ]
    }

    /// The content of an operation of the legacy `create` type.
    pub(crate) fn of_legacy(signing: &str, recovery: &str, handle: &str, service: &str) -> Self {
        let mut data =
            Self { rotation_keys: vec![recovery.to_owned(), signing.to_owned()], ..Self::default() };
        data.verification_methods.insert(SIGNING_KEY.to_owned(), signing.to_owned());
        let bare =
            ["at://", "http://", "https://"].iter().find_map(|p| handle.strip_prefix(p)).unwrap_or(handle);
        data.also_known_as.push(format!("at://{bare}"));
        if service.starts_with("http://") || service.starts_with("https://") {
            data.set_pds(service);
        } else {
            data.set_pds(&format!("https://{service}"));
        }
        data
    }
}
