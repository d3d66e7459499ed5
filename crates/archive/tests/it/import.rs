//! Archiving from files, without a network.

use std::path::PathBuf;

use p2pds_archive::{ArchiveError, CheckName, CheckResult, Outcome, Progress, VerifyOptions};
use p2pds_store::VerifiedState;

use crate::fake::{Fake, Node, Person};

/// A URL where nobody answers.
const NOWHERE: &str = "http://localhost:1";

fn write(node: &Node, name: &str, bytes: &[u8]) -> PathBuf {
    let path = node.dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_log_verified_without_one_not() {
    let person = Person::new(60, NOWHERE);
    let state = person.sign(0);
    let node = Node::new(NOWHERE);
    let car = write(&node, "a.car", &state.car(None));
    let report = node.archive.import(&car, None, &Progress::none()).await.unwrap();
    assert!(!report.verified && report.summary.outcome == Outcome::Stored);
    assert!(report.to_string().contains("unverified"), "{report}");
    assert_eq!(node.contents(&person).await, person.records);
    assert_eq!(node.archive.list().await.unwrap()[0].verified, "unverified");
    let check = node.archive.verify(&person.did, VerifyOptions::default(), &Progress::none()).await.unwrap();
    assert!(check.ok, "{check}");
    assert_eq!(check.check(CheckName::PlcLog).unwrap().result, CheckResult::Incomplete);
    assert_eq!(check.check(CheckName::CommitRoot).unwrap().result, CheckResult::Incomplete, "{check}");
    assert!(!check.to_string().contains("everything is in order"), "{check}");
    let uri = p2pds_syntax::AtUri::parse(&format!("at://{}", person.did)).unwrap();
    let error = node.archive.record(&uri).await.unwrap_err().to_string();
    assert!(error.contains("three parts"), "{error}");
    // The log turns up.
    let log = write(&node, "plc.json", &person.audit());
    let report = node.archive.import(&car, Some(&log), &Progress::none()).await.unwrap();
    assert!(report.verified && report.summary.outcome == Outcome::Current);
    assert_eq!(node.store.account(&person.did).await.unwrap().unwrap().verified, VerifiedState::Verified);
    let check = node.archive.verify(&person.did, VerifyOptions::default(), &Progress::none()).await.unwrap();
    assert!(check.ok && check.check(CheckName::PlcLog).unwrap().result == CheckResult::Ok, "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_file_never_replaces_a_newer_head() {
    let net = Fake::start().await;
    let mut person = Person::new(61, &net.url);
    let old = person.sign(0);
    person.post("3kznew2222222", 1);
    let new = person.sign(1);
    net.publish(&person, &new);
    let node = Node::new(&net.url);
    node.add(&person).await;
    let car = write(&node, "old.car", &old.car(None));
    let report = node.archive.import(&car, None, &Progress::none()).await.unwrap();
    assert!(
        matches!(&report.summary.outcome, Outcome::Refused { kind, .. } if kind == "older-head"),
        "{report}"
    );
    assert_eq!(node.head(&person).await.unwrap().commit, new.head);
    // A newer one does.
    person.post("3kznewer22222", 2);
    let newer = person.sign(2);
    let car = write(&node, "newer.car", &newer.car(None));
    let report = node.archive.import(&car, None, &Progress::none()).await.unwrap();
    assert_eq!(report.summary.outcome, Outcome::Stored);
    assert!(report.verified, "the log that is stored vouches for it");
    assert_eq!(node.contents(&person).await, person.records);
    assert!(car.exists(), "the user's file stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_get_an_error_that_says_where() {
    let person = Person::new(62, NOWHERE);
    let state = person.sign(0);
    let whole = state.car(None);
    let node = Node::new(NOWHERE);
    let log = write(&node, "plc.json", &person.audit());
    let other_log = write(&node, "other.json", &Person::new(63, NOWHERE).audit());
    let mut flipped = whole.clone();
    let at = flipped.len() - 5;
    flipped[at] ^= 1;
    let forged = person.sign_as(0, &person.did, &Person::new(64, NOWHERE).signing);
    let cases: [(&str, Vec<u8>, Option<&PathBuf>, &str); 6] = [
        ("empty", Vec::new(), None, "not"),
        ("text", b"hello, this is no CAR file at all, just some words".to_vec(), None, "CAR"),
        ("cut", whole[..whole.len() - 7].to_vec(), None, "byte"),
        ("flipped", flipped, None, "hash"),
        ("forged", forged.car(None), Some(&log), "none of the keys"),
        ("log of another", whole.clone(), Some(&other_log), "did"),
    ];
    for (what, bytes, log, words) in cases {
        let car = write(&node, "bad.car", &bytes);
        let error =
            node.archive.import(&car, log.map(PathBuf::as_path), &Progress::none()).await.unwrap_err();
        assert!(
            matches!(error, ArchiveError::BadFile { .. } | ArchiveError::Rejected { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().to_lowercase().contains(&words.to_lowercase()), "{what}: {error}");
        assert!(node.archive.list().await.unwrap().is_empty(), "{what} leaves no account behind");
    }
    let missing = node.dir.path().join("nowhere.car");
    let error = node.archive.import(&missing, None, &Progress::none()).await.unwrap_err();
    assert!(error.to_string().contains("nowhere.car"), "{error}");
    // After all that the good file is taken.
    let car = write(&node, "good.car", &whole);
    assert!(node.archive.import(&car, Some(&log), &Progress::none()).await.unwrap().verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_the_root_reaches_is_stored_whatever_else_is_in_the_file() {
    use p2pds_ipld::{Cid, car};
    let person = Person::new(65, NOWHERE);
    let state = person.sign(0);
    let stray: Vec<u8> = p2pds_ipld::cbor::encode(&p2pds_ipld::cbor::Value::Text("nobody links here".into()));
    for (name, times, backwards) in
        [("shuffled.car", 1, true), ("doubled.car", 2, false), ("both.car", 2, true)]
    {
        let mut file = Vec::new();
        car::write_header(&mut file, &[state.head]);
        let mut blocks: Vec<_> = state.blocks.iter().collect();
        if backwards {
            blocks.reverse();
        }
        for _ in 0..times {
            for (cid, bytes) in &blocks {
                car::write_section(&mut file, cid, bytes);
                car::write_section(&mut file, &Cid::of_cbor(&stray), &stray);
            }
        }
        let node = Node::new(NOWHERE);
        let path = write(&node, name, &file);
        let report = node.archive.import(&path, None, &Progress::none()).await.unwrap();
        assert_eq!(report.summary.outcome, Outcome::Stored, "{name}");
        assert_eq!(node.contents(&person).await, person.records, "{name}");
        let door = p2pds_reading::Reading::new(node.store.clone(), node.archive.blobs().clone());
        let absent = door.block(p2pds_reading::Viewer::Operator, &person.did, &Cid::of_cbor(&stray)).await;
        assert!(absent.is_err(), "{name}: what nothing links to is not kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_anywhere_leaves_the_old_state() {
    let mut person = Person::new(66, NOWHERE);
    person.records.retain(|path, _| path.ends_with('a') || path.ends_with('b'));
    let old = person.sign(0);
    person.post("3kznew2222222", 1);
    let new = person.sign(1).car(None);
    let node = Node::new(NOWHERE);
    let first = write(&node, "old.car", &old.car(None));
    node.archive.import(&first, None, &Progress::none()).await.unwrap();
    let contents = node.contents(&person).await;
    for cut in (0..new.len()).step_by(23) {
        let path = write(&node, "cut.car", &new[..cut]);
        assert!(node.archive.import(&path, None, &Progress::none()).await.is_err(), "cut at {cut}");
    }
    assert_eq!(node.contents(&person).await, contents);
    assert_eq!(node.head(&person).await.unwrap().commit, old.head);
    assert_eq!(node.store.repos(Some(&person.did)).await.unwrap().len(), 1, "no staged rows are left");
    let path = write(&node, "new.car", &new);
    assert_eq!(
        node.archive.import(&path, None, &Progress::none()).await.unwrap().summary.outcome,
        Outcome::Stored
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_vouches_for_what_a_file_brought() {
    let net = Fake::start().await;
    let person = Person::new(70, &net.url);
    let state = person.sign(0);
    net.publish(&person, &state);
    let node = Node::new(&net.url);
    let car = write(&node, "a.car", &state.car(None));
    assert!(!node.archive.import(&car, None, &Progress::none()).await.unwrap().verified);
    assert_eq!(node.sync(&person).await.outcome, Outcome::Current);
    assert_eq!(node.store.account(&person.did).await.unwrap().unwrap().verified, VerifiedState::Verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_file_does_not_keep_the_genuine_repo_out() {
    let net = Fake::start().await;
    let mut person = Person::new(71, &net.url);
    let genuine = person.sign(0);
    let records = person.records.clone();
    net.publish(&person, &genuine);
    person.post("3kzforged2222", 1);
    for step in [0, 1] {
        let node = Node::new(&net.url);
        let forged = person.sign_as(step, &person.did, &Person::new(72, &net.url).signing);
        let car = write(&node, "forged.car", &forged.car(None));
        let report = node.archive.import(&car, None, &Progress::none()).await.unwrap();
        assert!(!report.verified, "nothing is known of the account yet");
        assert_eq!(node.sync(&person).await.outcome, Outcome::Stored);
        assert_eq!(node.head(&person).await.unwrap().commit, genuine.head);
        assert_eq!(node.contents(&person).await, records);
        let account = node.store.account(&person.did).await.unwrap().unwrap();
        assert_eq!(account.verified, VerifiedState::Verified);
        let evidence = node.store.evidence(&person.did, 10).await.unwrap();
        assert!(evidence.iter().any(|one| one.kind == "forged-commit"), "{evidence:?}");
        assert_eq!(node.sync(&person).await.outcome, Outcome::Current);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_vouches_for_never_replaces_what_is_verified() {
    let net = Fake::start().await;
    let mut person = Person::new(73, &net.url);
    let state = person.sign(0);
    net.publish(&person, &state);
    let node = Node::new(&net.url);
    node.add(&person).await;
    // The log and the document are lost; the key that signed the head is not.
    let node = node
        .with_database(|db| {
            db.execute_batch("DELETE FROM plc_op; DELETE FROM plc; DELETE FROM identity;").unwrap()
        })
        .await;
    person.post("3kzforged2222", 1);
    let forged = person.sign_as(1, &person.did, &Person::new(74, &net.url).signing);
    let car = write(&node, "forged.car", &forged.car(None));
    let error = node.archive.import(&car, None, &Progress::none()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Rejected { .. }), "{error}");
    assert_eq!(node.head(&person).await.unwrap().commit, state.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_file_is_not_waited_for() {
    let node = Node::new(NOWHERE);
    let pipe = node.dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, words) in [(pipe.as_path(), "a pipe"), (node.dir.path(), "a directory")] {
        let error = node.archive.import(path, None, &Progress::none()).await.unwrap_err();
        assert!(
            matches!(error, ArchiveError::BadFile { .. }) && error.to_string().contains(words),
            "{error}"
        );
    }
}
