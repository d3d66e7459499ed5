//! Operations that nobody announced: found, said, counted down, undone, acknowledged.

use std::sync::atomic::Ordering;
use std::time::Duration;

use p2pds_archive::{Alarm, ArchiveConfig, ArchiveError, Verdict};
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_store::{Account, AccountPatch, AccountStatus, Finding, IdentityRow, Keep, Origin, Unit};
use p2pds_syntax::Did;

use super::fake::person::By;
use super::fake::{Fake, Node, Person, test_config};

/// The hour of [`Person::sign`] at which tests begin.
const BEGIN: i64 = 100;

async fn archived() -> (Fake, Node, Person) {
    let fake = Fake::start().await;
    let person = Person::new(1, &fake.url);
    fake.publish(&person, &person.sign(0));
    fake.identity(&person);
    let node = Node::new(&fake.url);
    node.add(&person).await;
    (fake, node, person)
}

async fn findings(node: &Node, did: &Did) -> Vec<Finding> {
    node.store.findings(did, 100).await.unwrap()
}

/// The words that `archive show` has for the only finding.
async fn shown(node: &Node, did: &Did) -> String {
    let details = node.archive.show(did).await.unwrap();
    assert_eq!(details.findings.len(), 1, "{:?}", details.findings);
    details.findings[0].detail.clone()
}

fn pass(node: &Node, minutes: u64) {
    node.clock.0.fetch_add(minutes * 60_000_000, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_nobody_announced_is_counted_down_and_acknowledged() {
    let (fake, node, mut person) = archived().await;
    assert!(findings(&node, &person.did).await.is_empty(), "what was there before is known");
    let owners = person.rotation.public_key().to_did_key();
    let cid = person.operate(0, BEGIN - 1, By::Host, |data| {
        data.rotation_keys.remove(0);
        data.set_pds("https://elsewhere.example.com");
    });
    fake.identity(&person);
    let seen = node.archive.watch(&person.did, &[]).await.unwrap();
    assert_eq!((seen.changed, seen.unexpected), (true, 1));
    let found = findings(&node, &person.did).await;
    assert_eq!((found[0].kind.as_str(), found[0].subject.as_str()), ("plc-unexpected", &*cid.to_string()));
    let words = shown(&node, &person.did).await;
    for part in [
        &format!("rotation key removed, it was at place 1: {owners}"),
        "to https://elsewhere.example.com",
        "signed by rotation key 2 of 2",
        "(71 hours left)",
        &format!("rotation key 1 {owners} (not seen before: perhaps the owner's recovery key)"),
        &format!("`prev` is {}", person.log.entries()[0].cid),
        &format!("p2pds plc ack {} {cid}", person.did),
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }

    pass(&node, 70 * 60 + 20);
    assert!(shown(&node, &person.did).await.contains("(40 minutes left)"), "shown without asking anyone");
    pass(&node, 41);
    let seen = node.archive.watch(&person.did, &[]).await.unwrap();
    assert_eq!((seen.changed, seen.unexpected), (false, 1), "the same one");
    let words = shown(&node, &person.did).await;
    assert!(words.contains("The 72 hours in which a key of higher authority could undo it ended"), "{words}");

    let wrong = node.archive.acknowledge(&person.did, "bafyreinonsense", "x").await.unwrap_err();
    assert!(matches!(wrong, ArchiveError::NoOperation { .. }), "{wrong}");
    node.archive.acknowledge(&person.did, &cid.to_string(), "it was me").await.unwrap();
    assert!(findings(&node, &person.did).await.is_empty());
    let node = node.reopen().await;
    node.archive.watch(&person.did, &[]).await.unwrap();
    assert!(findings(&node, &person.did).await.is_empty(), "a restart does not forget it");
    let history = node.archive.identity_history(&person.did).await.unwrap();
    assert_eq!(history.operations[1].verdict, Verdict::Acknowledged { reason: "it was me".to_owned() });
    assert_eq!(history.operations[1].rotation_keys.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_taken_back_by_the_next_one() {
    let (fake, node, mut person) = archived().await;
    let long = node.archive.announce(&person.did, Duration::from_secs(31 * 86_400), "by mistake").await;
    assert!(matches!(long, Err(ArchiveError::AnnouncedTooLong)), "{long:?}");
    node.archive.announce(&person.did, Duration::from_secs(30 * 86_400), "by mistake").await.unwrap();
    assert!(node.archive.identity_history(&person.did).await.unwrap().announced.is_some());
    pass(&node, 1);
    node.archive.announce(&person.did, Duration::ZERO, "taken back").await.unwrap();
    assert_eq!(node.archive.identity_history(&person.did).await.unwrap().announced, None);
    let late = person.operate(0, BEGIN + 2, By::Host, |data| data.set_pds("https://b.example.com"));
    fake.identity(&person);
    pass(&node, 120);
    assert_eq!(node.archive.watch(&person.did, &[]).await.unwrap().unexpected, 1);
    assert_eq!(findings(&node, &person.did).await[0].subject, late.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_announced_raises_no_alarm_and_what_comes_later_does() {
    let (fake, node, mut person) = archived().await;
    let announced =
        node.archive.announce(&person.did, Duration::from_secs(2 * 3600), "new key").await.unwrap();
    assert_eq!(announced.until - announced.at, 2 * 3_600_000_000);
    person.operate(0, BEGIN + 1, By::Host, |data| data.set_pds("https://a.example.com"));
    fake.identity(&person);
    pass(&node, 60);
    assert_eq!(node.archive.watch(&person.did, &[]).await.unwrap().unexpected, 0);
    assert!(findings(&node, &person.did).await.is_empty());
    let late = person.operate(1, BEGIN + 3, By::Host, |data| data.set_pds("https://b.example.com"));
    fake.identity(&person);
    pass(&node, 120);
    assert_eq!(node.archive.watch(&person.did, &[]).await.unwrap().unexpected, 1);
    assert_eq!(findings(&node, &person.did).await[0].subject, late.to_string());
    let history = node.archive.identity_history(&person.did).await.unwrap();
    assert_eq!(history.operations[1].verdict, Verdict::Announced { reason: "new key".to_owned() });
    assert_eq!(history.operations[2].verdict, Verdict::Unexpected);
    assert_eq!(history.announced, None, "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_accounts_of_others_it_is_only_noted_where_the_operator_says_so() {
    let fake = Fake::start().await;
    let mut person = Person::new(1, &fake.url);
    fake.publish(&person, &person.sign(0));
    fake.identity(&person);
    let config = ArchiveConfig { alarm: Alarm::Own, ..test_config() };
    let node = Node::with(&fake.url, config);
    node.add(&person).await;
    person.operate(0, BEGIN - 2, By::Host, |data| data.set_pds("https://a.example.com"));
    fake.identity(&person);
    node.archive.watch(&person.did, &[]).await.unwrap();
    assert!(findings(&node, &person.did).await.is_empty());
    let history = node.archive.identity_history(&person.did).await.unwrap();
    assert_eq!(history.operations[1].verdict, Verdict::Unexpected, "noted all the same");

    let patch = AccountPatch { keep: Some(Keep::All), ..AccountPatch::default() };
    let patch = Unit::PatchAccount { did: person.did.clone(), patch: Box::new(patch) };
    node.store.apply(patch).await.unwrap();
    person.operate(1, BEGIN - 1, By::Host, |data| data.set_pds("https://b.example.com"));
    fake.identity(&person);
    assert_eq!(node.archive.watch(&person.did, &[]).await.unwrap().unexpected, 2, "both can still be undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_meets_the_operation_first_raises_the_alarm_too() {
    let (fake, node, mut person) = archived().await;
    person.operate(0, BEGIN - 1, By::Host, |data| data.rotation_keys.reverse());
    fake.identity(&person);
    node.sync(&person).await;
    let words = shown(&node, &person.did).await;
    assert!(words.contains("the rotation keys changed their order"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_ends_the_alarm_it_answers_and_is_itself_to_be_acknowledged() {
    let (fake, node, mut person) = archived().await;
    let theft = person.operate(0, BEGIN - 2, By::Host, |data| {
        data.rotation_keys.remove(0);
    });
    fake.identity(&person);
    node.archive.watch(&person.did, &[]).await.unwrap();
    let rescue = person.operate(0, BEGIN - 1, By::Owner, |data| data.set_pds("https://safe.example.com"));
    fake.identity(&person);
    assert_eq!(node.archive.watch(&person.did, &[]).await.unwrap().unexpected, 1);
    let found = findings(&node, &person.did).await;
    assert_eq!(found.iter().map(|f| f.subject.clone()).collect::<Vec<_>>(), [rescue.to_string()]);
    assert!(found[0].detail.contains("It made operation 2 void."), "{}", found[0].detail);
    assert!(
        found[0].detail.contains("key of highest authority, so no other key can undo it"),
        "{}",
        found[0].detail
    );
    let history = node.archive.identity_history(&person.did).await.unwrap();
    assert_eq!(history.operations[1].cid, theft.to_string());
    assert!(history.operations[1].nullified && !history.operations[2].nullified);
    assert_eq!(history.operations[2].undid, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_given_up_is_withheld_at_once_and_asked_for_when_it_is_back() {
    let (fake, node, mut person) = archived().await;
    let end = person.give_up(BEGIN - 1);
    fake.identity(&person);
    node.archive.watch(&person.did, &[]).await.unwrap();
    let account = node.store.account(&person.did).await.unwrap().unwrap();
    assert_eq!(account.status, AccountStatus::Deleted);
    assert!(account.withdrawn_at.is_some(), "retention counts from here");
    let mut shown = node.archive.show(&person.did).await.unwrap().findings;
    shown.retain(|finding| finding.kind.starts_with("plc-"));
    let kinds: Vec<&str> = shown.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds, ["plc-tombstone", "plc-unexpected"]);
    assert!(shown.iter().all(|f| f.detail.contains("(71 hours left)")), "{shown:?}");
    assert!(node.head(&person).await.is_some(), "nothing is erased by it");

    person.operate(0, BEGIN + 70, By::Owner, |_| ());
    fake.identity(&person);
    let _ = node.archive.wakes().take("sync");
    node.archive.watch(&person.did, &[]).await.unwrap();
    let account = node.store.account(&person.did).await.unwrap().unwrap();
    assert_eq!((account.status, account.withdrawn_at), (AccountStatus::Unreachable, None));
    assert!(node.archive.wakes().take("sync").accounts.contains(&person.did), "its host is asked");
    let mut found = findings(&node, &person.did).await;
    found.retain(|finding| finding.kind.starts_with("plc-"));
    assert!(found.iter().all(|f| f.kind == "plc-unexpected" && f.subject != end.to_string()), "{found:?}");
    node.sync(&person).await;
    assert_eq!(node.store.account(&person.did).await.unwrap().unwrap().status, AccountStatus::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_that_disagree_are_named_and_nothing_is_taken_over() {
    let (fake, node, mut person) = archived().await;
    let mirror = Fake::start().await;
    let mirrors = vec![mirror.url.clone()];
    mirror.identity(&person);
    let genesis = person.log.clone();
    person.operate(0, BEGIN - 2, By::Host, |data| data.set_pds("https://a.example.com"));
    fake.identity(&person);
    node.archive
        .announce(&person.did, Duration::from_secs(60), "so that only the mirror is said")
        .await
        .unwrap();
    node.archive.watch(&person.did, &mirrors).await.unwrap();
    let acknowledge = person.log.head().to_string();
    node.archive.acknowledge(&person.did, &acknowledge, "known").await.unwrap();
    let kinds = |found: Vec<Finding>| found.into_iter().map(|f| (f.kind, f.subject)).collect::<Vec<_>>();
    let found = kinds(findings(&node, &person.did).await);
    assert_eq!(found, [("plc-log-shorter".to_owned(), mirror.url.clone())], "two hours are more than a lag");

    mirror.identity(&person);
    node.archive.watch(&person.did, &mirrors).await.unwrap();
    assert!(findings(&node, &person.did).await.is_empty(), "it has caught up");

    let known = person.log.clone();
    person.operate(1, BEGIN - 2 + 1, By::Owner, |data| data.set_pds("https://withheld.example.com"));
    mirror.identity(&person);
    node.archive.watch(&person.did, &mirrors).await.unwrap();
    let found = kinds(findings(&node, &person.did).await);
    assert_eq!(found, [("plc-log-longer".to_owned(), mirror.url.clone())]);
    assert_eq!(node.store.plc_log(&person.did).await.unwrap().len(), known.entries().len(), "not taken over");

    person.log = genesis;
    person.operate(0, BEGIN - 2, By::Owner, |data| data.set_pds("https://other.example.com"));
    mirror.identity(&person);
    node.archive.watch(&person.did, &mirrors).await.unwrap();
    let found = kinds(findings(&node, &person.did).await);
    assert!(found.contains(&("plc-fork".to_owned(), mirror.url.clone())), "{found:?}");
    let evidence = node.store.evidence_of(&person.did, "plc-fork", 10).await.unwrap();
    assert_eq!(evidence.len(), 1, "with the other history");
    assert!(evidence[0].data.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_did_web_that_changes_is_noticed_and_said_to_have_no_history() {
    let fake = Fake::start().await;
    let node = Node::new(&fake.url);
    let did = Did::parse("did:web:example.com").unwrap();
    node.store
        .apply(Unit::AddAccount(Box::new(Account::new(did.clone(), Origin::Network, 1))))
        .await
        .unwrap();
    let put = async |seed: u8, host: &str, more: &str| {
        let key = PrivateKey::from_entropy(Curve::K256, [seed; 32]).public_key().to_did_key();
        let doc = serde_json::json!({
            "id": did.as_str(), "more": more,
            "verificationMethod": [{"id": format!("{did}#atproto"), "type": "Multikey", "controller": did.as_str(),
                "publicKeyMultibase": key.trim_start_matches("did:key:")}],
            "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": host}],
        });
        let row =
            IdentityRow { did: did.clone(), doc: doc.to_string().into_bytes(), handle: None, fetched_at: 1 };
        node.store.apply(Unit::PutIdentity(row)).await.unwrap();
        node.archive.judge_identity(&did).await.unwrap().unexpected
    };
    assert_eq!(put(1, "https://a.example.com", "").await, 0, "the first one is taken as it is");
    assert_eq!(put(1, "https://a.example.com", "other words").await, 0, "nothing that counts changed");
    assert_eq!(put(2, "https://b.example.com", "").await, 1);
    let words = shown(&node, &did).await;
    for part in ["signing key changed from", "https://b.example.com", "has no history and no recovery"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let history = node.archive.identity_history(&did).await.unwrap();
    assert_eq!((history.method.as_str(), history.documents.len()), ("web", 2));
    node.archive.acknowledge(&did, &history.documents[0].cid, "new server").await.unwrap();
    assert!(findings(&node, &did).await.is_empty());
    node.archive.announce(&did, Duration::from_secs(3600), "moving").await.unwrap();
    assert_eq!(put(3, "https://c.example.com", "").await, 0, "announced");
    node.clock.0.fetch_add(60_000_000, Ordering::SeqCst);
    node.archive.announce(&did, Duration::ZERO, "taken back").await.unwrap();
    assert_eq!(put(4, "https://d.example.com", "").await, 1, "taken back");
}
