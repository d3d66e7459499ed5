//! DID documents as they are found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use p2pds_crypto::Curve;
use p2pds_identity::{DidDocument, DocumentError};
use p2pds_syntax::Did;

fn did(text: &str) -> Did {
    Did::parse(text).unwrap()
}

/// The form that the PLC directory serves.
const PLC: &str = r##"{
  "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1",
               "https://w3id.org/security/suites/secp256k1-2019/v1"],
  "id": "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
  "alsoKnownAs": ["at://Atproto.com"],
  "verificationMethod": [{
    "id": "did:plc:ewvi7nxzyoun6zhxrhs64oiz#atproto", "type": "Multikey",
    "controller": "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
    "publicKeyMultibase": "zQ3shunBKsXixLxKtC5qeSG9E4J5RkGN57im31pcTzbNQnm5w"
  }],
  "service": [{
    "id": "#atproto_pds", "type": "AtprotoPersonalDataServer",
    "serviceEndpoint": "https://enoki.us-east.host.bsky.network"
  }]
}"##;

#[test]
fn plc_directory_form() {
    let document = DidDocument::parse(PLC.as_bytes(), &did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")).unwrap();
    assert_eq!(document.handle().unwrap().as_str(), "atproto.com");
    assert_eq!(document.pds().unwrap(), "https://enoki.us-east.host.bsky.network");
    let key = document.signing_key().unwrap().unwrap();
    assert_eq!(key.to_multibase(), "zQ3shunBKsXixLxKtC5qeSG9E4J5RkGN57im31pcTzbNQnm5w");
    let json = serde_json::to_vec(&document.to_json()).unwrap();
    assert_eq!(DidDocument::parse(&json, &document.id).unwrap(), document);
    let written: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let mut original: serde_json::Value = serde_json::from_str(PLC).unwrap();
    original["alsoKnownAs"][0] = "at://Atproto.com".into();
    assert_eq!(written, original);
}

/// Old verification types carry the bare point, compressed or not; services may use the full DID; unknown entries stand
/// between them.
#[test]
fn hand_written_forms() {
    let json = r##"{
      "@context": "https://www.w3.org/ns/did/v1",
      "id": "did:web:example.com",
      "alsoKnownAs": ["https://example.com", "at://not a handle", "at://alice.example.com", 7],
      "authentication": ["#atproto", {"id": "#x", "type": "Multikey"}],
      "verificationMethod": [
        {"id": "#jwk", "type": "JsonWebKey2020", "publicKeyJwk": {"kty": "EC"}},
        {"id": "#atproto", "type": "EcdsaSecp256r1VerificationKey2019", "controller": "did:web:example.com",
         "publicKeyMultibase": "zxdM8dSstjrpZaRUwBmDvjGXweKuEMVN95A9oJBFjkWMh"},
        {"id": "did:web:other.example.com#atproto", "type": "Multikey", "publicKeyMultibase": "z"}
      ],
      "service": [
        {"id": "#atproto_pds", "type": "SomethingElse", "serviceEndpoint": "https://evil.example.com"},
        {"id": "#hub", "type": ["A", "B"], "serviceEndpoint": {"uri": "https://hub.example.com"}},
        {"id": "did:web:example.com#atproto_pds", "type": "AtprotoPersonalDataServer",
         "serviceEndpoint": "https://PDS.example.com:8443/"}
      ]
    }"##;
    let document = DidDocument::parse(json.as_bytes(), &did("did:web:example.com")).unwrap();
    assert_eq!(document.handle().unwrap().as_str(), "alice.example.com");
    assert_eq!(document.pds().unwrap(), "https://pds.example.com:8443");
    let key = document.signing_key().unwrap().unwrap();
    assert_eq!(key.curve(), Curve::P256);
    assert_eq!(key.to_did_key(), "did:key:zDnaembgSGUhZULN2Caob4HLJPaxBh92N7rtH21TErzqf8HQo");
}

#[test]
fn nothing_but_an_id() {
    let document =
        DidDocument::parse(br#"{"id":"did:web:example.com","service":null}"#, &did("did:web:example.com"));
    let document = document.unwrap();
    assert!(document.handle().is_none() && document.pds().is_none() && document.signing_key().is_none());
}

#[test]
fn wrong_documents() {
    let id = did("did:web:example.com");
    let other = DidDocument::parse(br#"{"id":"did:web:example.org"}"#, &id);
    assert!(matches!(other, Err(DocumentError::WrongDid { .. })), "{other:?}");
    for bad in ["", "[]", "{}", "<html>", r#"{"id":7}"#, r#"{"id":"did:web:example.com""#] {
        assert!(matches!(DidDocument::parse(bad.as_bytes(), &id), Err(DocumentError::Json { .. })), "{bad}");
    }
    let huge = format!(r#"{{"id":"did:web:example.com","x":"{}"}}"#, "x".repeat(DidDocument::MAX_BYTES));
    assert!(DidDocument::parse(huge.as_bytes(), &id).is_err());
    let odd_services =
        |count| format!(r#"{{"id":"did:web:example.com","service":[{}null]}}"#, "[{}],7,".repeat(count));
    assert!(DidDocument::parse(odd_services(500).as_bytes(), &id).is_ok());
    assert!(DidDocument::parse(odd_services(1000).as_bytes(), &id).is_err());
}

#[test]
fn damaged_key_is_an_error_and_not_an_absence() {
    let id = did("did:web:example.com");
    for (kind, key) in [
        ("Multikey", "\"z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK\""),
        ("Jwk", "\"zQ\""),
        ("Multikey", "7"),
    ] {
        let json = format!(
            r##"{{"id":"{id}","verificationMethod":[{{"id":"#atproto","type":"{kind}","publicKeyMultibase":{key}}}]}}"##
        );
        let document = DidDocument::parse(json.as_bytes(), &id).unwrap();
        assert!(
            matches!(document.signing_key(), Some(Err(DocumentError::SigningKey { .. }))),
            "{kind} {key}"
        );
    }
}

#[test]
fn hosts_that_are_no_origins() {
    let id = did("did:web:example.com");
    for endpoint in [
        "pds.example.com",
        "ftp://pds.example.com",
        "https://",
        "https:///x",
        "https://:443",
        "https://pds.example.com/path",
        "https://pds.example.com?x",
        "https://pds.example.com#x",
        "https://user:password@pds.example.com",
        "https://pds.example.com\\u0000",
        "https://pds.example.com//",
        "javascript:alert(1)",
    ] {
        let json = format!(
            r##"{{"id":"{id}","service":[{{"id":"#atproto_pds","type":"AtprotoPersonalDataServer","serviceEndpoint":"{endpoint}"}}]}}"##
        );
        let document = DidDocument::parse(json.as_bytes(), &id).unwrap();
        assert_eq!(document.pds(), None, "{endpoint}");
        assert_eq!(document.services.len(), 1);
    }
}
