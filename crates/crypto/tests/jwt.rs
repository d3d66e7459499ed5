//! Tokens: what is read, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD};
use p2pds_crypto::jwt::{Algorithm, JwtError, MAX_TOKEN, Unverified, sign, sign_secret};
use p2pds_crypto::{Curve, PrivateKey, Signer};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ALL: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Es256k, Algorithm::Es256];
const SECRET: &[u8] = b"a secret of enough bytes for this";

fn key(curve: Curve) -> PrivateKey {
    PrivateKey::from_entropy(curve, [7; 32])
}

fn claims(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn part(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

/// A token with these parts, signed with the secret as HS256 whatever its header says.
fn forged(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", part(header), part(payload));
    let mac = hmac_of(signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac))
}

/// HMAC-SHA256 written out, so that the code under test is not its own judge.
fn hmac_of(message: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut block = [0_u8; 64];
    block[..SECRET.len()].copy_from_slice(SECRET);
    let pad = |byte: u8| block.iter().map(|b| b ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn secret(token: &str) -> Result<(), JwtError> {
    Unverified::parse(token, &[Algorithm::Hs256])?.verify_secret(SECRET).map(|_| ())
}

#[test]
fn round_trips() {
    let said =
        claims(json!({ "sub": "did:web:a.example", "exp": 2_000_000_000, "deep": { "a": [1, null] } }));
    let token = sign_secret(SECRET, "at+jwt", &said).unwrap();
    let read = Unverified::parse(&token, &ALL).unwrap();
    assert_eq!(
        (read.algorithm(), read.typ().as_deref(), read.kid()),
        (Algorithm::Hs256, Some("at+jwt"), None)
    );
    let verified = read.verify_secret(SECRET).unwrap().0;
    assert_eq!(verified.need("sub"), Ok("did:web:a.example"));
    assert_eq!(verified.seconds("exp"), Ok(Some(2_000_000_000)));
    assert!(verified.has("deep") && !verified.has("jti"));
    for curve in [Curve::K256, Curve::P256] {
        let key = key(curve);
        let token = sign(&key, "JWT", Some("#atproto"), &said).unwrap();
        let read = Unverified::parse(&token, &ALL).unwrap();
        assert_eq!((read.algorithm(), read.kid()), (Algorithm::of(curve), Some("#atproto")));
        assert!(read.verify_key(&key.public_key()).is_ok());
        assert!(format!("{read:?}").len() < 80 && !format!("{:?}", read.claims()).contains("a.example"));
    }
}

#[test]
fn the_known_token() {
    // RFC 7515, appendix A.1.
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let secret = BASE64URL_NOPAD
        .decode(b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .unwrap();
    let verified = Unverified::parse(token, &[Algorithm::Hs256]).unwrap().verify_secret(&secret).unwrap();
    assert_eq!(verified.0.need("iss"), Ok("joe"));
}

#[test]
fn the_caller_names_the_algorithms() {
    let (k, p) = (key(Curve::K256), key(Curve::P256));
    let said = claims(json!({}));
    let tokens = [
        (Algorithm::Hs256, sign_secret(SECRET, "JWT", &said).unwrap()),
        (Algorithm::Es256k, sign(&k, "JWT", None, &said).unwrap()),
        (Algorithm::Es256, sign(&p, "JWT", None, &said).unwrap()),
    ];
    for (algorithm, token) in &tokens {
        for accepted in ALL {
            assert_eq!(Unverified::parse(token, &[accepted]).is_ok(), accepted == *algorithm);
        }
        assert!(Unverified::parse(token, &[]).is_err());
        let read = Unverified::parse(token, &ALL).unwrap();
        assert_eq!(read.verify_key(&k.public_key()).is_ok(), *algorithm == Algorithm::Es256k);
        assert_eq!(read.verify_key(&p.public_key()).is_ok(), *algorithm == Algorithm::Es256);
        assert_eq!(read.verify_secret(SECRET).is_ok(), *algorithm == Algorithm::Hs256);
    }
    // The public key as the secret of an HMAC: the classic confusion.
    let confused = sign_secret(&k.public_key().to_sec1(), "JWT", &said).unwrap();
    let read = Unverified::parse(&confused, &ALL).unwrap();
    assert_eq!(read.verify_key(&k.public_key()).unwrap_err(), JwtError::Algorithm);
    assert_eq!(Unverified::parse(&confused, &[Algorithm::Es256k]).unwrap_err(), JwtError::Algorithm);
}

#[test]
fn headers_that_are_refused() {
    assert!(secret(&forged(r#"{"alg":"HS256"}"#, "{}")).is_ok(), "the forger can make a good one");
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS256 "}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":null}"#,
        r#"{}"#,
        r#"[]"#,
        r#""HS256""#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"HS256","jwk":{}}"#,
        r#"{"alg":"HS256","jku":"https://evil.example/keys"}"#,
        r#"{"alg":"HS256","x5u":"https://evil.example/cert"}"#,
        r#"{"alg":"HS256","cty":"JWT"}"#,
        r#"{"alg":"HS256","typ":7}"#,
        r#"{"alg":"HS256","kid":{}}"#,
        r#"{"alg":"HS256"} "x""#,
        "{\"alg\":\"HS256\",\"x\":\"\u{1}\"}",
    ] {
        assert!(secret(&forged(header, "{}")).is_err(), "{header}");
    }
    let deep = format!("{{\"alg\":\"HS256\",\"x\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    assert!(secret(&forged(&deep, "{}")).is_err());
}

#[test]
fn payloads_that_are_refused() {
    for payload in [
        "",
        "null",
        "[]",
        "7",
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"a":{"b":1,"b":1}}"#,
        r#"{"exp":"2000000000"}"#,
        r#"{"exp":2e9}"#,
        r#"{"exp":2000000000.0}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":null}"#,
        r#"{"exp":99999999999}"#,
        r#"{"exp":18446744073709551616}"#,
        r#"{"iat":true}"#,
        r#"{"nbf":[1]}"#,
        r#"{"a":1}{"#,
    ] {
        assert!(secret(&forged(r#"{"alg":"HS256"}"#, payload)).is_err(), "{payload}");
    }
}

#[test]
fn forms_that_are_refused() {
    let good = sign_secret(SECRET, "JWT", &claims(json!({ "sub": "did:web:a.example?>" }))).unwrap();
    assert!(secret(&good).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let raw = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "....".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{good}."),
        format!("{good}.x"),
        format!("{header}.{header}.{payload}.{signature}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        good.replace('.', ".\n"),
        format!("{header}.{payload}.{}", BASE64URL.encode(&raw)),
        format!("{header}.{payload}.{}", BASE64.encode(&raw)),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 1]),
        format!("{header}.{payload}.{signature}A"),
        format!("{header}.{payload}.{}", BASE64URL_NOPAD.encode(&raw[..31])),
        format!("{header}.{payload}.{}", BASE64URL_NOPAD.encode(&[])),
        format!("{header}.{payload}.{}", BASE64URL_NOPAD.encode(&[0; 32])),
        good.replace('e', "é"),
    ] {
        assert!(secret(&bad).is_err(), "{bad:?}");
    }
    // Trailing bits that a lenient decoder drops: the same bytes in another text.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let other = alphabet.chars().nth(at | 1).unwrap();
    assert!(
        other == last
            || secret(&format!("{header}.{payload}.{}{other}", &signature[..signature.len() - 1])).is_err()
    );
    let long = claims(json!({ "x": "a".repeat(MAX_TOKEN) }));
    assert!(matches!(secret(&sign_secret(SECRET, "JWT", &long).unwrap()), Err(JwtError::TooLong(_))));
}

#[test]
fn signatures_in_their_forms() {
    for curve in [Curve::K256, Curve::P256] {
        let key = key(curve);
        let token = sign(&key, "JWT", None, &claims(json!({ "iss": "did:web:a.example" }))).unwrap();
        let (signed, text) = token.rsplit_once('.').unwrap();
        let low = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let verify = |signature: &[u8]| {
            let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature));
            Unverified::parse(&token, &ALL).is_ok_and(|read| read.verify_key(&key.public_key()).is_ok())
        };
        assert!(verify(&low));
        let high = [&low[..32], &negated(curve, &low[32..])].concat();
        assert!(verify(&high), "{curve}: the reference takes these in tokens");
        assert!(key.public_key().verify(signed.as_bytes(), &high).is_err(), "{curve}: and nowhere else");
        assert!(!verify(&der(&low)), "{curve}: DER");
        assert!(!verify(&low[..63]) && !verify(&[0; 64]) && !verify(&[]));
        let mut wrong = low.clone();
        wrong[5] ^= 1;
        assert!(!verify(&wrong));
        let other = PrivateKey::from_entropy(curve, [8; 32]);
        assert!(Unverified::parse(&token, &ALL).unwrap().verify_key(&other.public_key()).is_err());
    }
}

/// `n - s`, big endian.
fn negated(curve: Curve, s: &[u8]) -> Vec<u8> {
    let order: &[u8] = match curve {
        Curve::K256 => b"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        Curve::P256 => b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    };
    let order = data_encoding::HEXLOWER.decode(order).unwrap();
    let (mut out, mut borrow) = (vec![0; 32], 0_i32);
    for i in (0..32).rev() {
        let value = i32::from(order[i]) - i32::from(s[i]) - borrow;
        out[i] = u8::try_from(value.rem_euclid(256)).unwrap();
        borrow = i32::from(value < 0);
    }
    out
}

fn der(compact: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut out = vec![2, 33, 0];
        out.extend_from_slice(bytes);
        out
    };
    let body = [integer(&compact[..32]), integer(&compact[32..])].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}

#[test]
fn times() {
    let at = |value: Value| {
        let token = sign_secret(SECRET, "JWT", &claims(value)).unwrap();
        let read = Unverified::parse(&token, &[Algorithm::Hs256]).unwrap();
        read.claims().check_times(1_000, 10)
    };
    assert_eq!(at(json!({})), Err(JwtError::Claim("exp")));
    for (end, ok) in [(0, false), (990, false), (991, true), (1_000, true)] {
        assert_eq!(at(json!({ "exp": end })).is_ok(), ok, "{end}");
    }
    for (begin, ok) in [(1_010, true), (1_011, false)] {
        assert_eq!(at(json!({ "exp": 2_000, "nbf": begin })).is_ok(), ok, "nbf {begin}");
        assert_eq!(at(json!({ "exp": 2_000, "iat": begin })).is_ok(), ok, "iat {begin}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "[A-Za-z0-9_.=-]{0,200}") {
        let _ = Unverified::parse(&text, &ALL);
    }

    #[test]
    fn no_flipped_bit_passes(at in 0_usize..4_000, bit in 0_u8..7) {
        let token = sign_secret(SECRET, "at+jwt", &claims(json!({ "sub": "did:web:a.example", "exp": 2_000_000_000 }))).unwrap();
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(secret(&text).is_err(), "{} {}", at, bit);
        }
    }
}
