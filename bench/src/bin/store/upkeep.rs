//! Staging beside a live head, folding, purging.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p2pds_ipld::Cid;
use p2pds_store::view::{self, block_on, drop_repo};
use p2pds_store::{BucketUpdate, Change, Head, Store, Unit, Version, commit_cid};
use p2pds_syntax::{Did, RecordPath, Tid};
use p2pds_testkit::random::Random;
use p2pds_testkit::synthetic;

use crate::Figures;
use crate::import::{first_rev, from_stream};
use crate::setup::{add, clock, live, open};

pub fn run(dir: &Path, count: usize) -> Figures {
    let store = open(dir);
    let (did, _) = synthetic::account();
    let mut figures = beside(&store, dir, count);
    purge(&store, &did, &mut figures);
    block_on(store.close()).expect("closed");
    figures
}

/// A third account commits while the first file is staged and folded once more for a second one.
fn beside(store: &Arc<dyn Store>, dir: &Path, count: usize) -> Figures {
    let busy = Did::parse("did:plc:busy2busy2busy2busy2busy").expect("a DID");
    add(store, &busy);
    // The same file twice: the second time everything is folded into what was there.
    from_stream(store, &busy, &dir.join("preorder.car"));
    let small = Did::parse("did:plc:smallsmallsmallsmallsmal").expect("a DID");
    add(store, &small);
    let staging =
        p2pds_store::view::Stager::begin(Arc::clone(store), small.clone(), first_rev()).expect("staging");
    let staged = staging.finish().expect("staged");
    let flip = Unit::Flip {
        did: small.clone(),
        repo: staged.repo,
        expect: None,
        head: Box::new(head(&small, first_rev(), staged.root)),
        role: p2pds_store::Role::Archived,
        accept_older: false,
        at: 0,
    };
    block_on(store.apply(flip)).expect("flipped");
    let done = AtomicBool::new(false);
    let (mut times, mut fold, mut wal) = (Vec::new(), 0.0, 0_u64);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            let (mut random, mut times, mut rev) = (Random::new(5), Vec::new(), first_rev());
            let mut wal = 0;
            while !done.load(Ordering::Acquire) {
                let next = Tid::from_u64(rev.as_u64() + 1024).expect("a rev");
                let body = synthetic::body(&mut random, "app.bsky.feed.like", 1_900_000_000_000_000);
                let key = RecordPath::parse(&format!("app.bsky.feed.like/{next}")).expect("a path");
                let new = Version { cid: Cid::of_cbor(&body), body: Some(body), blobs: vec![] };
                let unit = Unit::ApplyCommit {
                    did: small.clone(),
                    expect: rev,
                    head: Box::new(head(&small, next, new.cid)),
                    changes: vec![Change { key, old: None, new: Some(new) }],
                    buckets: BucketUpdate::MarkDirty,
                    seen: p2pds_store::Seen::default(),
                };
                times.push(clock(|| block_on(store.apply(unit)).expect("applied")).0);
                rev = next;
                if times.len().is_multiple_of(5) {
                    wal = wal.max(block_on(store.stats()).expect("stats").wal_bytes);
                }
            }
            (times, wal)
        });
        restage(store, &busy, dir);
        fold = clock(|| {
            for repo in block_on(store.repos(Some(&busy))).expect("repos") {
                if repo.role == p2pds_store::Role::Replaced {
                    block_on(drop_repo(&**store, &busy, repo.id)).expect("folded");
                }
            }
        })
        .0;
        done.store(true, Ordering::Release);
        (times, wal) = committing.join().expect("the other account");
    });
    times.sort_by(f64::total_cmp);
    Figures::from([
        ("beside".into(), times[times.len() / 2]),
        ("beside_99".into(), times[times.len() * 99 / 100]),
        ("fold".into(), count as f64 / fold),
        ("wal".into(), wal as f64),
    ])
}

/// Stages the live state again under a later rev.
fn restage(store: &Arc<dyn Store>, did: &Did, dir: &Path) {
    let now = live(store, did);
    let rev = Tid::from_u64(now.rev.as_u64() + 1024).expect("a rev");
    let mut stager = p2pds_store::view::Stager::begin(Arc::clone(store), did.clone(), rev).expect("staging");
    let mut sink = |key: &[u8], cid: &Cid, body: Option<&[u8]>| {
        let row = p2pds_store::StagedRow {
            key: RecordPath::from_bytes(key).expect("a path"),
            cid: *cid,
            body: body.map(<[u8]>::to_vec),
            blobs: vec![],
        };
        stager.push(row).expect("staged");
        std::ops::ControlFlow::Continue(())
    };
    let mut file = std::fs::File::open(dir.join("preorder.car")).expect("the CAR");
    p2pds_repo::car_in::read_stream(&mut file, p2pds_repo::car_in::ReadOptions::DEFAULT, &mut sink)
        .expect("a valid CAR");
    let staged = stager.finish().expect("staged");
    let unit = Unit::Flip {
        did: did.clone(),
        repo: staged.repo,
        expect: Some(now.rev),
        head: Box::new(head(did, rev, staged.root)),
        role: p2pds_store::Role::Archived,
        accept_older: false,
        at: 0,
    };
    block_on(store.apply(unit)).expect("flipped");
}

fn head(did: &Did, rev: Tid, data: Cid) -> Head {
    let sig = [1; 64];
    let commit = commit_cid(did, rev, &data, &sig).expect("a commit");
    Head { rev, data, commit, sig, key: String::new(), raw: None }
}

/// A purge and nothing else, for a profiler.
pub fn alone(dir: &Path) -> Figures {
    let mut figures = Figures::new();
    let (did, _) = synthetic::account();
    purge(&open(dir), &did, &mut figures);
    figures
}

fn purge(store: &Arc<dyn Store>, did: &Did, figures: &mut Figures) {
    let (took, report) = clock(|| block_on(view::purge(&**store, did, "measuring", 1)).expect("purged"));
    figures.insert("purge".into(), took);
    figures.insert("purge_searched".into(), report.searched_bytes as f64);
    figures.insert("purge_vacuumed".into(), f64::from(u8::from(report.vacuumed)));
    figures.insert("purge_left".into(), report.left as f64);
}
