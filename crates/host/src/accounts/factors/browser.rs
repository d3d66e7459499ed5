//! What goes to the browser and comes back from it: the JSON of `PublicKeyCredential.parseCreationOptionsFromJSON`,
//! `parseRequestOptionsFromJSON` and `toJSON` (Web Authentication Level 3, section 5.1).

use data_encoding::{BASE64, BASE64URL_NOPAD};
use p2pds_store::hosting::PasskeyRow;
use p2pds_syntax::Did;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::challenge::WAITS;
use super::webauthn::{ALGORITHMS, Refused, RelyingParty};

/// Longest answer of a browser, bytes.
const LONGEST: usize = 256 * 1024;
/// Words that say how a passkey is reached.
const TRANSPORTS: [&str; 7] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal", "cable"];

/// What an account is called in its passkeys: tells nothing to whom it is not known, and never changes.
pub(super) fn user_handle(did: &Did) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"p2pds passkey account\0");
    digest.update(did.as_str().as_bytes());
    digest.finalize().into()
}

/// How an account stands in the browser's dialog.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) did: &'a Did,
    pub(super) name: &'a str,
    pub(super) host: &'a str,
}

/// What `navigator.credentials.create` is given.
pub(super) fn creation(
    party: &RelyingParty,
    account: Account<'_>,
    challenge: &[u8],
    known: &[PasskeyRow],
) -> Value {
    let algorithms: Vec<Value> =
        ALGORITHMS.iter().map(|alg| json!({ "type": "public-key", "alg": alg })).collect();
    json!({
        "rp": { "id": party.id, "name": account.host },
        "user": {
            "id": BASE64URL_NOPAD.encode(&user_handle(account.did)),
            "name": account.name,
            "displayName": account.name,
        },
        "challenge": BASE64URL_NOPAD.encode(challenge),
        "pubKeyCredParams": algorithms,
        "timeout": WAITS / 1_000,
        "excludeCredentials": descriptors(known),
        "authenticatorSelection": {
            "residentKey": "preferred", "requireResidentKey": false, "userVerification": "preferred"
        },
        "attestation": "none",
        "extensions": { "credProps": true },
    })
}

/// What `navigator.credentials.get` is given. Without passkeys the browser offers those that it knows.
pub(super) fn request(party: &RelyingParty, challenge: &[u8], known: Option<&[PasskeyRow]>) -> Value {
    json!({
        "challenge": BASE64URL_NOPAD.encode(challenge),
        "timeout": WAITS / 1_000,
        "rpId": party.id,
        "allowCredentials": known.map(descriptors).unwrap_or_default(),
        "userVerification": if known.is_some() { "preferred" } else { "required" },
    })
}

fn descriptors(known: &[PasskeyRow]) -> Vec<Value> {
    let one = |row: &PasskeyRow| {
        let transports: Vec<&str> = row.transports.split_whitespace().collect();
        json!({ "type": "public-key", "id": BASE64URL_NOPAD.encode(&row.id), "transports": transports })
    };
    known.iter().map(one).collect()
}

/// Bytes in base64url, as the specification has them, or padded, as some pages write them.
fn bytes(text: &str) -> Result<Vec<u8>, Refused> {
    let plain: String = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let padded = format!("{plain}{}", "=".repeat(plain.len().wrapping_neg() % 4));
    BASE64.decode(padded.as_bytes()).map_err(|_| Refused::Unreadable("a part of it is not base64url"))
}

/// A passkey that was made, as the browser tells it.
#[derive(Debug)]
pub(super) struct Creation {
    pub(super) client_data: Vec<u8>,
    pub(super) object: Vec<u8>,
    pub(super) transports: String,
    pub(super) discoverable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreationJson {
    response: AttestationJson,
    #[serde(default)]
    client_extension_results: Extensions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttestationJson {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
    #[serde(default)]
    transports: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    cred_props: Option<Properties>,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(default)]
    rk: bool,
}

impl Creation {
    pub(super) fn read(json: &str) -> Result<Self, Refused> {
        let read: CreationJson = parse(json)?;
        let mut transports: Vec<&str> = read.response.transports.iter().map(String::as_str).collect();
        transports.retain(|word| TRANSPORTS.contains(word));
        transports.dedup();
        transports.truncate(TRANSPORTS.len());
        Ok(Self {
            client_data: bytes(&read.response.client_data)?,
            object: bytes(&read.response.attestation_object)?,
            transports: transports.join(" "),
            discoverable: read.client_extension_results.cred_props.is_some_and(|props| props.rk),
        })
    }
}

/// A passkey that was used, as the browser tells it.
pub(super) struct Get {
    pub(super) id: Vec<u8>,
    pub(super) client_data: Vec<u8>,
    pub(super) auth_data: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) user_handle: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct GetJson {
    id: String,
    response: AssertionJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssertionJson {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

impl Get {
    pub(super) fn read(json: &str) -> Result<Self, Refused> {
        let read: GetJson = parse(json)?;
        Ok(Self {
            id: bytes(&read.id)?,
            client_data: bytes(&read.response.client_data)?,
            auth_data: bytes(&read.response.authenticator_data)?,
            signature: bytes(&read.response.signature)?,
            user_handle: read
                .response
                .user_handle
                .filter(|handle| !handle.is_empty())
                .map(|handle| bytes(&handle))
                .transpose()?,
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Refused> {
    if json.len() > LONGEST {
        return Err(Refused::Unreadable("it is too long"));
    }
    serde_json::from_str(json).map_err(|_| Refused::Unreadable("it is not the JSON of a passkey"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_pages_write_it() {
        for text in ["_-8", "/+8=", "_-8=", "/+8"] {
            assert_eq!(bytes(text), Ok(vec![0xff, 0xef]), "{text}");
        }
        for text in ["_", "!!", "_-9"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_browsers_tell_beyond_the_passkey_is_kept_to_what_is_known() {
        let json = json!({
            "id": "AA", "rawId": "AA", "type": "public-key", "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": "AA", "attestationObject": "AQ", "publicKeyAlgorithm": -7,
                "transports": ["internal", "internal", "<script>", "hybrid"],
            },
            "clientExtensionResults": { "credProps": { "rk": true } },
        });
        let read = Creation::read(&json.to_string()).unwrap();
        assert_eq!((read.transports.as_str(), read.discoverable), ("internal hybrid", true));
        assert!(Creation::read("{}").is_err() && Get::read(&json.to_string()).is_err());
        assert!(Get::read(&format!("{{\"id\":\"{}\"", "A".repeat(LONGEST))).is_err());
    }
}
