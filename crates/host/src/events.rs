//! What the stream says of hosted accounts: from a change to the unit that sends it.
//!
//! Every function gives a [`Unit::Emit`], to be applied in one batch with the change that it tells of, so that neither
//! is ever there without the other. The frame is finished but for its number, which the store writes into it.
//!
//! Orders of the protocol: a new account is `identity`, `account`, `commit`, `sync`; an activation is `account`,
//! `identity`, then a commit of a higher rev, or `sync`; a deletion is `account` alone, and nothing of that account
//! after it.

use p2pds_ipld::{Cid, car};
use p2pds_replica::Frame;
use p2pds_replica::frame;
use p2pds_repo::event::{CommitEvent, EventOp, MAX_BLOCKS, MAX_OPS, MAX_SYNC};
use p2pds_store::{EventKind, NewEvent, Unit};
use p2pds_syntax::{Datetime, Did, Handle, Tid};

use crate::error::{HostError, HostResult};

/// A signed commit and what proves it.
#[derive(Debug, Clone)]
pub struct CommitWords<'a> {
    /// The account.
    pub did: &'a Did,
    /// Rev of the commit.
    pub rev: Tid,
    /// Rev of the commit before; `None` for the first.
    pub since: Option<Tid>,
    /// CID of the commit.
    pub commit: Cid,
    /// Its block.
    pub block: &'a [u8],
    /// Root of the tree before; `None` for the first commit.
    pub prev_data: Option<Cid>,
    /// What changed, each with the record before and after.
    pub ops: Vec<EventOp>,
    /// The covering proof: [`p2pds_repo::bucket::Plan::proof_blocks`]; the empty tree's node for a first commit.
    pub proof: &'a [(Cid, Vec<u8>)],
    /// The blocks of the records that `ops` creates or changes.
    pub records: &'a [(Cid, &'a [u8])],
}

/// Status of an account as the stream says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Its repository is here for everybody.
    Active,
    /// Its owner paused it.
    Deactivated,
    /// The host took it down.
    Takendown,
    /// The host suspended it.
    Suspended,
    /// It is gone.
    Deleted,
}

impl Said {
    /// The protocol's word; none for an active account.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Active => None,
            Self::Deactivated => Some("deactivated"),
            Self::Takendown => Some("takendown"),
            Self::Suspended => Some("suspended"),
            Self::Deleted => Some("deleted"),
        }
    }
}

/// `#commit`.
///
/// # Errors
/// More operations or bytes than one event may hold.
pub fn commit(words: CommitWords<'_>, at: i64) -> HostResult<Unit> {
    if words.ops.len() > MAX_OPS {
        return Err(HostError::invalid(format!(
            "Too many writes. Max: {MAX_OPS}: {} are in this request, send them in several",
            words.ops.len()
        )));
    }
    let parts = || {
        let proof = words.proof.iter().map(|(cid, bytes)| (cid, bytes.as_slice()));
        let records = words.records.iter().map(|(cid, bytes)| (cid, *bytes));
        std::iter::once((&words.commit, words.block)).chain(proof).chain(records)
    };
    let room = parts().fold(100_usize, |sum, (_, bytes)| sum.saturating_add(bytes.len()).saturating_add(45));
    let mut blocks = Vec::with_capacity(room.min(MAX_BLOCKS.try_into().unwrap_or(usize::MAX)));
    car::write_header(&mut blocks, &[words.commit]);
    // Two operations may name one record, and a record may look like a node.
    let mut written = std::collections::HashSet::with_capacity(16);
    for (cid, bytes) in parts() {
        if written.insert(*cid) {
            car::write_section(&mut blocks, cid, bytes);
            if blocks.len() as u64 > MAX_BLOCKS {
                return Err(HostError::invalid(format!(
                    "Too many writes. Max event size: {MAX_BLOCKS} bytes: send them in several requests"
                )));
            }
        }
    }
    let event = CommitEvent {
        repo: words.did.clone(),
        rev: words.rev,
        since: words.since,
        commit: words.commit,
        blocks: &blocks,
        ops: words.ops,
        prev_data: words.prev_data,
    };
    let time = time(at);
    let frame = Frame::Commit(frame::Commit { seq: 0, time: &time, event, legacy: None });
    emit(words.did, EventKind::Commit, at, &frame)
}

/// `#sync`: the account's head as it is, whatever came before.
///
/// # Errors
/// A commit block larger than the event may hold; none that is signed here is.
pub fn sync(did: &Did, rev: Tid, commit: Cid, block: &[u8], at: i64) -> HostResult<Unit> {
    let mut blocks = Vec::with_capacity(block.len().saturating_add(100));
    car::write_header(&mut blocks, &[commit]);
    car::write_section(&mut blocks, &commit, block);
    if blocks.len() as u64 > MAX_SYNC {
        return Err(HostError::invalid(format!("the commit {commit} is larger than {MAX_SYNC} bytes")));
    }
    let time = time(at);
    let frame = Frame::Sync(frame::Sync { seq: 0, time: &time, did: did.clone(), rev, blocks: &blocks });
    emit(did, EventKind::Sync, at, &frame)
}

/// `#identity`: the DID document or the handle may have changed.
///
/// # Errors
/// None that a caller could cause.
pub fn identity(did: &Did, handle: Option<&Handle>, at: i64) -> HostResult<Unit> {
    let time = time(at);
    let handle = handle.map(Handle::as_str);
    let frame = Frame::Identity(frame::Identity { seq: 0, time: &time, did: did.clone(), handle });
    emit(did, EventKind::Identity, at, &frame)
}

/// `#account`: the account's status here.
///
/// # Errors
/// None that a caller could cause.
pub fn account(did: &Did, status: Said, at: i64) -> HostResult<Unit> {
    let time = time(at);
    let (active, status) = (status == Said::Active, status.word());
    let frame = Frame::Account(frame::Account { seq: 0, time: &time, did: did.clone(), active, status });
    emit(did, EventKind::Account, at, &frame)
}

fn emit(did: &Did, kind: EventKind, at: i64, frame: &Frame<'_>) -> HostResult<Unit> {
    let split = frame.split().ok_or_else(|| HostError::invalid("an event without a number"))?;
    Ok(Unit::Emit(NewEvent { did: did.clone(), kind, at, before: split.before, after: split.after }))
}

/// With milliseconds, as everybody writes it.
fn time(at: i64) -> String {
    let millis = at.div_euclid(1_000).saturating_mul(1_000);
    Datetime::from_unix_micros(millis)
        .map_or_else(|| "1970-01-01T00:00:00.000Z".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use p2pds_replica::decode;
    use p2pds_repo::event::Action;

    use super::*;

    const AT: i64 = 1_700_000_000_123_456;

    fn sent(unit: Unit, seq: i64) -> (Vec<u8>, EventKind) {
        let Unit::Emit(event) = unit else { panic!("an event") };
        assert_eq!((event.did.as_str(), event.at), ("did:web:host.example.com", AT));
        (event.frame(seq), event.kind)
    }

    fn words<'a>(
        did: &'a Did,
        proof: &'a [(Cid, Vec<u8>)],
        records: &'a [(Cid, &'a [u8])],
    ) -> CommitWords<'a> {
        CommitWords {
            did,
            rev: Tid::parse("3jzfcijpj2z2b").unwrap(),
            since: None,
            commit: Cid::of_cbor(b"commit"),
            block: b"commit",
            prev_data: None,
            ops: Vec::new(),
            proof,
            records,
        }
    }

    #[test]
    fn what_is_sent_is_read_back_by_those_who_follow() {
        let did = Did::parse("did:web:host.example.com").unwrap();
        let handle = Handle::parse("alice.example.com").unwrap();
        let (node, record) = (Cid::of_cbor(b"node"), Cid::of_cbor(b"record"));
        let proof = [(node, b"node".to_vec()), (record, b"record".to_vec())];
        let records = [(record, &b"record"[..])];
        let op = EventOp {
            path: "com.example.thing/a".parse().unwrap(),
            action: Action::Create,
            cid: Some(record),
            prev: None,
        };
        let words = CommitWords { ops: vec![op.clone()], ..words(&did, &proof, &records) };
        let (bytes, kind) = sent(commit(words, AT).unwrap(), 70_000);
        let Frame::Commit(frame) = decode(&bytes).unwrap() else { panic!("a commit") };
        assert_eq!((kind, frame.seq, frame.time), (EventKind::Commit, 70_000, "2023-11-14T22:13:20.123Z"));
        assert_eq!((frame.event.ops, frame.legacy), (vec![op], None));
        let blocks: Vec<_> =
            car::SliceReader::new(frame.event.blocks, car::CarLimits::DEFAULT).unwrap().collect();
        assert_eq!(blocks.len(), 3, "each block once");

        let rev = Tid::parse("3jzfcijpj2z2b").unwrap();
        let (bytes, _) = sent(sync(&did, rev, Cid::of_cbor(b"commit"), b"commit", AT).unwrap(), 23);
        let Frame::Sync(frame) = decode(&bytes).unwrap() else { panic!("a sync") };
        assert_eq!((frame.seq, frame.rev), (23, rev));

        let (bytes, _) = sent(identity(&did, Some(&handle), AT).unwrap(), 24);
        let Frame::Identity(frame) = decode(&bytes).unwrap() else { panic!("an identity") };
        assert_eq!((frame.seq, frame.handle), (24, Some("alice.example.com")));

        for said in [Said::Active, Said::Deactivated, Said::Takendown, Said::Suspended, Said::Deleted] {
            let (bytes, _) = sent(account(&did, said, AT).unwrap(), i64::MAX >> 10);
            let Frame::Account(frame) = decode(&bytes).unwrap() else { panic!("an account") };
            assert_eq!(
                (frame.seq, frame.active, frame.status),
                ((1 << 53) - 1, said == Said::Active, said.word())
            );
        }
    }

    #[test]
    fn what_no_event_may_hold_is_refused_with_what_to_do() {
        let did = Did::parse("did:web:host.example.com").unwrap();
        let op = |n: usize| EventOp {
            path: format!("com.example.thing/{n}").parse().unwrap(),
            action: Action::Create,
            cid: Some(Cid::of_cbor(b"record")),
            prev: None,
        };
        let ops = |n: usize| (0..n).map(op).collect::<Vec<_>>();
        let many = CommitWords { ops: ops(MAX_OPS + 1), ..words(&did, &[], &[]) };
        let error = commit(many, AT).unwrap_err();
        assert!(error.message.contains("201") && error.name == "InvalidRequest", "{error}");
        let large = vec![0_u8; 1_000_000];
        let records = [(Cid::of_cbor(b"1"), large.as_slice()), (Cid::of_cbor(b"2"), large.as_slice())];
        let error = commit(CommitWords { ops: ops(2), ..words(&did, &[], &records) }, AT).unwrap_err();
        assert!(error.message.contains("2000000 bytes"), "{error}");
        assert!(commit(CommitWords { ops: ops(1), ..words(&did, &[], &records[..1]) }, AT).is_ok());
    }
}
