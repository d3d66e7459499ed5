//! A made-up account: DID, PLC log, keys, and signed repositories at as many revisions as a test wants.
//!
//! The bytes are put together here by hand from the codec and the bulk builder alone, so that a mistake in the
//! engine's own commit and CAR code does not hide itself.

use std::collections::BTreeMap;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_ipld::cbor::{Value, encode};
use p2pds_ipld::{Cid, car, json};
use p2pds_repo::mst::Builder;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::oracle::{POST, Truth, bulk_key, image, post_record};

/// The account.
pub struct MadeUp {
    /// Its DID, made from its first PLC operation.
    pub did: String,
    /// Its handle, `madeup-SEED.test`.
    pub handle: String,
    /// The endpoint in its DID document.
    pub pds: String,
    /// The PLC audit log, JSON as the directory serves it.
    pub plc_log: Vec<u8>,
    key: PrivateKey,
    rotation: PrivateKey,
}

/// The account's public state at one revision.
#[derive(Debug, Clone)]
pub struct State {
    /// CID of the commit.
    pub commit: String,
    /// Rev of the commit.
    pub rev: String,
    /// Root of the tree.
    pub data: String,
    /// The commit's signature.
    pub signature: [u8; 64],
    /// Path to bytes.
    pub records: BTreeMap<String, Vec<u8>>,
    /// The whole repo: commit, nodes (children first), records.
    pub car: Vec<u8>,
    /// Every block by CID.
    pub blocks: BTreeMap<String, Vec<u8>>,
    /// Blobs that the records name, by CID.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl State {
    /// The commit with the blocks that an older state does not have.
    #[must_use]
    pub fn car_since(&self, old: &Self) -> Vec<u8> {
        let head: Cid = self.commit.parse().expect("a CID");
        let mut out = Vec::new();
        car::write_header(&mut out, &[head]);
        car::write_section(&mut out, &head, &self.blocks[&self.commit]);
        for (cid, bytes) in self.blocks.iter().filter(|(cid, _)| **cid != self.commit) {
            if !old.blocks.contains_key(cid) {
                car::write_section(&mut out, &cid.parse().expect("a CID"), bytes);
            }
        }
        out
    }

    /// The same as what a PDS would tell.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let cid = |bytes: &Vec<u8>| Cid::of_cbor(bytes).to_string();
        Truth {
            commit: self.commit.clone(),
            rev: self.rev.clone(),
            records: self.records.iter().map(|(path, bytes)| (path.clone(), cid(bytes))).collect(),
            blocks: self.blocks.clone(),
            blobs: self.blobs.clone(),
        }
    }
}

/// What an account holds, before it is signed.
#[derive(Debug, Clone, Default)]
pub struct Content {
    records: BTreeMap<String, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Content {
    /// `count` posts under keys that spread over the tree.
    #[must_use]
    pub fn posts(label: &str, count: usize) -> Self {
        let mut content = Self::default();
        for n in 0..count {
            content.put(&bulk_key(label, n), &post_record(&format!("{label} number {n}")));
        }
        content
    }

    /// The records, path to bytes.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.records
    }

    /// Creates or replaces a post.
    pub fn put(&mut self, rkey: &str, record: &serde_json::Value) {
        let value = json::from_json(record).expect("a record in the data model");
        self.records.insert(format!("{POST}/{rkey}"), encode(&value));
    }

    /// Creates or replaces a record by its bytes.
    pub fn put_bytes(&mut self, path: &str, bytes: Vec<u8>) {
        self.records.insert(path.to_owned(), bytes);
    }

    /// Creates or replaces a record of any collection.
    pub fn put_at(&mut self, collection: &str, rkey: &str, record: &serde_json::Value) {
        let value = json::from_json(record).expect("a record in the data model");
        self.records.insert(format!("{collection}/{rkey}"), encode(&value));
    }

    /// Deletes a record of any collection.
    pub fn delete_at(&mut self, collection: &str, rkey: &str) {
        self.records.remove(&format!("{collection}/{rkey}"));
    }

    /// Deletes a post.
    pub fn delete(&mut self, rkey: &str) {
        self.records.remove(&format!("{POST}/{rkey}"));
    }

    /// Adds a blob for a record to name; its CID.
    pub fn put_blob(&mut self, bytes: &[u8]) -> String {
        let cid = Cid::of_raw(bytes).to_string();
        self.blobs.insert(cid.clone(), bytes.to_vec());
        cid
    }

    /// Creates a post with an image of `len` bytes.
    pub fn put_image(&mut self, rkey: &str, seed: u64, len: usize) {
        let bytes = image(seed, len);
        let cid = Cid::of_raw(&bytes).to_string();
        let mut record = post_record("with an image");
        let blob = json!({"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/png", "size": len});
        record["embed"] =
            json!({"$type": "app.bsky.embed.images", "images": [{"alt": "noise", "image": blob}]});
        self.put(rkey, &record);
        self.blobs.insert(cid, bytes);
    }
}

impl MadeUp {
    /// The account of a seed, hosted at an endpoint.
    #[must_use]
    pub fn new(seed: u64, pds: &str) -> Self {
        let key = |name: &str| {
            let entropy = Sha256::digest(format!("made up {seed} {name}"));
            PrivateKey::from_entropy(Curve::K256, entropy.into())
        };
        let (signing, rotation) = (key("signing"), key("rotation"));
        let handle = format!("madeup-{seed}.test");
        let mut operation = json!({
            "type": "plc_operation",
            "rotationKeys": [rotation.public_key().to_did_key()],
            "verificationMethods": {"atproto": signing.public_key().to_did_key()},
            "alsoKnownAs": [format!("at://{handle}")],
            "services": {"atproto_pds": {"type": "AtprotoPersonalDataServer", "endpoint": pds}},
            "prev": null,
        });
        let cbor = |value: &serde_json::Value| encode(&json::from_json(value).expect("plain JSON"));
        let sig = rotation.sign(&cbor(&operation)).expect("a key in memory signs");
        operation["sig"] = json!(BASE64URL_NOPAD.encode(&sig));
        let signed = cbor(&operation);
        let name = BASE32_NOPAD.encode(&Sha256::digest(&signed)).to_ascii_lowercase();
        let did = format!("did:plc:{}", &name[..24]);
        let log = json!([{
            "did": did, "operation": operation, "cid": Cid::of_cbor(&signed).to_string(),
            "nullified": false, "createdAt": "2024-01-01T00:00:00.000Z",
        }]);
        let plc_log = log.to_string().into_bytes();
        Self { did, handle, pds: pds.to_owned(), plc_log, key: signing, rotation }
    }

    /// The key that signs its commits.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Its first PLC operation, for a directory that does not know it yet.
    #[must_use]
    pub fn genesis(&self) -> serde_json::Value {
        let log: serde_json::Value = serde_json::from_slice(&self.plc_log).expect("made here");
        log[0]["operation"].clone()
    }

    /// The DID document as the directory serves it.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": self.did,
            "alsoKnownAs": [format!("at://{}", self.handle)],
            "verificationMethod": [{
                "id": format!("{}#atproto", self.did), "type": "Multikey", "controller": self.did,
                "publicKeyMultibase": self.key.public_key().to_multibase(),
            }],
            "service": [{
                "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": self.pds,
            }],
        })
    }

    /// The key that signs its commits, as did:key.
    #[must_use]
    pub fn signing_key(&self) -> String {
        self.key.public_key().to_did_key()
    }

    /// The key that signs its commits.
    pub(crate) fn signer(&self) -> &PrivateKey {
        &self.key
    }

    /// A new operation in its log: the last one, changed.
    pub fn operate(&mut self, change: impl FnOnce(&mut serde_json::Value)) {
        let mut log: Vec<serde_json::Value> = serde_json::from_slice(&self.plc_log).expect("our own log");
        let last = log.last().expect("it begins with one");
        let (mut operation, before) = (last["operation"].clone(), last["cid"].clone());
        operation.as_object_mut().expect("an object").remove("sig");
        operation["prev"] = before;
        change(&mut operation);
        let cbor = |value: &serde_json::Value| encode(&json::from_json(value).expect("plain JSON"));
        let sig = self.rotation.sign(&cbor(&operation)).expect("a key in memory signs");
        operation["sig"] = json!(BASE64URL_NOPAD.encode(&sig));
        let cid = Cid::of_cbor(&cbor(&operation)).to_string();
        let day = log.len() + 1;
        log.push(json!({
            "did": self.did, "operation": operation, "cid": cid,
            "nullified": false, "createdAt": format!("2024-01-{day:02}T00:00:00.000Z"),
        }));
        self.plc_log = serde_json::to_vec(&log).expect("JSON");
    }

    /// A new operation in its log: another signing key, made from `name`, and another endpoint.
    pub fn change_identity(&mut self, name: &str, pds: &str) {
        let entropy = Sha256::digest(format!("made up {} {name}", self.did));
        let signing = PrivateKey::from_entropy(Curve::K256, entropy.into());
        self.operate(|operation| {
            operation["verificationMethods"]["atproto"] = json!(signing.public_key().to_did_key());
            operation["services"]["atproto_pds"]["endpoint"] = json!(pds);
        });
        (self.key, self.pds) = (signing, pds.to_owned());
    }

    /// As [`Self::change_identity`], and whoever holds the old key goes on signing with it.
    pub(crate) fn lose_key(&mut self, name: &str) {
        let (stolen, pds) = (self.copy().key, self.pds.clone());
        self.change_identity(name, &pds);
        self.key = stolen;
    }

    /// The same account once more.
    pub(crate) fn copy(&self) -> Self {
        let key = |key: &PrivateKey| {
            PrivateKey::from_bytes(key.curve(), &key.to_secret_bytes()).expect("a key of ours")
        };
        Self {
            did: self.did.clone(),
            handle: self.handle.clone(),
            pds: self.pds.clone(),
            plc_log: self.plc_log.clone(),
            key: key(&self.key),
            rotation: key(&self.rotation),
        }
    }

    /// The key that may change its identity.
    pub(crate) fn rotation(&self) -> &PrivateKey {
        &self.rotation
    }

    /// Signs a content as revision `step` (0, 1, 2, ...).
    #[must_use]
    pub fn sign(&self, step: u64, content: &Content) -> State {
        self.sign_for(&self.did, step, content)
    }

    /// The same in the name of another DID: a forgery, unless it is the account's own.
    #[must_use]
    pub fn sign_for(&self, did: &str, step: u64, content: &Content) -> State {
        let mut blocks: Vec<(Cid, Vec<u8>)> = Vec::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| blocks.push((*cid, bytes.to_vec())));
        for (path, bytes) in &content.records {
            builder.push(path.as_bytes(), &Cid::of_cbor(bytes)).expect("sorted");
        }
        let data = builder.finish();
        blocks.extend(content.records.values().map(|bytes| (Cid::of_cbor(bytes), bytes.clone())));
        let rev = rev(step);
        let mut commit = vec![
            ("did", Value::Text(did.to_owned())),
            ("version", Value::Int(3)),
            ("data", Value::Link(data)),
            ("rev", Value::Text(rev.clone())),
            ("prev", Value::Null),
        ];
        let sig = self.key.sign(&encode(&Value::map(commit.clone()))).expect("a key in memory signs");
        commit.push(("sig", Value::Bytes(sig.to_vec())));
        let commit = encode(&Value::map(commit));
        let head = Cid::of_cbor(&commit);
        let mut car = Vec::new();
        car::write_header(&mut car, &[head]);
        car::write_section(&mut car, &head, &commit);
        for (cid, bytes) in &blocks {
            car::write_section(&mut car, cid, bytes);
        }
        blocks.push((head, commit));
        State {
            commit: head.to_string(),
            rev,
            data: data.to_string(),
            signature: sig,
            records: content.records.clone(),
            car,
            blocks: blocks.into_iter().map(|(cid, bytes)| (cid.to_string(), bytes)).collect(),
            blobs: content.blobs.clone(),
        }
    }
}

/// The second of step 0.
pub(crate) const FIRST: u64 = 1_767_225_600;

/// The rev of a step: a TID, one second after that of the step before.
#[must_use]
pub fn rev(step: u64) -> String {
    let micros = (FIRST + step) * 1_000_000;
    let value = micros << 10 | 3;
    (0..13)
        .rev()
        .map(|i| char::from(b"234567abcdefghijklmnopqrstuvwxyz"[(value >> (5 * i) & 31) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::car_blocks;

    #[test]
    fn states_are_whole_and_differ_by_step() {
        let account = MadeUp::new(1, "http://localhost:1");
        let mut content = Content::posts("made", 500);
        content.put_image("3kaaaaaaaaaaa", 7, 1_000);
        let first = account.sign(0, &content);
        let (root, blocks) = car_blocks(&first.car).unwrap();
        assert_eq!(root, first.commit);
        assert_eq!(blocks, first.blocks);
        assert_eq!((first.records.len(), first.blobs.len()), (501, 1));
        let second = account.sign(1, &content);
        assert!(second.rev > first.rev && second.commit != first.commit);
        assert_eq!(account.did, MadeUp::new(1, "http://localhost:1").did);
    }
}
