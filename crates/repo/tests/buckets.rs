//! Buckets, spine and plans against the naive tree, in every state of random histories.
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
use p2pds_repo::bucket::{
    Bucket, BucketBuilder, BucketChange, PlanError, RunNodes, Spine, SpineError, Warm, is_spine_key, mark,
    nodes_of, plan, preview, proof, proof_in, rebuild,
};
use p2pds_repo::mst::{InvertError, Op, Tree, check_proof, invert};

type Loaded = Vec<(usize, Vec<(Vec<u8>, Cid)>)>;

fn rows(records: &Records) -> (Cid, Vec<Bucket>) {
    let mut rows = Vec::new();
    let mut builder = BucketBuilder::new(|bucket| rows.push(bucket));
    for (key, cid) in records {
        builder.push(key, cid).unwrap();
    }
    let built = builder.finish();
    assert_eq!((built.records, built.buckets), (records.len() as u64, rows.len() as u64));
    assert_eq!(built.widest, rows.iter().map(|b| b.n).max().unwrap());
    (built.root, rows)
}

/// What a store would load for a bucket.
fn load(spine: &Spine, records: &Records, keys: &[&[u8]]) -> Loaded {
    let list = |index: usize| {
        let (lo, end) = spine.range(index).unwrap();
        let inside =
            records.range(lo.to_vec()..).take_while(|(key, _)| end.is_none_or(|end| key.as_slice() < end));
        (index, inside.map(|(key, cid)| (key.clone(), *cid)).collect())
    };
    spine.touched(keys.iter().copied()).into_iter().map(list).collect()
}

fn store_changes(rows: &[Bucket], changes: &[BucketChange]) -> Vec<Bucket> {
    let mut by_lo: BTreeMap<Vec<u8>, Bucket> = rows.iter().map(|row| (row.lo.clone(), row.clone())).collect();
    for change in changes {
        match change {
            BucketChange::Put(row) => drop(by_lo.insert(row.lo.clone(), row.clone())),
            BucketChange::Delete(lo) => {
                assert!(by_lo.remove(lo).is_some(), "a row is deleted that was not there")
            }
        }
    }
    by_lo.into_values().collect()
}

fn random_ops(random: &mut Random, keys: &[Vec<u8>], records: &Records, count: usize) -> Vec<Op> {
    let mut ops: BTreeMap<Vec<u8>, Op> = BTreeMap::new();
    for _ in 0..count {
        let key = &keys[random.below(keys.len())];
        let new = cid(random.next());
        let op = match (records.get(key).copied(), random.below(3)) {
            (None, _) => Op::create(key, new),
            (Some(old), 0) => Op::update(key, old, new),
            (Some(old), _) => Op::delete(key, old),
        };
        ops.insert(key.clone(), op);
    }
    ops.into_values().collect()
}

fn changed(records: &Records, ops: &[Op]) -> Records {
    let mut after = records.clone();
    for op in ops {
        match op.new() {
            Some(new) => drop(after.insert(op.key.clone(), new)),
            None => drop(after.remove(&op.key)),
        }
    }
    after
}

#[test]
fn plans_equal_the_bulk_build_in_every_state() {
    for seed in 1..=120u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let layers = mined(8, seed);
        let keys: Vec<Vec<u8>> = layers.into_iter().flatten().collect();
        let mut records = Records::new();
        let mut spine = Spine::empty();
        let mut lean = Spine::empty();
        let (mut hot, mut warm) = (Spine::empty(), Warm::default());
        for round in 0..15 {
            let count = 1 + random.below(10);
            let ops = random_ops(&mut random, &keys, &records, count);
            let after = changed(&records, &ops);
            let (old_root, old_nodes) = model::tree(&records);
            let (root, nodes) = model::tree(&after);
            let touched: Vec<&[u8]> = ops.iter().map(|op| op.key.as_slice()).collect();
            let loaded = load(&spine, &records, &touched);
            let before = spine.buckets().to_vec();
            let dry = preview(&spine, &loaded, &ops).unwrap();
            let made = plan(&mut spine, &loaded, &ops).unwrap();
            assert_eq!(dry, made);
            let made_lean = plan(&mut lean, &loaded, &ops).unwrap();
            assert_eq!(made.root, made_lean.root);
            // Runs that are kept from plan to plan, all of them or some.
            for index in warm.missing(&hot, touched.iter().copied()) {
                let (_, rows) = loaded.iter().find(|(at, _)| *at == index).unwrap();
                warm.load(&hot, index, rows).unwrap();
            }
            for op in &ops {
                assert_eq!(warm.get(&hot, &op.key), op.old());
            }
            assert_eq!(warm.plan(&mut hot, &ops).unwrap(), made, "from kept runs");
            assert_eq!(hot.buckets(), spine.buckets());
            if round % 4 == 3 {
                warm.trim(round / 4);
            }

            assert_eq!((made.prev_root, made.root, spine.root()), (old_root, root, root));
            let added: NodeMap = made.new_nodes.iter().cloned().collect();
            let want: NodeMap = nodes
                .iter()
                .filter(|(c, _)| !old_nodes.contains_key(c))
                .map(|(c, b)| (*c, b.clone()))
                .collect();
            assert_eq!(added, want);
            let retired: BTreeSet<Cid> = made.retired.iter().copied().collect();
            assert_eq!(retired, old_nodes.keys().filter(|c| !nodes.contains_key(c)).copied().collect());

            let (bulk_root, bulk_rows) = rows(&after);
            assert_eq!(bulk_root, root);
            assert_eq!(store_changes(&before, &made.bucket_changes), bulk_rows, "stored rows");
            assert_eq!(spine.buckets(), bulk_rows, "rows in the spine");

            let mut src: HashMap<Cid, Vec<u8>> = nodes.clone().into_iter().collect();
            let mut tree = Tree::open(root);
            let mut keys_in_order = touched.clone();
            keys_in_order.sort_unstable();
            assert_eq!(tree.covering_proof(&mut src, keys_in_order).unwrap(), made.proof_blocks);
            let mut blocks: HashMap<Cid, Vec<u8>> = made.proof_blocks.into_iter().collect();
            assert_eq!(invert(root, &mut blocks, &ops), Ok(old_root));
            records = after;

            // The same spine again from the rows.
            let bare = |mut row: Bucket| {
                row.prefixes.clear();
                row
            };
            assert_eq!(Spine::from_buckets(bulk_rows.clone()).unwrap().root(), root);
            lean = Spine::from_buckets(bulk_rows.into_iter().map(bare).collect()).unwrap();
            check_every_cid(&spine, &records, &nodes);
        }
    }
}

/// Every node and record is found by its CID, and proofs from buckets hold.
fn check_every_cid(spine: &Spine, records: &Records, nodes: &NodeMap) {
    let all = |index: usize| {
        load(spine, records, &[spine.range(index).unwrap().0]).into_iter().find(|(i, _)| *i == index)
    };
    let mut computed: BTreeMap<Cid, Vec<u8>> = BTreeMap::new();
    for index in 0..spine.buckets().len() {
        let lo = spine.range(index).unwrap().0;
        computed.extend(nodes_of(lo, &all(index).unwrap().1).unwrap());
    }
    for (cid, bytes) in nodes {
        if records.is_empty() {
            continue;
        }
        match spine.node(cid) {
            Some(node) => assert_eq!(node, bytes),
            None => {
                assert_eq!(computed.get(cid), Some(bytes));
                assert!(!spine.find(cid).is_empty());
            }
        }
    }
    for (key, cid) in records {
        assert!(spine.find(cid).contains(&spine.bucket_of(key)));
    }
    assert!(spine.find(&cid(u64::MAX)).len() <= 1);
    for key in records.keys().take(5).cloned().chain([b"zz/none".to_vec()]) {
        let shown = proof(spine, &load(spine, records, &[&key]), &key).unwrap();
        assert_eq!(shown.value, records.get(&key).copied());
        let runs: Vec<RunNodes> = load(spine, records, &[&key])
            .iter()
            .map(|(index, run)| RunNodes::load(spine, *index, run).unwrap())
            .collect();
        assert_eq!(proof_in(spine, &runs.iter().collect::<Vec<_>>(), &key).unwrap(), shown);
        let mut blocks: HashMap<Cid, Vec<u8>> = shown.nodes.into_iter().collect();
        assert_eq!(check_proof(spine.root(), &mut blocks, &key), Ok(shown.value));
    }
}

#[test]
fn marked_buckets_rebuild_to_the_same_rows() {
    for seed in 1..=100u64 {
        let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95) | 1);
        let keys: Vec<Vec<u8>> = mined(6, seed).into_iter().flatten().collect();
        let mut records = Records::new();
        let mut stored = vec![Bucket::empty()];
        for _ in 0..20 {
            let count = 1 + random.below(8);
            let ops = random_ops(&mut random, &keys, &records, count);
            let mut changes: Vec<(&[u8], Option<Cid>)> =
                ops.iter().map(|op| (op.key.as_slice(), op.new())).collect();
            changes.reverse();
            let rows_now = stored.clone();
            let marks = mark(&changes, |key, below| {
                let at_most =
                    |row: &&Bucket| if below { row.lo.as_slice() < key } else { row.lo.as_slice() <= key };
                rows_now.iter().rev().find(at_most).cloned()
            });
            stored = store_changes(&stored, &marks);
            records = changed(&records, &ops);
            // Sometimes leave the marks for the next commit.
            if random.below(3) == 0 {
                assert!(matches!(Spine::from_buckets(stored.clone()), Err(SpineError::Dirty { .. })));
                continue;
            }
            let los: Vec<Vec<u8>> = stored.iter().map(|row| row.lo.clone()).collect();
            for (at, row) in stored.iter_mut().enumerate().filter(|(_, row)| row.dirty) {
                let inside: Vec<(Vec<u8>, Cid)> = records
                    .range(row.lo.clone()..)
                    .take_while(|(key, _)| los.get(at + 1).is_none_or(|end| *key < end))
                    .map(|(key, cid)| (key.clone(), *cid))
                    .collect();
                let lo_cid = row.lo_cid;
                *row = rebuild(&row.lo, &inside).unwrap();
                assert_eq!(row.lo_cid, lo_cid, "marks keep the record at the spine key");
            }
            let (root, bulk) = rows(&records);
            assert_eq!(stored, bulk);
            assert_eq!(Spine::from_buckets(stored.clone()).unwrap().root(), root);
        }
    }
}

fn some() -> (Records, Spine) {
    let records: Records = mined(8, 3).into_iter().flatten().map(|key| (key, cid(1))).collect();
    let spine = Spine::from_buckets(rows(&records).1).unwrap();
    (records, spine)
}

#[test]
fn records_of_another_bucket_are_refused() {
    let (records, spine) = some();
    let lo = spine.buckets().last().unwrap().lo.clone();
    let low = records.keys().find(|key| !is_spine_key(key)).unwrap().clone();
    assert!(low < lo);
    let mixed = [(lo.clone(), cid(1)), (low, cid(1))];
    assert!(rebuild(&lo, &mixed).is_err());
    assert!(nodes_of(&lo, &mixed).is_err());
    assert!(rebuild(&lo, &mixed[1..]).is_err() && rebuild(&lo, &mixed[..0]).is_err());
}

#[test]
fn a_record_is_cbor_by_its_cid() {
    // The node codec would refuse the tree when it is read again.
    let (records, mut spine) = some();
    let key = records.keys().find(|key| !is_spine_key(key)).unwrap().clone();
    let new = b"com.example.new/1".to_vec();
    let raw = Cid::of_raw(b"x");
    for op in [Op::update(&key, cid(1), raw), Op::create(&new, raw)] {
        let loaded = load(&spine, &records, &[&op.key]);
        assert!(matches!(plan(&mut spine, &loaded, &[op]), Err(PlanError::Op(InvertError::Tree(_)))));
    }
}

#[test]
fn wrong_plans_are_refused_and_change_nothing() {
    let (records, mut spine) = some();
    let before = spine.buckets().to_vec();
    let root = spine.root();
    let low = records.keys().find(|key| !is_spine_key(key)).unwrap().clone();
    let high = records.keys().find(|key| is_spine_key(key)).unwrap().clone();
    let good = load(&spine, &records, &[&low]);
    let nothing: Loaded = vec![];
    let delete = Op::delete(&low, cid(1));
    let twice = [delete.clone(), delete.clone()];
    assert!(matches!(plan(&mut spine, &nothing, &twice[..1]), Err(PlanError::NotLoaded { .. })));
    assert!(matches!(plan(&mut spine, &good, &twice), Err(PlanError::Op(InvertError::Repeated { .. }))));
    for wrong in [Op::delete(&low, cid(2)), Op::create(&low, cid(2)), Op::update(&low, cid(2), cid(3))] {
        assert!(matches!(
            plan(&mut spine, &good, &[wrong]),
            Err(PlanError::Op(InvertError::Mismatch { .. }))
        ));
    }
    let mut drifted = good.clone();
    drifted[0].1.retain(|(key, _)| *key != low);
    assert!(matches!(plan(&mut spine, &drifted, &twice[..1]), Err(PlanError::Drift { .. })));
    let mut unsorted = good.clone();
    unsorted[0].1.reverse();
    assert!(matches!(
        plan(&mut spine, &unsorted, &[delete]),
        Err(PlanError::Records { .. } | PlanError::Drift { .. })
    ));
    let mut one_only = load(&spine, &records, &[&high]);
    one_only.remove(0);
    assert!(matches!(
        plan(&mut spine, &one_only, &[Op::delete(&high, cid(1))]),
        Err(PlanError::NotLoaded { .. })
    ));
    assert_eq!((spine.buckets(), spine.root()), (before.as_slice(), root));
}

#[test]
fn damaged_rows_are_refused() {
    let (_, spine) = some();
    let rows = spine.buckets().to_vec();
    assert!(rows.len() > 3);
    let refuse = |change: &dyn Fn(&mut Vec<Bucket>)| {
        let mut rows = rows.clone();
        change(&mut rows);
        assert!(matches!(Spine::from_buckets(rows), Err(SpineError::Damaged { .. })));
    };
    refuse(&|rows| rows.clear());
    refuse(&|rows| drop(rows.remove(0)));
    refuse(&|rows| rows.swap(1, 2));
    refuse(&|rows| rows[1].lo_cid = None);
    refuse(&|rows| rows[0].lo_cid = Some(cid(1)));
    refuse(&|rows| rows[1].layer_root = Some((4, cid(1))));
    refuse(&|rows| rows[2].lo = b"a/b".to_vec());
}

#[test]
fn too_many_neighbours_on_one_layer_are_refused() {
    // 1,025 keys of layer 0 without any other: one node.
    let mut records = Records::new();
    let mut n = 0u64;
    let mut fresh = || loop {
        n += 1;
        let key = format!("com.example.a/{n:09}").into_bytes();
        if p2pds_repo::mst::height(&key) == 0 {
            return key;
        }
    };
    while records.len() < 1024 {
        records.insert(fresh(), cid(1));
    }
    let mut spine = Spine::from_buckets(rows(&records).1).unwrap();
    let key = fresh();
    let loaded = load(&spine, &records, &[&key]);
    let refused = plan(&mut spine, &loaded, &[Op::create(&key, cid(2))]);
    assert!(matches!(refused, Err(PlanError::TooWide { .. })), "{refused:?}");
    // Leaving is always possible.
    let key = records.keys().next().unwrap().clone();
    plan(&mut spine, &loaded, &[Op::delete(&key, cid(1))]).unwrap();
}

#[test]
fn a_dense_account_still_plans() {
    // No spine keys at all: one bucket holds everything.
    let mut records = Records::new();
    for n in 0u64.. {
        let key = format!("com.example.a/{n:09}").into_bytes();
        if !is_spine_key(&key) {
            records.insert(key, cid(n));
        }
        if records.len() == 6000 {
            break;
        }
    }
    let (_, all) = rows(&records);
    assert!(all.len() == 1 && all[0].is_dense());
    let mut spine = Spine::from_buckets(all).unwrap();
    let key = b"com.example.b/x".to_vec();
    let loaded = load(&spine, &records, &[&key]);
    let made = plan(&mut spine, &loaded, &[Op::create(&key, cid(1))]).unwrap();
    records.insert(key, cid(1));
    assert_eq!(made.root, model::tree(&records).0);
}
