//! From a CAR file to a live repo, everything verified.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use p2pds_crypto::Signer;
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_repo::car_in::{ReadError, ReadOptions, Scratch, Sink, Spool, Summary, read_stream};
use p2pds_store::view::{Stager, block_on};
use p2pds_store::{BlobRef, Head, Role, StagedRow, Store, Unit};
use p2pds_syntax::{Did, RecordPath, Tid};
use p2pds_testkit::synthetic;

use crate::Figures;
use crate::setup::{add, clock, cpu, open};

/// Stages what a reader proves.
struct Staging(Stager);

impl Sink for Staging {
    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        let mut blobs = Vec::new();
        if let Some(body) = body {
            let _ = scan(body, &Limits::RECORD, &mut |item| {
                if let Item::Blob(b) = item {
                    blobs.push(BlobRef { cid: b.cid, size: b.size.unwrap_or(0), mime: b.mime.to_owned() });
                }
            });
        }
        let key = RecordPath::from_bytes(key).expect("a path");
        let row = StagedRow { key, cid: *cid, body: body.map(<[u8]>::to_vec), blobs };
        self.0.push(row).expect("staged");
        ControlFlow::Continue(())
    }
}

/// Stages, checks signature and root, flips.
fn archive(
    store: &Arc<dyn Store>,
    did: &Did,
    read: impl FnOnce(&mut Staging) -> Result<Summary, ReadError>,
) -> u64 {
    let (_, key) = synthetic::account();
    let key = key.public_key();
    let stager = Stager::begin(Arc::clone(store), did.clone(), first_rev()).expect("staging");
    let mut staging = Staging(stager);
    let summary = read(&mut staging).expect("a valid CAR");
    let commit = summary.commit;
    commit.verify(&key).expect("signed");
    let staged = staging.0.finish().expect("staged");
    assert_eq!((staged.root, staged.records), (commit.data, summary.records));
    let head = Head {
        rev: commit.rev,
        data: commit.data,
        commit: commit.cid(),
        sig: commit.sig,
        key: key.to_did_key(),
        raw: commit.raw,
    };
    let unit = Unit::Flip {
        did: did.clone(),
        repo: staged.repo,
        expect: None,
        head: Box::new(head),
        role: Role::Archived,
        accept_older: false,
        at: 0,
    };
    block_on(store.apply(unit)).expect("the flip");
    staged.records
}

pub fn from_stream(store: &Arc<dyn Store>, did: &Did, file: &Path) -> u64 {
    let mut file = File::open(file).expect("the CAR");
    archive(store, did, |staging| read_stream(&mut file, ReadOptions::DEFAULT, staging))
}

fn measured(work: impl FnOnce() -> u64) -> Figures {
    let before = cpu();
    let (took, records) = clock(work);
    let spent = cpu() - before;
    Figures::from([("rate".into(), records as f64 / took), ("cpu".into(), spent / records as f64)])
}

/// The rev of the synthetic repositories.
pub fn first_rev() -> Tid {
    Tid::from_micros(1_672_531_200_000_000 * 2, 7)
}

pub fn car(dir: &Path) -> Figures {
    let store = open(dir);
    let (did, _) = synthetic::account();
    add(&store, &did);
    let figures = measured(|| from_stream(&store, &did, &dir.join("preorder.car")));
    block_on(store.close()).expect("closed");
    figures
}

struct FileScratch(File, u64);

impl Scratch for FileScratch {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.1 += bytes.len() as u64;
        std::io::Write::write_all(&mut self.0, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, offset)
    }

    fn len(&self) -> u64 {
        self.1
    }
}

/// Another account, from a file in no order.
pub fn any_order(dir: &Path) -> Figures {
    let store = open(dir);
    let did = Did::parse("did:plc:shuffled2shuffled2shuffl").expect("a DID");
    add(&store, &did);
    let figures = measured(|| {
        let file = File::open(dir.join("shuffled.car")).expect("the CAR");
        let len = file.metadata().expect("its size").len();
        archive(&store, &did, |staging| {
            Spool::read(FileScratch(file, len), ReadOptions::DEFAULT, staging).map(|(summary, _)| summary)
        })
    });
    block_on(store.close()).expect("closed");
    figures
}
