//! Commit and sync events that are not what they say: one thing wrong in each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use p2pds_crypto::{Curve, PrivateKey, Signer};
use p2pds_ipld::car::{write_header, write_section};
use p2pds_ipld::{Cid, Codec, cbor};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::event::{Action, CommitEvent, EventError, EventOp, Follows, MAX_SYNC, prove, read_sync};
use p2pds_repo::mst::{InvertError, NoNodes, Op, Tree, apply};
use p2pds_syntax::{Did, RecordPath, Tid};

fn body(text: &str) -> Vec<u8> {
    cbor::encode(&cbor::Value::map([("text", cbor::Value::Text(text.to_owned()))]))
}

fn did() -> Did {
    Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap()
}

fn rev() -> Tid {
    Tid::parse("3lhhxizu5wr2d").unwrap()
}

/// A repository of 300 records, one more commit to it, and the event that tells of it.
struct Story {
    key: PrivateKey,
    blocks: Vec<(Cid, Vec<u8>)>,
    commit: Cid,
    data: Cid,
    prev: Cid,
    ops: Vec<EventOp>,
}

fn story() -> Story {
    let key = PrivateKey::from_entropy(Curve::K256, [3; 32]);
    let path = |i: u32| RecordPath::parse(&format!("com.example.thing/{i:05}")).unwrap();
    let mut tree = Tree::empty();
    for i in 0..300 {
        tree.insert(&mut NoNodes, path(i * 2).as_bytes(), Cid::of_cbor(&body(&i.to_string()))).unwrap();
    }
    let prev = tree.flush(|_, _| {}, |_| {});
    let (first, second) = (body("created"), body("updated"));
    let op = |at, action, cid, prev| EventOp { path: path(at), action, cid, prev };
    let old = |i: u32| Some(Cid::of_cbor(&body(&i.to_string())));
    let ops = vec![
        op(31, Action::Create, Some(Cid::of_cbor(&first)), None),
        op(80, Action::Update, Some(Cid::of_cbor(&second)), old(40)),
        op(120, Action::Delete, None, old(60)),
    ];
    let changes: Vec<Op> = ops
        .iter()
        .map(|op| match (op.cid, op.prev) {
            (Some(new), None) => Op::create(op.path.as_bytes(), new),
            (Some(new), Some(old)) => Op::update(op.path.as_bytes(), old, new),
            (None, Some(old)) => Op::delete(op.path.as_bytes(), old),
            (None, None) => unreachable!(),
        })
        .collect();
    apply(&mut tree, &mut NoNodes, &changes).unwrap();
    let data = tree.flush(|_, _| {}, |_| {});
    let mut blocks = tree.covering_proof(&mut NoNodes, ops.iter().map(|op| op.path.as_bytes())).unwrap();
    blocks.extend([first, second].map(|body| (Cid::of_cbor(&body), body)));
    let commit = Unsigned { did: did(), rev: rev(), data }.sign(&key).unwrap();
    let cid = commit.cid();
    blocks.push((cid, commit.encode()));
    Story { key, blocks, commit: cid, data, prev, ops }
}

impl Story {
    fn car(&self) -> Vec<u8> {
        let mut car = Vec::new();
        write_header(&mut car, &[self.commit]);
        for (cid, bytes) in &self.blocks {
            write_section(&mut car, cid, bytes);
        }
        car
    }

    fn event<'a>(&self, blocks: &'a [u8]) -> CommitEvent<'a> {
        CommitEvent {
            repo: did(),
            rev: rev(),
            since: None,
            commit: self.commit,
            blocks,
            ops: self.ops.clone(),
            prev_data: Some(self.prev),
        }
    }

    fn refused(&self, change: impl FnOnce(&mut CommitEvent<'_>)) -> EventError {
        let car = self.car();
        let mut event = self.event(&car);
        change(&mut event);
        prove(event).unwrap_err()
    }

    /// As an old host tells it.
    fn without_prev(event: &mut CommitEvent<'_>) {
        event.prev_data = None;
        for op in &mut event.ops {
            op.prev = None;
        }
    }
}

#[test]
fn the_story_itself_is_believed() {
    let story = story();
    let car = story.car();
    let verified = prove(story.event(&car)).unwrap().signed_by(&story.key.public_key()).unwrap();
    assert!(verified.inverted());
    assert_eq!(verified.changes().len(), 3);
    let earlier = Tid::parse("3lhhxizu4wr2d").unwrap();
    assert_eq!(verified.follows(earlier, story.prev), Follows::Next);
    assert_eq!(verified.follows(earlier, story.data), Follows::Gap);
    assert_eq!(verified.follows(rev(), story.data), Follows::Same);
    assert_eq!(verified.follows(rev(), story.prev), Follows::Behind);

    let mut old = story.event(&car);
    Story::without_prev(&mut old);
    let verified = prove(old).unwrap().signed_by(&story.key.public_key()).unwrap();
    assert!(!verified.inverted());
    assert_eq!(verified.follows(earlier, story.prev), Follows::Unknown);
    let other = PrivateKey::from_entropy(Curve::K256, [4; 32]);
    assert!(prove(story.event(&car)).unwrap().signed_by(&other.public_key()).is_err());
}

#[test]
fn operations_that_do_not_fit() {
    let story = story();
    // Left out, claimed twice, or turned into another.
    assert!(matches!(story.refused(|e| drop(e.ops.pop())), EventError::PrevData { .. }));
    let twice = |e: &mut CommitEvent<'_>| e.ops.push(e.ops[0].clone());
    assert!(matches!(story.refused(twice), EventError::Invert(InvertError::Repeated { .. })));
    let wrong_old = |e: &mut CommitEvent<'_>| e.ops[1].prev = Some(Cid::of_cbor(b"x"));
    assert!(matches!(story.refused(wrong_old), EventError::PrevData { .. }));
    let wrong_new = |e: &mut CommitEvent<'_>| e.ops[0].cid = Some(Cid::of_cbor(b"x"));
    assert!(matches!(story.refused(wrong_new), EventError::Invert(InvertError::Mismatch { .. })));
    let made_up = |e: &mut CommitEvent<'_>| e.ops[2].path = e.ops[0].path.clone();
    assert!(matches!(story.refused(made_up), EventError::Invert(_)));
    // Not malformed in the number of CIDs.
    for change in [
        |op: &mut EventOp| op.prev = None,
        |op: &mut EventOp| op.cid = None,
        |op: &mut EventOp| op.action = Action::Create,
        |op: &mut EventOp| op.action = Action::Delete,
    ] {
        assert!(matches!(story.refused(|e| change(&mut e.ops[1])), EventError::Op(_)));
    }
    assert!(matches!(story.refused(|e| e.prev_data = Some(Cid::of_cbor(b"x"))), EventError::PrevData { .. }));
}

#[test]
fn operations_of_old_hosts_stand_once_each() {
    let story = story();
    let twice = |e: &mut CommitEvent<'_>| {
        Story::without_prev(e);
        let again = EventOp { action: Action::Update, ..e.ops[0].clone() };
        e.ops.push(again);
    };
    assert!(matches!(story.refused(twice), EventError::Invert(InvertError::Repeated { .. })));
}

#[test]
fn blocks_that_do_not_fit() {
    let mut story = story();
    for at in 0..story.blocks.len() {
        let block = story.blocks.remove(at);
        let car = story.car();
        assert!(prove(story.event(&car)).is_err(), "without block {at}");
        let mut other = block.clone();
        other.1.push(0);
        story.blocks.insert(at, other);
        let car = story.car();
        assert!(prove(story.event(&car)).is_err(), "with another block {at}");
        story.blocks[at] = block;
    }
}

#[test]
fn fields_that_do_not_fit_the_commit() {
    let story = story();
    let other = Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oia").unwrap();
    assert!(matches!(story.refused(|e| e.repo = other), EventError::Disagree("repo")));
    assert!(matches!(story.refused(|e| e.rev = Tid::MIN), EventError::Disagree("rev")));
    assert!(matches!(story.refused(|e| e.commit = Cid::of_cbor(b"x")), EventError::NoCommit(_)));
    assert!(matches!(story.refused(|e| e.ops = vec![e.ops[0].clone(); 201]), EventError::TooManyOps(201)));
}

#[test]
fn a_commit_is_cbor_by_its_cid() {
    let mut story = story();
    let (cid, bytes) = story.blocks.pop().unwrap();
    let raw = Cid::new(Codec::Raw, *cid.digest());
    story.commit = raw;
    story.blocks.push((raw, bytes));
    let car = story.car();
    assert!(matches!(prove(story.event(&car)), Err(EventError::NoCommit(_))));
    story.blocks.drain(..story.blocks.len() - 1);
    assert!(read_sync(&did(), rev(), &story.car()).is_err());
}

#[test]
fn sync_events_hold_a_commit_and_little_more() {
    let mut story = story();
    story.blocks.drain(..story.blocks.len() - 1);
    assert_eq!(read_sync(&did(), rev(), &story.car()).unwrap().data, story.data);
    assert!(matches!(read_sync(&did(), Tid::MIN, &story.car()), Err(EventError::Disagree("rev"))));
    let long = vec![0; MAX_SYNC as usize];
    story.blocks.push((Cid::of_raw(&long), long));
    assert!(matches!(read_sync(&did(), rev(), &story.car()), Err(EventError::Car(_))));
}
