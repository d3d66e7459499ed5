//! DID documents: what AT Protocol needs of them, read tolerantly.

use p2pds_crypto::{Curve, KeyError, PublicKey};
use p2pds_syntax::{Did, ErrorKind, Handle};
use serde::{Deserialize, Deserializer};

use crate::bounded::{self, MaybeText, Tolerant};
use crate::plc::Data;

/// A DID document, reduced to the parts that AT Protocol uses.
///
/// Documents of did:web are written by hand and those of other methods follow other fashions, so entries of unknown shape
/// are skipped and identifiers may be written `#atproto` or `did:...#atproto`. What is wanted and damaged is reported by
/// the accessor that was asked for it. Spec: <https://atproto.com/specs/did#did-documents>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidDocument {
    /// Whom it is about.
    pub id: Did,
    /// Other names, as URIs; unproven.
    pub also_known_as: Vec<String>,
    /// Public keys.
    pub verification_methods: Vec<VerificationMethod>,
    /// Services.
    pub services: Vec<DocumentService>,
}

/// A public key in a DID document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationMethod {
    /// The part of its identifier after `#`.
    pub fragment: String,
    /// Such as `Multikey`.
    pub kind: String,
    /// The key, if it is written that way.
    pub public_key_multibase: Option<String>,
}

/// A service in a DID document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentService {
    /// The part of its identifier after `#`.
    pub fragment: String,
    /// Such as `AtprotoPersonalDataServer`.
    pub kind: String,
    /// The address, if it is a single text.
    pub endpoint: Option<String>,
}

/// A document, or a part of it that was asked for, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not the JSON of a DID document.
    #[error("the DID document of {did} cannot be read: {problem}")]
    Json {
        /// Whose document was expected.
        did: Did,
        /// What the parser said.
        problem: String,
    },
    /// The document of somebody else.
    #[error("the document that was served for {expected} is about {found:?}")]
    WrongDid {
        /// Whose document was expected.
        expected: Did,
        /// The `id` in the document.
        found: String,
    },
    /// The signing key is there and unusable.
    #[error("the signing key in the DID document of {did} cannot be used: {problem}")]
    SigningKey {
        /// Whose document.
        did: Did,
        /// Why.
        problem: String,
    },
}

impl DocumentError {
    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl DidDocument {
    /// Largest document that is read, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// Reads the JSON of a document, which must be about `expect`.
    pub fn parse(json: &[u8], expect: &Did) -> Result<Self, DocumentError> {
        let unreadable = |problem: String| DocumentError::Json { did: expect.clone(), problem };
        if json.len() > Self::MAX_BYTES {
            return Err(unreadable(format!("it has {} bytes, {} are allowed", json.len(), Self::MAX_BYTES)));
        }
        let fields: Fields = serde_json::from_slice(json).map_err(|e| unreadable(e.to_string()))?;
        if fields.id != expect.as_str() {
            let found = fields.id.chars().take(256).collect();
            return Err(DocumentError::WrongDid { expected: expect.clone(), found });
        }
        let of_account = |id: String| fragment(expect, id);
        let method = |entry: Entry| {
            Some(VerificationMethod {
                fragment: of_account(entry.id?)?,
                kind: entry.kind?,
                public_key_multibase: entry.public_key_multibase,
            })
        };
        let service = |entry: Entry| {
            Some(DocumentService {
                fragment: of_account(entry.id?)?,
                kind: entry.kind?,
                endpoint: entry.service_endpoint,
            })
        };
        Ok(Self {
            id: expect.clone(),
            also_known_as: fields.also_known_as,
            verification_methods: fields.verification_method.into_iter().filter_map(method).collect(),
            services: fields.service.into_iter().filter_map(service).collect(),
        })
    }

    /// The document that a did:plc's data stands for.
    pub fn from_plc(did: &Did, data: &Data) -> Self {
        let method = |(name, key): (&String, &String)| VerificationMethod {
            fragment: name.clone(),
            kind: "Multikey".to_owned(),
            public_key_multibase: key.strip_prefix("did:key:").map(str::to_owned),
        };
        let service = |(name, service): (&String, &crate::plc::Service)| DocumentService {
            fragment: name.clone(),
            kind: service.kind.clone(),
            endpoint: Some(service.endpoint.clone()),
        };
        Self {
            id: did.clone(),
            also_known_as: data.also_known_as.clone(),
            verification_methods: data.verification_methods.iter().map(method).collect(),
            services: data.services.iter().map(service).collect(),
        }
    }

    /// The handle that the document claims: the first `at://` name that is one. It counts only if it resolves back to
    /// this DID.
    pub fn handle(&self) -> Option<Handle> {
        self.also_known_as.iter().find_map(|uri| Handle::parse(uri.strip_prefix("at://")?).ok())
    }

    /// The key that signs the repository: the first verification method `#atproto`.
    ///
    /// `None` if the document has none, an error if it has one that cannot be used.
    pub fn signing_key(&self) -> Option<Result<PublicKey, DocumentError>> {
        self.key("atproto")
    }

    /// The first verification method with this fragment, such as `atproto_label`.
    ///
    /// `None` if the document has none, an error if it has one that cannot be used.
    pub fn key(&self, fragment: &str) -> Option<Result<PublicKey, DocumentError>> {
        let method = self.verification_methods.iter().find(|method| method.fragment == fragment)?;
        Some(
            method
                .public_key()
                .map_err(|problem| DocumentError::SigningKey { did: self.id.clone(), problem }),
        )
    }

    /// The origin of the account's host, such as `https://pds.example.com`: the first service `#atproto_pds` of type
    /// `AtprotoPersonalDataServer`, if its address is a plain HTTP origin.
    pub fn pds(&self) -> Option<String> {
        self.services
            .iter()
            .find(|service| service.fragment == "atproto_pds" && service.kind == "AtprotoPersonalDataServer")
            .and_then(|service| pds_origin(service.endpoint.as_deref()?))
    }

    /// The document as JSON, in the form in which the PLC directory serves documents.
    pub fn to_json(&self) -> serde_json::Value {
        let mut context = vec!["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"];
        for method in &self.verification_methods {
            let suite = match method.public_key().map(|key| key.curve()) {
                Ok(Curve::K256) => "https://w3id.org/security/suites/secp256k1-2019/v1",
                Ok(Curve::P256) => "https://w3id.org/security/suites/ecdsa-2019/v1",
                Err(_) => continue,
            };
            if !context.contains(&suite) {
                context.push(suite);
            }
        }
        let method = |method: &VerificationMethod| {
            serde_json::json!({
                "id": format!("{}#{}", self.id, method.fragment),
                "type": method.kind,
                "controller": self.id.as_str(),
                "publicKeyMultibase": method.public_key_multibase,
            })
        };
        let service = |service: &DocumentService| {
            serde_json::json!({
                "id": format!("#{}", service.fragment),
                "type": service.kind,
                "serviceEndpoint": service.endpoint,
            })
        };
        serde_json::json!({
            "@context": context,
            "id": self.id.as_str(),
            "alsoKnownAs": self.also_known_as,
            "verificationMethod": self.verification_methods.iter().map(method).collect::<Vec<_>>(),
            "service": self.services.iter().map(service).collect::<Vec<_>>(),
        })
    }
}

impl VerificationMethod {
    /// The key, by the rules of its type.
    fn public_key(&self) -> Result<PublicKey, String> {
        let text = self.public_key_multibase.as_deref().ok_or("it has no publicKeyMultibase")?;
        let key = match self.kind.as_str() {
            "Multikey" => PublicKey::from_multibase(text),
            "EcdsaSecp256k1VerificationKey2019" => PublicKey::from_legacy_multibase(Curve::K256, text),
            "EcdsaSecp256r1VerificationKey2019" => PublicKey::from_legacy_multibase(Curve::P256, text),
            other => return Err(format!("its type {other:?} is not known")),
        };
        key.map_err(|error: KeyError| error.to_string())
    }
}

/// The part after `#` of an identifier that belongs to this account.
fn fragment(did: &Did, id: String) -> Option<String> {
    let (owner, fragment) = id.split_once('#')?;
    (owner.is_empty() || owner == did.as_str()).then(|| fragment.to_owned())
}

/// The origin of a service address: `http` or `https`, a host, perhaps a port, and nothing else but a slash.
pub(crate) fn pds_origin(endpoint: &str) -> Option<String> {
    let trimmed = endpoint.strip_suffix('/').unwrap_or(endpoint);
    let authority = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    if authority.is_empty() || authority.starts_with(':') || !authority.bytes().all(plain) {
        return None;
    }
    Some(trimmed.to_ascii_lowercase())
}

/// What is read of a document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    id: String,
    #[serde(default, deserialize_with = "bounded::tolerant")]
    also_known_as: Vec<String>,
    #[serde(default, deserialize_with = "bounded::tolerant")]
    verification_method: Vec<Entry>,
    #[serde(default, deserialize_with = "bounded::tolerant")]
    service: Vec<Entry>,
}

/// A verification method or a service, before its kind is known to be of use.
#[derive(Default)]
struct Entry {
    id: Option<String>,
    kind: Option<String>,
    public_key_multibase: Option<String>,
    service_endpoint: Option<String>,
}

impl<'de> Deserialize<'de> for Tolerant<Entry> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(bounded::ObjectOnly::new()).map(|entry: Option<Entry>| {
            // Entries without a name are of no use to anybody and are not even collected.
            Self(entry.filter(|entry| entry.id.is_some() && entry.kind.is_some()))
        })
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The four members that matter, whatever their values are.
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Members {
            id: MaybeText,
            #[serde(rename = "type")]
            kind: MaybeText,
            public_key_multibase: MaybeText,
            service_endpoint: MaybeText,
        }
        let members = Members::deserialize(deserializer)?;
        Ok(Self {
            id: members.id.0,
            kind: members.kind.0,
            public_key_multibase: members.public_key_multibase.0,
            service_endpoint: members.service_endpoint.0,
        })
    }
}
