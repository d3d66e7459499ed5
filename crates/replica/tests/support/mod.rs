//! An account that commits, and whatever can be done to its events.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};

use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_ipld::{Cid, car};
use p2pds_replica::frame::{Account, Commit, Frame, Identity, Legacy, Sync};
use p2pds_replica::{Context, Decision, Head, Key, Origin, State, Status, decode, step};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::event::{Action, CommitEvent, EventOp};
use p2pds_repo::mst::Builder;
use p2pds_syntax::{Did, RecordPath, Tid};

pub const SECOND: i64 = 1_000_000;
/// When the account's first commit is made; each one comes a second later.
pub const START: i64 = 1_790_000_000 * SECOND;
pub const TIME: &str = "2026-11-21T00:00:00.000Z";

pub struct Author {
    pub did: Did,
    pub key: PrivateKey,
    pub records: BTreeMap<String, Vec<u8>>,
    pub head: Option<Head>,
    pub seq: u64,
    step: i64,
}

/// An event in parts that a test can change before it encodes them.
#[derive(Clone)]
pub struct Event {
    pub seq: u64,
    pub did: Did,
    pub rev: Tid,
    pub since: Option<Tid>,
    pub commit: Cid,
    pub data: Cid,
    /// The commit first.
    pub blocks: Vec<(Cid, Vec<u8>)>,
    pub ops: Vec<EventOp>,
    pub prev_data: Option<Cid>,
    pub legacy: Option<Legacy>,
}

pub fn key(n: u8) -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [n; 32])
}

pub fn rev(step: i64) -> Tid {
    Tid::from_micros((START + step * SECOND) as u64, 1)
}

impl Author {
    pub fn new(n: u8) -> Self {
        let did = Did::parse(&format!(
            "did:plc:{}",
            "abcdefghijklmnopqrstuvwx".replace('a', &char::from(b'a' + n).to_string())
        ))
        .unwrap();
        Self { did, key: key(n + 1), records: BTreeMap::new(), head: None, seq: 1, step: 0 }
    }

    pub fn keys(&self) -> Vec<Key> {
        vec![Key { key: self.key.public_key(), until: None }]
    }

    /// Now, for somebody who hears of the last commit at once.
    pub fn now(&self) -> i64 {
        START + self.step * SECOND
    }

    pub fn state(&self) -> State {
        State::new(self.head, Status::Active)
    }

    /// Sets (`Some`) and deletes (`None`) records in one commit.
    pub fn commit(&mut self, changes: &[(&str, Option<&str>)]) -> Event {
        let mut ops = Vec::new();
        for (key, text) in changes {
            let path = RecordPath::parse(&format!("app.bsky.feed.post/{key}")).unwrap();
            let old = self.records.get(path.as_str()).map(|body| Cid::of_cbor(body));
            let body = text.map(|text| {
                let mut body = vec![0xa1, 0x61, b't'];
                p2pds_ipld::cbor::write_text(&mut body, text);
                body
            });
            let cid = body.as_ref().map(|body| Cid::of_cbor(body));
            let action = match (old, cid) {
                (None, Some(_)) => Action::Create,
                (Some(_), Some(_)) => Action::Update,
                _ => Action::Delete,
            };
            match body {
                Some(body) => self.records.insert(path.as_str().to_owned(), body),
                None => self.records.remove(path.as_str()),
            };
            ops.push(EventOp { path, action, cid, prev: old });
        }
        let (data, nodes) = self.tree();
        let (since, prev_data) = (self.head.map(|head| head.rev), self.head.map(|head| head.data));
        self.step += 1;
        let mut event = Event {
            seq: self.seq,
            did: self.did.clone(),
            rev: rev(self.step),
            since,
            commit: data,
            data,
            blocks: vec![(data, Vec::new())],
            ops,
            prev_data,
            legacy: None,
        };
        event.blocks.extend(nodes);
        event.blocks.extend(self.records.values().map(|body| (Cid::of_cbor(body), body.clone())));
        event.sign(&self.key);
        self.seq += 1;
        self.head = Some(event.head());
        event
    }

    /// One new record.
    pub fn post(&mut self) -> Event {
        let key = format!("k{}", self.step);
        self.commit(&[(&key, Some("hello"))])
    }

    fn tree(&self) -> (Cid, HashMap<Cid, Vec<u8>>) {
        let mut nodes = HashMap::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
            nodes.insert(*cid, bytes.to_vec());
        });
        for (key, body) in &self.records {
            builder.push(key.as_bytes(), &Cid::of_cbor(body)).unwrap();
        }
        let root = builder.finish();
        nodes.entry(root).or_insert_with(|| p2pds_repo::mst::EMPTY_NODE.to_vec());
        (root, nodes)
    }
}

impl Event {
    /// Makes the commit block anew from account, revision and root.
    pub fn sign(&mut self, key: &PrivateKey) {
        let unsigned = Unsigned { did: self.did.clone(), rev: self.rev, data: self.data };
        let block = unsigned.sign(key).unwrap().encode();
        self.commit = Cid::of_cbor(&block);
        self.blocks[0] = (self.commit, block);
    }

    pub fn head(&self) -> Head {
        Head { rev: self.rev, commit: self.commit, data: self.data }
    }

    pub fn car(&self) -> Vec<u8> {
        let mut out = Vec::new();
        car::write_header(&mut out, &[self.commit]);
        for (cid, bytes) in &self.blocks {
            car::write_section(&mut out, cid, bytes);
        }
        out
    }

    pub fn bytes(&self) -> Vec<u8> {
        let blocks = self.car();
        let event = CommitEvent {
            repo: self.did.clone(),
            rev: self.rev,
            since: self.since,
            commit: self.commit,
            blocks: &blocks,
            ops: self.ops.clone(),
            prev_data: self.prev_data,
        };
        Frame::Commit(Commit { seq: self.seq, time: TIME, event, legacy: self.legacy }).encode()
    }

    /// The same state as `#sync`.
    pub fn sync(&self) -> Vec<u8> {
        let mut blocks = Vec::new();
        car::write_header(&mut blocks, &[self.commit]);
        car::write_section(&mut blocks, &self.commit, &self.blocks[0].1);
        let (did, rev) = (self.did.clone(), self.rev);
        Frame::Sync(Sync { seq: self.seq, time: TIME, did, rev, blocks: &blocks }).encode()
    }
}

pub fn account(did: &Did, active: bool, status: Option<&str>) -> Vec<u8> {
    Frame::Account(Account { seq: 9, time: TIME, did: did.clone(), active, status }).encode()
}

pub fn identity(did: &Did) -> Vec<u8> {
    Frame::Identity(Identity { seq: 9, time: TIME, did: did.clone(), handle: Some("a.example") }).encode()
}

/// What [`step`] decides, in one line: the decision with its reason.
pub fn told(state: &mut State, bytes: &[u8], at: &Context<'_>) -> String {
    brief(&step(state, decode(bytes).unwrap(), at))
}

pub fn brief(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Apply { skipped, .. } => format!("apply{}", if *skipped { ", skipped" } else { "" }),
        Decision::Compare { .. } => "compare".to_owned(),
        Decision::Touch { .. } => "touch".to_owned(),
        Decision::Ignore(why) => format!("ignore {}", why.as_str()),
        Decision::Resync { why, .. } => format!("resync {}", why.as_str()),
        Decision::Refuse(why) => format!("refuse {}", why.as_str()),
        Decision::Refresh { why, .. } => format!("refresh {}", why.as_str()),
        Decision::Status { status, confirm } => {
            format!("status {}{}", status.as_str(), if *confirm { ", confirm" } else { "" })
        }
    }
}

pub fn at(now: i64, keys: &[Key]) -> Context<'_> {
    Context { now, origin: Origin::Host, keys, again: false }
}
