//! The tree against the reference implementation: random histories, replayed by the packages from npm.
//!
//! For each commit the root, the set of new nodes, the set of retired nodes and the set of the covering proof must
//! be equal. 200 histories in continuous integration; `P2PDS_MST_SEQUENCES` for more (nightly 100,000, half an hour).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Command, Stdio};

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Bucket, BucketChange, Spine, mark, plan, rebuild};
use p2pds_repo::mst::{Op, Tree, apply, height, invert};
use p2pds_testkit::need;
use p2pds_testkit::random::Random;
use p2pds_testkit::synthetic::any_cid;
use serde_json::{Value, json};

type Records = BTreeMap<Vec<u8>, Cid>;

/// Keys of high layers, found by trying; by chance a small tree has none.
struct Mine(Vec<Vec<Vec<u8>>>);

impl Mine {
    fn new() -> Self {
        let mut random = Random::new(1);
        let mut layers: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 6];
        while layers.iter().any(|keys| keys.len() < 40) {
            let key = key(&mut random);
            if let Some(keys) = layers.get_mut(usize::from(height(&key))) {
                keys.push(key);
            }
        }
        Self(layers)
    }

    fn key(&self, random: &mut Random) -> Vec<u8> {
        let layer = &self.0[random.below(6) as usize];
        layer[random.below(40) as usize].clone()
    }
}

fn key(random: &mut Random) -> Vec<u8> {
    let collections = ["app.bsky.feed.like", "app.bsky.feed.post", "app.bsky.graph.follow", "com.example.x"];
    let collection = collections[random.below(4) as usize];
    match random.below(4) {
        0 => format!("{collection}/{}", random.below(1000)),
        _ => format!("{collection}/3l{:011x}", random.number() >> 20),
    }
    .into_bytes()
}

struct History {
    start: Records,
    commits: Vec<Vec<Op>>,
}

/// The history of a seed.
fn history(seed: u64, mine: &Mine) -> History {
    let mut random = Random::new(seed.wrapping_add(77));
    let mined = random.below(3);
    let fresh = |random: &mut Random| {
        if random.below(4) < mined { mine.key(random) } else { key(random) }
    };
    let mut records = Records::new();
    let size = if random.below(8) == 0 { 56 } else { 20 };
    for _ in 0..random.below(size) + 5 {
        records.insert(fresh(&mut random), any_cid(&mut random));
    }
    let start = records.clone();
    let mut commits = Vec::new();
    for _ in 0..=random.below(6) {
        let mut ops: Vec<Op> = Vec::new();
        // Now and then everything goes.
        let count = if random.below(25) == 0 { 1000 } else { 1 + random.below(8) };
        for _ in 0..count {
            let there = records.len() as u64;
            let known =
                records.iter().nth(random.below(there) as usize).map(|(key, cid)| (key.clone(), *cid));
            let op = match (known, if count == 1000 { 2 } else { random.below(4) }) {
                (Some((key, old)), 1) => Op::update(&key, old, any_cid(&mut random)),
                (Some((key, old)), 2 | 3) => Op::delete(&key, old),
                (None, _) if count == 1000 => break,
                _ => Op::create(&fresh(&mut random), any_cid(&mut random)),
            };
            let twice = ops.iter().any(|before| before.key == op.key);
            if twice || (op.old().is_none() && records.contains_key(&op.key)) {
                continue;
            }
            match op.new() {
                Some(new) => records.insert(op.key.clone(), new),
                None => records.remove(&op.key),
            };
            ops.push(op);
            // The reference remembers the layer of a root that becomes empty within a commit, and leaves empty nodes
            // above what is created next in the same commit. Such trees are kept verbatim; here they are avoided.
            if records.is_empty() {
                break;
            }
        }
        if !ops.is_empty() {
            commits.push(ops);
        }
    }
    History { start, commits }
}

fn text(key: &[u8]) -> &str {
    std::str::from_utf8(key).unwrap()
}

fn request(history: &History) -> Value {
    let start: Vec<Value> =
        history.start.iter().map(|(key, cid)| json!([text(key), cid.to_string()])).collect();
    let op = |op: &Op| {
        let action = match (op.old(), op.new()) {
            (None, _) => "create",
            (_, Some(_)) => "update",
            (_, None) => "delete",
        };
        json!([action, text(&op.key), op.new().map(|cid| cid.to_string())])
    };
    let commits: Vec<Vec<Value>> = history.commits.iter().map(|ops| ops.iter().map(op).collect()).collect();
    json!({ "start": start, "commits": commits })
}

fn set(value: &Value) -> BTreeSet<Cid> {
    value.as_array().unwrap().iter().map(|cid| cid.as_str().unwrap().parse().unwrap()).collect()
}

/// One account, kept three ways: by the tree, by plans over buckets, by marked buckets.
struct Ours {
    records: Records,
    nodes: HashMap<Cid, Vec<u8>>,
    root: Cid,
    spine: Spine,
    marked: Vec<Bucket>,
}

impl Ours {
    fn commit(&mut self, ops: &[Op], want: &Value, seed: u64) {
        let mut tree = Tree::open(self.root);
        apply(&mut tree, &mut self.nodes, ops).unwrap();
        let (mut added, mut removed) = (Vec::new(), BTreeSet::new());
        let root = tree.flush(
            |cid, bytes| added.push((*cid, bytes.to_vec())),
            |cid| {
                removed.insert(*cid);
            },
        );
        let proof = tree.covering_proof(&mut self.nodes, ops.iter().map(|op| op.key.as_slice())).unwrap();
        let cids = |blocks: &[(Cid, Vec<u8>)]| blocks.iter().map(|(cid, _)| *cid).collect::<BTreeSet<_>>();
        let says = |name: &str| &want[name];
        assert_eq!(root.to_string(), says("root").as_str().unwrap(), "root of history {seed}");
        assert_eq!(cids(&added), set(says("added")), "new nodes of history {seed}");
        assert_eq!(removed, set(says("removed")), "retired nodes of history {seed}");
        // Not said for the start.
        let want_proof = if says("proof").is_null() { cids(&proof) } else { set(says("proof")) };
        assert_eq!(cids(&proof), want_proof, "covering proof of history {seed}");
        let mut blocks: HashMap<Cid, Vec<u8>> = proof.into_iter().collect();
        assert_eq!(invert(root, &mut blocks, ops).unwrap(), self.root, "inversion in history {seed}");

        let keys: Vec<&[u8]> = ops.iter().map(|op| op.key.as_slice()).collect();
        let loaded: Vec<_> = self.spine.touched(keys).into_iter().map(|at| (at, self.bucket(at))).collect();
        let planned = plan(&mut self.spine, &loaded, ops).unwrap();
        assert_eq!(planned.root, root, "planned root of history {seed}");
        assert_eq!(cids(&planned.new_nodes), set(says("added")), "planned nodes of history {seed}");
        assert_eq!(planned.retired.into_iter().collect::<BTreeSet<_>>(), set(says("removed")));
        assert_eq!(cids(&planned.proof_blocks), want_proof, "planned proof of history {seed}");
        self.mark(ops);

        for op in ops {
            match op.new() {
                Some(new) => self.records.insert(op.key.clone(), new),
                None => self.records.remove(&op.key),
            };
        }
        for cid in removed {
            self.nodes.remove(&cid);
        }
        self.nodes.extend(added);
        self.root = root;
    }

    fn bucket(&self, at: usize) -> Vec<(Vec<u8>, Cid)> {
        let (lo, end) = self.spine.range(at).unwrap();
        between(&self.records, lo, end)
    }

    fn mark(&mut self, ops: &[Op]) {
        let changes: Vec<(&[u8], Option<Cid>)> = ops.iter().map(|op| (op.key.as_slice(), op.new())).collect();
        let stored = self.marked.clone();
        let changes = mark(&changes, |key, below| {
            let fits = |row: &&Bucket| if below { row.lo.as_slice() < key } else { row.lo.as_slice() <= key };
            stored.iter().rev().find(fits).cloned()
        });
        let mut rows: BTreeMap<Vec<u8>, Bucket> =
            stored.into_iter().map(|row| (row.lo.clone(), row)).collect();
        for change in changes {
            match change {
                BucketChange::Put(row) => drop(rows.insert(row.lo.clone(), row)),
                BucketChange::Delete(lo) => drop(rows.remove(&lo)),
            }
        }
        self.marked = rows.into_values().collect();
    }

    /// The marked buckets, recomputed at the end, must be those of the plans.
    fn finish(self, seed: u64) {
        let los: Vec<Vec<u8>> = self.marked.iter().map(|row| row.lo.clone()).collect();
        let fresh: Vec<Bucket> = self
            .marked
            .into_iter()
            .enumerate()
            .map(|(at, row)| {
                let end = los.get(at + 1).map(Vec::as_slice);
                if row.dirty { rebuild(&row.lo, &between(&self.records, &row.lo, end)).unwrap() } else { row }
            })
            .collect();
        assert_eq!(fresh, self.spine.buckets(), "marked rows of history {seed}");
        assert_eq!(Spine::from_buckets(fresh).unwrap().root(), self.root);
    }
}

fn between(records: &Records, lo: &[u8], end: Option<&[u8]>) -> Vec<(Vec<u8>, Cid)> {
    let inside =
        records.range(lo.to_vec()..).take_while(|(key, _)| end.is_none_or(|end| key.as_slice() < end));
    inside.map(|(key, cid)| (key.clone(), *cid)).collect()
}

#[test]
fn random_histories_equal_the_reference() {
    let Some(oracle) = need::oracle() else { return };
    let count = need::count("P2PDS_MST_SEQUENCES", 200);
    let first = need::count("P2PDS_SEED", 1);
    let mut node = Command::new(oracle.join("scripts/n22"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/mst-diff.mjs"))
        .arg(&oracle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = BufWriter::new(node.stdin.take().unwrap());
    let mut output = BufReader::new(node.stdout.take().unwrap()).lines();
    let writer = std::thread::spawn(move || {
        let mine = Mine::new();
        for seed in first..first + count {
            writeln!(input, "{}", request(&history(seed, &mine))).unwrap();
        }
    });
    let mine = Mine::new();
    let mut commits = 0;
    for seed in first..first + count {
        let history = history(seed, &mine);
        let line = output.next().expect("the reference answers every history").unwrap();
        let answers: Vec<Value> = serde_json::from_str(&line).unwrap();
        assert_eq!(answers.len(), history.commits.len() + 1);
        let mut ours = Ours {
            records: Records::new(),
            nodes: HashMap::new(),
            root: p2pds_repo::mst::empty_root(),
            spine: Spine::empty(),
            marked: vec![Bucket::empty()],
        };
        let start: Vec<Op> = history.start.iter().map(|(key, cid)| Op::create(key, *cid)).collect();
        for (ops, answer) in std::iter::once(&start).chain(&history.commits).zip(&answers) {
            ours.commit(ops, answer, seed);
            commits += 1;
        }
        ours.finish(seed);
        if (seed - first + 1).is_multiple_of(5000) {
            println!("{} histories so far", seed - first + 1);
        }
    }
    writer.join().unwrap();
    assert!(output.next().is_none());
    assert!(node.wait().unwrap().success());
    println!("{count} histories, {commits} commits: equal");
}
