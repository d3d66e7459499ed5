//! Owners of hosted accounts who remember what their host has acknowledged, and their events as a subscriber has them.
#![allow(dead_code, reason = "every test uses a part of it")]

pub mod history;
pub mod lives;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::RwLock;

use p2pds_crypto::PublicKey;
use p2pds_ipld::cbor::encode;
use p2pds_ipld::json::record_from_json;
use p2pds_ipld::{Cid, Codec};
use p2pds_repo::car_in::{ReadOptions, read_slice};
use p2pds_testkit::http::{self, Reply};
use p2pds_testkit::oracle::{Account, Network, POST, image, post_record};
use serde_json::{Value, json};

/// Keys that an author writes to.
const KEYS: u64 = 40;

/// Whether what comes back still counts. It is shut before the power goes: where power is really gone, nothing comes
/// later, while here the kernel lets a flush that was under way return as if it had worked.
pub struct Gate(RwLock<bool>);

impl Gate {
    pub fn open() -> Self {
        Self(RwLock::new(true))
    }

    /// Nothing counts any more when this returns.
    pub fn shut(&self) {
        *self.0.write().unwrap() = false;
    }

    /// Does something while it counts; `None` when it does not any more.
    pub fn counted<T>(&self, what: impl FnOnce() -> T) -> Option<T> {
        let open = self.0.read().unwrap();
        open.then(what)
    }
}

/// How a request ended.
pub enum Said {
    /// Acknowledged, with this answer.
    Done(Value),
    /// Refused: nothing was changed.
    Refused(&'static str, Reply),
    /// There is no answer that counts.
    Nothing,
}

/// Path and CID of every record.
pub type Records = BTreeMap<String, String>;

/// Signing key of an account, as its identity names it.
pub fn signing_key(network: &Network, did: &str) -> PublicKey {
    let reply = http::request("GET", &format!("{}/{did}/data", network.plc), &[], None).unwrap();
    let key = reply.json().unwrap()["verificationMethods"]["atproto"].as_str().unwrap().to_owned();
    PublicKey::from_did_key(&key).unwrap()
}

fn cid_of(record: &Value) -> String {
    Cid::of(Codec::DagCbor, &encode(&record_from_json(record).unwrap())).to_string()
}

/// One who writes to an account, one request after the other.
pub struct Author {
    pub account: Account,
    pub key: PublicKey,
    /// What the account holds.
    records: Records,
    /// What it holds if the request without an answer was carried out.
    under_way: Option<Records>,
    /// The blob that a record shows, by the record's CID.
    pictures: BTreeMap<String, String>,
    /// Uploads that were acknowledged and that no record names yet.
    loose: Vec<Value>,
    /// The repo as it was, to be imported later.
    kept: Option<(Vec<u8>, Records)>,
    /// Every rev that was acknowledged.
    pub revs: BTreeSet<String>,
    /// Requests that were acknowledged, by their method.
    pub done: BTreeMap<&'static str, u64>,
    n: u64,
}

impl Author {
    pub fn new(account: Account, network: &Network) -> Self {
        let key = signing_key(network, &account.did);
        Self {
            account,
            key,
            records: Records::new(),
            under_way: None,
            pictures: BTreeMap::new(),
            loose: Vec::new(),
            kept: None,
            revs: BTreeSet::new(),
            done: BTreeMap::new(),
            n: 0,
        }
    }

    /// A request, after which the account holds `after` if it is carried out.
    fn ask(&mut self, gate: &Gate, nsid: &'static str, mime: &str, body: &[u8], after: Records) -> Said {
        self.under_way = Some(after.clone());
        let bearer = format!("Bearer {}", self.account.token());
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", mime)];
        let url = format!("{}/xrpc/com.atproto.{nsid}", self.account.pds);
        let reply = http::request("POST", &url, &headers, Some(body));
        gate.counted(|| {
            self.under_way = None;
            let reply = reply.unwrap_or_else(|error| panic!("no answer from a node that runs: {error:#}"));
            if reply.status != 200 {
                return Said::Refused(nsid, reply);
            }
            self.records = after;
            *self.done.entry(nsid).or_default() += 1;
            let answer = if reply.body.is_empty() { Value::Null } else { reply.json().unwrap() };
            self.revs.extend(answer["commit"]["rev"].as_str().map(str::to_owned));
            Said::Done(answer)
        })
        .unwrap_or(Said::Nothing)
    }

    fn ask_json(&mut self, gate: &Gate, nsid: &'static str, body: &Value, after: Records) -> Said {
        self.ask(gate, nsid, "application/json", body.to_string().as_bytes(), after)
    }

    /// The next request of an endless row of all kinds.
    pub fn step(&mut self, gate: &Gate) -> Said {
        self.n += 1;
        match self.n % 12 {
            3 => self.delete(gate),
            5 | 9 => self.batch(gate),
            6 => self.upload(gate),
            7 => self.picture(gate),
            8 => self.keep(gate),
            10 if self.n % 24 == 10 => self.import(gate),
            _ => self.put(gate),
        }
    }

    fn text(&self) -> Value {
        post_record(&format!("number {} of {}", self.n, self.account.did))
    }

    /// `createRecord` where there is nothing yet, else `putRecord`.
    pub fn put(&mut self, gate: &Gate) -> Said {
        // No two records are the same.
        self.n += 12;
        let rkey = format!("k{}", self.n * 7 % KEYS);
        let path = format!("{POST}/{rkey}");
        let there = self.records.get(&path).cloned();
        let nsid = if there.is_some() { "repo.putRecord" } else { "repo.createRecord" };
        let record = self.text();
        let cid = cid_of(&record);
        let mut after = self.records.clone();
        after.insert(path, cid.clone());
        let body = json!({"repo": self.account.did, "collection": POST, "rkey": rkey, "validate": false, "record": record});
        let said = self.ask_json(gate, nsid, &body, after);
        if let Said::Done(answer) = &said {
            assert_eq!(answer["cid"], cid.as_str());
        }
        said
    }

    /// A record that shows no picture; those stay, because imports bring them back.
    fn plain(&self, from: u64) -> Option<String> {
        let plain: Vec<_> =
            self.records.iter().filter(|(_, cid)| !self.pictures.contains_key(*cid)).collect();
        plain.get(from as usize % plain.len().max(1)).map(|(path, _)| (*path).clone())
    }

    fn delete(&mut self, gate: &Gate) -> Said {
        let Some(path) = self.plain(self.n) else { return self.put(gate) };
        let mut after = self.records.clone();
        after.remove(&path);
        let (collection, rkey) = path.split_once('/').unwrap();
        let body = json!({"repo": self.account.did, "collection": collection, "rkey": rkey});
        self.ask_json(gate, "repo.deleteRecord", &body, after)
    }

    fn batch(&mut self, gate: &Gate) -> Said {
        let (mut after, mut writes) = (self.records.clone(), Vec::new());
        for i in 0..10 {
            let rkey = format!("k{}", (self.n * 3 + i) % KEYS);
            let path = format!("{POST}/{rkey}");
            let value = post_record(&format!("{i} of batch {} of {}", self.n, self.account.did));
            let kind = match (after.contains_key(&path), i % 3) {
                (false, _) => "create",
                (true, 0) => "delete",
                (true, _) => "update",
            };
            let mut write = json!({"$type": format!("com.atproto.repo.applyWrites#{kind}"), "collection": POST, "rkey": rkey});
            if kind == "delete" {
                after.remove(&path);
            } else {
                after.insert(path, cid_of(&value));
                write["value"] = value;
            }
            writes.push(write);
        }
        let body = json!({"repo": self.account.did, "writes": writes, "validate": false});
        self.ask_json(gate, "repo.applyWrites", &body, after)
    }

    fn upload(&mut self, gate: &Gate) -> Said {
        let seed =
            self.account.did.bytes().fold(self.n, |hash, byte| hash * 31 % 1_000_003 + u64::from(byte));
        let bytes = image(seed, 30_000);
        let said = self.ask(gate, "repo.uploadBlob", "image/png", &bytes, self.records.clone());
        if let Said::Done(answer) = &said {
            self.loose.push(answer["blob"].clone());
        }
        said
    }

    /// A record that names what was uploaded.
    fn picture(&mut self, gate: &Gate) -> Said {
        let Some(blob) = self.loose.last().cloned() else { return self.put(gate) };
        let mut record = self.text();
        record["embed"] =
            json!({"$type": "app.bsky.embed.images", "images": [{"alt": "noise", "image": blob}]});
        let (rkey, cid) = (format!("picture{}", self.n), cid_of(&record));
        self.pictures.insert(cid.clone(), blob["ref"]["$link"].as_str().unwrap().to_owned());
        let mut after = self.records.clone();
        after.insert(format!("{POST}/{rkey}"), cid);
        let body = json!({"repo": self.account.did, "collection": POST, "rkey": rkey, "validate": false, "record": record});
        let said = self.ask_json(gate, "repo.createRecord", &body, after);
        if let Said::Done(_) = &said {
            self.loose.pop();
        }
        said
    }

    /// One request of each kind.
    pub fn each_kind(&mut self, gate: &Gate) -> Vec<Said> {
        vec![
            self.put(gate),
            self.delete(gate),
            self.batch(gate),
            self.upload(gate),
            self.picture(gate),
            self.import(gate),
        ]
    }

    /// Keeps the repo as it is now, unless one is kept that is not imported yet.
    pub fn keep(&mut self, gate: &Gate) -> Said {
        if self.kept.is_some() {
            return self.put(gate);
        }
        let car = self.account.repo_car(None);
        gate.counted(|| {
            self.kept = Some((car.unwrap(), self.records.clone()));
            Said::Done(Value::Null)
        })
        .unwrap_or(Said::Nothing)
    }

    /// The repo as it was some time ago.
    fn import(&mut self, gate: &Gate) -> Said {
        let Some((car, after)) = self.kept.take() else { return self.put(gate) };
        self.ask(gate, "repo.importRepo", "application/vnd.ipld.car", &car, after)
    }

    /// Looks at what the account holds now, which must be what was acknowledged, with or without the request that got no
    /// answer; every block, the tree and the signature are checked. Then goes on from there.
    pub fn settle(&mut self) {
        let did = self.account.did.clone();
        let truth = self.account.truth().unwrap();
        let possible: Vec<&Records> = std::iter::once(&self.records).chain(&self.under_way).collect();
        if !possible.contains(&&truth.records) {
            let differs = |wanted: &Records| {
                let all: BTreeSet<_> = wanted.keys().chain(truth.records.keys()).collect();
                let differs = all.into_iter().filter(|path| wanted.get(*path) != truth.records.get(*path));
                differs
                    .map(|path| format!("{path}: {:?} {:?}", wanted.get(path), truth.records.get(path)))
                    .collect()
            };
            let differs: Vec<Vec<String>> = possible.into_iter().map(differs).collect();
            panic!("{did} at {}: wanted and found {differs:#?}", truth.rev);
        }
        let car = self.account.repo_car(None).unwrap();
        let mut proved = Records::new();
        let read =
            read_slice(&car, ReadOptions::DEFAULT, &mut |key: &[u8], cid: &Cid, body: Option<&[u8]>| {
                assert!(body.is_some(), "{did}: {cid} has no body");
                proved.insert(String::from_utf8(key.to_vec()).unwrap(), cid.to_string());
                ControlFlow::Continue(())
            })
            .unwrap();
        read.commit.verify(&self.key).unwrap();
        assert_eq!((read.commit.did.to_string(), read.commit.rev.to_string()), (did.clone(), truth.rev));
        assert!(proved == truth.records, "{did}: the tree and the list of records differ");
        for (path, cid) in &truth.records {
            // The bytes of those that are there were hashed.
            let lost = self.pictures.get(cid).filter(|blob| !truth.blobs.contains_key(*blob));
            assert!(lost.is_none(), "{did} {path}: blob {lost:?} is lost");
        }
        if self.under_way.take().is_some_and(|after| after == truth.records) {
            // The last upload may have got its record without our knowing.
            let named: BTreeSet<&String> =
                truth.records.values().filter_map(|cid| self.pictures.get(cid)).collect();
            self.loose.retain(|blob| !named.contains(&blob["ref"]["$link"].as_str().unwrap().to_owned()));
        }
        self.records = truth.records;
    }

    /// Takes what is there as what was acknowledged, and checks it.
    pub fn settle_any(&mut self) {
        self.records = self.account.truth().unwrap().records;
        self.settle();
    }

    /// Names every upload that waits: they were acknowledged, so they are there.
    pub fn name_uploads(&mut self, gate: &Gate) {
        while !self.loose.is_empty() {
            self.n += 1;
            match self.picture(gate) {
                Said::Done(_) => {}
                Said::Refused(nsid, reply) => panic!("{nsid}: {}", String::from_utf8_lossy(&reply.body)),
                Said::Nothing => return,
            }
        }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }
}
