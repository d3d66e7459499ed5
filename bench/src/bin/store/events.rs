//! Prepares the CAR files and a chain of commit events that follows them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use p2pds_ipld::{Cid, car};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::event::{Action, CommitEvent, EventOp};
use p2pds_repo::mst::{Builder, Op, Tree, apply};
use p2pds_syntax::{Did, RecordPath, Tid};
use p2pds_testkit::random::Random;
use p2pds_testkit::synthetic::{self, Order};

use crate::Figures;

pub const SEED: u64 = 20;
const EVENTS: usize = 24_000;

/// One event as it is kept in the file.
pub struct Stored {
    rev: Tid,
    path: RecordPath,
    old: Option<Cid>,
    new: Option<Cid>,
    prev_data: Cid,
    commit: Cid,
    car: Vec<u8>,
}

impl Stored {
    pub fn event(&self, did: &Did) -> CommitEvent<'_> {
        let action = match (self.old, self.new) {
            (None, _) => Action::Create,
            (_, None) => Action::Delete,
            _ => Action::Update,
        };
        CommitEvent {
            repo: did.clone(),
            rev: self.rev,
            since: None,
            commit: self.commit,
            blocks: &self.car,
            ops: vec![EventOp { path: self.path.clone(), action, cid: self.new, prev: self.old }],
            prev_data: Some(self.prev_data),
        }
    }
}

pub fn prepare(dir: &Path, count: usize) -> Figures {
    let mut figures = Figures::new();
    for (name, order) in [("preorder.car", Order::Preorder), ("shuffled.car", Order::Shuffled)] {
        let path = dir.join(name);
        let mut out = BufWriter::new(File::create(&path).expect("a file"));
        synthetic::write_car(&mut out, SEED, count, order).expect("a CAR");
        out.flush().expect("a CAR");
        drop(out);
        figures.insert("car".into(), std::fs::metadata(&path).expect("a CAR").len() as f64);
    }
    events(dir, count);
    figures
}

fn events(dir: &Path, count: usize) {
    let (did, key) = synthetic::account();
    let mut nodes: HashMap<Cid, Vec<u8>> = HashMap::new();
    let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| {
        nodes.insert(*cid, bytes.to_vec());
    });
    let mut records: Vec<(Vec<u8>, Cid)> = Vec::new();
    for (path, body) in synthetic::records(SEED, count) {
        let cid = Cid::of_cbor(&body);
        builder.push(&path, &cid).expect("sorted");
        records.push((path, cid));
    }
    let mut root = builder.finish();
    let mut random = Random::new(3);
    let mut out = BufWriter::new(File::create(dir.join("events")).expect("a file"));
    let kinds = ["app.bsky.feed.like", "app.bsky.feed.post", "app.bsky.graph.follow"];
    for n in 0..EVENTS as u64 {
        let micros = 3_400_000_000_000_000 + n * 1_000_000;
        let rev = Tid::from_micros(micros, 7);
        let kind = kinds[random.below(3) as usize];
        let body = synthetic::body(&mut random, kind, 1_900_000_000_000_000 + n);
        let new = Cid::of_cbor(&body);
        let at = random.below(records.len() as u64) as usize;
        let op = match random.below(100) {
            0..70 => {
                let path = format!("{kind}/{rev}").into_bytes();
                records.push((path.clone(), new));
                Op::create(&path, new)
            }
            70..85 => {
                let old = std::mem::replace(&mut records[at].1, new);
                Op::update(&records[at].0, old, new)
            }
            _ => {
                let (path, old) = records.swap_remove(at);
                Op::delete(&path, old)
            }
        };
        let prev_data = root;
        let mut tree = Tree::open(root);
        apply(&mut tree, &mut nodes, [&op]).expect("an operation");
        let mut fresh = Vec::new();
        root = tree.flush(|cid, bytes| fresh.push((*cid, bytes.to_vec())), |_| {});
        nodes.extend(fresh);
        let proof = tree.covering_proof(&mut nodes, [op.key.as_slice()]).expect("a proof");
        let commit = Unsigned { did: did.clone(), rev, data: root }.sign(&key).expect("signed").encode();
        let commit_cid = Cid::of_cbor(&commit);
        let mut car = Vec::new();
        car::write_header(&mut car, &[commit_cid]);
        car::write_section(&mut car, &commit_cid, &commit);
        for (cid, bytes) in &proof {
            car::write_section(&mut car, cid, bytes);
        }
        if op.new().is_some() {
            car::write_section(&mut car, &new, &body);
        }
        write(&mut out, &rev.as_u64().to_le_bytes());
        write(&mut out, &op.key);
        for cid in [op.old(), op.new(), Some(prev_data), Some(commit_cid)] {
            write(&mut out, &cid.map_or(Vec::new(), |c| c.to_bytes().to_vec()));
        }
        write(&mut out, &car);
    }
    out.flush().expect("events");
}

fn write(out: &mut impl Write, bytes: &[u8]) {
    out.write_all(&u32::try_from(bytes.len()).expect("small").to_le_bytes()).expect("a write");
    out.write_all(bytes).expect("a write");
}

/// Reads the events back, all of them.
pub fn load(dir: &Path) -> impl Iterator<Item = Stored> + use<> {
    let mut file = std::io::BufReader::new(File::open(dir.join("events")).expect("events"));
    std::iter::from_fn(move || {
        let mut field = || {
            let mut len = [0; 4];
            file.read_exact(&mut len).ok()?;
            let mut bytes = vec![0; u32::from_le_bytes(len) as usize];
            file.read_exact(&mut bytes).ok()?;
            Some(bytes)
        };
        let rev = Tid::from_u64(u64::from_le_bytes(field()?.try_into().ok()?)).ok()?;
        let path = RecordPath::from_bytes(&field()?).ok()?;
        let [old, new, prev_data, commit] =
            std::array::from_fn(|_| Cid::from_bytes(&field().unwrap_or_default()).ok());
        Some(Stored { rev, path, old, new, prev_data: prev_data?, commit: commit?, car: field()? })
    })
}
