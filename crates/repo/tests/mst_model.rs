//! Every operation of the engine against the naive tree, for small trees with many layers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod model;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{NodeMap, Random, Records, cid, mined};
use p2pds_ipld::Cid;
use p2pds_repo::mst::{Builder, NodeView, Op, Tree, check_proof, diff, empty_root, invert};

fn bulk(records: &Records) -> (Cid, NodeMap) {
    let mut nodes = NodeMap::new();
    let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
        nodes.insert(*cid, bytes.to_vec());
    });
    for (key, cid) in records {
        builder.push(key, cid).unwrap();
    }
    let root = builder.finish();
    (root, nodes)
}

fn store(nodes: &NodeMap) -> HashMap<Cid, Vec<u8>> {
    nodes.clone().into_iter().collect()
}

/// A commit's worth of random changes; applied to `records`.
fn changes(random: &mut Random, keys: &[Vec<u8>], records: &mut Records, count: usize) -> Vec<Op> {
    let mut ops: BTreeMap<Vec<u8>, Op> = BTreeMap::new();
    for _ in 0..count {
        let key = &keys[random.below(keys.len())];
        if ops.contains_key(key) {
            continue;
        }
        let new = cid(random.next());
        let op = match (records.get(key).copied(), random.below(3)) {
            (None, _) => Op::create(key, new),
            (Some(old), 0) => Op::update(key, old, new),
            (Some(old), _) => Op::delete(key, old),
        };
        match op.new() {
            Some(new) => records.insert(key.clone(), new),
            None => records.remove(key),
        };
        ops.insert(key.clone(), op);
    }
    let mut ops: Vec<Op> = ops.into_values().collect();
    // Any order.
    for i in (1..ops.len()).rev() {
        ops.swap(i, random.below(i + 1));
    }
    ops
}

/// All laws of one commit, from `before` to `after` by `ops`.
fn check_commit(before: &Records, after: &Records, ops: &[Op]) {
    let (old_root, old_nodes) = model::tree(before);
    let (new_root, new_nodes) = model::tree(after);
    assert_eq!(bulk(after), (new_root, new_nodes.clone()), "bulk builder");

    let mut src = store(&old_nodes);
    let mut tree = Tree::open(old_root);
    p2pds_repo::mst::apply(&mut tree, &mut src, ops).unwrap();
    let (mut added, mut retired) = (NodeMap::new(), BTreeSet::new());
    let root = tree.flush(
        |cid, bytes| assert!(added.insert(*cid, bytes.to_vec()).is_none(), "a node was given twice"),
        |cid| assert!(retired.insert(*cid), "a node was retired twice"),
    );
    assert_eq!(root, new_root, "root after ops");
    let want_added: NodeMap =
        new_nodes.iter().filter(|(c, _)| !old_nodes.contains_key(c)).map(|(c, b)| (*c, b.clone())).collect();
    let want_retired: BTreeSet<Cid> =
        old_nodes.keys().filter(|c| !new_nodes.contains_key(c)).copied().collect();
    assert_eq!(added, want_added, "new blocks");
    assert_eq!(retired, want_retired, "retired blocks");

    let proof = tree.covering_proof(&mut src, ops.iter().map(|op| op.key.as_slice())).unwrap();
    for (cid, bytes) in &proof {
        assert_eq!(new_nodes.get(cid), Some(bytes), "the proof holds nodes of the tree only");
    }
    let mut blocks: HashMap<Cid, Vec<u8>> = proof.into_iter().collect();
    assert_eq!(invert(new_root, &mut blocks, ops), Ok(old_root), "inversion from the covering proof");
    for op in ops {
        assert_eq!(check_proof(new_root, &mut blocks, &op.key), Ok(op.new()));
        let mut wrong = ops.to_vec();
        let at = wrong.iter().position(|o| o.key == op.key).unwrap();
        wrong[at] = match op.new() {
            Some(_) => Op::create(&op.key, cid(0)),
            None => Op::delete(&op.key, cid(0)),
        };
        assert_ne!(invert(new_root, &mut blocks, &wrong), Ok(old_root), "a false operation must show");
    }

    let found = diff(old_root, &mut store(&old_nodes), new_root, &mut store(&new_nodes), usize::MAX).unwrap();
    let mut want = ops.to_vec();
    want.sort_by(|a, b| a.key.cmp(&b.key));
    want.retain(|op| op.old() != op.new());
    assert_eq!(found.ops, want, "diff");
    assert!(found.complete);
}

#[test]
fn random_commits_obey_all_laws() {
    for seed in 1..=150u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let layers = mined(6, seed);
        // More of the low layers, some of the high: shapes with gaps of several layers.
        let keys: Vec<Vec<u8>> = layers
            .iter()
            .enumerate()
            .flat_map(|(layer, keys)| keys.iter().take(if seed % 3 == 0 { 6 } else { 7 - layer }).cloned())
            .collect();
        let mut records = Records::new();
        for _ in 0..12 {
            let before = records.clone();
            let count = 1 + random.below(6);
            let ops = changes(&mut random, &keys, &mut records, count);
            check_commit(&before, &records, &ops);
        }
    }
}

/// Every subset of seven keys on chosen layers, and every single change of it.
#[test]
fn all_small_trees_and_all_single_changes() {
    let layers = mined(4, 77);
    for pattern in [[0, 1, 2, 3, 0, 5], [6, 0, 0, 6, 1, 4], [0, 0, 1, 0, 0, 2], [3, 3, 0, 5, 5, 0]] {
        let mut used = [0; 7];
        let keys: Vec<Vec<u8>> = pattern
            .iter()
            .map(|layer: &usize| {
                used[*layer] += 1;
                layers[*layer][used[*layer] - 1].clone()
            })
            .collect();
        for set in 0u32..64 {
            let chosen = |set: u32| -> Records {
                (0..6).filter(|i| set >> i & 1 == 1).map(|i| (keys[i].clone(), cid(i as u64 + 1))).collect()
            };
            let before = chosen(set);
            for (i, key) in keys.iter().enumerate() {
                let after = chosen(set ^ 1 << i);
                let value = cid(i as u64 + 1);
                let op = if set >> i & 1 == 1 { Op::delete(key, value) } else { Op::create(key, value) };
                check_commit(&before, &after, &[op]);
            }
        }
    }
}

#[test]
fn proofs_of_presence_and_absence() {
    let layers = mined(8, 5);
    let keys: Vec<&Vec<u8>> = layers.iter().flatten().collect();
    let records: Records = keys.iter().step_by(2).map(|k| ((*k).clone(), cid(1))).collect();
    let (root, nodes) = bulk(&records);
    let mut src = store(&nodes);
    for key in &keys {
        let mut tree = Tree::open(root);
        let proof = tree.proof(&mut src, key).unwrap();
        assert_eq!(proof.value, records.get(*key).copied());
        let mut blocks: HashMap<Cid, Vec<u8>> = proof.nodes.iter().cloned().collect();
        assert_eq!(check_proof(root, &mut blocks, key), Ok(proof.value));
        for (cid, _) in &proof.nodes {
            let mut less = blocks.clone();
            less.remove(cid);
            assert!(check_proof(root, &mut less, key).is_err(), "every block of the proof is needed");
        }
    }
    let mut empty = Tree::empty();
    let proof = empty.proof(&mut src, b"a/b").unwrap();
    assert_eq!((proof.value, proof.nodes[0].0), (None, empty_root()));
}

#[test]
fn errors_leave_the_tree_as_it_was() {
    let layers = mined(6, 9);
    let records: Records = layers.iter().flatten().map(|k| (k.clone(), cid(1))).collect();
    let (root, nodes) = bulk(&records);
    for key in layers.iter().flatten() {
        for missing in nodes.keys() {
            let mut src = store(&nodes);
            src.remove(missing);
            let mut tree = Tree::open(root);
            let outcome = tree.delete(&mut src, key);
            let after = tree.flush(|_, _| {}, |_| {});
            let mut less = records.clone();
            less.remove(key);
            assert_eq!(after, if outcome.is_ok() { model::tree(&less).0 } else { root });
        }
    }
}

#[test]
fn nodes_survive_reading() {
    let layers = mined(8, 21);
    let records: Records = layers.iter().flatten().map(|k| (k.clone(), cid(1))).collect();
    for bytes in bulk(&records).1.values() {
        NodeView::parse_any(bytes).unwrap();
        for cut in 0..bytes.len() {
            NodeView::parse_any(&bytes[..cut]).unwrap_err();
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        NodeView::parse_any(&longer).unwrap_err();
    }
}
