//! The deep check: covers everything once a round, goes on where it was, and finds and mends what is damaged.

use p2pds_archive::{Scrub, Step};
use p2pds_store::BlobFilter;

use crate::fake::{Fake, Node, Person};

/// Three accounts: small, with pictures, and one of several buckets.
async fn three() -> (Fake, Vec<Person>, Node) {
    let net = Fake::start().await;
    let mut people: Vec<Person> = (70..73).map(|seed| Person::new(seed, &net.url)).collect();
    for n in 0..20_u8 {
        people[1].picture(&format!("3kpic{}2222222", char::from(b'a' + n)), &[n; 3_000]);
    }
    for n in 0..6_000_u64 {
        let mut key = String::from("3k");
        for digit in format!("{n:011}").bytes() {
            key.push(char::from(if digit < b'2' { digit + 49 } else { digit }));
        }
        people[2].post(&key.replace('8', "c").replace('9', "d"), n);
    }
    let node = Node::new(&net.url);
    for person in &people {
        net.publish(person, &person.sign(0));
        node.add(person).await;
    }
    (net, people, node)
}

async fn run(node: &Node, scrub: &mut Scrub) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let step = node.archive.scrub_step(scrub).await.unwrap();
        let ended = step.ended;
        steps.push(step);
        if ended {
            return steps;
        }
    }
}

/// Records, blobs and their bytes, as the store counts them.
async fn truth(node: &Node) -> (u64, u64, u64) {
    let (mut records, mut blobs, mut bytes) = (0, 0, 0);
    for account in node.store.accounts(None, 100).await.unwrap() {
        records += account.records;
        blobs += account.blobs_held;
        bytes += account.record_bytes + account.blob_bytes;
    }
    (records, blobs, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_exactly_once_a_round() {
    let (_net, people, node) = three().await;
    node.pass(1);
    let mut scrub = node.archive.scrub_begin(None).await.unwrap();
    let steps = run(&node, &mut scrub).await;
    let (records, blobs, bytes) = truth(&node).await;
    assert!(records > 6_000 && blobs == 20);
    assert_eq!((scrub.records, scrub.blobs, scrub.done_bytes), (records, blobs, bytes));
    assert_eq!((scrub.accounts_done, scrub.damaged, scrub.total_bytes), (3, 0, bytes));
    assert_eq!(steps.iter().map(|step| step.bytes).sum::<u64>(), bytes);
    assert_eq!(steps.iter().filter_map(|step| step.account.as_ref()).filter(|(_, ok)| *ok).count(), 3);
    assert!(scrub.busy_us > 0 && scrub.permille() == 1_000);
    for person in &people {
        let account = node.store.account(&person.did).await.unwrap().unwrap();
        assert_eq!(
            (account.last_verify_ok, account.last_verified_at),
            (Some(true), Some(node.archive.now()))
        );
    }
    let second = node.archive.scrub_begin(Some(&scrub)).await.unwrap();
    assert_eq!((second.round, second.done_bytes, second.ended_at), (2, 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_from_what_was_written_down() {
    let (_net, _people, mut node) = three().await;
    let mut scrub = node.archive.scrub_begin(None).await.unwrap();
    let mut restarts = 0;
    while scrub.ended_at.is_none() {
        node.archive.scrub_step(&mut scrub).await.unwrap();
        // Killed after every step, and begun again with the notes alone.
        let notes = serde_json::to_string(&scrub).unwrap();
        if restarts < 8 {
            node = node.reopen().await;
        }
        restarts += 1;
        scrub = serde_json::from_str(&notes).unwrap();
    }
    assert!(restarts > 3, "one step cannot be all: {restarts}");
    let (records, blobs, bytes) = truth(&node).await;
    assert_eq!(
        (scrub.records, scrub.blobs, scrub.done_bytes),
        (records, blobs, bytes),
        "nothing twice, nothing left out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_mended_on_the_way() {
    let (net, people, node) = three().await;
    let row = node.store.blobs(&people[1].did, BlobFilter::Held, None, 1).await.unwrap().remove(0);
    let path = node.archive.blobs().path(&people[1].did, &row.cid);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[17] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let node = node.with_database(|database| crate::fake::flip_body(database, "3kaaaaaaa2345")).await;

    net.set_down(true);
    let mut scrub = node.archive.scrub_begin(None).await.unwrap();
    let steps = run(&node, &mut scrub).await;
    let bad: Vec<_> = steps.iter().filter_map(|s| s.account.as_ref()).filter(|(_, ok)| !ok).collect();
    assert_eq!((bad.len(), scrub.damaged, scrub.mended), (2, 2, 0), "{steps:?}");
    for person in &people[1..] {
        let details = node.archive.show(&person.did).await.unwrap();
        assert!(details.findings.iter().any(|finding| finding.kind == "damaged"), "{details:?}");
    }

    net.set_down(false);
    let mut scrub = node.archive.scrub_begin(Some(&scrub)).await.unwrap();
    run(&node, &mut scrub).await;
    assert_eq!((scrub.damaged, scrub.mended), (2, 2));
    for person in &people {
        assert_eq!(node.contents(person).await, person.records);
        assert!(node.archive.show(&person.did).await.unwrap().findings.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_index_is_damage_and_a_lost_record_is() {
    for sql in [
        "UPDATE bucket SET n = n + 1 WHERE rowid IN (SELECT rowid FROM bucket LIMIT 1)",
        "DELETE FROM record WHERE rkey LIKE '3kaaaaaaa2345'",
        "UPDATE bucket_cids SET cids = zeroblob(length(cids))",
        "UPDATE repo SET sig = zeroblob(64)",
    ] {
        let sql = sql.replace(
            "WHERE rowid IN (SELECT rowid FROM bucket LIMIT 1)",
            "WHERE (repo, lo) IN (SELECT repo, lo FROM bucket ORDER BY repo DESC, lo LIMIT 1)",
        );
        let (net, _people, node) = three().await;
        net.set_down(true);
        let node =
            node.with_database(|database| assert!(database.execute(&sql, []).unwrap() > 0, "{sql}")).await;
        let mut scrub = node.archive.scrub_begin(None).await.unwrap();
        run(&node, &mut scrub).await;
        assert!(scrub.damaged >= 1, "{sql}: {scrub:?}");
    }
}
