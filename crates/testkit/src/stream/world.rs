//! The accounts of a made-up host and their events: real keys, real trees, real signatures, made in advance.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use p2pds_crypto::{Curve, PrivateKey};
use p2pds_ipld::{Cid, car};
use p2pds_replica::frame::{Account, Commit, Frame, Identity, Sync};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::event::{Action, CommitEvent, EventOp};
use p2pds_repo::mst::{Builder, Change, Nodes, Op, invert};
use p2pds_syntax::{Did, RecordPath, Tid};
use serde::{Deserialize, Serialize};

use crate::madeup::MadeUp;
use crate::random::Random;
use crate::synthetic;

/// The time in every event: nobody may go by it.
pub(super) const TIME: &str = "2026-01-01T00:00:00.000Z";

/// What a host is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Everything follows from it but the revisions, which begin an hour ago.
    pub seed: u64,
    /// How many accounts.
    pub accounts: usize,
    /// Records that each of them has at the beginning.
    pub records: usize,
}

/// An account's public state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Revision.
    pub rev: Tid,
    /// CID of the commit.
    pub commit: Cid,
    /// Root of the tree.
    pub data: Cid,
    /// Path to CID.
    pub records: BTreeMap<String, Cid>,
}

/// What happens to an account in one commit: operations in this order, each on another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// New records.
    pub creates: usize,
    /// Records changed.
    pub updates: usize,
    /// Records deleted.
    pub deletes: usize,
}

pub(super) struct Citizen {
    pub(super) made: MadeUp,
    pub(super) did: Did,
    records: BTreeMap<String, Vec<u8>>,
    nodes: HashMap<Cid, Vec<u8>>,
    head: Option<Head>,
    /// Heads by the number of their event: what is asked for is answered as far as events are visible.
    told: Vec<(u64, Tid, Cid)>,
    pub(super) status: Option<String>,
}

#[derive(Clone)]
struct Head {
    rev: Tid,
    data: Cid,
    commit: Cid,
    block: Vec<u8>,
}

/// All accounts.
pub(super) struct World {
    pub(super) citizens: Vec<Citizen>,
    by_did: HashMap<String, usize>,
    random: Random,
    micros: u64,
    /// Number of the next event.
    pub(super) seq: u64,
    /// Whether DID documents name handles.
    pub(super) handles: bool,
}

impl World {
    pub(super) fn new(plan: &Plan, url: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let micros = u64::try_from(since.as_micros()).expect("before the year 586524") - 3_600_000_000;
        let mut world = Self {
            citizens: Vec::with_capacity(plan.accounts),
            by_did: HashMap::new(),
            random: Random::new(plan.seed),
            micros,
            seq: 1,
            handles: true,
        };
        for n in 0..plan.accounts {
            let made = MadeUp::new(plan.seed * 1_000_000 + n as u64, url);
            let did = Did::parse(&made.did).expect("a DID");
            world.by_did.insert(made.did.clone(), n);
            let (records, nodes) = Default::default();
            world.citizens.push(Citizen {
                made,
                did,
                records,
                nodes,
                head: None,
                told: Vec::new(),
                status: None,
            });
            let (parts, rev) = world.change(n, Write { creates: plan.records, updates: 0, deletes: 0 });
            world.citizens[n].told.push((0, rev, parts.commit));
        }
        world
    }

    pub(super) fn find(&self, did: &str) -> Option<&Citizen> {
        self.by_did.get(did).map(|n| &self.citizens[*n])
    }

    pub(super) fn place(&self, did: &str) -> Option<usize> {
        self.by_did.get(did).copied()
    }

    fn next_rev(&mut self) -> Tid {
        self.micros += 1;
        Tid::from_micros(self.micros, 1)
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq - 1
    }

    /// Changes an account and returns the event's frame without its number: the caller encodes it.
    fn change(&mut self, n: usize, what: Write) -> (CommitParts, Tid) {
        let rev = self.next_rev();
        let ops = self.operations(n, what);
        let citizen = &mut self.citizens[n];
        let before = citizen.head.clone();
        let data = citizen.rebuild();
        let unsigned = Unsigned { did: citizen.did.clone(), rev, data };
        let commit = unsigned.sign(citizen.made.signer()).expect("a key in memory signs");
        let block = commit.encode();
        let cid = Cid::of_cbor(&block);
        let mut blocks = Vec::new();
        car::write_header(&mut blocks, &[cid]);
        car::write_section(&mut blocks, &cid, &block);
        for node in citizen.proof(data, &ops) {
            car::write_section(&mut blocks, &node, &citizen.nodes[&node]);
        }
        for op in ops.iter().filter(|op| op.cid.is_some()) {
            let body = &citizen.records[op.path.as_str()];
            car::write_section(&mut blocks, &op.cid.expect("filtered"), body);
        }
        citizen.head = Some(Head { rev, data, commit: cid, block });
        let since = before.as_ref().map(|head| head.rev);
        let prev_data = before.as_ref().map(|head| head.data);
        (CommitParts { since, commit: cid, blocks, ops, prev_data }, rev)
    }

    fn operations(&mut self, n: usize, what: Write) -> Vec<EventOp> {
        let mut ops = Vec::new();
        let citizen = &mut self.citizens[n];
        let keys: Vec<String> = citizen.records.keys().cloned().collect();
        let start = self.random.below(keys.len() as u64) as usize;
        let chosen = keys.iter().cycle().skip(start).take((what.updates + what.deletes).min(keys.len()));
        for (at, key) in chosen.enumerate() {
            let path = RecordPath::parse(key).expect("our own path");
            let old = Cid::of_cbor(&citizen.records[key]);
            if at < what.updates {
                let body = synthetic::body(&mut self.random, path.collection(), self.micros);
                let cid = Cid::of_cbor(&body);
                citizen.records.insert(key.clone(), body);
                ops.push(EventOp { path, action: Action::Update, cid: Some(cid), prev: Some(old) });
            } else {
                citizen.records.remove(key);
                ops.push(EventOp { path, action: Action::Delete, cid: None, prev: Some(old) });
            }
        }
        for at in 0..what.creates {
            let collection = ["app.bsky.feed.post", "app.bsky.feed.like", "app.bsky.graph.follow"][at % 3];
            let key = format!("{collection}/{}", Tid::from_micros(self.micros, at as u16));
            let body = synthetic::body(&mut self.random, collection, self.micros);
            let cid = Some(Cid::of_cbor(&body));
            citizen.records.insert(key.clone(), body);
            let path = RecordPath::parse(&key).expect("our own path");
            ops.push(EventOp { path, action: Action::Create, cid, prev: None });
        }
        ops
    }

    /// Commits to an account; returns the event.
    pub(super) fn commit(&mut self, n: usize, what: Write) -> Vec<u8> {
        let seq = self.next_seq();
        let (parts, rev) = self.change(n, what);
        self.citizens[n].told.push((seq, rev, parts.commit));
        let event = CommitEvent {
            repo: self.citizens[n].did.clone(),
            rev,
            since: parts.since,
            commit: parts.commit,
            blocks: &parts.blocks,
            ops: parts.ops,
            prev_data: parts.prev_data,
        };
        Frame::Commit(Commit { seq, time: TIME, event, legacy: None }).encode()
    }

    /// A commit of the usual kind: mostly one new record, now and then a change or a deletion.
    pub(super) fn commit_any(&mut self, n: usize) -> Vec<u8> {
        let dice = self.random.below(10);
        let many = self.citizens[n].records.len() > 4;
        let what = match dice {
            0 if many => Write { creates: 0, updates: 1, deletes: 0 },
            1 | 2 if many => Write { creates: 0, updates: 0, deletes: 1 },
            3 => Write { creates: 3, updates: 0, deletes: 0 },
            _ => Write { creates: 1, updates: 0, deletes: 0 },
        };
        self.commit(n, what)
    }

    /// The account that comes next, by chance.
    pub(super) fn anyone(&mut self) -> usize {
        self.random.below(self.citizens.len() as u64) as usize
    }

    pub(super) fn sync(&mut self, n: usize) -> Vec<u8> {
        let seq = self.next_seq();
        let citizen = &self.citizens[n];
        let head = citizen.head.as_ref().expect("every account has a commit");
        let mut blocks = Vec::new();
        car::write_header(&mut blocks, &[head.commit]);
        car::write_section(&mut blocks, &head.commit, &head.block);
        let did = citizen.did.clone();
        Frame::Sync(Sync { seq, time: TIME, did, rev: head.rev, blocks: &blocks }).encode()
    }

    pub(super) fn identity(&mut self, n: usize) -> Vec<u8> {
        let seq = self.next_seq();
        let citizen = &self.citizens[n];
        let handle = Some(citizen.made.handle.as_str());
        Frame::Identity(Identity { seq, time: TIME, did: citizen.did.clone(), handle }).encode()
    }

    /// Another signing key in the account's log; its next commit is signed with it.
    pub(super) fn rotate(&mut self, n: usize) {
        let made = &mut self.citizens[n].made;
        let pds = made.pds.clone();
        made.change_identity(&format!("rotated {}", self.seq), &pds);
    }

    /// Another signing key in the account's log; its next commits are signed with the one that was withdrawn.
    pub(super) fn lose_key(&mut self, n: usize) {
        let name = format!("lost {}", self.seq);
        self.citizens[n].made.lose_key(&name);
    }

    /// The account as it leaves for another host: its log names that one and a new key. Here it is off from now on.
    pub(super) fn leave(&mut self, n: usize, url: &str) -> Citizen {
        let citizen = &mut self.citizens[n];
        citizen.made.change_identity("moved", url);
        citizen.status = Some("deactivated".to_owned());
        Citizen {
            made: citizen.made.copy(),
            did: citizen.did.clone(),
            records: citizen.records.clone(),
            nodes: citizen.nodes.clone(),
            head: citizen.head.clone(),
            told: vec![(0, citizen.head().0, citizen.head().1)],
            status: None,
        }
    }

    /// Takes an account in that comes from another host; gives its place.
    pub(super) fn take_in(&mut self, citizen: Citizen) -> usize {
        let n = self.citizens.len();
        self.micros = self.micros.max(citizen.head().0.micros());
        self.by_did.insert(citizen.did.to_string(), n);
        self.citizens.push(citizen);
        n
    }

    /// `None` makes the account active again.
    pub(super) fn account(&mut self, n: usize, status: Option<&str>) -> Vec<u8> {
        let seq = self.next_seq();
        let citizen = &mut self.citizens[n];
        citizen.status = status.map(str::to_owned);
        let did = citizen.did.clone();
        Frame::Account(Account { seq, time: TIME, did, active: status.is_none(), status }).encode()
    }
}

struct CommitParts {
    since: Option<Tid>,
    commit: Cid,
    blocks: Vec<u8>,
    ops: Vec<EventOp>,
    prev_data: Option<Cid>,
}

impl Citizen {
    fn rebuild(&mut self) -> Cid {
        let mut nodes = HashMap::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
            nodes.insert(*cid, bytes.to_vec());
        });
        for (path, body) in &self.records {
            builder.push(path.as_bytes(), &Cid::of_cbor(body)).expect("sorted");
        }
        let data = builder.finish();
        self.nodes = nodes;
        data
    }

    /// The nodes that somebody needs to undo the operations.
    fn proof(&mut self, root: Cid, ops: &[EventOp]) -> Vec<Cid> {
        let undone: Vec<Op> = ops
            .iter()
            .map(|op| {
                let change = match (op.cid, op.prev) {
                    (Some(new), None) => Change::Create(new),
                    (Some(new), Some(old)) => Change::Update { old, new },
                    (None, old) => Change::Delete(old.expect("a deletion names what was there")),
                };
                Op { key: op.path.as_bytes().to_vec(), change }
            })
            .collect();
        let mut seen = Seen { nodes: &mut self.nodes, cids: vec![root] };
        invert(root, &mut seen, &undone).expect("our own operations");
        let mut cids = seen.cids;
        cids.sort_unstable();
        cids.dedup();
        cids
    }

    pub(super) fn truth(&self) -> Truth {
        let head = self.head.as_ref().expect("every account has a commit");
        let cid = |body: &Vec<u8>| Cid::of_cbor(body);
        let records = self.records.iter().map(|(path, body)| (path.clone(), cid(body))).collect();
        Truth { rev: head.rev, commit: head.commit, data: head.data, records }
    }

    /// The head after the event of this number, and whether it is the last one that was made.
    pub(super) fn head_at(&self, visible: u64) -> (Tid, Cid, bool) {
        let at = self.told.partition_point(|(seq, ..)| *seq <= visible).max(1) - 1;
        let (_, rev, commit) = self.told[at];
        (rev, commit, at + 1 == self.told.len())
    }

    pub(super) fn head(&self) -> (Tid, Cid) {
        let head = self.head.as_ref().expect("every account has a commit");
        (head.rev, head.commit)
    }

    /// The whole repository.
    pub(super) fn car(&self) -> Vec<u8> {
        let head = self.head.as_ref().expect("every account has a commit");
        let mut out = Vec::new();
        car::write_header(&mut out, &[head.commit]);
        car::write_section(&mut out, &head.commit, &head.block);
        if self.nodes.is_empty() {
            car::write_section(&mut out, &head.data, &p2pds_repo::mst::EMPTY_NODE);
        }
        for (cid, bytes) in &self.nodes {
            car::write_section(&mut out, cid, bytes);
        }
        for body in self.records.values() {
            car::write_section(&mut out, &Cid::of_cbor(body), body);
        }
        out
    }
}

/// Nodes, noting which of them are read.
struct Seen<'n> {
    nodes: &'n mut HashMap<Cid, Vec<u8>>,
    cids: Vec<Cid>,
}

impl Nodes for Seen<'_> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        let found = HashMap::get(self.nodes, cid)?;
        self.cids.push(*cid);
        Some(found)
    }
}

/// A key that belongs to nobody.
pub(super) fn stranger() -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [99; 32])
}
