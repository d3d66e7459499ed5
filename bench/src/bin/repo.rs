//! The repo engine beside public libraries. Without arguments all of it, written to docs/performance.md; with some of
//! `verify build insert invert diff buckets`, or with `quick`, without the slow ones and printed only.
//!
//! Figures are thread CPU time, median of several runs, everything in one process.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use p2pds_bench::measure::{each, peak, time};
use p2pds_bench::others::{atrium, repo_stream, shrike};
use p2pds_bench::report::{self, Table, mib, micros, millis, ratio};
use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader};
use p2pds_ipld::{Cid, car, sha256};
use p2pds_repo::bucket::{Bucket, BucketBuilder, Spine, plan};
use p2pds_repo::car_in::{ReadOptions, Summary, read_slice, read_stream};
use p2pds_repo::commit::{Commit, Unsigned};
use p2pds_repo::mst::{Blocks, Builder, NodeView, Op, Own, Tree, apply, diff, invert};
use p2pds_syntax::Tid;
use p2pds_testkit::random::Random;
use p2pds_testkit::synthetic::{self, Order, any_cid};

const SEED: u64 = 20;
const COUNT: usize = 200_000;
const LARGE: usize = 2_000_000;

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let all = chosen.is_empty();
    let quick = !all;
    let wants = |part: &str| all || chosen.iter().any(|name| name == part || name == "quick");
    let mut text = String::from(
        "\nThread CPU time, median of several runs. Times beside a library are its own against ours; the target is the\n\
         ratio that this project promised itself. The synthetic repository: 60 % likes, 20 % posts, 15 % follows.\n",
    );
    let machine = Machine::new();
    if wants("verify") {
        text.push_str(&verify(&machine, quick));
    }
    let tree = Trees::new();
    if wants("build") {
        text.push_str(&build(&tree, &machine, quick));
    }
    if wants("insert") {
        text.push_str(&insert(&tree, &machine));
    }
    if wants("invert") {
        text.push_str(&inversion(&tree, &machine));
    }
    if wants("diff") {
        text.push_str(&difference(&tree));
    }
    if wants("buckets") {
        text.push_str(&buckets(&tree, quick));
    }
    if all {
        report::write("bench:repo", &text);
    } else {
        println!("{text}");
    }
}

struct Machine {
    runtime: tokio::runtime::Runtime,
}

impl Machine {
    fn new() -> Self {
        Self { runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime") }
    }
}

// ---- verifying whole repositories

fn ours_stream(car: &[u8]) -> Summary {
    let mut source = car;
    read_stream(&mut source, ReadOptions::DEFAULT, &mut |_: &[u8], _: &Cid, body: Option<&[u8]>| {
        std::hint::black_box(body);
        ControlFlow::Continue(())
    })
    .expect("a repository")
}

fn ours_slice(car: &[u8]) -> Summary {
    read_slice(car, ReadOptions::DEFAULT, &mut |_: &[u8], _: &Cid, body: Option<&[u8]>| {
        std::hint::black_box(body);
        ControlFlow::Continue(())
    })
    .expect("a repository")
}

fn verify(machine: &Machine, quick: bool) -> String {
    let mut text = String::new();
    for (order, name, target, limit) in [
        (Order::Preorder, "streamable (pre-order)", 3.2, 0.5),
        (Order::NodesLast, "records, then nodes", 1.8, 0.28),
        (Order::Shuffled, "shuffled (by CID)", 1.8, 0.28),
    ] {
        let (car, _) = synthetic::car(SEED, COUNT, order);
        let mb = car.len() as f64 / 1e6;
        let title = format!("Verify a CAR of {COUNT} records, {mb:.1} MB, blocks {name}");
        let mut table = Table::new(
            &title,
            &["", "MB/s", "of the SHA-256 pass", "its time / ours", "peak memory MiB", "checks"],
        );
        let sha = time(9, || sha256(&car));
        let mut rows: Vec<(&str, f64, usize, &str)> = Vec::new();
        let all = "hash, order, layer, canonical, complete";
        if order == Order::Preorder {
            rows.push(("**p2pds**, stream", time(9, || ours_stream(&car)), peak(|| ours_stream(&car)), all));
        }
        rows.push(("**p2pds**, in memory", time(9, || ours_slice(&car)), peak(|| ours_slice(&car)), all));
        rows.push((
            "shrike, slice and tree",
            time(5, || shrike::verify(&car)),
            peak(|| shrike::verify(&car)),
            "hash, order, complete",
        ));
        if !quick {
            rows.push((
                "shrike load_car",
                time(3, || shrike::load(&car)),
                peak(|| shrike::load(&car)),
                "hash, order, complete",
            ));
        }
        let stream = || repo_stream::verify(&machine.runtime, &car);
        rows.push(("repo-stream", time(3, stream), peak(stream), "hash, order, layer, complete"));
        let atrium = || atrium::verify(&machine.runtime, &car);
        rows.push(("atrium-repo", time(3, atrium), peak(atrium), "hash"));
        let ours = rows[0].1;
        table.row(&[
            "SHA-256 pass, the limit".into(),
            format!("{:.0}", mb / sha),
            "1.00".into(),
            String::new(),
            String::new(),
            String::new(),
        ]);
        for (name, seconds, memory, checks) in &rows {
            let beside = if name.starts_with("**") { String::new() } else { ratio(seconds / ours) };
            table.row(&[
                (*name).into(),
                format!("{:.0}", mb / seconds),
                ratio(sha / seconds),
                beside,
                mib(*memory),
                (*checks).into(),
            ]);
        }
        let fastest = rows.iter().filter(|r| !r.0.starts_with("**")).map(|r| r.1).fold(f64::MAX, f64::min);
        text.push_str(&table.text());
        let _ = writeln!(
            text,
            "\n{} times the fastest (target {target}), {} of the SHA-256 pass (target {limit}).",
            ratio(fastest / ours),
            ratio(sha / ours)
        );
    }
    if !quick {
        let (car, _) = synthetic::car(SEED, LARGE, Order::Preorder);
        let mb = car.len() as f64 / 1e6;
        let seconds = time(1, || ours_stream(&car));
        let memory = peak(|| ours_stream(&car));
        let _ = writeln!(
            text,
            "\n{LARGE} records in streamable order ({mb:.0} MB): {:.0} MB/s, peak memory {} MiB (target 64 at most).",
            mb / seconds,
            mib(memory)
        );
    }
    text
}

// ---- trees

struct Trees {
    records: Vec<(Vec<u8>, Cid)>,
    root: Cid,
    nodes: HashMap<Cid, Vec<u8>>,
}

impl Trees {
    fn new() -> Self {
        let records: Vec<_> =
            synthetic::records(SEED, COUNT).map(|(key, body)| (key, Cid::of_cbor(&body))).collect();
        let mut nodes = HashMap::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
            nodes.insert(*cid, bytes.to_vec());
        });
        for (key, cid) in &records {
            builder.push(key, cid).expect("sorted");
        }
        let root = builder.finish();
        Self { records, root, nodes }
    }

    /// Keys that are not there: `append` as a client writes them now, else anywhere.
    fn new_keys(&self, count: usize, append: bool) -> Vec<(Vec<u8>, Cid)> {
        let mut random = Random::new(if append { 5 } else { 6 });
        let collections = ["app.bsky.feed.like", "app.bsky.feed.post", "app.bsky.graph.follow"];
        (0..count)
            .map(|n| {
                let micros = if append {
                    1_900_000_000_000_000 + n as u64
                } else {
                    1_672_531_200_000_000 + random.below(1 << 45)
                };
                let tid = Tid::from_micros(micros, u16::try_from(random.below(1024)).expect("small"));
                let collection = collections[random.below(3) as usize];
                (format!("{collection}/{tid}").into_bytes(), any_cid(&mut random))
            })
            .collect()
    }
}

fn text_of(key: &[u8]) -> String {
    String::from_utf8(key.to_vec()).expect("a key")
}

fn build(trees: &Trees, machine: &Machine, quick: bool) -> String {
    let ours = || {
        let mut bytes = 0;
        let mut builder = Builder::new(|_: &Cid, node: &[u8]| bytes += node.len());
        for (key, cid) in &trees.records {
            builder.push(key, cid).expect("sorted");
        }
        builder.finish()
    };
    assert_eq!(ours(), trees.root);
    let with_buckets = || {
        let mut rows = 0;
        let mut builder = BucketBuilder::new(|_: Bucket| rows += 1);
        for (key, cid) in &trees.records {
            builder.push(key, cid).expect("sorted");
        }
        builder.finish()
    };
    let list: Vec<_> = trees.records.iter().map(|(key, cid)| (text_of(key), shrike::cid(cid))).collect();
    assert_eq!(shrike::build(&list), shrike::cid(&trees.root));
    let own = time(9, ours);
    let mut rows = vec![
        ("**p2pds**, bulk", own, peak(ours)),
        ("**p2pds**, bulk with bucket rows", time(9, with_buckets), peak(with_buckets)),
        ("shrike, sorted, one flush", time(5, || shrike::build(&list)), peak(|| shrike::build(&list))),
    ];
    if !quick {
        let list: Vec<_> = trees.records.iter().map(|(key, cid)| (text_of(key), atrium::cid(cid))).collect();
        let work = || atrium::build(&machine.runtime, &list);
        rows.push(("atrium-repo, sorted", time(1, work), 0));
    }
    let mut table = Table::new(
        &format!("Build the tree of {COUNT} sorted records"),
        &["", "ms", "µs per record", "its time / ours", "peak memory MiB"],
    );
    for (name, seconds, memory) in &rows {
        let beside = if name.starts_with("**") { String::new() } else { ratio(seconds / own) };
        let memory = if *memory == 0 { String::new() } else { mib(*memory) };
        table.row(&[
            (*name).into(),
            millis(*seconds),
            format!("{:.3}", seconds * 1e6 / COUNT as f64),
            beside,
            memory,
        ]);
    }
    format!(
        "{}\n{} times shrike (target 3.5). repo-stream does not write.\n",
        table.text(),
        ratio(rows[2].1 / own)
    )
}

fn insert(trees: &Trees, machine: &Machine) -> String {
    let mut table = Table::new(
        &format!("One insert into a tree of {COUNT} in memory, only its root known"),
        &["", "append µs", "its time / ours", "random key µs", "its time / ours"],
    );
    let shrike_store = shrike::store(&trees.nodes);
    let shrike_root = shrike::cid(&trees.root);
    let atrium_store: HashMap<_, _> =
        trees.nodes.iter().map(|(cid, bytes)| (atrium::cid(cid), bytes.clone())).collect();
    let atrium_root = atrium::cid(&trees.root);
    let mut columns = Vec::new();
    let mut nodes = trees.nodes.clone();
    for append in [true, false] {
        let keys = trees.new_keys(1000, append);
        let (key, cid) = &keys[0];
        let mut tree = Tree::open(trees.root);
        tree.insert(&mut nodes, key, *cid).expect("inserted");
        let root = tree.flush(|_, _| {}, |_| {});
        assert_eq!(
            shrike::insert(&shrike_store, shrike_root, &text_of(key), shrike::cid(cid)),
            shrike::cid(&root)
        );
        let ours = each(&keys, |(key, cid)| {
            let mut tree = Tree::open(trees.root);
            tree.insert(&mut Own(&mut nodes), key, *cid).expect("inserted");
            let mut new = Vec::with_capacity(16);
            tree.flush(|cid, bytes| new.push((*cid, bytes.to_vec())), |_| {});
            std::hint::black_box(new);
        });
        let list: Vec<_> = keys.iter().map(|(key, cid)| (text_of(key), shrike::cid(cid))).collect();
        let shrike = each(&list, |(key, cid)| {
            std::hint::black_box(shrike::insert(&shrike_store, shrike_root, key, *cid));
        });
        let list: Vec<_> = keys.iter().take(200).map(|(key, cid)| (text_of(key), atrium::cid(cid))).collect();
        let atrium = each(&list, |(key, cid)| {
            std::hint::black_box(atrium::insert(&machine.runtime, &atrium_store, atrium_root, key, *cid));
        });
        columns.push([ours, shrike, atrium]);
    }
    for (at, name) in ["**p2pds**", "shrike", "atrium-repo"].into_iter().enumerate() {
        let beside = |column: &[f64; 3]| if at == 0 { String::new() } else { ratio(column[at] / column[0]) };
        table.row(&[
            name.into(),
            micros(columns[0][at]),
            beside(&columns[0]),
            micros(columns[1][at]),
            beside(&columns[1]),
        ]);
    }
    format!(
        "{}\n{} (append) and {} (random) times shrike (target 3).\n",
        table.text(),
        ratio(columns[0][1] / columns[0][0]),
        ratio(columns[1][1] / columns[1][0])
    )
}

/// The blocks of an event: commit, covering proof, record.
struct Event {
    car: Vec<u8>,
    data: Cid,
    ops: Vec<Op>,
}

fn event(trees: &Trees, nodes: &mut HashMap<Cid, Vec<u8>>, op: Op, body: &[u8]) -> Event {
    let mut tree = Tree::open(trees.root);
    apply(&mut tree, nodes, [&op]).expect("applied");
    let data = tree.flush(|_, _| {}, |_| {});
    let proof = tree.covering_proof(nodes, [op.key.as_slice()]).expect("a proof");
    let (did, key) = synthetic::account();
    let commit =
        Unsigned { did, rev: Tid::from_micros(1_900_000_000_000_000, 3), data }.sign(&key).expect("signed");
    let mut car = Vec::new();
    car::write_header(&mut car, &[commit.cid()]);
    car::write_section(&mut car, &commit.cid(), &commit.encode());
    for (cid, bytes) in proof {
        car::write_section(&mut car, &cid, &bytes);
    }
    if op.new().is_some() {
        car::write_section(&mut car, &Cid::of_cbor(body), body);
    }
    Event { car, data, ops: vec![op] }
}

/// From the bytes of the event to the previous root: parse, hash every block, read the commit, undo.
fn ours_invert(event: &Event) -> Cid {
    let reader = SliceReader::new(&event.car, CarLimits::DEFAULT).expect("a CAR");
    let root = reader.header().roots[0];
    let mut blocks = Blocks::with_capacity(16);
    for section in reader {
        let section = section.expect("a section");
        if let SectionCid::Plain(cid) = section.cid {
            assert!(blocks.add(cid, section.bytes));
        }
    }
    let commit = Commit::decode(blocks.find(&root).expect("the commit")).expect("a commit");
    assert_eq!(commit.data, event.data);
    invert(commit.data, &mut blocks, &event.ops).expect("inverted")
}

fn inversion(trees: &Trees, machine: &Machine) -> String {
    let mut random = Random::new(9);
    let mut nodes = trees.nodes.clone();
    let mut table = Table::new(
        &format!(
            "Undo one operation on the blocks of its event ({COUNT} records; hashes included, signature not)"
        ),
        &["", "create µs", "update µs", "delete µs"],
    );
    let mut columns = Vec::new();
    for kind in 0..3 {
        let fresh = trees.new_keys(400, true);
        let events: Vec<Event> = (0..400)
            .map(|n| {
                let body = synthetic::body(&mut random, "app.bsky.feed.like", 1_900_000_000_000_000);
                let new = Cid::of_cbor(&body);
                let (key, old) = trees.records[random.below(COUNT as u64) as usize].clone();
                let op = match kind {
                    0 => Op::create(&fresh[n].0, new),
                    1 => Op::update(&key, old, new),
                    _ => Op::delete(&key, old),
                };
                event(trees, &mut nodes, op, &body)
            })
            .collect();
        let refs: Vec<&Event> = events.iter().collect();
        let ours = each(&refs, |event| assert_eq!(ours_invert(event), trees.root));
        let theirs: Vec<_> = events
            .iter()
            .map(|event| {
                let ops: Vec<_> = event
                    .ops
                    .iter()
                    .map(|op| (text_of(&op.key), op.old().map(|cid| shrike::cid(&cid))))
                    .collect();
                (&event.car, ops)
            })
            .collect();
        let want = shrike::cid(&trees.root);
        let shrike = each(&theirs, |(car, ops)| assert_eq!(shrike::invert(car, ops), want));
        let theirs: Vec<_> = events
            .iter()
            .map(|event| {
                let ops: Vec<_> = event
                    .ops
                    .iter()
                    .map(|op| (text_of(&op.key), op.old().map(|cid| atrium::cid(&cid)), op.new().is_some()))
                    .collect();
                (&event.car, ops)
            })
            .collect();
        let want = atrium::cid(&trees.root);
        let atrium = each(&theirs, |(car, ops)| {
            std::hint::black_box(atrium::invert(&machine.runtime, car, ops) == Some(want));
        });
        columns.push([ours, shrike, atrium]);
    }
    for (at, name) in ["**p2pds**", "shrike", "atrium-repo"].into_iter().enumerate() {
        let cell = |column: &[f64; 3]| {
            if at == 0 {
                micros(column[0])
            } else {
                format!("{} ({}×)", micros(column[at]), ratio(column[at] / column[0]))
            }
        };
        table.row(&[name.into(), cell(&columns[0]), cell(&columns[1]), cell(&columns[2])]);
    }
    let least = columns.iter().map(|c| c[1] / c[0]).fold(f64::MAX, f64::min);
    format!("{}\nAt least {} times the fastest (target 2.5).\n", table.text(), ratio(least))
}

fn difference(trees: &Trees) -> String {
    let mut random = Random::new(11);
    let (mut most, mut sum, mut times) = (0, 0, Vec::new());
    let mut old_nodes = trees.nodes.clone();
    let rounds = 300;
    for n in 0..rounds {
        let (key, old) = trees.records[random.below(COUNT as u64) as usize].clone();
        let op = match n % 3 {
            0 => Op::update(&key, old, any_cid(&mut random)),
            1 => Op::delete(&key, old),
            _ => Op::create(&trees.new_keys(1, false)[0].0, any_cid(&mut random)),
        };
        let mut tree = Tree::open(trees.root);
        apply(&mut tree, &mut old_nodes, [&op]).expect("applied");
        let mut new = HashMap::new();
        let root = tree.flush(
            |cid, bytes| {
                new.insert(*cid, bytes.to_vec());
            },
            |_| {},
        );
        let mut new_nodes = Over { new, old: &trees.nodes };
        let start = p2pds_bench::measure::cpu();
        let found = diff(trees.root, &mut old_nodes, root, &mut new_nodes, 10).expect("a difference");
        times.push(p2pds_bench::measure::cpu() - start);
        assert_eq!(found.ops, [op]);
        let reads = found.reads.0 + found.reads.1;
        most = most.max(reads);
        sum += reads;
    }
    times.sort_by(f64::total_cmp);
    format!(
        "\n**Difference of two trees of {COUNT} that differ in one record** ({rounds} cases): {} µs, {} nodes read in the\n\
         mean, {most} at most (target 40).\n",
        micros(times[times.len() / 2]),
        sum / rounds
    )
}

struct Over<'m> {
    new: HashMap<Cid, Vec<u8>>,
    old: &'m HashMap<Cid, Vec<u8>>,
}

impl p2pds_repo::mst::Nodes for Over<'_> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        self.new.get(cid).or_else(|| self.old.get(cid)).map(Vec::as_slice)
    }
}

// ---- buckets

type Records = Vec<(Vec<u8>, Cid)>;

fn buckets(trees: &Trees, quick: bool) -> String {
    let mut table = Table::new(
        "Buckets in memory (what the store adds is in its own table)",
        &[
            "records",
            "rows",
            "row bytes, MB",
            "rows to spine, ms",
            "write with spine, µs",
            "delete with spine, µs",
            "proof bytes",
        ],
    );
    let large: Records;
    let mut sets: Vec<&Records> = vec![&trees.records];
    if !quick {
        large = synthetic::records(SEED, LARGE).map(|(key, body)| (key, Cid::of_cbor(&body))).collect();
        sets.push(&large);
    }
    for records in sets {
        let mut rows = Vec::new();
        let mut builder = BucketBuilder::new(|row: Bucket| rows.push(row));
        for (key, cid) in records {
            builder.push(key, cid).expect("sorted");
        }
        let built = builder.finish();
        let size: usize = rows.iter().map(|row| row.lo.len() + row.prefixes.len() + 80).sum();
        let lean: Vec<Bucket> =
            rows.iter().map(|row| Bucket { prefixes: Vec::new(), ..row.clone() }).collect();
        let load = time(9, || Spine::from_buckets(lean.clone()).expect("a spine"));
        let spine = Spine::from_buckets(lean).expect("a spine");
        assert_eq!(spine.root(), built.root);
        let mut proof = 0;
        let writes = spine_writes(trees, records, &spine, false, &mut proof);
        let deletes = spine_writes(trees, records, &spine, true, &mut proof);
        table.row(&[
            records.len().to_string(),
            rows.len().to_string(),
            format!("{:.2}", size as f64 / 1e6),
            millis(load),
            micros(writes),
            micros(deletes),
            proof.to_string(),
        ]);
    }
    table.text()
}

/// One write after the other through one spine; loading the records is not counted.
fn spine_writes(trees: &Trees, records: &Records, spine: &Spine, delete: bool, proof: &mut usize) -> f64 {
    let mut random = Random::new(13);
    let mut times = Vec::new();
    for (fresh, cid) in trees.new_keys(300, false) {
        let mut spine = spine.clone();
        let op = if delete {
            let (key, old) = &records[random.below(records.len() as u64) as usize];
            Op::delete(key, *old)
        } else {
            Op::create(&fresh, cid)
        };
        let loaded: Vec<(usize, Vec<(&[u8], Cid)>)> = spine
            .touched([op.key.as_slice()])
            .into_iter()
            .map(|index| {
                let (lo, end) = spine.range(index).expect("a bucket");
                let from = records.partition_point(|(key, _)| key.as_slice() < lo);
                let to =
                    end.map_or(records.len(), |end| records.partition_point(|(key, _)| key.as_slice() < end));
                (index, records[from..to].iter().map(|(key, cid)| (key.as_slice(), *cid)).collect())
            })
            .collect();
        let start = p2pds_bench::measure::cpu();
        let made = plan(&mut spine, &loaded, &[op]).expect("a plan");
        times.push(p2pds_bench::measure::cpu() - start);
        *proof = made.proof_blocks.iter().map(|(_, bytes)| bytes.len()).sum();
        for (_, bytes) in &made.proof_blocks {
            NodeView::parse_any(bytes).expect("a node");
        }
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
