//! Buckets, proofs, blocks by CID, export: what the engine needs from the rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::Spine;
use p2pds_repo::car_in::{ReadOptions, read_slice};
use p2pds_repo::mst::{Builder, Op, check_proof};
use p2pds_syntax::RecordPath;

use super::{Dice, Factory, Rig, body, did, head, key, rev, row, tree};
use crate::view::{self, ExportStream, Stager, block_on};
use crate::{BucketUpdate, Change, Repo, StagedRow, Unit, Version};

pub(super) fn run(factory: Factory<'_>) {
    a_stager_gives_the_root(factory);
    dirty_buckets_are_computed_again(factory);
    planned_writes_agree_with_marked_ones(factory);
    every_block_is_found_and_every_key_is_proved(factory);
    an_export_shows_one_state(factory);
    drift_is_noticed(factory);
}

fn rows(count: usize) -> Vec<StagedRow> {
    let mut dice = Dice(count as u64);
    let mut rows: Vec<_> = (0..count)
        .map(|n| {
            row(&format!("app.test.c{}/{:08}{n:06}", n % 3, dice.below(90_000_000)), &format!("record {n}"))
        })
        .collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

fn spine(rig: &Rig, repo: &Repo) -> Spine {
    block_on(view::load_spine(&*rig.store, repo)).unwrap()
}

fn a_stager_gives_the_root(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    let rows = rows(3_500);
    let mut stager = Stager::begin(Arc::clone(&rig.store), did(0), rev(1)).unwrap();
    rows.iter().for_each(|row| stager.push(row.clone()).unwrap());
    let staged = stager.finish().unwrap();
    let (root, buckets) = tree(rows.iter().map(|r| (&r.key, &r.cid)));
    assert_eq!((staged.root, staged.records), (root, 3_500));
    rig.flip(&did(0), staged.repo, None, head(&did(0), rev(1), root)).unwrap();
    let stored = block_on(rig.store.buckets(staged.repo, true)).unwrap();
    let stored: Vec<_> = stored.into_iter().map(p2pds_repo::bucket::Bucket::from).collect();
    assert_eq!(stored, buckets, "buckets come back as they were staged");
    assert_eq!(spine(&rig, &rig.live(&did(0))).root(), root);
    // An empty repo has one bucket and a root as well.
    rig.add(&did(1));
    let staged = Stager::begin(Arc::clone(&rig.store), did(1), rev(1)).unwrap().finish().unwrap();
    rig.flip(&did(1), staged.repo, None, head(&did(1), rev(1), staged.root)).unwrap();
    assert_eq!(spine(&rig, &rig.live(&did(1))).root(), p2pds_repo::mst::empty_root());
}

/// Random changes to a state, with the state after them.
fn mutate(dice: &mut Dice, state: &mut BTreeMap<RecordPath, Cid>, count: usize) -> Vec<Change> {
    let mut changes = BTreeMap::new();
    while changes.len() < count {
        let existing =
            state.keys().nth(usize::try_from(dice.below(state.len() as u64)).unwrap()).cloned().unwrap();
        let text = format!("changed {}", dice.below(1 << 30));
        let version = Version { cid: Cid::of_cbor(&body(&text)), body: Some(body(&text)), blobs: vec![] };
        let (path, new) = match dice.below(3) {
            0 => (
                key(&format!("app.test.c{}/{:014}", dice.below(4), dice.below(99_999_999_999_999))),
                Some(version),
            ),
            1 => (existing, Some(version)),
            _ => (existing, None),
        };
        if changes.contains_key(&path) {
            continue;
        }
        let old = state.get(&path).copied();
        match &new {
            Some(new) => state.insert(path.clone(), new.cid),
            None => state.remove(&path),
        };
        changes.insert(path.clone(), Change { key: path, old, new });
    }
    changes.into_values().collect()
}

fn dirty_buckets_are_computed_again(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let repo = rig.archive(&did(0), rev(1), &rows(4_000));
    let mut state = rig.state(repo.id, None);
    let mut dice = Dice(9);
    for n in 2..30 {
        let changes = mutate(&mut dice, &mut state, 25);
        let (root, buckets) = tree(state.iter());
        rig.ok(Unit::ApplyCommit {
            did: did(0),
            expect: rev(n - 1),
            head: Box::new(head(&did(0), rev(n), root)),
            changes,
            buckets: BucketUpdate::MarkDirty,
            seen: crate::Seen::default(),
        });
        if n % 5 == 0 {
            let live = rig.live(&did(0));
            assert_eq!(spine(&rig, &live).root(), root, "after commit {n}");
            let stored = block_on(rig.store.buckets(repo.id, true)).unwrap();
            let stored: Vec<_> = stored.into_iter().map(p2pds_repo::bucket::Bucket::from).collect();
            assert_eq!(stored, buckets, "after commit {n}: rebuilt buckets are those of a bulk build");
        }
    }
}

fn planned_writes_agree_with_marked_ones(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let repo = rig.archive(&did(0), rev(1), &rows(4_000));
    let mut state = rig.state(repo.id, None);
    let mut dice = Dice(11);
    let mut cached = spine(&rig, &repo);
    for n in 2..25 {
        let changes = mutate(&mut dice, &mut state, 10);
        let ops: Vec<Op> = changes
            .iter()
            .map(|c| match (c.old, c.new.as_ref().map(|v| v.cid)) {
                (None, Some(new)) => Op::create(c.key.as_bytes(), new),
                (Some(old), Some(new)) => Op::update(c.key.as_bytes(), old, new),
                (old, None) => Op::delete(c.key.as_bytes(), old.unwrap()),
            })
            .collect();
        let live = rig.live(&did(0));
        let plan = block_on(view::plan_write(&*rig.store, &live, &mut cached, &ops)).unwrap();
        let (root, buckets) = tree(state.iter());
        assert_eq!(plan.root, root, "plan {n}");
        rig.ok(Unit::ApplyCommit {
            did: did(0),
            expect: rev(n - 1),
            head: Box::new(head(&did(0), rev(n), root)),
            changes,
            buckets: BucketUpdate::Planned(view::stored_changes(plan.bucket_changes, rev(n))),
            seen: crate::Seen::default(),
        });
        let stored = block_on(rig.store.buckets(repo.id, true)).unwrap();
        assert!(stored.iter().all(|b| !b.dirty));
        let stored: Vec<_> = stored.into_iter().map(p2pds_repo::bucket::Bucket::from).collect();
        assert_eq!(stored, buckets, "plan {n}");
    }
}

fn every_block_is_found_and_every_key_is_proved(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let rows = rows(1_200);
    let repo = rig.archive(&did(0), rev(1), &rows);
    let spine = spine(&rig, &repo);
    let mut nodes: HashMap<Cid, Vec<u8>> = HashMap::new();
    let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
        nodes.insert(*cid, bytes.to_vec());
    });
    rows.iter().for_each(|r| builder.push(r.key.as_bytes(), &r.cid).unwrap());
    let root = builder.finish();
    assert_eq!(root, spine.root());
    let find = |cid: &Cid| block_on(view::block(&*rig.store, &repo, &spine, cid)).unwrap();
    for (cid, bytes) in &nodes {
        assert_eq!(find(cid).as_ref(), Some(bytes), "node {cid}");
    }
    for row in rows.iter().step_by(37) {
        assert_eq!(find(&row.cid), row.body, "record {}", row.key);
    }
    let commit = find(&repo.head.as_ref().unwrap().commit).expect("the commit block");
    assert_eq!(Cid::of_cbor(&commit), repo.head.as_ref().unwrap().commit);
    assert_eq!(find(&Cid::of_cbor(b"foreign")), None);
    let absent = rows.iter().step_by(61).map(|r| format!("{}x", r.key));
    let present = rows.iter().step_by(53).map(|r| r.key.as_str().to_owned());
    let outside = ["a.a.a/0", "zzz.z.z/9"].map(str::to_owned);
    for path in absent.chain(present).chain(outside) {
        let proof = block_on(view::proof(&*rig.store, &repo, &spine, path.as_bytes())).unwrap();
        let mut blocks: HashMap<Cid, Vec<u8>> = proof.nodes.into_iter().collect();
        let proved = check_proof(root, &mut blocks, path.as_bytes()).unwrap();
        let stored = rows.iter().find(|r| r.key.as_str() == path).map(|r| r.cid);
        assert_eq!((proved, proof.value), (stored, stored), "{path}");
    }
}

fn an_export_shows_one_state(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let mut rows = rows(9_000);
    let twin = rows[7].clone();
    rows[100].body = twin.body;
    rows[100].cid = twin.cid;
    let repo = rig.archive(&did(0), rev(1), &rows);
    let spine = Arc::new(spine(&rig, &repo));
    let export = |touch: &dyn Fn(usize)| {
        let mut stream = ExportStream::new(Arc::clone(&rig.store), &repo, Arc::clone(&spine)).unwrap();
        let (mut car, mut pieces) = (Vec::new(), 0);
        while let Some(piece) = block_on(stream.next()).unwrap() {
            car.extend(piece);
            touch(pieces);
            pieces += 1;
        }
        car
    };
    let quiet = export(&|_| {});
    let mut read = Vec::new();
    let mut sink = |key: &[u8], cid: &Cid, body: Option<&[u8]>| {
        read.push((key.to_vec(), *cid, body.map(<[u8]>::to_vec)));
        ControlFlow::Continue(())
    };
    let summary = read_slice(&quiet, ReadOptions::DEFAULT, &mut sink).unwrap();
    assert!(summary.preorder, "streamable order");
    assert_eq!(summary.commit.data, spine.root());
    let want: Vec<_> = rows.iter().map(|r| (r.key.as_bytes().to_vec(), r.cid, r.body.clone())).collect();
    assert!(read == want, "a stranger reads the same records");
    // The head moves while the file is on its way: the file does not change.
    let busy = export(&|piece| {
        let n = 2 + piece as u64;
        let last = &rows[rows.len() - 1 - piece];
        rig.ok(Unit::ApplyCommit {
            did: did(0),
            expect: rev(n - 1),
            head: Box::new(head(&did(0), rev(n), last.cid)),
            changes: vec![Change { key: last.key.clone(), old: Some(last.cid), new: None }],
            buckets: BucketUpdate::MarkDirty,
            seen: crate::Seen::default(),
        });
    });
    assert!(quiet == busy, "an export shows the state that it began with");
    assert!(rig.live(&did(0)).rev > rev(1), "the head did move");
}

fn drift_is_noticed(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let repo = rig.archive(&did(0), rev(1), &rows(500));
    let last = rig.state(repo.id, None).into_iter().next_back().unwrap();
    rig.ok(Unit::ApplyCommit {
        did: did(0),
        expect: rev(1),
        head: Box::new(head(&did(0), rev(2), Cid::of_cbor(b"a root that these records do not give"))),
        changes: vec![Change { key: last.0, old: Some(last.1), new: None }],
        buckets: BucketUpdate::MarkDirty,
        seen: crate::Seen::default(),
    });
    let live = rig.live(&did(0));
    let refused = block_on(view::load_spine(&*rig.store, &live));
    assert!(matches!(refused, Err(view::ViewError::Drift { .. })), "{refused:?}");
}
