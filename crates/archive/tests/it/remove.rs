//! Erasing an account.

use p2pds_archive::{ArchiveError, Progress};
use p2pds_store::Unit;

use crate::fake::{Fake, Node, Person};

#[tokio::test(flavor = "multi_thread")]
async fn preview_then_erase_and_search() {
    let net = Fake::start().await;
    let mut person = Person::new(70, &net.url);
    person.picture("3kpic22222222", &[7; 900]);
    let other = Person::new(71, &net.url);
    net.publish(&person, &person.sign(0));
    net.publish(&other, &other.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    node.add(&other).await;
    let drills = node.archive.drill_dir(&person.did);
    std::fs::create_dir_all(&drills).unwrap();
    std::fs::write(drills.join("report.json"), b"{}").unwrap();

    let preview = node.archive.remove(&person.did, true, &Progress::none()).await.unwrap();
    assert!(preview.dry_run && preview.records == 41 && preview.blobs == 1, "{preview}");
    assert!(preview.to_string().starts_with("Would erase"), "{preview}");
    assert_eq!(node.contents(&person).await, person.records, "a preview erases nothing");

    let report = node.archive.remove(&person.did, false, &Progress::none()).await.unwrap();
    assert!(!report.dry_run && report.rows_deleted >= 41, "{report}");
    let traces = report.traces.as_ref().unwrap();
    assert_eq!(traces.left, 0, "{report}");
    assert!(traces.searched_bytes > 0);
    assert!(!report.outside.is_empty());
    assert!(!drills.exists() && node.archive.blobs().list(&person.did).await.unwrap().is_empty());
    assert!(node.store.account(&person.did).await.unwrap().is_none());
    assert_eq!(node.contents(&other).await, other.records, "nobody else lost anything");
    let error = node.archive.remove(&person.did, false, &Progress::none()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::NotArchived(_)), "{error}");
    // It can come back.
    assert_eq!(node.add(&person).await.records, 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_removal_is_finished() {
    let net = Fake::start().await;
    let mut person = Person::new(72, &net.url);
    person.picture("3kpic22222222", &[7; 900]);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let begin = Unit::PurgeBegin { did: person.did.clone(), basis: "test".into(), at: 0 };
    node.store.apply(begin).await.unwrap();
    let node = node.reopen().await;
    let line = node.archive.list().await.unwrap().remove(0);
    assert!(line.removing && line.words.contains("removed"), "{}", line.words);
    node.archive.resume(&Progress::none()).await.unwrap();
    assert!(node.archive.list().await.unwrap().is_empty());
    assert!(node.archive.blobs().list(&person.did).await.unwrap().is_empty());
    assert!(node.store.purges(1).await.unwrap()[0].ended_at.is_some());
}

/// Killed after the last row, before the search for traces: the account is in no list any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_cut_off_before_its_search_is_finished() {
    use p2pds_store::Applied;
    let net = Fake::start().await;
    let person = Person::new(73, &net.url);
    net.publish(&person, &person.sign(0));
    for again_by_hand in [true, false] {
        let node = Node::new(&net.url);
        node.add(&person).await;
        let begin = Unit::PurgeBegin { did: person.did.clone(), basis: "test".into(), at: 0 };
        node.store.apply(begin).await.unwrap();
        let step = Unit::PurgeChunk { did: person.did.clone() };
        while let Applied::Chunk { done: false, .. } = node.store.apply(step.clone()).await.unwrap() {}
        let node = node.reopen().await;
        assert!(node.archive.list().await.unwrap().is_empty());
        assert!(node.store.purges(1).await.unwrap()[0].ended_at.is_none());
        if again_by_hand {
            let did = node.archive.find(person.did.as_str()).await.unwrap();
            let report = node.archive.remove(&did, false, &Progress::none()).await.unwrap();
            assert_eq!(report.traces.unwrap().left, 0);
        } else {
            let left = node.archive.resume(&Progress::none()).await.unwrap();
            assert!(left.is_empty(), "{left:?}");
        }
        assert!(node.store.purges(1).await.unwrap()[0].ended_at.is_some());
        let error = node.archive.find(person.did.as_str()).await.unwrap_err();
        assert!(matches!(error, ArchiveError::NotArchived(_)), "{error}");
    }
}

/// The account came back while its old removal was not finished: finishing it leaves the new one alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_removal_does_not_take_a_new_archive_with_it() {
    use p2pds_store::Applied;
    let net = Fake::start().await;
    let person = Person::new(74, &net.url);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let begin = Unit::PurgeBegin { did: person.did.clone(), basis: "test".into(), at: 0 };
    node.store.apply(begin).await.unwrap();
    let step = Unit::PurgeChunk { did: person.did.clone() };
    while let Applied::Chunk { done: false, .. } = node.store.apply(step.clone()).await.unwrap() {}
    node.add(&person).await;
    let left = node.archive.resume(&Progress::none()).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    assert!(node.store.purges(1).await.unwrap()[0].ended_at.is_some());
    assert_eq!(node.contents(&person).await, person.records);
}
