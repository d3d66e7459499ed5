//! The suite that every adapter must pass: `conformance::run(|| a_fresh_store())`.
//!
//! Named cases first, one rule each; then random sequences of units beside a small model that
//! keeps everything in maps. A failing case names itself in its panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs,
    reason = "a test suite that adapters' tests call"
)]

mod accounts;
mod blobs;
mod commits;
mod events;
mod factors;
mod history;
mod hosting;
mod lexicons;
mod limits;
mod logs;
mod model;
mod oauth;
mod owner;
mod purge;
mod random;
mod reports;
mod reserved;
mod spent;
mod staging;
mod trees;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Bucket, BucketBuilder};
use p2pds_syntax::{Did, RecordPath, Tid};

use crate::view::block_on;
use crate::{
    Account, Applied, BlobRef, BucketRow, CHUNK_ROWS, Head, Kind, Origin, RecordRow, RecordsQuery, Repo,
    RepoId, Role, StagedRow, Store, StoreResult, Unit, commit_cid,
};

/// Runs every case on stores made by `factory`.
///
/// # Panics
/// When the adapter breaks a rule.
pub fn run(factory: impl Fn() -> Arc<dyn Store>) {
    accounts::run(&factory);
    staging::run(&factory);
    commits::run(&factory);
    history::run(&factory);
    trees::run(&factory);
    blobs::run(&factory);
    logs::run(&factory);
    watch::run(&factory);
    lexicons::run(&factory);
    limits::run(&factory);
    events::run(&factory);
    hosting::run(&factory);
    reserved::run(&factory);
    spent::run(&factory);
    oauth::run(&factory);
    factors::run(&factory);
    owner::run(&factory);
    reports::run(&factory);
    purge::run(&factory);
    random::run(&factory, 20, 60);
}

/// Runs random sequences only: `seeds` of them, `steps` units each. For the nightly tier.
///
/// # Panics
/// When the adapter and the model disagree.
pub fn run_random(factory: impl Fn() -> Arc<dyn Store>, seeds: u64, steps: usize) {
    random::run(&factory, seeds, steps);
}

pub(crate) type Factory<'a> = &'a dyn Fn() -> Arc<dyn Store>;

/// A few dice; the same seed rolls the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

pub(crate) fn did(n: u8) -> Did {
    let letter = char::from(b'a' + n);
    Did::parse(&format!("did:plc:{}", letter.to_string().repeat(24))).unwrap()
}

pub(crate) fn rev(n: u64) -> Tid {
    Tid::from_u64((1_700_000_000_000_000 + n) << 10).unwrap()
}

pub(crate) fn key(text: &str) -> RecordPath {
    RecordPath::parse(text).unwrap()
}

/// A small record: a CBOR map with one text.
pub(crate) fn body(text: &str) -> Vec<u8> {
    let mut out = vec![0xa1, 0x61, b't', 0x79];
    out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
    // Lengths below 256 have a shorter form; the store does not mind, but stay strict.
    if text.len() < 24 {
        out.splice(3..6, [0x60 | u8::try_from(text.len()).unwrap()]);
    } else if text.len() < 256 {
        out.splice(3..6, [0x78, u8::try_from(text.len()).unwrap()]);
    }
    out
}

pub(crate) fn row(path: &str, text: &str) -> StagedRow {
    let body = body(text);
    StagedRow { key: key(path), cid: Cid::of_cbor(&body), body: Some(body), blobs: Vec::new() }
}

pub(crate) fn blob(n: u8, size: u64) -> BlobRef {
    BlobRef { cid: Cid::of_raw(&[n]), size, mime: "image/png".into() }
}

pub(crate) fn head(did: &Did, rev: Tid, data: Cid) -> Head {
    let sig = [7_u8; 64];
    let commit = commit_cid(did, rev, &data, &sig).unwrap();
    Head { rev, data, commit, sig, key: "did:key:zTest".into(), raw: None }
}

/// Root and buckets of a state.
pub(crate) fn tree<'a>(records: impl IntoIterator<Item = (&'a RecordPath, &'a Cid)>) -> (Cid, Vec<Bucket>) {
    let mut buckets = Vec::new();
    let mut builder = BucketBuilder::new(|bucket| buckets.push(bucket));
    for (key, cid) in records {
        builder.push(key.as_bytes(), cid).unwrap();
    }
    let built = builder.finish();
    (built.root, buckets)
}

/// A store with calls that expect success.
pub(crate) struct Rig {
    pub(crate) store: Arc<dyn Store>,
}

impl Rig {
    pub(crate) fn new(factory: Factory<'_>) -> Self {
        Self { store: factory() }
    }

    pub(crate) fn apply(&self, unit: Unit) -> StoreResult<Applied> {
        block_on(self.store.apply(unit))
    }

    #[track_caller]
    pub(crate) fn ok(&self, unit: Unit) -> Applied {
        self.apply(unit).unwrap()
    }

    pub(crate) fn add(&self, did: &Did) {
        self.ok(Unit::AddAccount(Box::new(Account::new(did.clone(), Origin::Network, 1))));
    }

    pub(crate) fn live(&self, did: &Did) -> Repo {
        block_on(self.store.live_repo(did)).unwrap().expect("a live repo")
    }

    pub(crate) fn begin(&self, did: &Did, rev: Tid) -> RepoId {
        match self.ok(Unit::BeginStaging { did: did.clone(), kind: Kind::Mst, rev }) {
            Applied::Staging(repo) => repo,
            other => panic!("{other:?}"),
        }
    }

    /// Stages rows with their buckets; answers the root.
    pub(crate) fn stage(&self, did: &Did, rev: Tid, rows: &[StagedRow]) -> (RepoId, Cid) {
        let mut rows = rows.to_vec();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        let repo = self.begin(did, rev);
        for chunk in rows.chunks(CHUNK_ROWS) {
            self.ok(Unit::StageRecords { did: did.clone(), repo, rows: chunk.to_vec() });
        }
        let (root, buckets) = tree(rows.iter().map(|r| (&r.key, &r.cid)));
        let rows = buckets.into_iter().map(|b| BucketRow::new(b, rev)).collect();
        self.ok(Unit::StageBuckets { did: did.clone(), repo, rows });
        (repo, root)
    }

    pub(crate) fn flip(
        &self,
        did: &Did,
        repo: RepoId,
        expect: Option<Tid>,
        head: Head,
    ) -> StoreResult<Applied> {
        self.apply(Unit::Flip {
            did: did.clone(),
            repo,
            expect,
            head: Box::new(head),
            role: Role::Archived,
            accept_older: false,
            at: 0,
        })
    }

    /// Account, staging and flip in one.
    pub(crate) fn archive(&self, did: &Did, rev: Tid, rows: &[StagedRow]) -> Repo {
        self.add(did);
        let (repo, root) = self.stage(did, rev, rows);
        self.flip(did, repo, None, head(did, rev, root)).unwrap();
        self.live(did)
    }

    pub(crate) fn all(&self, query: RecordsQuery) -> Vec<RecordRow> {
        let mut rows: Vec<RecordRow> = Vec::new();
        loop {
            let mut next = query.clone();
            if let Some(last) = rows.last() {
                next = next.after(&last.key);
            }
            let page = block_on(self.store.records(next)).unwrap();
            if page.is_empty() {
                return rows;
            }
            rows.extend(page);
        }
    }

    /// Keys and CIDs of a state.
    pub(crate) fn state(&self, repo: RepoId, at: Option<Tid>) -> BTreeMap<RecordPath, Cid> {
        let mut query = RecordsQuery::all(repo).keys_only();
        query.at = at;
        self.all(query).into_iter().map(|r| (r.key, r.cid)).collect()
    }

    pub(crate) fn account(&self, did: &Did) -> Account {
        block_on(self.store.account(did)).unwrap().expect("the account")
    }
}
