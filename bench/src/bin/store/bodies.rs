//! Disk on real repos, and how page size and packing matter (what ADR 0001 was settled with).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_ipld::car::{CarLimits, Section, SectionCid, SliceReader};
use p2pds_ipld::cbor::{self, Limits};
use p2pds_repo::mst::NodeView;
use p2pds_store::view::{Stager, block_on};
use p2pds_store::{StagedRow, Store};
use p2pds_store_sqlite::{FILE_NAME, Options, SqliteStore};
use p2pds_syntax::{Did, RecordPath, Tid};
use p2pds_testkit::synthetic::{self, Order};

use crate::report::Table;
use crate::setup::{add, clock};

/// The records of a CAR by a plain walk: some of the real ones are older than version 3, which we do not archive as
/// they are, but their records weigh the same.
fn rows(car: &[u8]) -> Vec<StagedRow> {
    let reader = SliceReader::new(car, CarLimits::DEFAULT).expect("a CAR");
    let root = reader.header().roots[0];
    let blocks: HashMap<Cid, &[u8]> = reader
        .filter_map(|section| match section.expect("a section") {
            Section { cid: SectionCid::Plain(cid), bytes, .. } => Some((cid, bytes)),
            _ => None,
        })
        .collect();
    let commit = cbor::decode(blocks[&root], &Limits::STRICT).expect("a commit");
    let Some(cbor::Value::Link(data)) = commit.get("data") else { panic!("no data") };
    let mut rows = Vec::new();
    walk(*data, &blocks, &mut Vec::new(), &mut rows);
    rows
}

fn walk(node: Cid, blocks: &HashMap<Cid, &[u8]>, key: &mut Vec<u8>, rows: &mut Vec<StagedRow>) {
    let view = NodeView::parse_any(blocks[&node]).expect("a node");
    if let Some(left) = view.left() {
        walk(left, blocks, &mut Vec::new(), rows);
    }
    for entry in view.entries() {
        key.truncate(entry.prefix);
        key.extend_from_slice(entry.suffix);
        let body = blocks.get(&entry.value).map(|b| b.to_vec());
        let path = RecordPath::from_bytes(key).expect("a path");
        rows.push(StagedRow { key: path, cid: entry.value, body, blobs: vec![] });
        if let Some(right) = entry.right {
            walk(right, blocks, &mut Vec::new(), rows);
        }
    }
}

/// Stages a CAR into a fresh store with this page size; answers the file's size and the records per second.
fn stage(root: &Path, car: &[u8], page_size: u32, copies: u8) -> (f64, f64) {
    let rows = rows(car);
    let dir = root.join(format!("p2pds-bench-bodies-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let options = Options { page_size, ballast: 0, ..Options::default() };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&dir, options).expect("a store"));
    let (took, records) = clock(|| {
        let mut records = 0;
        for copy in 0..copies {
            let did = Did::parse(&format!("did:plc:{}", char::from(b'a' + copy).to_string().repeat(24)))
                .expect("a DID");
            add(&store, &did);
            let mut stager = Stager::begin(Arc::clone(&store), did, Tid::from_micros(1, 1)).expect("staging");
            records += rows.len();
            rows.iter().for_each(|row| stager.push(row.clone()).expect("staged"));
            stager.finish().expect("staged");
        }
        records
    });
    block_on(store.close()).expect("closed");
    drop(store);
    let size = std::fs::metadata(dir.join(FILE_NAME)).expect("the database").len() as f64;
    let _ = std::fs::remove_dir_all(&dir);
    (size, records as f64 / took)
}

pub fn tables(root: &Path) -> String {
    let mut text = String::new();
    let mut table = Table::new(
        "Database of the CAR on real repos (ten accounts with the same repo, an empty database subtracted)",
        &["repo", "CAR bytes", "database / CAR", "target"],
    );
    let shared = std::env::var("P2PDS_SHARED").ok();
    let empty = stage(root, &empty_car(), 4_096, 1).0;
    for name in ["midsize.car", "fakermaker.repo.car"] {
        let Some(car) = shared.as_ref().and_then(|s| std::fs::read(format!("{s}/vectors/cars/{name}")).ok())
        else {
            table.row(&[name.into(), "not here: set P2PDS_SHARED".into(), "–".into(), "0.70".into()]);
            continue;
        };
        let (size, _) = stage(root, &car, 4_096, 10);
        let ratio = (size - empty) / (10 * car.len()) as f64;
        table.row(&[name.into(), car.len().to_string(), format!("{ratio:.3}"), "0.70".into()]);
    }
    text.push_str(&table.text());
    let (car, _) = synthetic::car(7, 100_000, Order::Preorder);
    let mut table =
        Table::new("Page size (100,000 synthetic records)", &["bytes", "database / CAR", "staged records/s"]);
    for page_size in [4_096, 8_192, 16_384] {
        let (size, rate) = stage(root, &car, page_size, 1);
        table.row(&[page_size.to_string(), format!("{:.3}", size / car.len() as f64), format!("{rate:.0}")]);
    }
    text.push_str(&table.text());
    text
}

fn empty_car() -> Vec<u8> {
    synthetic::car(1, 0, Order::Preorder).0
}
