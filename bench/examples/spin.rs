use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader};
use p2pds_ipld::{Cid, car};
use p2pds_repo::mst::*;
use p2pds_syntax::Tid;
use p2pds_testkit::random::Random;
use p2pds_testkit::synthetic::{self, any_cid};
use std::collections::HashMap;
fn main() {
    let what = std::env::args().nth(1).unwrap();
    let mut nodes: HashMap<Cid, Vec<u8>> = HashMap::new();
    let mut b = Builder::new(|c: &Cid, x: &[u8]| {
        nodes.insert(*c, x.to_vec());
    });
    let recs: Vec<_> = synthetic::records(20, 200_000).map(|(k, v)| (k, Cid::of_cbor(&v))).collect();
    for (k, c) in &recs {
        b.push(k, c).unwrap();
    }
    let root = b.finish();
    let mut r = Random::new(5);
    let keys: Vec<_> = (0..1000)
        .map(|n| {
            let t = Tid::from_micros(1_900_000_000_000_000 + n, 5);
            (
                format!("{}/{t}", ["app.bsky.feed.like", "app.bsky.feed.post"][n as usize % 2]).into_bytes(),
                any_cid(&mut r),
            )
        })
        .collect();
    let start = std::time::Instant::now();
    let mut n = 0u64;
    if what == "insert" {
        while start.elapsed().as_secs() < 6 {
            for (k, c) in &keys {
                let mut t = Tree::open(root);
                t.insert(&mut Own(&mut nodes), k, *c).unwrap();
                let mut new = Vec::with_capacity(16);
                t.flush(|c, b| new.push((*c, b.to_vec())), |_| {});
                std::hint::black_box(new);
                n += 1;
            }
        }
    } else {
        let evs: Vec<_> = keys
            .iter()
            .map(|(k, c)| {
                let mut t = Tree::open(root);
                t.insert(&mut nodes, k, *c).unwrap();
                let data = t.flush(|_, _| {}, |_| {});
                let mut out = vec![];
                car::write_header(&mut out, &[data]);
                for (c, b) in t.covering_proof(&mut nodes, [k.as_slice()]).unwrap() {
                    car::write_section(&mut out, &c, &b);
                }
                (data, out, vec![Op::create(k, *c)])
            })
            .collect();
        while start.elapsed().as_secs() < 6 {
            for (data, car, ops) in &evs {
                let mut blocks = Blocks::with_capacity(16);
                for s in SliceReader::new(car, CarLimits::DEFAULT).unwrap() {
                    let s = s.unwrap();
                    if let SectionCid::Plain(c) = s.cid {
                        assert!(blocks.add(c, s.bytes));
                    }
                }
                assert_eq!(invert(*data, &mut blocks, ops).unwrap(), root);
                n += 1;
            }
        }
    }
    println!("{what}: {:.2} us", start.elapsed().as_secs_f64() * 1e6 / n as f64);
}
