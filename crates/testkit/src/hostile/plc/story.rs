//! Telling the history of an account, honestly or not.

use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_ipld::{Cid, cbor, json};
use p2pds_syntax::{Datetime, Did};
use serde_json::{Value, json};

/// The start of every story, 2026-01-01T00:00:00Z in microseconds.
const START: i64 = 1_767_225_600_000_000;

/// The keys of every story. The highest rotation key is on P-256, the others are on K-256.
pub(super) struct Keys {
    pub top: PrivateKey,
    pub middle: PrivateKey,
    pub low: PrivateKey,
    /// Signs the repository and is no rotation key.
    pub repo: PrivateKey,
    /// Has nothing to do with the account.
    pub stranger: PrivateKey,
}

pub(super) fn keys() -> Keys {
    let key = |curve, seed| PrivateKey::from_entropy(curve, [seed; 32]);
    Keys {
        top: key(Curve::P256, 1),
        middle: key(Curve::K256, 2),
        low: key(Curve::K256, 3),
        repo: key(Curve::K256, 4),
        stranger: key(Curve::K256, 5),
    }
}

pub(super) fn did_key(key: &PrivateKey) -> String {
    key.public_key().to_did_key()
}

/// A log under construction; entries are plain JSON so that anything can be written into them.
#[derive(Clone)]
pub struct Story {
    pub(super) entries: Vec<Value>,
    pub(super) did: Option<Did>,
}

impl Story {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), did: None }
    }

    /// The audit log.
    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(&self.entries).unwrap()
    }

    /// Whose log it pretends to be: the DID of its first operation, unless a case says otherwise.
    pub fn did(&self) -> Did {
        self.did.clone().unwrap_or_else(|| self.entries[0]["did"].as_str().unwrap().parse().unwrap())
    }

    /// Adds an operation, signed, `hours` after the start.
    pub(super) fn add(&mut self, operation: Value, key: &PrivateKey, hours: i64) -> &mut Self {
        self.add_signed(sign(operation, key), micros(hours))
    }

    /// Adds an operation as it is, with a correct CID.
    pub(super) fn add_signed(&mut self, operation: Value, micros: i64) -> &mut Self {
        let did = match self.entries.first() {
            Some(first) => first["did"].as_str().unwrap().to_owned(),
            None => created_did(&operation),
        };
        self.entries.push(json!({
            "did": did,
            "operation": operation,
            "cid": cid(&operation),
            "nullified": false,
            "createdAt": Datetime::from_unix_micros(micros).unwrap().as_str(),
        }));
        self
    }

    /// The CID of an operation that is there.
    pub(super) fn cid(&self, index: usize) -> String {
        self.entries[index]["cid"].as_str().unwrap().to_owned()
    }

    pub(super) fn nullify(&mut self, index: usize) -> &mut Self {
        self.entries[index]["nullified"] = true.into();
        self
    }

    /// Changes a field of the last operation after it was signed, and keeps its CID (and, of the first operation, the
    /// DID) right.
    pub(super) fn tamper(&mut self, change: impl FnOnce(&mut Value)) -> &mut Self {
        let first = self.entries.len() == 1;
        let entry = self.entries.last_mut().unwrap();
        change(&mut entry["operation"]);
        entry["cid"] = cid(&entry["operation"]).into();
        if first {
            entry["did"] = created_did(&entry["operation"]).into();
        }
        self
    }
}

pub(super) fn micros(hours: i64) -> i64 {
    START + hours * 3_600_000_000
}

/// The first operation of every story, unsigned.
pub(super) fn genesis() -> Value {
    let keys = keys();
    json!({
        "type": "plc_operation",
        "rotationKeys": [did_key(&keys.top), did_key(&keys.middle), did_key(&keys.low)],
        "verificationMethods": { "atproto": did_key(&keys.repo) },
        "alsoKnownAs": ["at://alice.example.com"],
        "services": {
            "atproto_pds": { "type": "AtprotoPersonalDataServer", "endpoint": "https://pds.example.com" }
        },
        "prev": null,
    })
}

/// A later operation: the first one's content under another name.
pub(super) fn update(prev: &str, name: &str) -> Value {
    let mut operation = genesis();
    operation["prev"] = prev.into();
    operation["alsoKnownAs"] = json!([format!("at://{name}.example.com")]);
    operation
}

pub(super) fn tombstone(prev: &str) -> Value {
    json!({ "type": "plc_tombstone", "prev": prev })
}

/// Created by the lowest key.
pub(super) fn created() -> Story {
    let mut story = Story::new();
    story.add(genesis(), &keys().low, 0);
    story
}

/// Created, and renamed an hour later by the lowest key.
pub(super) fn renamed() -> Story {
    let mut story = created();
    let prev = story.cid(0);
    story.add(update(&prev, "bob"), &keys().low, 1);
    story
}

/// Created, renamed, deleted by the lowest key after two hours.
pub(super) fn deleted() -> Story {
    let mut story = renamed();
    let prev = story.cid(1);
    story.add(tombstone(&prev), &keys().low, 2);
    story
}

/// Created, renamed, renamed again by the lowest key after 10 hours; and after 82 hours, the last moment, the middle key
/// undoes that.
pub(super) fn recovered() -> Story {
    let mut story = renamed();
    let prev = story.cid(1);
    story.add(update(&prev, "mallory"), &keys().low, 10);
    story.add(update(&prev, "carol"), &keys().middle, 82);
    story.nullify(2);
    story
}

/// The whole story without a fault: after the recovery, the highest key overrules the middle one, which then goes on.
pub fn unbroken() -> (Vec<u8>, Did) {
    let mut story = recovered();
    let prev = story.cid(1);
    story.add(update(&prev, "dave"), &keys().top, 83);
    story.nullify(3);
    let prev = story.cid(4);
    story.add(update(&prev, "erin"), &keys().middle, 84);
    (story.json(), story.did())
}

/// Puts a signature by `key` into an operation.
pub(super) fn sign(mut operation: Value, key: &PrivateKey) -> Value {
    let signature = key.sign(&encode(&operation)).unwrap();
    operation["sig"] = base64(&signature).into();
    operation
}

pub(super) fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

pub(super) fn signature_of(operation: &Value) -> [u8; 64] {
    let text = operation["sig"].as_str().unwrap();
    data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

pub(super) fn encode(operation: &Value) -> Vec<u8> {
    cbor::encode(&json::from_json(operation).unwrap())
}

pub(super) fn cid(operation: &Value) -> String {
    Cid::of_cbor(&encode(operation)).to_string()
}

fn created_did(operation: &Value) -> String {
    let hash = p2pds_ipld::sha256(&encode(operation));
    format!("did:plc:{}", &data_encoding::BASE32_NOPAD.encode(&hash).to_lowercase()[..24])
}
