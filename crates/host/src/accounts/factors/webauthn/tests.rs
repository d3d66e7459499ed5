//! The specification's own vectors, and a table of what is refused, made by an authenticator of our own that signs
//! properly.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

/// Web Authentication Level 3, section 16, as the working group's program writes it (w3c/webauthn, 146d0db).
const VECTORS: &str = include_str!("vectors.json");

fn party(id: &str) -> RelyingParty {
    RelyingParty { id: id.into(), origins: vec![format!("https://{id}")] }
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    HEXLOWER.decode(value[name].as_str().unwrap().as_bytes()).unwrap()
}

/// What comes of each of the specification's pairs: those of three algorithms are taken, whatever the statement says of
/// their make; those of others are refused for that, and those from inside foreign pages for that.
#[test]
fn the_vectors_of_the_specification() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let party = party("example.org");
    let mut taken = 0;
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let (registration, authentication) = (&vector["registration"], &vector["authentication"]);
        let client = bytes(registration, "clientDataJSON");
        let made = made(&party, &client, &bytes(registration, "attestationObject"));
        let refused = match name {
            "none-es256-crossOrigin" | "none-es256-topOrigin" => Some(Refused::Embedded),
            "packed-es384" | "packed-es512" | "packed-ed448" => Some(Refused::Key),
            _ => None,
        };
        if let Some(refused) = refused {
            assert_eq!(made.unwrap_err(), refused, "{name}");
            continue;
        }
        let made = made.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(made.challenge, bytes(registration, "challenge"), "{name}");
        let client_data = bytes(authentication, "clientDataJSON");
        let auth_data = bytes(authentication, "authenticatorData");
        let signature = bytes(authentication, "signature");
        let known = Known { key: &made.key, copyable: made.copyable };
        let judge = |[client_data, auth_data, signature]: &[Vec<u8>; 3]| {
            used(&party, known, Assertion { client_data, auth_data, signature }, Verification::Welcome)
        };
        let good = [client_data, auth_data, signature];
        let seen = judge(&good).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((seen.challenge, seen.count), (bytes(authentication, "challenge"), 0), "{name}");
        taken += 1;
        // One bit of each part.
        for part in 0..3 {
            let length = good[part].len();
            for at in [0, length / 2, length - 1] {
                let mut parts = good.clone();
                parts[part][at] ^= 1;
                assert!(judge(&parts).is_err(), "{name}: byte {at} of part {part}");
            }
        }
    }
    assert_eq!((vectors.len(), taken), (15, 10));
}

/// An authenticator of software, with what a test wants to be wrong.
struct Device {
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
    rp_id: String,
    flags: u8,
    count: u32,
    id: Vec<u8>,
    client: Value,
    kind: &'static str,
    alg: i64,
    extensions: Vec<u8>,
}

const UP: u8 = 1;
const UV: u8 = 4;
const BE: u8 = 8;
const BS: u8 = 16;

impl Device {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self {
            pkcs8: pkcs8.as_ref().to_vec(),
            pair,
            rp_id: "pds.example".into(),
            flags: UP | UV,
            count: 0,
            id: vec![9; 16],
            client: json!({
                "type": "webauthn.create",
                "challenge": BASE64URL_NOPAD.encode(b"question"),
                "origin": "https://pds.example",
                "crossOrigin": false
            }),
            kind: "fmt",
            alg: -7,
            extensions: Vec::new(),
        }
    }

    fn head(&self, more: u8) -> Vec<u8> {
        let mut out = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        out.push(self.flags | more);
        out.extend(self.count.to_be_bytes());
        out
    }

    fn cose(&self) -> Vec<u8> {
        let point = self.pair.public_key().as_ref();
        let alg = u8::try_from(-1 - self.alg).unwrap() | 0x20;
        [&[0xa5, 1, 2, 3, alg, 0x20, 1, 0x21, 0x58, 32], &point[1..33], &[0x22, 0x58, 32], &point[33..]]
            .concat()
    }

    fn auth_data(&self) -> Vec<u8> {
        let mut out = self.head(0x40 | if self.extensions.is_empty() { 0 } else { 0x80 });
        out.extend([0; 16]);
        out.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        out.extend(&self.id);
        out.extend(self.cose());
        out.extend(&self.extensions);
        out
    }

    fn object(&self) -> Vec<u8> {
        let data = self.auth_data();
        let kind = [&[0x60 | u8::try_from(self.kind.len()).unwrap()], self.kind.as_bytes()].concat();
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        [
            &[0xa3],
            kind.as_slice(),
            b"\x64none",
            b"\x67attStmt\xa0",
            b"\x68authData\x59",
            length.as_slice(),
            data.as_slice(),
        ]
        .concat()
    }

    fn client(&self) -> Vec<u8> {
        self.client.to_string().into_bytes()
    }

    fn register(&self) -> Result<Made, Refused> {
        made(&party("pds.example"), &self.client(), &self.object())
    }

    /// What it signs when it is used.
    fn assertion(&self) -> [Vec<u8>; 3] {
        let mut client = self.client.clone();
        if client["type"] == "webauthn.create" {
            client["type"] = "webauthn.get".into();
        }
        let client = client.to_string().into_bytes();
        let data = self.head(0);
        let signed = [data.as_slice(), Sha256::digest(&client).as_slice()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        [client, data, signature.as_ref().to_vec()]
    }

    fn sign_in(&self, key: &[u8], verification: Verification) -> Result<Used, Refused> {
        let [client_data, auth_data, signature] = &self.assertion();
        let known = Known { key, copyable: false };
        used(&party("pds.example"), known, Assertion { client_data, auth_data, signature }, verification)
    }
}

#[test]
fn a_passkey_is_made_and_used() {
    let mut device = Device { count: 5, ..Device::new() };
    let made = device.register().unwrap();
    assert_eq!(
        (made.challenge.as_slice(), made.id.as_slice(), made.count),
        (b"question".as_slice(), device.id.as_slice(), 5)
    );
    assert_eq!(made.key, device.cose());
    device.count = 6;
    let used = device.sign_in(&made.key, Verification::Required).unwrap();
    assert_eq!(used, Used { challenge: b"question".to_vec(), count: 6, copied: false });
    device.flags = UP;
    assert!(device.sign_in(&made.key, Verification::Welcome).is_ok());
    let device =
        Device { extensions: b"\xa1\x6bcredProtect\x02".to_vec(), flags: UP | BE | BS, ..Device::new() };
    let made = device.register().unwrap();
    assert!(made.copyable && made.copied);
}

/// What a registration is refused for.
#[test]
fn registrations_that_are_refused() {
    type Change = fn(&mut Device);
    let table: [(&str, Change, Refused); 12] = [
        ("wrong origin", |d| d.client["origin"] = "https://evil.example".into(), Refused::Origin),
        ("an origin below", |d| d.client["origin"] = "https://a.pds.example".into(), Refused::Origin),
        ("another port", |d| d.client["origin"] = "https://pds.example:8443".into(), Refused::Origin),
        ("without TLS", |d| d.client["origin"] = "http://pds.example".into(), Refused::Origin),
        ("wrong rpId", |d| d.rp_id = "evil.example".into(), Refused::RpId),
        ("a use", |d| d.client["type"] = "webauthn.get".into(), Refused::Kind),
        ("a payment", |d| d.client["type"] = "payment.get".into(), Refused::Kind),
        ("in a foreign page", |d| d.client["crossOrigin"] = true.into(), Refused::Embedded),
        ("below a foreign page", |d| d.client["topOrigin"] = "https://a.example".into(), Refused::Embedded),
        ("nobody there", |d| d.flags = UV, Refused::NotPresent),
        ("no algorithm of ours", |d| d.alg = -8, Refused::Key),
        ("an endless name", |d| d.id = vec![1; 1_024], Refused::IdLength),
    ];
    for (name, change, refused) in table {
        let mut device = Device::new();
        change(&mut device);
        assert_eq!(device.register().unwrap_err(), refused, "{name}");
    }
    let copied = Device { flags: UP | BS, ..Device::new() };
    assert!(matches!(copied.register(), Err(Refused::Unreadable(_))), "copied and not to be copied");
    let nameless = Device { id: vec![], ..Device::new() };
    assert_eq!(nameless.register().unwrap_err(), Refused::IdLength);
    let other = Device { kind: "fmT", ..Device::new() };
    assert!(matches!(other.register(), Err(Refused::Unreadable(_))));
    let long = Device { id: vec![1; 1_023], ..Device::new() };
    assert!(long.register().is_ok());
}

#[test]
fn what_is_cut_short_anywhere_is_refused() {
    let device = Device { extensions: b"\xa1\x6bcredProtect\x02".to_vec(), ..Device::new() };
    let party = party("pds.example");
    let (client, object) = (device.client(), device.object());
    assert!(made(&party, &client, &object).is_ok());
    for end in 0..object.len() {
        assert!(made(&party, &client, &object[..end]).is_err(), "{end} bytes");
    }
    for end in 0..client.len() {
        assert!(made(&party, &client[..end], &object).is_err(), "{end} bytes of the browser's data");
    }
    assert!(made(&party, &client, &[object.as_slice(), &[0]].concat()).is_err(), "something follows");
    let data = device.auth_data();
    for end in 0..data.len() {
        assert!(AuthData::read(&data[..end]).is_err(), "{end} bytes of the authenticator's data");
    }
    assert!(AuthData::read(&[data.as_slice(), &[0]].concat()).is_err(), "something follows");
    // A length that promises more than there is.
    let endless = [object.as_slice()[..1].to_vec(), vec![0x7b], vec![0xff; 8]].concat();
    assert!(made(&party, &client, &endless).is_err());
}

/// What a use is refused for.
#[test]
fn uses_that_are_refused() {
    type Change = fn(&mut Device);
    let table: [(&str, Change, Refused); 9] = [
        ("wrong origin", |d| d.client["origin"] = "https://evil.example".into(), Refused::Origin),
        ("wrong rpId", |d| d.rp_id = "evil.example".into(), Refused::RpId),
        ("in a foreign page", |d| d.client["crossOrigin"] = true.into(), Refused::Embedded),
        ("below a foreign page", |d| d.client["topOrigin"] = "https://a.example".into(), Refused::Embedded),
        ("another question's kind", |d| d.client["type"] = "webauthn.register".into(), Refused::Kind),
        ("no challenge", |d| d.client["challenge"] = "?".into(), Refused::Challenge),
        ("nobody there", |d| d.flags = UV, Refused::NotPresent),
        ("nobody known", |d| d.flags = UP, Refused::NotVerified),
        ("it could not be copied before", |d| d.flags = UP | UV | BE, Refused::Copyable),
    ];
    for (name, change, refused) in table {
        let mut device = Device::new();
        let key = device.cose();
        change(&mut device);
        assert_eq!(device.sign_in(&key, Verification::Required).unwrap_err(), refused, "{name}");
    }
    let (device, other) = (Device::new(), Device::new());
    assert_eq!(
        device.sign_in(&other.cose(), Verification::Required).unwrap_err(),
        Refused::Signature,
        "another passkey"
    );
    let [client_data, auth_data, signature] = device.assertion();
    let key = device.cose();
    let known = Known { key: &key, copyable: false };
    let judge = |client_data: &[u8], auth_data: &[u8], signature: &[u8]| {
        let given = Assertion { client_data, auth_data, signature };
        used(&party("pds.example"), known, given, Verification::Required)
    };
    assert!(judge(&client_data, &auth_data, &signature).is_ok());
    let mut client: Value = serde_json::from_slice(&client_data).unwrap();
    client["challenge"] = BASE64URL_NOPAD.encode(b"another").into();
    let asked = client.to_string().into_bytes();
    assert_eq!(judge(&asked, &auth_data, &signature).unwrap_err(), Refused::Signature, "what was not signed");
    let mut counted = auth_data.clone();
    counted[36] ^= 1;
    assert_eq!(judge(&client_data, &counted, &signature).unwrap_err(), Refused::Signature, "another counter");
    let long = [auth_data.as_slice(), &[0]].concat();
    assert!(matches!(judge(&client_data, &long, &signature).unwrap_err(), Refused::Unreadable(_)));
    for end in 0..signature.len() {
        assert_eq!(judge(&client_data, &auth_data, &signature[..end]).unwrap_err(), Refused::Signature);
    }
}

/// A key is what its algorithm, type and curve say together; a signature of one kind is none of another.
#[test]
fn no_algorithm_is_taken_for_another() {
    let device = Device::new();
    let cose = device.cose();
    assert!(matches!(Key::read(&cose), Some(Key::Es256(_))));
    // (place, byte): type, algorithm, curve.
    for (at, wrong) in [(2, 1), (2, 3), (4, 0x27), (4, 0x25), (4, 0x38), (6, 6), (6, 2)] {
        let mut other = cose.clone();
        other[at] = wrong;
        assert_eq!(Key::read(&other), None, "{at}: {wrong:#x}");
    }
    let mut off = cose.clone();
    off[40] ^= 1;
    assert_eq!(Key::read(&off), None, "no point of the curve");
    // The x of a point of P-256 as a key of Ed25519: read, and its signatures are not those of P-256.
    let x = &cose[10..42];
    let edwards = [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32], x].concat();
    assert!(matches!(Key::read(&edwards), Some(Key::Ed25519(_))));
    assert!(matches!(device.sign_in(&edwards, Verification::Required), Err(Refused::Signature)));
    // 64 bytes, r and s: what tokens have, and WebAuthn does not.
    let signed = b"message";
    let random = SystemRandom::new();
    let fixed = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &device.pkcs8, &random).unwrap();
    let (raw, der) = (fixed.sign(&random, signed).unwrap(), device.pair.sign(&random, signed).unwrap());
    let key = Key::read(&cose).unwrap();
    assert!(key.verifies(signed, der.as_ref()) && !key.verifies(signed, raw.as_ref()));
    // Short moduli, endless exponents.
    let rsa = |n: usize, e: usize| {
        let length = u16::try_from(n).unwrap().to_be_bytes();
        let exponent = [&[0x40 | u8::try_from(e).unwrap()], vec![1; e].as_slice()].concat();
        [&[0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59], length.as_slice(), &vec![0xff; n], &[0x21], &exponent]
            .concat()
    };
    assert!(matches!(Key::read(&rsa(256, 3)), Some(Key::Rs256 { .. })));
    for (n, e) in [(128, 3), (255, 3), (513, 3), (256, 0), (256, 9)] {
        assert_eq!(Key::read(&rsa(n, e)), None, "{n} {e}");
    }
}
