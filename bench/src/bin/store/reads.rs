//! Reads, proofs, exports, and planning a write.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Spine, nodes_of};
use p2pds_repo::mst::Op;
use p2pds_store::view::{self, ExportStream, block_on, load_spine};
use p2pds_store::{RecordRow, RecordsQuery, Repo, Store};
use p2pds_syntax::{RecordPath, Tid};
use p2pds_testkit::random::Random;
use p2pds_testkit::synthetic::{self, any_cid};

use crate::Figures;
use crate::setup::{clock, cpu, evict, live, median, open};

pub fn run(dir: &Path, count: usize) -> Figures {
    let (did, _) = synthetic::account();
    let mut figures = writes(dir, count);
    let store = open(dir);
    let repo = live(&store, &did);
    let spine = Arc::new(block_on(load_spine(&*store, &repo)).expect("the spine"));
    let car = std::fs::metadata(dir.join("preorder.car")).expect("the CAR").len() as f64;

    let keys = some_keys(&store, &repo, &spine, 3_000);
    let read = |key: &RecordPath| block_on(store.record(repo.id, key)).expect("read").expect("there");
    let pass = || keys.iter().map(|key| clock(|| read(key)).0).collect();
    let _: Vec<f64> = pass();
    figures.insert("point".into(), median(pass()));
    let page = |key: &RecordPath| {
        let query = RecordsQuery { max_rows: 100, ..RecordsQuery::all(repo.id) }.after(key);
        block_on(store.records(query)).expect("read").len()
    };
    figures.insert("page".into(), median(keys.iter().take(500).map(|key| clock(|| page(key)).0).collect()));

    let exported = || {
        let mut stream = ExportStream::new(Arc::clone(&store), &repo, Arc::clone(&spine)).expect("an export");
        let mut bytes = 0;
        while let Some(piece) = block_on(stream.next()).expect("a piece") {
            bytes += piece.len();
        }
        bytes
    };
    let times: Vec<f64> =
        (0..3).map(|_| clock(|| assert_eq!(exported() as f64, car, "the CAR as it came")).0).collect();
    figures.insert("export".into(), car / median(times));
    let before = cpu();
    exported();
    figures.insert("export_cpu".into(), car / (cpu() - before));

    let proofs = keys.iter().take(400).enumerate().map(|(n, key)| {
        let key = if n % 2 == 0 { key.as_str().to_owned() } else { format!("{key}x") };
        clock(|| block_on(view::proof(&*store, &repo, &spine, key.as_bytes())).expect("a proof")).0
    });
    figures.insert("proof".into(), median(proofs.collect()));
    figures.insert("node".into(), node(&store, &repo, &spine));
    figures.insert("scrub".into(), car / clock(|| scrub(&store, &repo)).0);
    let earlier = Tid::from_u64(repo.rev.as_u64() + 1).expect("a rev");
    let at_rev = || {
        let mut query = RecordsQuery::all(repo.id).keys_only();
        query.at = Some(earlier);
        pages(&store, query, |_| {})
    };
    let (took, rows) = clock(at_rev);
    assert_eq!(rows, count);
    figures.insert("at_rev".into(), rows as f64 / took);
    figures
}

/// Exports again and again, for a profiler.
pub fn profile(dir: &Path) -> Figures {
    let (did, _) = synthetic::account();
    let store = open(dir);
    let repo = live(&store, &did);
    let spine = Arc::new(block_on(load_spine(&*store, &repo)).expect("the spine"));
    if let Some(times) = std::env::var("P2PDS_BENCH_WRITES").ok().and_then(|n| n.parse().ok()) {
        let mut random = Random::new(9);
        for _ in 0..times {
            let op = some_write(&mut random, repo.records);
            block_on(view::preview_write(&*store, &repo, &spine, &[op])).expect("a plan");
        }
        return Figures::new();
    }
    if std::env::var("P2PDS_BENCH_SPINE").is_ok() {
        for _ in 0..2_000 {
            block_on(load_spine(&*store, &repo)).expect("the spine");
        }
        return Figures::new();
    }
    for _ in 0..10 {
        let mut stream = ExportStream::new(Arc::clone(&store), &repo, Arc::clone(&spine)).expect("an export");
        while block_on(stream.next()).expect("a piece").is_some() {}
    }
    Figures::new()
}

/// Planning a write, with less and less cached.
pub fn writes(dir: &Path, count: usize) -> Figures {
    let did = &synthetic::account().0;
    let mut random = Random::new(8);
    let op = |random: &mut Random| some_write(random, count as u64);
    let mut one = |evicted: bool| {
        if evicted {
            evict(dir);
        }
        // Opening the store is not part of it; the head is.
        let store = open(dir);
        let start = Instant::now();
        let repo = live(&store, did);
        block_on(view::open_write(&*store, &repo, &[op(&mut random)])).expect("a plan");
        start.elapsed().as_secs_f64()
    };
    let cold = median((0..21).map(|_| one(true)).collect());
    let fresh = median((0..21).map(|_| one(false)).collect());
    evict(dir);
    let store = open(dir);
    let start = Instant::now();
    let repo = live(&store, did);
    let spine = Arc::new(block_on(load_spine(&*store, &repo)).expect("the spine"));
    let mut stream = ExportStream::new(Arc::clone(&store), &repo, Arc::clone(&spine)).expect("an export");
    block_on(stream.next()).expect("a piece");
    let first = start.elapsed().as_secs_f64();
    drop(stream);
    // Previewed, so that the spine stays that of the stored rows and stays cached.
    let mut spent = 0.0;
    let warm: Vec<f64> = (0..400)
        .map(|_| {
            let op = op(&mut random);
            let before = cpu();
            let (took, _) =
                clock(|| block_on(view::preview_write(&*store, &repo, &spine, &[op])).expect("a plan"));
            spent += cpu() - before;
            took
        })
        .collect();
    Figures::from([
        ("write_cold".into(), cold),
        ("write_fresh".into(), fresh),
        ("export_first".into(), first),
        ("write_warm_cpu".into(), spent / warm.len() as f64),
        ("write_warm".into(), median(warm)),
    ])
}

/// A new post anywhere between those that are there: one every five minutes in the mean.
fn some_write(random: &mut Random, count: u64) -> Op {
    let rev = Tid::from_micros(1_672_531_200_000_000 + random.below(count / 5 * 300_000_000), 3);
    Op::create(format!("app.bsky.feed.post/{rev}").as_bytes(), any_cid(random))
}

/// Keys spread over the repo.
fn some_keys(store: &Arc<dyn Store>, repo: &Repo, spine: &Spine, count: usize) -> Vec<RecordPath> {
    let mut random = Random::new(4);
    let los: Vec<&[u8]> = spine.buckets().iter().map(|b| b.lo.as_slice()).collect();
    let mut keys = Vec::new();
    while keys.len() < count {
        let lo = los[random.below(los.len() as u64) as usize];
        let mut query = RecordsQuery::all(repo.id).keys_only();
        query.from = lo.to_vec();
        query.max_rows = 1 + random.below(200) as usize;
        keys.extend(block_on(store.records(query)).expect("read").pop().map(|row| row.key));
    }
    keys
}

/// Nodes below the spine, looked up by CID.
fn node(store: &Arc<dyn Store>, repo: &Repo, spine: &Spine) -> f64 {
    let mut random = Random::new(6);
    let cids: Vec<Cid> = (0..150)
        .map(|_| {
            let at = random.below(spine.buckets().len() as u64) as usize;
            let rows = block_on(view::bucket_rows(&**store, repo, spine, at, false)).expect("rows");
            let list: Vec<(&[u8], Cid)> = rows.iter().map(|r| (r.key.as_bytes(), r.cid)).collect();
            let nodes = nodes_of(&spine.buckets()[at].lo, &list).expect("nodes");
            nodes.get(random.below(nodes.len() as u64) as usize).map_or(spine.root(), |(cid, _)| *cid)
        })
        .collect();
    let look = |cid: &Cid| {
        clock(|| block_on(view::block(&**store, repo, spine, cid)).expect("read").expect("there")).0
    };
    median(cids.iter().map(look).collect())
}

/// Reads and hashes everything, and rebuilds the tree.
fn scrub(store: &Arc<dyn Store>, repo: &Repo) {
    let mut builder = p2pds_repo::bucket::BucketBuilder::new(|_| {});
    pages(store, RecordsQuery::all(repo.id), |row| {
        assert!(row.body.is_some() && !row.damaged);
        builder.push(row.key.as_bytes(), &row.cid).expect("sorted");
    });
    assert_eq!(builder.finish().root, repo.head.as_ref().expect("a head").data);
}

fn pages(store: &Arc<dyn Store>, mut query: RecordsQuery, mut each: impl FnMut(&RecordRow)) -> usize {
    query.max_rows = 4_000;
    let mut count = 0;
    loop {
        let page = block_on(store.records(query.clone())).expect("read");
        let Some(last) = page.last() else { return count };
        count += page.len();
        page.iter().for_each(&mut each);
        query = query.after(&last.key);
    }
}
