//! Damage is found, named, and mended from the source.

use p2pds_archive::{CheckName, CheckResult, Progress, VerifyOptions, VerifyReport};

use crate::fake::{Fake, Node, Person};

async fn verify(node: &Node, person: &Person, read_data: bool, repair: bool) -> VerifyReport {
    let options = VerifyOptions { read_data, repair };
    node.archive.verify(&person.did, options, &Progress::none()).await.unwrap()
}

async fn archived(seed: u8) -> (Fake, Person, Node) {
    let net = Fake::start().await;
    let mut person = Person::new(seed, &net.url);
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        person.picture(&format!("3kpic{name}2222222"), &[n as u8; 2_000]);
    }
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    (net, person, node)
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_lost_cut_and_flipped() {
    let (_net, person, node) = archived(40).await;
    let cids: Vec<_> = person.blobs.keys().copied().collect();
    let path = |at: usize| node.archive.blobs().path(&person.did, &cids[at]);
    std::fs::remove_file(path(0)).unwrap();
    std::fs::write(path(1), b"short").unwrap();
    let mut bytes = std::fs::read(path(2)).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(path(2), bytes).unwrap();

    let quick = verify(&node, &person, false, false).await;
    let check = quick.check(CheckName::Blobs).unwrap();
    assert_eq!(check.result, CheckResult::Damaged);
    assert_eq!(
        check.damaged,
        vec![cids[0].to_string(), cids[1].to_string()],
        "a flipped bit needs --read-data"
    );
    assert_eq!(quick.exit_code(), 3);
    let thorough = verify(&node, &person, true, false).await;
    assert_eq!(thorough.check(CheckName::Blobs).unwrap().damaged.len(), 3, "{thorough}");
    let line = node.archive.list().await.unwrap().remove(0);
    assert_eq!(line.last_verify_ok, Some(false));
    assert!(node.archive.show(&person.did).await.unwrap().findings.iter().any(|f| f.kind == "damaged"));

    let mended = verify(&node, &person, true, true).await;
    let check = mended.check(CheckName::Blobs).unwrap();
    assert_eq!((check.result, check.repaired.len()), (CheckResult::Repaired, 3), "{mended}");
    assert!(mended.ok && mended.found_damage && mended.exit_code() == 3);
    let after = verify(&node, &person, true, true).await;
    assert!(after.ok && !after.found_damage && after.exit_code() == 0, "{after}");
    assert!(node.archive.show(&person.did).await.unwrap().findings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_host_damage_is_said_and_nothing_more() {
    let (net, person, node) = archived(41).await;
    let cid = *person.blobs.keys().next().unwrap();
    std::fs::remove_file(node.archive.blobs().path(&person.did, &cid)).unwrap();
    net.set_down(true);
    let report = verify(&node, &person, true, true).await;
    let check = report.check(CheckName::Blobs).unwrap();
    assert!(!report.ok && report.exit_code() == 3);
    assert_eq!(
        (check.result, check.damaged.clone()),
        (CheckResult::Damaged, vec![cid.to_string()]),
        "{report}"
    );
    assert!(check.repaired.is_empty());
    net.set_down(false);
    assert!(verify(&node, &person, true, true).await.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_flipped_in_the_database() {
    let (net, person, node) = archived(42).await;
    let node = node
        .with_database(|database| {
            crate::fake::flip_body(database, "3kpica2222222");
        })
        .await;
    let report = verify(&node, &person, false, false).await;
    let check = report.check(CheckName::Records).unwrap();
    assert_eq!(check.damaged, vec!["app.bsky.feed.post/3kpica2222222".to_owned()], "{report}");
    assert_eq!(report.check(CheckName::Tree).unwrap().result, CheckResult::Ok, "the tree needs no bodies");
    net.set_down(true);
    assert!(!verify(&node, &person, false, true).await.ok);
    net.set_down(false);
    let whole = net.hits("com.atproto.sync.getRepo");
    let report = verify(&node, &person, false, true).await;
    assert_eq!(report.check(CheckName::Records).unwrap().result, CheckResult::Repaired, "{report}");
    assert_eq!(net.hits("com.atproto.sync.getRepo"), whole, "one record is fetched alone");
    assert_eq!(node.contents(&person).await, person.records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_lost_from_the_database() {
    let (net, person, node) = archived(43).await;
    let node = node
        .with_database(|database| {
            let changed = database.execute("DELETE FROM record WHERE rkey LIKE '%pica%'", []).unwrap();
            assert_eq!(changed, 1);
        })
        .await;
    let report = verify(&node, &person, false, false).await;
    assert_eq!(report.check(CheckName::Tree).unwrap().result, CheckResult::Damaged, "{report}");
    let report = verify(&node, &person, false, true).await;
    assert!(report.ok, "{report}");
    assert_eq!(report.check(CheckName::Tree).unwrap().result, CheckResult::Repaired);
    assert!(net.hits("com.atproto.sync.getRepo") > 1, "only the whole repo brings it back");
    assert_eq!(node.contents(&person).await, person.records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_index_is_computed_again_without_anybody() {
    let (net, person, node) = archived(44).await;
    let node = node
        .with_database(|database| {
            let changed = database.execute("UPDATE bucket SET n = n + 1", []).unwrap();
            assert!(changed > 0);
        })
        .await;
    net.set_down(true);
    let report = verify(&node, &person, false, false).await;
    assert!(!report.ok, "{report}");
    let report = verify(&node, &person, false, true).await;
    assert!(report.ok && report.found_damage, "{report}");
    assert!(!verify(&node, &person, false, true).await.found_damage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_log_is_noticed_and_fetched_again() {
    let (_net, person, node) = archived(45).await;
    let node = node
        .with_database(|database| {
            let changed = database.execute("UPDATE plc_op SET operation = CAST(replace(CAST(operation AS TEXT), 'localhost', 'evilhosts') AS BLOB)", []).unwrap();
            assert_eq!(changed, 1);
        })
        .await;
    let report = verify(&node, &person, false, false).await;
    assert_eq!(report.check(CheckName::PlcLog).unwrap().result, CheckResult::Damaged, "{report}");
    let report = verify(&node, &person, false, true).await;
    assert_eq!(report.check(CheckName::PlcLog).unwrap().result, CheckResult::Repaired, "{report}");
}
