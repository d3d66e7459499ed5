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
