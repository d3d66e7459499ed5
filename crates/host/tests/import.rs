//! Repos that are brought along: whole, in part, and files that are none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod shared;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream;
use p2pds_crypto::{Curve, PrivateKey};
use p2pds_host::write::{Imported, Validate, Write, WriteOptions};
use p2pds_host::{HostError, HostResult};
use p2pds_ipld::car::{write_header, write_section};
use p2pds_ipld::cbor::{Value, encode};
use p2pds_ipld::{Cid, json};
use p2pds_replica::Frame;
use p2pds_replica::frame::decode;
use p2pds_repo::commit::Unsigned;
use p2pds_repo::mst::Builder;
use p2pds_store::{Applied, BlobFilter, LoginPatch, RecordsQuery, RepoId, Role, Unit, view};
use p2pds_syntax::{Did, Tid};
use serde_json::json;
use shared::{Node, did, nsid};

/// Records by path.
type Records = BTreeMap<String, Vec<u8>>;

/// An account whose owner is moving in, and the key that signs for it.
struct Mover {
    node: Node,
    did: Did,
    key: PrivateKey,
}

impl Mover {
    async fn new() -> Self {
        let (node, did) = (Node::new(), did(1));
        node.account(&did).await;
        // The test signs what comes, so the account gets a key that the test knows.
        let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
        let wrapped = node.host.keys().wrap(&key, &did).unwrap();
        let did_key = p2pds_crypto::Signer::public_key(&key).to_did_key();
        let mover = Self { node, did, key };
        mover.patch(LoginPatch {
            signing_key: Some((wrapped, did_key)),
            deactivated_at: Some(Some(1)),
            ..LoginPatch::default()
        });
        mover
    }

    fn patch(&self, patch: LoginPatch) {
        let unit = Unit::PatchLogin { did: self.did.clone(), patch: Box::new(patch) };
        view::block_on(self.node.store.apply(unit)).unwrap();
        view::block_on(self.node.host.forget_account(&self.did));
    }

    /// A repo as another host would export it.
    fn repo(&self, records: &Records) -> Repo {
        Repo::new(records, &self.did, &self.key, Tid::from_micros(1_700_000_000_000_000, 1))
    }

    async fn import(&self, car: Vec<u8>) -> HostResult<Imported> {
        let chunks: Vec<HostResult<Bytes>> =
            car.chunks(1_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        self.node.host.import_repo(&self.did, stream::iter(chunks)).await
    }

    async fn held(&self) -> Records {
        let repo = self.node.store.live_repo(&self.did).await.unwrap().unwrap();
        let mut query = RecordsQuery::all(repo.id);
        (query.max_rows, query.max_bytes) = (usize::MAX, usize::MAX);
        let rows = self.node.store.records(query).await.unwrap();
        rows.into_iter().map(|row| (row.key.to_string(), row.body.unwrap())).collect()
    }

    /// What an import must leave behind: the records, under our own commit, and nothing else.
    async fn check(&self, imported: Imported, records: &Records) {
        assert_eq!(self.held().await, *records);
        let repos = self.node.store.repos(Some(&self.did)).await.unwrap();
        assert_eq!(repos.len(), 1, "nothing of the import is left over: {repos:?}");
        assert_eq!(repos[0].role, Role::Hosted);
        let head = repos[0].head.clone().unwrap();
        assert_eq!((head.commit, head.rev), (imported.commit, imported.rev));
        assert_eq!(head.data, self.repo(records).data);
        let commit = p2pds_store::commit_of(&self.did, &head);
        commit.verify(&p2pds_crypto::Signer::public_key(&self.key)).unwrap();
        let spine = view::load_spine(&*self.node.store, &repos[0]).await.unwrap();
        assert_eq!(spine.records(), records.len() as u64);
    }
}

/// A repo with its blocks.
struct Repo {
    commit: (Cid, Vec<u8>),
    data: Cid,
    nodes: Vec<(Cid, Vec<u8>)>,
    records: Vec<(Cid, Vec<u8>)>,
}

impl Repo {
    fn new(records: &Records, did: &Did, key: &PrivateKey, rev: Tid) -> Self {
        let mut nodes = Vec::new();
        let mut builder = Builder::new(|cid: &Cid, bytes: &[u8]| nodes.push((*cid, bytes.to_vec())));
        for (path, body) in records {
            builder.push(path.as_bytes(), &Cid::of_cbor(body)).unwrap();
        }
        let data = builder.finish();
        let commit = Unsigned { did: did.clone(), rev, data }.sign(key).unwrap();
        let records = records.values().map(|body| (Cid::of_cbor(body), body.clone())).collect();
        Self { commit: (commit.cid(), commit.encode()), data, nodes, records }
    }

    /// Its blocks without those of another, as `since` leaves them out; in the order of their CIDs.
    fn car(&self, without: Option<&Repo>) -> Vec<u8> {
        let known = |cid: &Cid| {
            without
                .is_some_and(|other| other.nodes.iter().chain(&other.records).any(|(known, _)| known == cid))
        };
        let mut blocks: Vec<_> =
            self.nodes.iter().chain(&self.records).filter(|(cid, _)| !known(cid)).collect();
        blocks.sort();
        blocks.dedup();
        let mut out = Vec::new();
        write_header(&mut out, &[self.commit.0]);
        write_section(&mut out, &self.commit.0, &self.commit.1);
        for (cid, bytes) in blocks {
            write_section(&mut out, cid, bytes);
        }
        out
    }
}

fn body(value: &serde_json::Value) -> Vec<u8> {
    encode(&json::from_json(value).unwrap())
}

fn posts(count: u64) -> Records {
    let post = |n: u64| {
        let key = Tid::from_micros(1_600_000_000_000_000 + n * 1_000, 0);
        let record = json!({"$type": "app.bsky.feed.post", "text": format!("post {n}"), "createdAt": "2024-01-01T00:00:00Z"});
        (format!("app.bsky.feed.post/{key}"), body(&record))
    };
    (0..count).map(post).collect()
}

fn name(result: HostResult<Imported>) -> (&'static str, String) {
    let HostError { name, message, .. } = result.expect_err("this must be refused");
    (name, message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_repo_moves_in() {
    let mover = Mover::new().await;
    let told = mover.node.store.last_seq().await.unwrap();
    let mut records = posts(3_000);
    let blob = Cid::of_raw(b"a picture");
    let subject = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    records.insert(
        "app.bsky.actor.profile/self".to_owned(),
        body(&json!({"$type": "app.bsky.actor.profile", "avatar":
            {"$type": "blob", "ref": {"$link": blob.to_string()}, "mimeType": "image/png", "size": 9}})),
    );
    records.insert(
        "app.bsky.graph.follow/3jzfcijpj2z2a".to_owned(),
        body(&json!({"$type": "app.bsky.graph.follow", "subject": subject, "createdAt": "2024-01-01T00:00:00Z"})),
    );
    let repo = mover.repo(&records);
    let imported = mover.import(repo.car(None)).await.unwrap();
    assert!(imported.changed && imported.records == 3_002);
    assert!(imported.rev > Tid::from_micros(1_700_000_000_000_000, 1), "later than what came");
    mover.check(imported, &records).await;
    let missing = mover.node.store.blobs(&mover.did, BlobFilter::Missing, None, 10).await.unwrap();
    assert_eq!(missing.iter().map(|blob| blob.cid).collect::<Vec<_>>(), [blob]);
    assert_eq!(mover.node.store.last_seq().await.unwrap(), told, "nothing is told before the activation");

    let again = mover.import(repo.car(None)).await.unwrap();
    assert!(!again.changed && again.rev == imported.rev, "the same repo again changes nothing");
    let whole = repo.car(None);
    let (refused, _) = name(mover.import(whole[..whole.len() - 1].to_vec()).await);
    assert_eq!(refused, "InvalidRequest", "cut off, though all of it is here");
    let part = mover.import(repo.car(Some(&repo))).await.unwrap();
    assert!(!part.changed, "a part of what is here");

    // The follow that came is known: a newer one takes its place.
    mover.patch(LoginPatch { deactivated_at: Some(None), ..LoginPatch::default() });
    let record = Value::map([("subject", Value::Text(subject.to_owned()))]);
    let follow = Write::Create { collection: nsid("app.bsky.graph.follow"), rkey: None, record };
    let options =
        WriteOptions { validate: Validate::Skip, replace_duplicates: true, ..WriteOptions::default() };
    let written = mover.node.host.write(&mover.did, vec![follow], options).await.unwrap();
    let held = mover.held().await;
    assert!(held.contains_key(written.results[0].path.as_str()));
    assert_eq!(held.len(), records.len(), "the old one is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_complete_what_is_here() {
    let mover = Mover::new().await;
    let mut records = posts(2_000);
    let first = mover.repo(&records);
    mover.import(first.car(None)).await.unwrap();
    // A few changes: one of each kind, and the bytes of an old record at a new key.
    let (old, other) = (records.keys().next().unwrap().clone(), records.keys().nth(7).unwrap().clone());
    let moved = records[&other].clone();
    records.remove(&old);
    records.insert(other, body(&json!({"$type": "app.bsky.feed.post", "text": "edited", "createdAt": "x"})));
    records.insert("app.bsky.feed.post/3zzzzzzzzzzz2".to_owned(), moved);
    let second = mover.repo(&records);
    let part = second.car(Some(&first));
    assert!(part.len() < 20_000, "a part: {}", part.len());
    let imported = mover.import(part).await.unwrap();
    mover.check(imported, &records).await;
    // Many changes: more than one commit holds.
    let more: Records = posts(5_000).into_iter().skip(2_000).collect();
    records.extend(more);
    let mut at = 0;
    records.retain(|_, _| {
        at += 1;
        at % 3 > 0
    });
    assert!(records.len() > 3_000);
    let third = mover.repo(&records);
    let imported = mover.import(third.car(Some(&second))).await.unwrap();
    mover.check(imported, &records).await;
    // A part of what is not here completes nothing.
    let (stranger, far) = (mover.repo(&posts(400)), mover.repo(&posts(401)));
    let (error, message) = name(mover.import(far.car(Some(&stranger))).await);
    assert_eq!(error, "InvalidRequest");
    assert!(message.contains("send the whole repo"), "{message}");
    mover.check(imported, &records).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_repo_of_this_account_leave_nothing() {
    let mover = Mover::new().await;
    let records = posts(1_500);
    let good = mover.repo(&records);
    let (other_key, rev) =
        (PrivateKey::from_entropy(Curve::K256, [8; 32]), Tid::from_micros(1_700_000_000_000_000, 1));
    let car = good.car(None);
    let mut flipped = car.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let two_roots = {
        let mut out = Vec::new();
        write_header(&mut out, &[good.commit.0, good.data]);
        write_section(&mut out, &good.commit.0, &good.commit.1);
        out
    };
    let without_one = {
        let mut repo = mover.repo(&records);
        repo.records.remove(700);
        repo.car(None)
    };
    let without_node = {
        let mut repo = mover.repo(&records);
        repo.nodes.remove(3);
        repo.car(None)
    };
    let future = Repo::new(&records, &mover.did, &mover.key, Tid::from_micros(1_900_000_000_000_000, 1));
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("nothing", Vec::new(), "InvalidRequest", ""),
        ("no CAR", b"hello, this is no CAR file at all".to_vec(), "InvalidRequest", ""),
        (
            "another account",
            Repo::new(&records, &did(2), &mover.key, rev).car(None),
            "InvalidRequest",
            "repo of did:web:user2",
        ),
        (
            "a stranger's signature",
            Repo::new(&records, &mover.did, &other_key, rev).car(None),
            "UpstreamFailure",
            "",
        ),
        ("the future", future.car(None), "InvalidRequest", "future"),
        ("cut short", car[..car.len() - 10].to_vec(), "InvalidRequest", ""),
        ("a flipped bit", flipped, "InvalidRequest", ""),
        ("two roots", two_roots, "InvalidRequest", "expected one root"),
        ("a record missing", without_one, "InvalidRequest", "is not in the file"),
        ("a node missing", without_node, "InvalidRequest", ""),
    ];
    for (what, car, error, words) in cases {
        let (found, message) = name(mover.import(car).await);
        assert_eq!(found, error, "{what}: {message}");
        assert!(message.contains(words), "{what}: {message}");
        let repos = mover.node.store.repos(Some(&mover.did)).await.unwrap();
        assert_eq!(repos.len(), 1, "{what} leaves nothing staged");
        assert_eq!(repos[0].records, 0);
    }
    let broken: Vec<HostResult<Bytes>> =
        vec![Ok(Bytes::copy_from_slice(&car[..500])), Err(HostError::invalid("the body broke"))];
    let (_, message) = name(mover.node.host.import_repo(&mover.did, stream::iter(broken)).await);
    assert_eq!(message, "the body broke");
    let imported = mover.import(car).await.unwrap();
    mover.check(imported, &records).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_account_tells_where_it_stands() {
    let mover = Mover::new().await;
    mover.patch(LoginPatch { deactivated_at: Some(None), ..LoginPatch::default() });
    let told = mover.node.store.last_seq().await.unwrap();
    let records = posts(10);
    let imported = mover.import(mover.repo(&records).car(None)).await.unwrap();
    mover.check(imported, &records).await;
    let events = mover.node.store.events_after(told, 10, usize::MAX).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(matches!(decode(&events[0].frame).unwrap(), Frame::Sync(sync) if sync.rev == imported.rev));
    // And is written to afterwards.
    let write = Write::Create {
        collection: nsid("com.example.note"),
        rkey: None,
        record: Value::map([("a", Value::Int(1))]),
    };
    let options = WriteOptions { validate: Validate::Skip, ..WriteOptions::default() };
    let written = mover.node.host.write(&mover.did, vec![write], options).await.unwrap();
    assert!(written.rev > imported.rev);
    assert_eq!(mover.held().await.len(), 11);
}

/// What a killed import left is dropped, and what is live is not.
#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_killed_import_are_dropped() {
    let mover = Mover::new().await;
    let records = posts(10);
    let imported = mover.import(mover.repo(&records).car(None)).await.unwrap();
    let begin = Unit::BeginStaging {
        did: mover.did.clone(),
        kind: p2pds_store::Kind::Mst,
        rev: Tid::from_micros(1_800_000_000_000_000, 0),
    };
    assert!(matches!(mover.node.store.apply(begin).await.unwrap(), Applied::Staging(RepoId(_))));
    assert_eq!(mover.node.store.repos(Some(&mover.did)).await.unwrap().len(), 2);
    let jobs = p2pds_host::jobs::all(&mover.node.host);
    let job = jobs.iter().find(|job| job.name() == "import-leftovers").unwrap();
    job.round(&mover.node.host).await.unwrap();
    mover.check(imported, &records).await;
}
