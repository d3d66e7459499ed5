//! The events of a host, joined over all its lives.

use std::collections::{BTreeMap, BTreeSet};

use p2pds_ipld::{Cid, sha256};
use p2pds_replica::frame::{Frame, decode};
use p2pds_repo::event::{prove, read_sync};
use p2pds_syntax::Tid;
use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::oracle::Network;
use p2pds_testkit::subscriber::Subscriber;

use super::{Gate, signing_key};

type Hash = [u8; 32];

/// What a live subscriber heard while it counted: number, account, hash of the frame.
pub type Heard = Vec<(u64, String, Hash)>;

/// Listens to a node until it is gone.
pub fn listen(mut live: Subscriber, gate: &Gate) -> Heard {
    let mut heard = Vec::new();
    while let Ok(Some(bytes)) = live.next() {
        let frame = decode(&bytes).unwrap();
        let (Some(seq), Some(did)) = (frame.seq(), frame.did().map(ToString::to_string)) else { break };
        if gate.counted(|| heard.push((seq, did, sha256(&bytes)))).is_none() {
            break;
        }
    }
    heard
}

/// Every event so far, each proved and in its place.
#[derive(Default)]
pub struct History {
    /// Number of the last event.
    last: u64,
    frames: BTreeMap<u64, (String, Hash)>,
    heads: BTreeMap<String, (Tid, Cid)>,
    /// Every rev that an account had.
    revs: BTreeMap<String, BTreeSet<String>>,
    /// What was last said of an account: whether it is active, and what it is else.
    standing: BTreeMap<String, (bool, Option<String>)>,
    keys: BTreeMap<String, p2pds_crypto::PublicKey>,
}

impl History {
    /// Takes in what is new, up to and with the commit `rev` of an account.
    pub fn read(&mut self, host: &Hosted, network: &Network, did: &str, rev: &str) {
        let mut stream = Subscriber::open(&host.url, Some(&self.last.to_string())).unwrap();
        while !self.revs.get(did).is_some_and(|revs| revs.contains(rev)) {
            let bytes = stream.next().unwrap().unwrap_or_else(|| panic!("{rev} of {did} never comes"));
            self.take(&bytes, network);
        }
    }

    fn take(&mut self, bytes: &[u8], network: &Network) {
        let frame = decode(bytes).unwrap();
        let (seq, did) = (frame.seq().expect("an event"), frame.did().unwrap().to_string());
        assert!(seq > self.last, "{seq} after {}", self.last);
        self.last = seq;
        self.frames.insert(seq, (did.clone(), sha256(bytes)));
        let key = self.keys.entry(did.clone()).or_insert_with(|| signing_key(network, &did));
        match frame {
            Frame::Commit(commit) => {
                let (since, prev) = (commit.event.since, commit.event.prev_data);
                let proved = prove(commit.event).unwrap().signed_by(key).map_err(|(_, error)| error).unwrap();
                let head = proved.commit();
                if let Some((rev, data)) = self.heads.get(&did).copied() {
                    assert_eq!(
                        (since, prev),
                        (Some(rev), Some(data)),
                        "{did} {}: an event is missing",
                        head.rev
                    );
                }
                assert!(self.revs.entry(did.clone()).or_default().insert(head.rev.to_string()), "{seq}");
                self.heads.insert(did, (head.rev, head.data));
            }
            Frame::Sync(sync) => {
                let head = read_sync(&sync.did, sync.rev, sync.blocks).unwrap();
                head.verify(key).unwrap();
                assert!(self.heads.get(&did).is_none_or(|(rev, _)| *rev <= head.rev), "{did} {}", head.rev);
                self.revs.entry(did.clone()).or_default().insert(head.rev.to_string());
                self.heads.insert(did, (head.rev, head.data));
            }
            Frame::Account(account) => {
                let standing = (account.active, account.status.map(str::to_owned));
                self.standing.insert(did, standing);
            }
            _ => {}
        }
    }

    /// Whether everything that was heard is there, with the same bytes. Events of deleted accounts are erased.
    pub fn has(&self, heard: &Heard) {
        for (seq, did, hash) in heard {
            if self.frames.get(seq).map(|(_, hash)| hash) == Some(hash) {
                continue;
            }
            let other = self.frames.get(seq);
            assert!(
                self.is_gone(did) && other.is_none(),
                "event {seq} of {did} was heard; in its place is now {other:?}"
            );
        }
    }

    /// Whether the events of an account end where its repo is, and every rev that was acknowledged has one.
    pub fn ends_at(&self, did: &str, rev: &str, acknowledged: &BTreeSet<String>) {
        let at = self.heads.get(did).map(|(rev, _)| rev.to_string());
        assert_eq!(at.as_deref(), Some(rev), "{did}: its events end elsewhere than its repo");
        let none = BTreeSet::new();
        let missing: Vec<_> = acknowledged.difference(self.revs.get(did).unwrap_or(&none)).collect();
        assert!(missing.is_empty(), "{did}: no event for {missing:?}");
    }

    /// What was last said of an account's standing.
    pub fn standing(&self, did: &str) -> Option<(bool, Option<&str>)> {
        self.standing.get(did).map(|(active, status)| (*active, status.as_deref()))
    }

    /// Reads everything once more from the beginning: no number has other bytes than when it was first read.
    pub fn reread(&self, host: &Hosted) -> usize {
        let mut stream = Subscriber::open(&host.url, Some("0")).unwrap();
        let mut seen = BTreeSet::new();
        while stream.seq < self.last {
            let bytes = stream.next().unwrap().expect("the stream goes on");
            let Some(seq) = decode(&bytes).unwrap().seq() else { continue };
            let before = self.frames.get(&seq).map(|(_, hash)| *hash);
            assert_eq!(before, Some(sha256(&bytes)), "{seq} was used twice");
            seen.insert(seq);
        }
        for (seq, (did, _)) in self.frames.iter().filter(|(seq, _)| !seen.contains(*seq)) {
            assert!(self.is_gone(did), "event {seq} of {did} is not there any more");
        }
        seen.len()
    }

    /// Deleted, so that its events are erased.
    fn is_gone(&self, did: &str) -> bool {
        self.standing(did).is_some_and(|(_, status)| status == Some("deleted"))
    }
}
