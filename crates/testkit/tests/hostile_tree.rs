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

use allocation_counter::measure;
use p2pds_crypto::Signer;
use p2pds_ipld::Cid;
use p2pds_repo::car_in::{ReadError, ReadOptions, Spool, Summary, read_slice, read_stream};
use p2pds_repo::commit::Commit;
use p2pds_repo::mst::{NodeView, NodeWriter, Tree, check_proof, diff, empty_root, height};
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

/// A node whose keys share all but their ends: 60 bytes of it are a key of 1,000.
fn shared_prefixes(entries: usize) -> (Cid, Vec<u8>) {
    let mut writer = NodeWriter::new();
    writer.start();
    let (value, mut last, mut made) = (Cid::of_cbor(b"x"), Vec::new(), 0);
    for n in 0.. {
        let key = format!("com.example.a/{}{n:06}", "p".repeat(980)).into_bytes();
        if height(&key) > 0 {
            continue;
        }
        writer.key(&last, &key);
        writer.links(None, &value);
        last = key;
        made += 1;
        if made == entries {
            break;
        }
    }
    let bytes = writer.finish(None).to_vec();
    (Cid::of_cbor(&bytes), bytes)
}

type Work<'w> = &'w mut dyn FnMut(&mut HashMap<Cid, Vec<u8>>);

#[test]
fn keys_that_share_their_beginnings_take_bounded_room() {
    for entries in [8, 64, 1_000, 8_000] {
        let (root, bytes) = shared_prefixes(entries);
        let allowed = 16 * bytes.len() as u64 + (64 << 10);
        let mut nodes = HashMap::from([(root, bytes)]);
        let mut within = |what: &str, work: Work<'_>| {
            let allocated = measure(|| work(&mut nodes)).bytes_total;
            assert!(
                allocated <= allowed,
                "{what} of {entries}: {allocated} bytes allocated, {allowed} allowed"
            );
        };
        let key = b"com.example.a/zzz";
        let small = entries <= 8;
        within("proof", &mut |nodes| assert_eq!(check_proof(root, nodes, key).is_ok(), small));
        within("insert", &mut |nodes| {
            assert_eq!(Tree::open(root).insert(nodes, key, root).is_ok(), small);
        });
        within("delete", &mut |nodes| drop(Tree::open(root).delete(nodes, key)));
        within("covering proof", &mut |nodes| drop(Tree::open(root).covering_proof(nodes, [key.as_slice()])));
        // Its answer holds whole keys, as many changes as the caller allows.
        within("diff", &mut |nodes| {
            drop(diff(empty_root(), &mut HashMap::<Cid, Vec<u8>>::new(), root, nodes, 30));
        });
        within("read", &mut |nodes| drop(NodeView::parse_root(&nodes[&root]).map(|view| view.len())));
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
