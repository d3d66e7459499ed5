//! The published signature and did:key vectors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod shared;

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use p2pds_crypto::{Curve, PrivateKey, PublicKey, SignatureError, Signer};
use serde_json::Value;

fn fixtures(file: &str) -> Option<Vec<Value>> {
    let path = shared::shared("vectors/atproto-interop/crypto")?.join(file);
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

#[test]
fn signatures() {
    let Some(cases) = fixtures("signature-fixtures.json") else { return };
    assert!(cases.len() >= 6);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let key = PublicKey::from_did_key(text("publicKeyDid")).unwrap();
        assert_eq!(key.to_did_key(), text("publicKeyDid"));
        assert_eq!(key.curve().jwt_algorithm(), text("algorithm"));
        assert_eq!(PublicKey::from_legacy_multibase(key.curve(), text("publicKeyMultibase")).unwrap(), key);
        let message = BASE64_NOPAD.decode(text("messageBase64").as_bytes()).unwrap();
        let signature = BASE64_NOPAD.decode(text("signatureBase64").as_bytes()).unwrap();
        let expected = match case["tags"][0].as_str() {
            None => Ok(()),
            Some("high-s") => Err(SignatureError::HighS),
            Some("der-encoded") => Err(SignatureError::Length(signature.len())),
            Some(other) => panic!("unknown tag {other}"),
        };
        assert_eq!(case["validSignature"].as_bool().unwrap(), expected.is_ok());
        assert_eq!(key.verify(&message, &signature), expected, "{}", case["comment"]);
    }
}

#[test]
fn k256_did_keys() {
    let Some(cases) = fixtures("w3c_didkey_K256.json") else { return };
    assert!(cases.len() >= 5);
    for case in cases {
        let secret = HEXLOWER.decode(case["privateKeyBytesHex"].as_str().unwrap().as_bytes()).unwrap();
        let key = PrivateKey::from_bytes(Curve::K256, secret.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(key.public_key().to_did_key(), case["publicDidKey"].as_str().unwrap());
    }
}

#[test]
fn p256_did_key() {
    let Some(cases) = fixtures("w3c_didkey_P256.json") else { return };
    assert!(!cases.is_empty());
    for case in cases {
        let secret = base58(case["privateKeyBytesBase58"].as_str().unwrap());
        let key = PrivateKey::from_bytes(Curve::P256, &secret).unwrap();
        assert_eq!(key.public_key().to_did_key(), case["publicDidKey"].as_str().unwrap());
    }
}

/// An independent reading of base58, by repeated multiplication.
fn base58(text: &str) -> [u8; 32] {
    let alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut number = [0_u8; 32];
    for character in text.chars() {
        let mut carry = alphabet.find(character).unwrap();
        for byte in number.iter_mut().rev() {
            let value = usize::from(*byte) * 58 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
    }
    number
}
