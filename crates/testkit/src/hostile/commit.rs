//! Commits that must not be read, or whose signature must not be believed.

use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_ipld::cbor::{Value, encode};
use p2pds_ipld::{Cid, Codec};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::mst::empty_root;
use p2pds_syntax::Tid;

use crate::synthetic::account;

/// A commit that must not be believed.
#[derive(Debug, Clone)]
pub struct CommitCase {
    /// Which rule is broken, and how.
    pub name: String,
    /// The block.
    pub bytes: Vec<u8>,
    /// Whether the block reads as a commit and only its signature is wrong for [`account`]'s key.
    pub reads: bool,
}

type Fields = Vec<(&'static str, Value)>;

/// A good commit as fields, without signature.
fn fields() -> Fields {
    let (did, _) = account();
    vec![
        ("did", Value::Text(did.to_string())),
        ("rev", Value::Text(Tid::from_micros(1_700_000_000_000_000, 1).to_string())),
        ("data", Value::Link(empty_root())),
        ("prev", Value::Null),
        ("version", Value::Int(3)),
    ]
}

/// Signed by the account's key, whatever it says.
fn signed(fields: Fields) -> Vec<u8> {
    let (_, key) = account();
    let sig = key.sign(&encode(&Value::map(fields.clone()))).expect("signed");
    with_signature(fields, Value::Bytes(sig.to_vec()))
}

fn with_signature(mut fields: Fields, sig: Value) -> Vec<u8> {
    fields.push(("sig", sig));
    encode(&Value::map(fields))
}

fn set(name: &'static str, value: Value) -> Fields {
    let mut all = fields();
    all.retain(|(field, _)| *field != name);
    all.push((name, value));
    all
}

fn without(name: &str) -> Fields {
    let mut all = fields();
    all.retain(|(field, _)| *field != name);
    all
}

/// All cases.
#[must_use]
pub fn commit_cases() -> Vec<CommitCase> {
    let mut cases = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, reads: bool| {
        cases.push(CommitCase { name: name.to_owned(), bytes, reads });
    };
    wrong_fields(&mut add);
    wrong_bytes(&mut add);
    wrong_signatures(&mut add);
    cases
}

fn wrong_fields(add: &mut dyn FnMut(&str, Vec<u8>, bool)) {
    let text = |text: &str| Value::Text(text.to_owned());
    for name in ["did", "rev", "data", "version"] {
        add(&format!("without {name}"), signed(without(name)), false);
        add(&format!("with {name} null"), signed(set(name, Value::Null)), false);
        add(&format!("with {name} a list"), signed(set(name, Value::Array(vec![]))), false);
    }
    for version in [-3, 0, 1, 2, 4, 1 << 40] {
        add(&format!("of version {version}"), signed(set("version", Value::Int(version))), false);
    }
    add("with a version of text", signed(set("version", text("3"))), false);
    for did in [
        "",
        "did:",
        "plc:abc",
        "did:plc:",
        "DID:plc:ewvi7nxzyoun6zhxrhs64oiz",
        "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz",
        "did:plc:a b",
    ] {
        add(&format!("with the DID {did:?}"), signed(set("did", text(did))), false);
    }
    for rev in [
        "",
        "3lhhxizu5wr2",
        "3lhhxizu5wr2dd",
        "zlhhxizu5wr2d",
        "3lhhxizu5wr20",
        "3LHHXIZU5WR2D",
        "2024-01-01",
    ] {
        add(&format!("with the revision {rev:?}"), signed(set("rev", text(rev))), false);
    }
    add("with a revision that is a number", signed(set("rev", Value::Int(5))), false);
    add("with the root as text", signed(set("data", text(&empty_root().to_string()))), false);
    add("with the root as bytes", signed(set("data", Value::Bytes(empty_root().to_bytes().to_vec()))), false);
    add(
        "with a raw root",
        signed(set("data", Value::Link(Cid::new(Codec::Raw, *empty_root().digest())))),
        false,
    );
    let odd = Value::OddLink([&[1, 0x71, 0x13, 0x40], [7; 64].as_slice()].concat());
    add("with a SHA-512 root", signed(set("data", odd)), false);
    add("with a commit before that is text", signed(set("prev", text("none"))), false);
    add("with a commit before that is false", signed(set("prev", Value::Bool(false))), false);
}

fn wrong_bytes(add: &mut dyn FnMut(&str, Vec<u8>, bool)) {
    let good = signed(fields());
    add("no bytes", Vec::new(), false);
    add("cut", good[..good.len() - 1].to_vec(), false);
    add("a byte too many", [good.as_slice(), &[0]].concat(), false);
    add("an array", vec![0x80], false);
    add("a tree node", p2pds_repo::mst::EMPTY_NODE.to_vec(), false);
    add("of indefinite length", [&[0xbf], &good[1..], &[0xff]].concat(), false);
    // did and rev exchanged: the same map, not in its order.
    let did = 1 + 4 + 1 + account().0.as_str().len() + 1;
    let rev = did + 4 + 14;
    let swapped = [&good[..1], &good[did..rev], &good[1..did], &good[rev..]].concat();
    assert_eq!(swapped.len(), good.len());
    add("with its fields in another order", swapped, false);
    add("with a field twice", [&[0xa7], &good[1..did], &good[1..]].concat(), false);
    let mut long = good.clone();
    let version = long.pop().expect("a version");
    long.extend([0x18, version]);
    add("with a long number", long, false);
    let mut float = good.clone();
    float.pop();
    float.extend([0xfb, 0x40, 0x08, 0, 0, 0, 0, 0, 0]);
    add("with a float as its version", float, false);
    let mut more = fields();
    more.push(("note", Value::Text("x".repeat(9000))));
    add("of 9 kB", signed(more), false);
}

fn wrong_signatures(add: &mut dyn FnMut(&str, Vec<u8>, bool)) {
    let (did, key) = account();
    let unsigned = |rev: u64| Unsigned {
        did: did.clone(),
        rev: Tid::from_micros(1_700_000_000_000_000 + rev, 1),
        data: empty_root(),
    };
    let message = encode(&Value::map(fields()));
    let good = key.sign(&message).expect("signed");
    let mut with = |name: &str, sig: Vec<u8>, reads: bool| {
        add(name, with_signature(fields(), Value::Bytes(sig)), reads);
    };
    with("with no signature in it", Vec::new(), false);
    with("with a signature of 63 bytes", good[1..].to_vec(), false);
    with("with a signature of 65 bytes", [good.as_slice(), &[0]].concat(), false);
    with("with a DER signature", der(&good), false);
    with("with a signature of zeros", vec![0; 64], true);
    with("with a signature of ones", vec![255; 64], true);
    with("with a high-S signature", high_s(&good), true);
    with("with r and s exchanged", [&good[32..], &good[..32]].concat(), true);
    with(
        "with one changed bit",
        good.iter().enumerate().map(|(i, b)| if i == 40 { b ^ 1 } else { *b }).collect(),
        true,
    );
    let other = PrivateKey::from_entropy(Curve::K256, [1; 32]);
    with("signed by another key", other.sign(&message).expect("signed").to_vec(), true);
    let p256 = PrivateKey::from_entropy(Curve::P256, [42; 32]);
    with("signed on the other curve", p256.sign(&message).expect("signed").to_vec(), true);
    let other = unsigned(1).sign(&key).expect("signed");
    with("with the signature of another revision", other.sig.to_vec(), true);
    let hash = p2pds_ipld::sha256(&message);
    with("signed over its hash", key.sign(&hash).expect("signed").to_vec(), true);
    with("signed over the signed commit", key.sign(&signed(fields())).expect("signed").to_vec(), true);
    add("without sig", encode(&Value::map(fields())), false);
    add("with a signature of text", with_signature(fields(), Value::Text("x".repeat(64))), false);
    // A field that nobody knows is covered by the signature as well.
    let mut more = fields();
    more.push(("zzz", Value::Bool(true)));
    add("with a field added after signing", with_signature(more, Value::Bytes(good.to_vec())), true);
    add(
        "with the commit before removed after signing",
        with_signature(without("prev"), Value::Bytes(good.to_vec())),
        true,
    );
}

/// The signature in ASN.1, as other systems write it.
pub(crate) fn der(sig: &[u8; 64]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let mut digits: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
        if digits.first().is_none_or(|b| *b > 127) {
            digits.insert(0, 0);
        }
        [&[2, u8::try_from(digits.len()).expect("short")], digits.as_slice()].concat()
    };
    let both = [number(&sig[..32]), number(&sig[32..])].concat();
    [&[0x30, u8::try_from(both.len()).expect("short")], both.as_slice()].concat()
}

/// The other valid signature of the same message: s replaced by n - s.
pub(crate) fn high_s(sig: &[u8; 64]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
        0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ];
    let mut out = sig.to_vec();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let digit = i32::from(ORDER[at]) - i32::from(sig[32 + at]) - borrow;
        borrow = i32::from(digit < 0);
        out[32 + at] = u8::try_from(digit + 256 * borrow).expect("a byte");
    }
    out
}
