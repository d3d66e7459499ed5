//! Somebody with keys, an identity log, records and blobs; signs states of their repo.

use std::collections::{BTreeMap, BTreeSet};

use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_identity::plc::{Data, Log, LogEntry, Unsigned as PlcUnsigned, validate_log, write_audit};
use p2pds_ipld::cbor::{Value, encode};
use p2pds_ipld::{Cid, car};
use p2pds_repo::commit::{Commit, Unsigned};
use p2pds_repo::mst::Builder;
use p2pds_syntax::{Datetime, Did, Tid};

use super::NOW;

/// One signed state of a repo.
#[derive(Debug, Clone)]
pub struct State {
    pub commit: Commit,
    pub head: Cid,
    pub rev: Tid,
    /// All blocks of the state, the commit included.
    pub blocks: BTreeMap<Cid, Vec<u8>>,
    pub records: BTreeMap<String, Vec<u8>>,
}

impl State {
    /// All blocks, or those that are not in `before`; the commit first, the rest in CID order (no streamable order).
    pub fn car(&self, before: Option<&State>) -> Vec<u8> {
        let mut out = Vec::new();
        car::write_header(&mut out, &[self.head]);
        car::write_section(&mut out, &self.head, &self.blocks[&self.head]);
        let known: BTreeSet<&Cid> = before.map(|state| state.blocks.keys().collect()).unwrap_or_default();
        for (cid, bytes) in self.blocks.iter().filter(|(cid, _)| **cid != self.head && !known.contains(cid)) {
            car::write_section(&mut out, cid, bytes);
        }
        out
    }
}

/// Whose rotation key signs.
#[derive(Debug, Clone, Copy)]
pub enum By {
    Owner,
    Host,
}

pub struct Person {
    pub did: Did,
    pub log: Log,
    pub signing: PrivateKey,
    pub rotation: PrivateKey,
    /// The rotation key of lower authority, which is the host's.
    pub host_key: PrivateKey,
    pub records: BTreeMap<String, Vec<u8>>,
    pub blobs: BTreeMap<Cid, Vec<u8>>,
    seed: u8,
}

fn key(seed: u8, n: u8) -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [seed ^ n.rotate_left(3) ^ 0x55; 32])
}

fn minute(n: usize) -> Datetime {
    Datetime::parse(&format!("2026-01-01T00:{n:02}:00.000Z")).unwrap()
}

fn hour(step: i64) -> Datetime {
    Datetime::from_unix_micros(NOW as i64 + step * 3_600_000_000 - 100 * 3_600_000_000).unwrap()
}

impl Person {
    /// Somebody hosted at `host`, with a rotation key of the host's and one of their own, and a few posts.
    pub fn new(seed: u8, host: &str) -> Self {
        let (signing, rotation) = (key(seed, 1), key(seed, 2));
        let host_key = key(seed, 3);
        let mut data = Data {
            rotation_keys: vec![rotation.public_key().to_did_key(), host_key.public_key().to_did_key()],
            ..Data::default()
        };
        data.set_signing_key(&signing.public_key());
        data.set_pds(host);
        let operation = PlcUnsigned::genesis(data).sign(&host_key).unwrap();
        let did = operation.created_did().unwrap();
        let cid = operation.cid();
        let entry = LogEntry { did: did.clone(), operation, cid, nullified: false, created_at: minute(0) };
        let log = validate_log(&did, &[entry]).unwrap();
        let mut person = Self {
            did,
            log,
            signing,
            rotation,
            host_key,
            records: BTreeMap::new(),
            blobs: BTreeMap::new(),
            seed,
        };
        for n in 0..40 {
            person.post(
                &format!("3k{n:011}").replace('0', "a").replace('1', "b").replace('8', "c").replace('9', "d"),
                n,
            );
        }
        person
    }

    pub fn audit(&self) -> Vec<u8> {
        write_audit(self.log.entries())
    }

    /// Writes a post.
    pub fn post(&mut self, rkey: &str, n: u64) {
        let text = format!("post number {n} of {}", self.seed);
        self.put(
            &format!("app.bsky.feed.post/{rkey}"),
            Value::map([("$type", Value::Text("app.bsky.feed.post".into())), ("text", Value::Text(text))]),
        );
    }

    /// Follows somebody.
    pub fn follow(&mut self, rkey: &str, did: &Did) {
        self.names("app.bsky.graph.follow", rkey, [("subject", did.as_str())]);
    }

    /// Puts somebody on a list of theirs.
    pub fn list(&mut self, list: &str, rkey: &str, did: &Did) {
        let list = format!("at://{}/app.bsky.graph.list/{list}", self.did);
        self.names("app.bsky.graph.listitem", rkey, [("subject", did.as_str()), ("list", &list)]);
    }

    fn names<const N: usize>(&mut self, collection: &str, rkey: &str, fields: [(&str, &str); N]) {
        let fields = fields.into_iter().chain([("$type", collection)]);
        let fields = fields.map(|(name, value)| (name.to_owned(), Value::Text(value.into())));
        self.put(&format!("{collection}/{rkey}"), Value::map(fields));
    }

    pub fn put(&mut self, path: &str, value: Value) {
        self.records.insert(path.to_owned(), encode(&value));
    }

    /// Writes a post with a picture; the picture's CID.
    pub fn picture(&mut self, rkey: &str, bytes: &[u8]) -> Cid {
        let cid = Cid::of_raw(bytes);
        self.blobs.insert(cid, bytes.to_vec());
        let blob = Value::map([
            ("$type", Value::Text("blob".into())),
            ("ref", Value::Link(cid)),
            ("mimeType", Value::Text("image/png".into())),
            ("size", Value::Int(bytes.len() as i64)),
        ]);
        self.put(
            &format!("app.bsky.feed.post/{rkey}"),
            Value::map([
                ("$type", Value::Text("app.bsky.feed.post".into())),
                ("embed", Value::map([("image", blob)])),
            ]),
        );
        cid
    }

    /// Signs what there is as the state of an hour `step` before or after the tests' beginning.
    pub fn sign(&self, step: i64) -> State {
        self.sign_as(step, &self.did, &self.signing)
    }

    pub fn sign_as(&self, step: i64, did: &Did, with: &PrivateKey) -> State {
        let micros = (NOW as i64 + step * 3_600_000_000 - 100 * 3_600_000_000) as u64;
        self.sign_at(Tid::from_micros(micros, 7), did, with)
    }

    pub fn sign_at(&self, rev: Tid, did: &Did, with: &PrivateKey) -> State {
        let mut blocks = BTreeMap::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
            blocks.insert(*cid, bytes.to_vec());
        });
        for (path, bytes) in &self.records {
            builder.push(path.as_bytes(), &Cid::of_cbor(bytes)).unwrap();
        }
        let data = builder.finish();
        blocks.extend(self.records.values().map(|bytes| (Cid::of_cbor(bytes), bytes.clone())));
        let commit = Unsigned { did: did.clone(), rev, data }.sign(with).unwrap();
        let bytes = commit.encode();
        let head = Cid::of_cbor(&bytes);
        blocks.insert(head, bytes);
        State { commit, head, rev, blocks, records: self.records.clone() }
    }

    /// Puts a new signing key into the identity log, at the hour `step` of [`Person::sign`]; gives the old one.
    pub fn rotate_signing_key(&mut self, step: i64) -> PrivateKey {
        let next = key(self.seed, 40 + self.log.entries().len() as u8);
        let micros = NOW as i64 + step * 3_600_000_000 - 100 * 3_600_000_000;
        self.append_at(
            |data| data.set_signing_key(&next.public_key()),
            Datetime::from_unix_micros(micros).unwrap(),
        );
        std::mem::replace(&mut self.signing, next)
    }

    pub fn move_to(&mut self, host: &str) {
        self.append(|data| data.set_pds(host));
    }

    pub fn append(&mut self, change: impl FnOnce(&mut Data)) {
        self.append_at(change, minute(self.log.entries().len()));
    }

    /// An operation by any key, after any operation, at the hour `step` of [`Person::sign`].
    pub fn operate(&mut self, prev: usize, step: i64, by: By, change: impl FnOnce(&mut Data)) -> Cid {
        let from = &self.log.entries()[prev];
        let mut data = from.operation.data().unwrap();
        change(&mut data);
        let by = match by {
            By::Owner => &self.rotation,
            By::Host => &self.host_key,
        };
        let operation = PlcUnsigned::update(&from.cid, data).sign(by).unwrap();
        self.take(operation, step)
    }

    /// The end of the identity, by the host's key.
    pub fn give_up(&mut self, step: i64) -> Cid {
        let operation = PlcUnsigned::tombstone(self.log.head()).sign(&self.host_key).unwrap();
        self.take(operation, step)
    }

    fn take(&mut self, operation: p2pds_identity::plc::Operation, step: i64) -> Cid {
        let micros = NOW as i64 + step * 3_600_000_000 - 100 * 3_600_000_000;
        let cid = operation.cid();
        self.log = self.log.append(operation, Datetime::from_unix_micros(micros).unwrap()).unwrap();
        cid
    }

    /// Gives the identity up with the host's key, at the hour `step` of [`Person::sign`].
    pub fn tombstone(&mut self, step: i64) {
        let operation = PlcUnsigned::tombstone(self.log.head()).sign(&key(self.seed, 3)).unwrap();
        self.log = self.log.append(operation, hour(step)).unwrap();
    }

    /// Undoes the last operation with the owner's own key.
    pub fn revive(&mut self, step: i64) {
        let before = self.log.canonical().rev().nth(1).unwrap().clone();
        let data = before.operation.data().unwrap();
        let operation = PlcUnsigned::update(&before.cid, data).sign(&self.rotation).unwrap();
        self.log = self.log.append(operation, hour(step)).unwrap();
    }

    fn append_at(&mut self, change: impl FnOnce(&mut Data), at: Datetime) {
        let operation = self.log.update(change).unwrap().sign(&self.rotation).unwrap();
        self.log = self.log.append(operation, at).unwrap();
    }
}
