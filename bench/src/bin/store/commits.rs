//! Commits as they come from a stream: proved, verified, stored.

use std::path::Path;
use std::sync::Arc;

use p2pds_crypto::{PublicKey, Signer};
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_repo::event::prove;
use p2pds_store::view::{block_on, load_spine};
use p2pds_store::{BlobRef, BucketUpdate, Change, Head, Store, Unit, Version};
use p2pds_syntax::{Did, Tid};
use p2pds_testkit::synthetic;

use crate::Figures;
use crate::events::{Stored, load};
use crate::layout;
use crate::setup::{clock, cpu, live, open, thread_cpu};

const GROUP: usize = 16;
const SINGLE: usize = 2_000;

/// Event to unit, everything checked.
pub fn verify(stored: &Stored, did: &Did, key: &PublicKey, key_text: &str, expect: Tid) -> Unit {
    let proved = prove(stored.event(did)).expect("proved");
    let Ok(verified) = proved.signed_by(key) else { panic!("the signature") };
    let commit = verified.commit();
    let head = Head {
        rev: commit.rev,
        data: commit.data,
        commit: verified.cid(),
        sig: commit.sig,
        key: key_text.to_owned(),
        raw: None,
    };
    let changes = verified
        .changes()
        .iter()
        .map(|change| Change {
            key: change.path.clone(),
            old: change.old,
            new: change.new.map(|(cid, body)| {
                let mut blobs = Vec::new();
                scan(body, &Limits::RECORD, &mut |item| {
                    if let Item::Blob(b) = item {
                        blobs.push(BlobRef {
                            cid: b.cid,
                            size: b.size.unwrap_or(0),
                            mime: b.mime.to_owned(),
                        });
                    }
                })
                .expect("a record");
                Version { cid, body: Some(body.to_vec()), blobs }
            }),
        })
        .collect();
    Unit::ApplyCommit {
        did: did.clone(),
        expect,
        head: Box::new(head),
        changes,
        buckets: BucketUpdate::MarkDirty,
        seen: p2pds_store::Seen::default(),
    }
}

pub fn run(dir: &Path) -> Figures {
    let store: Arc<dyn Store> = open(dir);
    let (did, key) = synthetic::account();
    let (key, text) = (key.public_key(), key.public_key().to_did_key());
    let mut rev = live(&store, &did).rev;
    let mut events = load(dir);
    let (single, ()) = clock(|| {
        for stored in events.by_ref().take(SINGLE) {
            let unit = verify(&stored, &did, &key, &text, rev);
            rev = next(&unit);
            block_on(store.apply(unit)).expect("applied");
        }
    });
    let (mut count, mut verifying) = (0_usize, 0.0);
    let before = cpu();
    let (took, ()) = clock(|| {
        loop {
            let start = thread_cpu();
            let units: Vec<Unit> = events
                .by_ref()
                .take(GROUP)
                .map(|stored| {
                    let unit = verify(&stored, &did, &key, &text, rev);
                    rev = next(&unit);
                    unit
                })
                .collect();
            verifying += thread_cpu() - start;
            if units.is_empty() {
                break;
            }
            count += units.len();
            let receipts: Vec<_> = units.into_iter().map(|unit| store.submit(unit)).collect();
            for receipt in receipts {
                block_on(receipt).expect("applied");
            }
        }
    });
    let spent = cpu() - before;
    let count = count as f64;
    // The free second check: what was stored gives the root that was signed last.
    let head = live(&store, &did);
    assert_eq!(head.rev, rev);
    block_on(load_spine(&*store, &head)).expect("the signed root");
    block_on(store.close()).expect("closed");
    let (row, row_file) = layout::commit_row(dir);
    Figures::from([
        ("rate".into(), count / took),
        ("cpu_rate".into(), count / spent),
        ("verify_cpu".into(), verifying / count),
        ("store_cpu".into(), (spent - verifying) / count),
        ("single_rate".into(), SINGLE as f64 / single),
        ("row".into(), row),
        ("row_file".into(), row_file),
    ])
}

fn next(unit: &Unit) -> Tid {
    match unit {
        Unit::ApplyCommit { head, .. } => head.rev,
        other => panic!("{other:?}"),
    }
}
