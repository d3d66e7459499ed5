//! No hostile tree or commit is believed, by any reader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::collections::HashMap;
use std::ops::ControlFlow;

use p2pds_crypto::Signer;
use p2pds_ipld::Cid;
use p2pds_repo::car_in::{ReadError, ReadOptions, Spool, Summary, read_slice, read_stream};
use p2pds_repo::commit::Commit;
use p2pds_repo::mst::{Tree, check_proof, diff, empty_root};
use p2pds_testkit::hostile::commit::commit_cases;
use p2pds_testkit::hostile::mst::{MstCase, mst_cases, unbroken};
use p2pds_testkit::synthetic::account;

type Sink = fn(&[u8], &Cid, Option<&[u8]>) -> ControlFlow<()>;

fn sink() -> Sink {
    |_, _, _| ControlFlow::Continue(())
}

/// What each of the readers says.
fn read(case: &MstCase) -> [Result<Summary, ReadError>; 3] {
    let mut spool = Spool::new(Vec::new(), ReadOptions::DEFAULT);
    let spooled = case
        .car
        .chunks(500)
        .try_for_each(|chunk| spool.feed(chunk, &mut sink()))
        .and_then(|()| spool.finish(&mut sink()))
        .map(|(summary, _)| summary);
    [
        read_stream(&mut case.car.as_slice(), ReadOptions::DEFAULT, &mut sink()),
        read_slice(&case.car, ReadOptions::DEFAULT, &mut sink()),
        spooled,
    ]
}

#[test]
fn the_unbroken_repository_is_read() {
    let case = unbroken();
    for summary in read(&case) {
        let summary = summary.unwrap();
        assert_eq!((summary.records, summary.missing_count, summary.extra), (4, 0, 0));
    }
}

#[test]
fn no_hostile_tree_is_read() {
    let cases = mst_cases();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    for case in &cases {
        for (reader, answer) in ["stream", "slice", "spool"].iter().zip(read(case)) {
            match answer {
                Ok(_) => panic!("{reader} accepted: {}", case.name),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(case.refusal), "{reader} refused {} by saying: {text}", case.name);
                }
            }
        }
    }
}

/// Walking all of it through the other doors: none may come to an end without an error, none may panic.
#[test]
fn no_hostile_tree_is_walked() {
    for case in mst_cases() {
        let sound = |(cid, bytes): &&(Cid, Vec<u8>)| cid.matches(bytes);
        let mut nodes: HashMap<Cid, Vec<u8>> = case.nodes.iter().filter(sound).cloned().collect();
        let found = diff(empty_root(), &mut HashMap::<Cid, Vec<u8>>::new(), case.root, &mut nodes, 100_000);
        assert!(found.is_err(), "diff accepted: {}", case.name);
        for key in [b"com.example.a/000000".as_slice(), b"com.example.a/005000", b"com.example.a/zzz", b"a/a"]
        {
            // A path that passes by the fault is fine; what counts is that it ends.
            let _ = check_proof(case.root, &mut nodes, key);
            let mut tree = Tree::open(case.root);
            let _ = tree.insert(&mut nodes, key, case.root);
            let _ = tree.delete(&mut nodes, key);
            let _ = tree.covering_proof(&mut nodes, [key]);
        }
    }
}

#[test]
fn no_hostile_commit_is_believed() {
    let cases = commit_cases();
    assert!(cases.len() >= 50, "{} cases", cases.len());
    let key = account().1.public_key();
    for case in cases {
        match Commit::decode(&case.bytes) {
            Err(error) => assert!(!case.reads, "{}: {error}", case.name),
            Ok(commit) => {
                assert!(case.reads, "was read: {}", case.name);
                assert!(commit.verify(&key).is_err(), "the signature was believed: {}", case.name);
            }
        }
    }
}
