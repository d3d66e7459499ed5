//! Signatures and keys that must not count.

use p2pds_crypto::{Curve, PrivateKey, Signer};
use serde_json::json;

use super::story::{Story, base64, created, did_key, genesis, keys, sign, signature_of, tombstone, update};
use super::{PlcCase, case};

const STRICT: &str = "strict base64url";
const NOBODY: &str = "made by none of the";

pub(super) fn add(cases: &mut Vec<PlcCase>) {
    encodings(cases);
    forms(cases);
    signers(cases);
    bad_keys(cases);
}

/// A created account and an update whose signature text is changed.
fn resigned(change: impl Fn(&str) -> String) -> Story {
    let mut story = created();
    let prev = story.cid(0);
    story.add(update(&prev, "bob"), &keys().low, 1);
    story.tamper(|op| op["sig"] = change(op["sig"].as_str().unwrap()).into());
    story
}

/// The same bytes, written in another way.
fn encodings(cases: &mut Vec<PlcCase>) {
    case(cases, "signature with padding", resigned(|sig| format!("{sig}==")), STRICT);
    case(cases, "signature with a newline at the end", resigned(|sig| format!("{sig}\n")), STRICT);
    case(
        cases,
        "signature with a newline inside",
        resigned(|sig| format!("{}\n{}", &sig[..40], &sig[40..])),
        STRICT,
    );
    case(cases, "signature with white space", resigned(|sig| format!(" {sig}")), STRICT);
    let trailing_bits = |sig: &str| {
        // 64 bytes end with a character of which only two bits count; its successor differs in the others only.
        let last = sig.chars().last().unwrap();
        let next = char::from(u8::try_from(last).unwrap() + 1);
        format!("{}{next}", &sig[..sig.len() - 1])
    };
    case(cases, "signature with trailing bits", resigned(trailing_bits), STRICT);
    case(cases, "signature in the other base64 alphabet", other_alphabet(), STRICT);
    case(cases, "empty signature", resigned(|_| String::new()), "must have 64 bytes");
    let mut unsigned = created();
    unsigned.tamper(|op| drop(op.as_object_mut().unwrap().remove("sig")));
    case(cases, "no signature", unsigned, "sig");
}

/// An update of which the signature has characters that the two alphabets write differently.
fn other_alphabet() -> Story {
    let mut story = created();
    let prev = story.cid(0);
    let operation = (0..)
        .map(|n| sign(update(&prev, &format!("bob{n}")), &keys().low))
        .find(|op| op["sig"].as_str().unwrap().contains(['-', '_']))
        .unwrap();
    story.add_signed(operation, super::story::micros(1));
    story.tamper(|op| op["sig"] = op["sig"].as_str().unwrap().replace('-', "+").replace('_', "/").into());
    story
}

/// Other bytes than the one right form.
fn forms(cases: &mut Vec<PlcCase>) {
    let with_bytes = |change: &dyn Fn([u8; 64]) -> Vec<u8>, key: &PrivateKey| {
        let mut story = created();
        let prev = story.cid(0);
        story.add(update(&prev, "bob"), key, 1);
        story.tamper(|op| op["sig"] = base64(&change(signature_of(op))).into());
        story
    };
    let keys = keys();
    case(cases, "high-S signature on K-256", with_bytes(&|sig| high_s(sig, Curve::K256), &keys.low), NOBODY);
    case(cases, "high-S signature on P-256", with_bytes(&|sig| high_s(sig, Curve::P256), &keys.top), NOBODY);
    case(cases, "DER signature", with_bytes(&|sig| der(&sig), &keys.low), "must have 64 bytes");
    case(cases, "all-zero signature", with_bytes(&|_| vec![0; 64], &keys.low), NOBODY);
    case(cases, "all-ones signature", with_bytes(&|_| vec![0xff; 64], &keys.low), NOBODY);
    case(
        cases,
        "signature without its last byte",
        with_bytes(&|sig| sig[..63].to_vec(), &keys.low),
        "must have 64",
    );
    case(
        cases,
        "signature with a recovery byte",
        with_bytes(&|sig| [&sig[..], &[0]].concat(), &keys.low),
        "must have 64",
    );
    let swapped = |sig: [u8; 64]| [&sig[32..], &sig[..32]].concat();
    case(cases, "signature with r and s swapped", with_bytes(&swapped, &keys.low), NOBODY);
    let one_bit = |mut sig: [u8; 64]| {
        sig[20] ^= 1;
        sig.to_vec()
    };
    case(cases, "signature with one bit flipped", with_bytes(&one_bit, &keys.low), NOBODY);
}

/// Right signatures by the wrong key, or over something else.
fn signers(cases: &mut Vec<PlcCase>) {
    let keys = keys();
    let by = |key: &PrivateKey| {
        let mut story = created();
        let prev = story.cid(0);
        story.add(update(&prev, "bob"), key, 1);
        story
    };
    case(cases, "update by a stranger", by(&keys.stranger), NOBODY);
    case(cases, "update by the repository's key", by(&keys.repo), NOBODY);
    let twin = PrivateKey::from_bytes(Curve::P256, &keys.low.to_secret_bytes()).unwrap();
    case(cases, "update by the same secret on the other curve", by(&twin), NOBODY);

    let mut story = Story::new();
    story.add(genesis(), &keys.repo, 0);
    case(cases, "creation by the repository's key", story, NOBODY);

    let mut story = created();
    story.tamper(|op| op["alsoKnownAs"] = json!(["at://mallory.example.com"]));
    case(cases, "creation changed after signing", story, NOBODY);

    let mut story = by(&keys.low);
    story.tamper(|op| op["services"]["atproto_pds"]["endpoint"] = "https://evil.example.com".into());
    case(cases, "update changed after signing", story, NOBODY);

    let mut story = created();
    let prev = story.cid(0);
    let stolen = story.entries[0]["operation"]["sig"].clone();
    story.add(update(&prev, "bob"), &keys.low, 1);
    story.tamper(|op| op["sig"] = stolen);
    case(cases, "signature of another operation", story, NOBODY);

    let mut story = created();
    let prev = story.cid(0);
    story.add(tombstone(&prev), &keys.stranger, 1);
    case(cases, "deletion by a stranger", story, NOBODY);

    // The new list of keys counts for the next operation, not for the one that brings it.
    let mut story = created();
    let mut takeover = update(&story.cid(0), "bob");
    takeover["rotationKeys"] = json!([did_key(&keys.stranger)]);
    story.add(takeover, &keys.stranger, 1);
    case(cases, "update by a key that it adds itself", story, NOBODY);

    let mut story = created();
    let mut without_low = update(&story.cid(0), "bob");
    without_low["rotationKeys"] = json!([did_key(&keys.top)]);
    story.add(without_low, &keys.low, 1);
    let prev = story.cid(1);
    story.add(update(&prev, "carol"), &keys.low, 2);
    case(cases, "update by a key that was removed", story, NOBODY);

    let mut story = created();
    let mut locked = update(&story.cid(0), "bob");
    locked["rotationKeys"] = json!([]);
    story.add(locked, &keys.low, 1);
    let prev = story.cid(1);
    story.add(update(&prev, "carol"), &keys.low, 2);
    case(cases, "update of an account without rotation keys", story, "none of the 0");
}

/// Keys that are none.
fn bad_keys(cases: &mut Vec<PlcCase>) {
    let keys = keys();
    let with_rotation_key = |key: &str| {
        let mut story = created();
        let mut operation = update(&story.cid(0), "bob");
        operation["rotationKeys"] = json!([key]);
        story.add(operation, &keys.low, 1);
        story
    };
    const REFUSAL: &str = "cannot be used";
    let low = did_key(&keys.low);
    let ed25519 = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    case(cases, "Ed25519 rotation key", with_rotation_key(ed25519), REFUSAL);
    case(cases, "rotation key without did:key", with_rotation_key(&low[8..]), REFUSAL);
    case(cases, "rotation key with its end cut off", with_rotation_key(&low[..low.len() - 1]), REFUSAL);
    case(cases, "rotation key with a fragment", with_rotation_key(&format!("{low}#{}", &low[8..])), REFUSAL);
    case(cases, "rotation key that is a DID", with_rotation_key("did:web:example.com"), REFUSAL);
    case(
        cases,
        "rotation key of the other curve's type",
        with_rotation_key(&wrong_curve(&keys.low)),
        REFUSAL,
    );

    let mut story = created();
    let mut operation = update(&story.cid(0), "bob");
    operation["verificationMethods"] = json!({ "atproto": "https://example.com/key" });
    story.add(operation, &keys.low, 1);
    case(cases, "verification method that is no did:key", story, REFUSAL);
}

/// The did:key of a K-256 point under the multicodec of P-256. About half of all points are on both curves, so another
/// key is taken until this one is not.
fn wrong_curve(key: &PrivateKey) -> String {
    let mut seed = *key.to_secret_bytes();
    loop {
        let point = PrivateKey::from_entropy(Curve::K256, seed).public_key().to_sec1();
        let text = format!("did:key:z{}", base58(&[&[0x80, 0x24], &point[..]].concat()));
        if p2pds_crypto::PublicKey::from_did_key(&text).is_err() {
            return text;
        }
        seed[0] = seed[0].wrapping_add(1);
    }
}

fn base58(bytes: &[u8]) -> String {
    let alphabet = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut number = bytes.to_vec();
    let mut out = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0_usize;
        for byte in &mut number {
            let value = rest * 256 + usize::from(*byte);
            *byte = u8::try_from(value / 58).unwrap();
            rest = value % 58;
        }
        out.push(alphabet[rest]);
    }
    out.reverse();
    String::from_utf8(out).unwrap()
}

/// The signature with `s` replaced by `n - s`, which is as good for those who do not look.
pub(super) fn high_s(signature: [u8; 64], curve: Curve) -> Vec<u8> {
    let order: &[u8] = match curve {
        Curve::K256 => b"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        Curve::P256 => b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    };
    let order = data_encoding::HEXLOWER.decode(order).unwrap();
    let mut out = signature.to_vec();
    let mut borrow = 0_i32;
    for i in (0..32).rev() {
        let value = i32::from(order[i]) - i32::from(signature[32 + i]) - borrow;
        out[32 + i] = u8::try_from(value.rem_euclid(256)).unwrap();
        borrow = i32::from(value < 0);
    }
    out
}

/// The signature in ASN.1 DER.
fn der(signature: &[u8; 64]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap();
        let sign = if bytes[start] & 0x80 == 0 { &[][..] } else { &[0] };
        let body = [sign, &bytes[start..]].concat();
        [&[2, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}
