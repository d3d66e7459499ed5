//! The one door to stored bytes, on an archived account.

use p2pds_ipld::Cid;
use p2pds_reading::{Reading, Refusal, Viewer};
use p2pds_store::{AccountPatch, AccountStatus, Serve, Unit};
use p2pds_syntax::{Did, RecordPath};

use crate::fake::{Fake, Node, Person};

#[tokio::test(flavor = "multi_thread")]
async fn every_block_record_and_blob_is_found() {
    let net = Fake::start().await;
    let mut person = Person::new(50, &net.url);
    // Enough for a spine above the runs.
    for n in 0..1_500 {
        let rkey =
            format!("3l{n:011}").replace('0', "a").replace('1', "b").replace('8', "c").replace('9', "d");
        person.post(&rkey, n);
    }
    let picture = person.picture("3kpic22222222", &[5; 600_000]);
    let state = person.sign(0);
    net.publish(&person, &state);
    let node = Node::new(&net.url);
    node.add(&person).await;
    let door = Reading::new(node.store.clone(), node.archive.blobs().clone());
    let nodes: Vec<&Cid> = state
        .blocks
        .keys()
        .filter(|cid| !person.records.values().any(|r| Cid::of_cbor(r) == **cid))
        .collect();
    assert!(nodes.len() > 100, "{} nodes", nodes.len());
    let some_records = person.records.values().step_by(97).map(|bytes| Cid::of_cbor(bytes));
    for cid in nodes.into_iter().copied().chain(some_records) {
        let bytes = door.block(Viewer::Operator, &person.did, &cid).await.unwrap();
        assert_eq!(&bytes, &state.blocks[&cid], "{cid}");
    }
    let absent = door.block(Viewer::Operator, &person.did, &Cid::of_cbor(b"absent")).await;
    assert!(matches!(absent, Err(Refusal::NoBlock { .. })));

    let (mut after, mut seen) = (None, 0);
    loop {
        let page = door.records(Viewer::Operator, &person.did, after.as_ref(), 400).await.unwrap();
        let Some(next) = page.next else { break };
        seen += page.records.len();
        after = Some(next);
    }
    assert_eq!(seen, person.records.len());
    let path = RecordPath::parse("app.bsky.feed.post/3kpic22222222").unwrap();
    let row = door.record(Viewer::Operator, &person.did, &path).await.unwrap();
    assert_eq!(row.body.as_deref(), Some(person.records[path.as_str()].as_slice()));
    let absent = door.record(Viewer::Operator, &person.did, &RecordPath::parse("a.b.c/d").unwrap()).await;
    assert!(matches!(absent, Err(Refusal::NoRecord { .. })));
    let blob = door.blob(Viewer::Operator, &person.did, &picture).await.unwrap();
    assert_eq!(blob.bytes.bytes(1 << 20).await.unwrap(), person.blobs[&picture]);
    let absent = door.blob(Viewer::Operator, &person.did, &Cid::of_raw(b"absent")).await;
    assert!(matches!(absent, Err(Refusal::NoBlob { .. })));
    let nobody = Did::parse("did:web:nobody.example").unwrap();
    assert!(matches!(door.repo(Viewer::Operator, &nobody).await, Err(Refusal::NoAccount(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn others_get_what_the_operator_chose_and_nobody_withdrew() {
    let net = Fake::start().await;
    let person = Person::new(51, &net.url);
    net.publish(&person, &person.sign(0));
    let node = Node::new(&net.url);
    node.add(&person).await;
    let door = Reading::new(node.store.clone(), node.archive.blobs().clone());
    let patch = async |patch: AccountPatch| {
        node.store
            .apply(Unit::PatchAccount { did: person.did.clone(), patch: Box::new(patch) })
            .await
            .unwrap();
    };
    assert!(matches!(door.repo_car(Viewer::Public, &person.did).await.err(), Some(Refusal::NotServed(_))));
    let basis = Some(Some("its owner asked for it".to_owned()));
    patch(AccountPatch { serve: Some(Serve::Public), serve_basis: basis, ..AccountPatch::default() }).await;
    assert!(door.repo_car(Viewer::Public, &person.did).await.is_ok());
    patch(AccountPatch { status: Some(AccountStatus::Deactivated), ..AccountPatch::default() }).await;
    assert!(matches!(
        door.repo_car(Viewer::Public, &person.did).await.err(),
        Some(Refusal::Withdrawn { .. })
    ));
    assert!(door.repo_car(Viewer::Operator, &person.did).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_still_asked_after() {
    let net = Fake::start().await;
    let person = Person::new(71, &net.url);
    let signed = person.sign(0);
    net.publish(&person, &signed);
    let node = Node::new(&net.url);
    node.add(&person).await;
    node.archive.pause(&person.did, true).await.unwrap();
    let status = async || {
        node.archive.ask_status(&person.did).await.unwrap();
        node.store.account(&person.did).await.unwrap().unwrap().status
    };
    assert_eq!(status().await, AccountStatus::Active);
    net.script(&person, |served| {
        (served.refusal, served.status) = (Some("RepoDeactivated"), Some("deactivated"))
    });
    assert_eq!(status().await, AccountStatus::Deactivated);
    net.script(&person, |served| (served.refusal, served.status) = (None, None));
    assert_eq!(status().await, AccountStatus::Active, "its owner came back");
}
