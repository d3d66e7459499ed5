//! Adding accounts: what is found, stored, resumed, refused.

use std::sync::{Arc, Mutex};

use crate::fake::{Blob, Fake, Getting, Node, Person, test_config};
use p2pds_archive::{ArchiveConfig, ArchiveError, CheckResult, KeyState, Outcome, Progress, VerifyOptions};
use p2pds_store::{AccountStatus, VerifiedState};
use p2pds_syntax::ErrorKind;

#[tokio::test(flavor = "multi_thread")]
async fn everything_public_is_stored_and_verified() {
    let net = Fake::start().await;
    let mut person = Person::new(1, &net.url);
    let picture = person.picture("3kpicture2222", &[9; 5_000]);
    let state = person.sign(0);
    net.publish(&person, &state);
    let node = Node::new(&net.url);
    let events = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&events);
    let progress = Progress::to(move |event| to.lock().unwrap().push(event));
    let summary = node.archive.add(person.did.as_str(), &progress).await.unwrap();

    assert_eq!(summary.outcome, Outcome::Stored);
    assert_eq!(summary.records, person.records.len() as u64);
    assert_eq!(summary.commit, Some(state.head.to_string()));
    assert_eq!((summary.blobs_held, summary.blobs_missing), (1, 0));
    assert_eq!(node.contents(&person).await, person.records);
    let account = node.store.account(&person.did).await.unwrap().unwrap();
    assert_eq!((account.verified, account.status), (VerifiedState::Verified, AccountStatus::Active));
    assert!(account.last_sync_at.is_some() && account.last_sync_error.is_none());
    let found = summary.found.unwrap();
    assert_eq!(found.keys.state, KeyState::PerhapsOwner, "one of the two rotation keys has signed nothing");
    assert!(found.to_string().contains("Do you hold one"), "{found}");
    for not_there in ["preferences", "direct messages", "private spaces"] {
        assert!(found.to_string().contains(not_there), "{not_there} is not said to be missing");
    }
    assert!(
        events.lock().unwrap().iter().any(|event| event.found.is_some()),
        "what was found is told before fetching"
    );
    assert_eq!(node.archive.blobs().size(&person.did, &picture).await.unwrap(), Some(5_000));
    assert_eq!(node.store.plc_log(&person.did).await.unwrap().len(), 1);
    let details = node.archive.show(&person.did).await.unwrap();
    assert_eq!(details.head.unwrap().rev, state.rev.to_string());
    assert!(details.findings.is_empty() && details.missing_blobs.is_empty());
    assert!(node.store.workers().await.unwrap().is_empty(), "nobody works on it any more");
    let left: Vec<_> = std::fs::read_dir(node.dir.path().join("spool")).unwrap().collect();
    assert!(left.is_empty(), "the spool is empty again");

    let report = node
        .archive
        .verify(&person.did, VerifyOptions { read_data: true, repair: false }, &Progress::none())
        .await
        .unwrap();
    assert!(report.ok && report.exit_code() == 0, "{report}");
    assert!(report.checks.iter().all(|check| check.result == CheckResult::Ok), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_twice_fetches_nothing_twice() {
    let net = Fake::start().await;
    let mut person = Person::new(2, &net.url);
    person.picture("3kpicture2222", &[1; 100]);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let again = node.add(&person).await;
    assert_eq!(again.outcome, Outcome::Current);
    assert_eq!(net.hits("com.atproto.sync.getRepo"), 1);
    assert_eq!(net.hits("com.atproto.sync.getBlob"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_goes_on() {
    let net = Fake::start().await;
    let mut person = Person::new(3, &net.url);
    for n in 0..20 {
        person.picture(
            &format!("3kpic{n:02}222222")
                .replace('0', "a")
                .replace('1', "b")
                .replace('8', "c")
                .replace('9', "d"),
            &[n; 50],
        );
    }
    let state = person.sign(0);
    net.publish(&person, &state);
    // Received whole, then killed before it was stored: the file is enough.
    let node = Node::new(&net.url);
    let account = p2pds_store::Account::new(person.did.clone(), p2pds_store::Origin::Network, 0);
    node.store.apply(p2pds_store::Unit::AddAccount(Box::new(account))).await.unwrap();
    let spool = node.dir.path().join("spool");
    std::fs::create_dir_all(&spool).unwrap();
    std::fs::write(
        spool.join(format!("{}.car", p2pds_blobs::account_dir_name(&person.did))),
        state.car(None),
    )
    .unwrap();
    // And killed in the middle of staging: the half repo is dropped.
    let begin = p2pds_store::Unit::BeginStaging {
        did: person.did.clone(),
        kind: p2pds_store::Kind::Mst,
        rev: state.rev,
    };
    node.store.apply(begin).await.unwrap();
    let node = node.reopen().await;
    node.archive.resume(&Progress::none()).await.unwrap();
    let summary = node.sync(&person).await;
    assert_eq!(summary.outcome, Outcome::Stored);
    assert_eq!(net.hits("com.atproto.sync.getRepo"), 0, "the received file was used");
    assert_eq!(summary.blobs_held, 20);
    assert_eq!(node.store.repos(Some(&person.did)).await.unwrap().len(), 1);
    // A blob whose file is there and whose row was not written: hashed, not fetched again.
    let cid = *person.blobs.keys().next().unwrap();
    let missing = p2pds_store::BlobState::Missing { tries: 0, last_error: None, next_try: 0 };
    let unit =
        p2pds_store::Unit::PutBlob { did: person.did.clone(), cid, size: None, mime: None, state: missing };
    node.store.apply(unit).await.unwrap();
    let before = net.hits("com.atproto.sync.getBlob");
    let summary = node.sync(&person).await;
    assert_eq!((summary.blobs_held, summary.blobs_missing), (20, 0));
    assert_eq!(net.hits("com.atproto.sync.getBlob"), before);
}

/// Killed after the repo was stored and before that was noted: the start finds it, and not only the next fetch, which may
/// be an hour away because the host says that there is nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_in_the_last_moment_counts() {
    let net = Fake::start().await;
    let mut person = Person::new(3, &net.url);
    person.post("3kpost2222222", 1);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let mut node = node;
    for verified in [p2pds_store::VerifiedState::Nothing, p2pds_store::VerifiedState::Verbatim] {
        let patch = p2pds_store::AccountPatch { verified: Some(verified), ..Default::default() };
        let unit = p2pds_store::Unit::PatchAccount { did: person.did.clone(), patch: Box::new(patch) };
        node.store.apply(unit).await.unwrap();
        node = node.reopen().await;
        assert!(node.archive.resume(&Progress::none()).await.unwrap().is_empty());
        let account = node.store.account(&person.did).await.unwrap().unwrap();
        assert_eq!(account.verified, p2pds_store::VerifiedState::Verified);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_cut_off_is_next_but_not_for_ever() {
    let net = Fake::start().await;
    let mut person = Person::new(3, &net.url);
    person.post("3kpost2222222", 1);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    let did = &person.did;
    let account = p2pds_store::Account::new(did.clone(), p2pds_store::Origin::Network, 0);
    node.store.apply(p2pds_store::Unit::AddAccount(Box::new(account))).await.unwrap();
    // What a fetch has noted when the process ends in the middle of it.
    let cut_off = async || {
        let row = p2pds_store::WorkerRow {
            name: format!("archive:{did}"),
            did: Some(did.clone()),
            state: "syncing".to_owned(),
            done: 0,
            total: 0,
            notes: "{}".to_owned(),
            last_error: None,
            next_run: None,
            updated_at: 0,
        };
        node.store.apply(p2pds_store::Unit::PutWorker(row)).await.unwrap();
        let patch = p2pds_store::AccountPatch { last_attempt_at: Some(Some(i64::MAX)), ..Default::default() };
        let unit = p2pds_store::Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) };
        node.store.apply(unit).await.unwrap();
        node.archive.resume(&Progress::none()).await.unwrap();
        node.store.account(did).await.unwrap().unwrap()
    };
    for _ in 0..5 {
        assert_eq!(cut_off().await.last_attempt_at, None);
    }
    let account = cut_off().await;
    assert_eq!(account.last_attempt_at, Some(i64::MAX), "perhaps this account is what ends the process");
    let why = account.last_sync_error.unwrap();
    assert!(why.contains("in the middle of fetching it") && why.ends_with('6'), "{why}");

    assert_eq!(node.sync(&person).await.outcome, Outcome::Stored);
    let synced = node.store.account(did).await.unwrap().unwrap();
    assert_eq!(synced.last_sync_error, None);
    let again = cut_off().await;
    assert_eq!((again.last_attempt_at, again.last_sync_at), (synced.last_sync_at, synced.last_sync_at));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_repos_are_refused_and_leave_nothing() {
    let net = Fake::start().await;
    let person = Person::new(4, &net.url);
    let other = Person::new(5, &net.url);
    let state = person.sign(0);
    net.publish(&person, &state);
    let good = state.car(None);
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let mut without_node = state.clone();
    without_node.blocks.remove(&state.commit.data);
    let cases = [
        ("somebody else's repo", Getting::Bytes(other.sign(0).car(None)), "it is the repo of"),
        (
            "claims the DID, signed by another",
            Getting::Bytes(other.sign_as(0, &person.did, &other.signing).car(None)),
            "none of the keys",
        ),
        ("a flipped byte", Getting::Bytes(flipped), "hash"),
        ("the root node is missing", Getting::Bytes(without_node.car(None)), "missing"),
        ("not a CAR file", Getting::Bytes(b"<html>".repeat(50)), "not valid"),
    ];
    for (what, getting, words) in cases {
        net.script(&person, |served| served.getting = getting);
        let node = Node::new(&net.url);
        let error = node.archive.add(person.did.as_str(), &Progress::none()).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Rejected { .. }), "{what}: {error}");
        assert!(error.to_string().contains(words), "{what}: {error}");
        assert!(node.store.live_repo(&person.did).await.unwrap().is_none(), "{what}");
        assert!(node.store.repos(None).await.unwrap().is_empty(), "{what}: no staged rows are left");
        assert_eq!(std::fs::read_dir(node.dir.path().join("spool")).unwrap().count(), 0, "{what}");
        let noted = node.store.account(&person.did).await.unwrap().unwrap().last_sync_error.unwrap();
        assert!(noted.contains(words), "{what}: {noted}");
        // The same node takes the good repo afterwards.
        net.script(&person, |served| served.getting = Getting::Honest);
        assert_eq!(node.add(&person).await.outcome, Outcome::Stored, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_and_endless_downloads_end() {
    let net = Fake::start().await;
    let person = Person::new(6, &net.url);
    let state = person.sign(0);
    net.publish(&person, &state);
    let whole = state.car(None);
    let node = Node::with(&net.url, ArchiveConfig { max_repo_bytes: 3 << 20, ..test_config() });
    for cut in [0, 10, 60, whole.len() / 2, whole.len() - 1] {
        for broken in [Getting::CutOff(whole[..cut].to_vec()), Getting::Bytes(whole[..cut].to_vec())] {
            net.script(&person, |served| served.getting = broken);
            let error = node.archive.add(person.did.as_str(), &Progress::none()).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Invalid), "{cut}: {error}");
            assert!(node.store.live_repo(&person.did).await.unwrap().is_none());
        }
    }
    net.script(&person, |served| served.getting = Getting::Endless);
    let error = node.archive.add(person.did.as_str(), &Progress::none()).await.unwrap_err();
    assert!(error.to_string().contains("3.1 MB"), "{error}");
    assert_eq!(
        std::fs::read_dir(node.dir.path().join("spool")).unwrap().count(),
        0,
        "the disk is free again"
    );
    net.script(&person, |served| served.getting = Getting::Honest);
    assert_eq!(node.add(&person).await.outcome, Outcome::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_do_not_come_are_listed_with_the_reason() {
    let net = Fake::start().await;
    let mut person = Person::new(7, &net.url);
    let good = person.picture("3kpica2222222", &[1; 400]);
    let wrong = person.picture("3kpicb2222222", &[2; 400]);
    let gone = person.picture("3kpicc2222222", &[3; 400]);
    let taken = person.picture("3kpicd2222222", &[4; 400]);
    let broken = person.picture("3kpice2222222", &[5; 400]);
    net.publish(&person, &person.sign(0));
    net.script(&person, |served| {
        served.blobs.insert(wrong.to_string(), Blob::Good(vec![0; 400]));
        served.blobs.insert(gone.to_string(), Blob::Error(400, "BlobNotFound"));
        served.blobs.insert(taken.to_string(), Blob::Error(400, "BlobTakedown"));
        served.blobs.insert(broken.to_string(), Blob::Error(500, "InternalServerError"));
    });
    let node = Node::new(&net.url);
    let summary = node.add(&person).await;
    assert_eq!(summary.outcome, Outcome::Stored, "blobs do not keep the repo away");
    assert_eq!(summary.blobs_held, 1);
    assert_eq!(node.archive.blobs().size(&person.did, &good).await.unwrap(), Some(400));
    assert_eq!(
        node.archive.blobs().size(&person.did, &wrong).await.unwrap(),
        None,
        "wrong bytes are not kept"
    );
    let notes = node.archive.show(&person.did).await.unwrap().missing_blobs;
    let reason =
        |cid: &p2pds_ipld::Cid| notes.iter().find(|note| note.cid == cid.to_string()).unwrap().reason.clone();
    assert!(reason(&wrong).contains("other bytes"), "{}", reason(&wrong));
    assert!(reason(&gone).contains("does not have this blob"), "{}", reason(&gone));
    assert!(reason(&taken).contains("taken this blob down"), "{}", reason(&taken));
    assert!(reason(&broken).contains("500"), "{}", reason(&broken));
    // The host mends it: the next sync brings what was missing, and adding again asks for the gone ones too.
    net.script(&person, |served| {
        for cid in [wrong, gone, taken, broken] {
            served.blobs.insert(cid.to_string(), Blob::Good(person.blobs[&cid].clone()));
        }
    });
    assert_eq!(node.sync(&person).await.blobs_held, 3);
    assert_eq!(node.add(&person).await.blobs_held, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_kept() {
    let net = Fake::start().await;
    let mut person = Person::new(8, &net.url);
    for n in 0..5 {
        person.picture(&format!("3kpic{}2222222", ["a", "b", "c", "d", "e"][n]), &[n as u8; 1_000]);
    }
    net.publish(&person, &person.sign(0));
    let node =
        Node::with(&net.url, ArchiveConfig { blob_quota: Some(2_500), blob_concurrency: 1, ..test_config() });
    let summary = node.add(&person).await;
    assert_eq!((summary.blobs_held, summary.blob_bytes, summary.blobs_missing), (2, 2_000, 3));
    let notes = node.archive.show(&person.did).await.unwrap().missing_blobs;
    assert!(notes.iter().all(|note| note.reason.contains("quota")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_is_said_before_anything_is_fetched() {
    let net = Fake::start().await;
    let person = Person::new(9, &net.url);
    net.publish(&person, &person.sign(0));
    let node = Node::with(&net.url, ArchiveConfig { keep_free: u64::MAX, ..test_config() });
    let error = node.archive.add(person.did.as_str(), &Progress::none()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limited);
    assert!(error.to_string().contains("keep_free"), "{error}");
    assert_eq!(net.hits("com.atproto.sync.getRepo"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_nowhere() {
    let net = Fake::start().await;
    let node = Node::new(&net.url);
    let error = node.archive.add("not a name", &Progress::none()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::BadName(_)), "{error}");
    let stranger = Person::new(10, &net.url);
    let error = node.archive.add(stranger.did.as_str(), &Progress::none()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(node.archive.list().await.unwrap().is_empty(), "nothing is kept of a name that leads nowhere");
    let error = node.archive.find(stranger.did.as_str()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::NotArchived(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_flip_and_its_notes() {
    let net = Fake::start().await;
    let person = Person::new(11, &net.url);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let patch = p2pds_store::AccountPatch { verified: Some(VerifiedState::Nothing), ..Default::default() };
    let unit = p2pds_store::Unit::PatchAccount { did: person.did.clone(), patch: Box::new(patch) };
    node.store.apply(unit).await.unwrap();
    assert_eq!(node.sync(&person).await.outcome, Outcome::Current);
    assert_eq!(node.store.account(&person.did).await.unwrap().unwrap().verified, VerifiedState::Verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_leave_the_disk_its_room() {
    let net = Fake::start().await;
    let mut person = Person::new(12, &net.url);
    // A record may claim any size: this one claims more than any disk has.
    let cid = person.picture("3kpic22222222", &[1; 100]);
    let body = p2pds_ipld::cbor::encode(&p2pds_ipld::cbor::Value::map([(
        "image",
        p2pds_ipld::cbor::Value::map([
            ("$type", p2pds_ipld::cbor::Value::Text("blob".into())),
            ("ref", p2pds_ipld::cbor::Value::Link(cid)),
            ("mimeType", p2pds_ipld::cbor::Value::Text("image/png".into())),
            ("size", p2pds_ipld::cbor::Value::Int(1 << 52)),
        ]),
    )]));
    person.records.insert("app.bsky.feed.post/3kpic22222222".to_owned(), body);
    net.publish(&person, &person.sign(0));
    let node = Node::with(&net.url, ArchiveConfig { max_blob_bytes: 1 << 60, ..test_config() });
    let summary = node.add(&person).await;
    assert_eq!((summary.outcome, summary.blobs_held, summary.blobs_missing), (Outcome::Stored, 0, 1));
    assert!(summary.notes.iter().any(|note| note.contains("not enough room")), "{:?}", summary.notes);
    assert_eq!(net.hits("com.atproto.sync.getBlob"), 0);
}
