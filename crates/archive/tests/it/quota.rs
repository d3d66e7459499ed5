//! Limits: first no new blobs, then nothing new; what is held stays, and goes on when there is room.

use p2pds_archive::{ArchiveConfig, ArchiveError, Full, Progress, QUOTA_FINDING, VerifyOptions};
use p2pds_syntax::ErrorKind;

use crate::fake::{Fake, Node, Person, test_config};

fn finding(node: &Node, details: &p2pds_archive::Details) -> bool {
    let _ = node;
    details.findings.iter().any(|finding| finding.kind == QUOTA_FINDING)
}

async fn show(node: &Node, person: &Person) -> p2pds_archive::Details {
    node.archive.show(&person.did).await.unwrap()
}

/// Somebody with 40 posts and five pictures of 1,000 bytes.
async fn published(seed: u8) -> (Fake, Person) {
    let net = Fake::start().await;
    let mut person = Person::new(seed, &net.url);
    for n in 0..5 {
        person.picture(&format!("3kpic{}2222222", ["a", "b", "c", "d", "e"][n]), &[n as u8; 1_000]);
    }
    net.publish(&person, &person.sign(0));
    (net, person)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_own_limit_stops_blobs_then_growth_and_can_be_raised() {
    let (net, mut person) = published(60).await;
    let node = Node::with(&net.url, ArchiveConfig { blob_concurrency: 1, ..test_config() });
    node.add(&person).await;
    let account = node.store.account(&person.did).await.unwrap().unwrap();
    assert_eq!((account.blobs_held, account.blobs_missing), (5, 0), "no limit");
    let used = account.record_bytes + account.blob_bytes;

    // A limit that leaves room for records, and none for blobs.
    node.archive.set_quota(&person.did, Some(used + 400)).await.unwrap();
    let more = person.picture("3kpicf2222222", &[9; 1_000]);
    net.publish(&person, &person.sign(1));
    let blobs_asked = net.hits("com.atproto.sync.getBlob");
    let summary = node.sync(&person).await;
    assert_eq!((summary.blobs_held, summary.blobs_missing), (5, 1), "the record came, its picture did not");
    assert_eq!(net.hits("com.atproto.sync.getBlob"), blobs_asked, "and was not even asked for");
    assert!(summary.notes.iter().any(|note| note.contains("quota")), "{:?}", summary.notes);
    let details = show(&node, &person).await;
    assert!(details.missing_blobs[0].reason.contains("quota"), "{:?}", details.missing_blobs);
    assert!(!finding(&node, &details), "the limit itself is not reached");

    // A limit that is reached: nothing new is fetched, what is held stays and is in order.
    node.archive.set_quota(&person.did, Some(used)).await.unwrap();
    assert!(matches!(node.archive.may_grow(&person.did), Err(Full::Account { .. })));
    assert!(finding(&node, &show(&node, &person).await));
    let held = node.head(&person).await.unwrap().rev;
    person.post("3kzzzzzzzzzzz", 99);
    net.publish(&person, &person.sign(2));
    let fetched = net.hits("com.atproto.sync.getRepo");
    let error = node.archive.sync(&person.did, &Progress::none()).await.unwrap_err();
    assert!(matches!(&error, ArchiveError::Quota { .. }) && error.kind() == ErrorKind::Limited, "{error}");
    assert_eq!(net.hits("com.atproto.sync.getRepo"), fetched);
    assert_eq!(node.head(&person).await.unwrap().rev, held);
    let options = VerifyOptions { read_data: true, repair: false };
    let report = node.archive.verify(&person.did, options, &Progress::none()).await.unwrap();
    assert!(report.ok, "{report}");
    let line = node.archive.list().await.unwrap().remove(0);
    assert!(line.last_error.as_deref().is_some_and(|error| error.contains("quota")), "{line:?}");

    // Raised: it catches up, and the finding is gone.
    let bell = node.archive.wakes().bell("sync");
    node.archive.set_quota(&person.did, None).await.unwrap();
    bell.notified().await;
    assert!(node.archive.wakes().take("sync").accounts.contains(&person.did), "it is synced at once");
    let summary = node.sync(&person).await;
    assert_eq!((summary.blobs_held, summary.blobs_missing), (6, 0));
    assert_eq!(node.contents(&person).await, person.records);
    assert!(node.store.blob(&person.did, &more).await.unwrap().is_some());
    assert!(!finding(&node, &show(&node, &person).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_all_accounts_is_shared() {
    let net = Fake::start().await;
    let people: Vec<Person> = (61..64)
        .map(|seed| {
            let mut person = Person::new(seed, &net.url);
            person.picture("3kpica2222222", &[seed; 4_000]);
            net.publish(&person, &person.sign(0));
            person
        })
        .collect();
    let open = Node::with(&net.url, test_config());
    open.add(&people[0]).await;
    let account = open.store.account(&people[0].did).await.unwrap().unwrap();
    let each = account.record_bytes + account.blob_bytes;
    let limit = each * 2 + each / 2;
    let node = Node::with(&net.url, ArchiveConfig { quota_total: Some(limit), ..test_config() });
    let mut held = 0;
    for person in &people {
        node.archive.recount().await.unwrap();
        match node.archive.add(person.did.as_str(), &Progress::none()).await {
            Ok(summary) => held += summary.blobs_held,
            Err(error) => assert!(matches!(error, ArchiveError::Quota { .. }), "{error}"),
        }
    }
    let recount = node.archive.recount().await.unwrap();
    assert!(recount.used <= limit + limit / 4, "{} of {limit}", recount.used);
    assert_eq!(held, 2, "the third picture passes nine tenths of the limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repo_that_cannot_fit_is_given_up_early() {
    let (net, person) = published(65).await;
    let config = ArchiveConfig { quota_per_account: Some(1_000), ..test_config() };
    // The transfer is allowed a little more than the limit, so that a small repo is judged by what is stored of it.
    let node = Node::with(&net.url, config);
    node.add(&person).await;
    node.archive.recount().await.unwrap();
    assert!(matches!(node.archive.may_grow(&person.did), Err(Full::Account { .. })));
    let summary = show(&node, &person).await;
    assert_eq!((summary.line.blobs_held, summary.line.blobs_missing), (0, 5));
    assert!(finding(&node, &summary));
    // A stream that notes what it stored is refused at once, without a count.
    let other = Person::new(66, &net.url);
    net.publish(&other, &other.sign(0));
    node.archive.add(other.did.as_str(), &Progress::none()).await.unwrap();
    let account = node.store.account(&other.did).await.unwrap().unwrap();
    node.archive.set_quota(&other.did, Some(account.record_bytes + 100)).await.unwrap();
    node.archive.may_grow(&other.did).unwrap();
    node.archive.grew(&other.did, 100);
    assert!(node.archive.may_grow(&other.did).is_err());
}
