//! did:plc: documents derived from validated logs, the mirror, and directories that lie.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use p2pds_crypto::Signer;
use p2pds_directory::{DirectoryError, Source};
use p2pds_syntax::{Did, ErrorKind};
use support::{History, World, key};

const HOUR: Duration = Duration::from_secs(3600);
const NEW_PDS: &str = "https://new.example.com";

async fn world_with(log: &History) -> (World, Did) {
    let world = World::new().await;
    world.publish(log);
    world.add_account(&log.did()).await;
    (world, log.did())
}

fn kinds(findings: &[p2pds_store::Finding]) -> Vec<&str> {
    findings.iter().map(|f| f.kind.as_str()).collect()
}

#[tokio::test]
async fn the_document_follows_from_the_log() {
    let log = History::new("alice.test").then(1, |data| data.set_pds(NEW_PDS));
    let (world, did) = world_with(&log).await;
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert_eq!(identity.source, Source::PlcLog);
    assert_eq!(identity.pds.as_deref(), Some(NEW_PDS));
    assert_eq!(identity.signing_key, Some(key(9).public_key()));
    assert_eq!(identity.key_problem, None);
    assert_eq!(identity.plc.as_ref().unwrap().entries(), log.0);
    let json: serde_json::Value = serde_json::from_str(&identity.doc_json).unwrap();
    assert_eq!(json["id"], did.as_str());
    assert_eq!(json["service"][0]["serviceEndpoint"], NEW_PDS);
    assert_eq!(world.asked("plc.test", &format!("/{did}")), 0, "the bare document is not needed");

    let rows = world.store.plc_log(&did).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(world.store.identity(&did).await.unwrap().unwrap().doc, identity.doc_json.as_bytes());
    assert!(world.findings(&did).await.is_empty() && world.evidence(&did).await.is_empty());
}

#[tokio::test]
async fn an_account_that_is_not_archived_resolves_too() {
    let world = World::new().await;
    let log = History::new("alice.test");
    world.publish(&log);
    assert_eq!(world.resolve(log.did().as_str()).await.unwrap().source, Source::PlcLog);
}

#[tokio::test]
async fn a_longer_log_replaces_the_mirror() {
    let log = History::new("alice.test");
    let (world, did) = world_with(&log).await;
    world.resolve(did.as_str()).await.unwrap();
    world.publish(&log.then(1, |data| data.set_pds(NEW_PDS)));
    assert_eq!(
        world.resolve(did.as_str()).await.unwrap().pds.as_deref(),
        Some("https://pds.example.com"),
        "fresh"
    );
    world.clock.pass(HOUR);
    assert_eq!(world.resolve(did.as_str()).await.unwrap().pds.as_deref(), Some(NEW_PDS));
    assert_eq!(world.store.plc_log(&did).await.unwrap().len(), 2);
    assert!(world.findings(&did).await.is_empty());
}

#[tokio::test]
async fn a_refresh_sees_a_new_key_within_a_minute() {
    let log = History::new("alice.test");
    let (world, did) = world_with(&log).await;
    assert_eq!(world.resolve(did.as_str()).await.unwrap().signing_key, Some(key(9).public_key()));
    world.publish(&log.then(1, |data| data.set_signing_key(&key(20).public_key())));
    world.clock.pass(Duration::from_secs(60));
    for _ in 0..1000 {
        assert_eq!(world.directory.refresh(&did).await.unwrap().signing_key, Some(key(20).public_key()));
    }
    assert_eq!(world.log_requests(&did), 2);
}

#[tokio::test]
async fn a_shorter_log_never_replaces_the_mirror_and_is_a_finding() {
    let short = History::new("alice.test");
    let long = short.clone().then(1, |data| data.set_pds(NEW_PDS));
    let (world, did) = world_with(&long).await;
    world.resolve(did.as_str()).await.unwrap();
    world.publish(&short);
    world.clock.pass(HOUR);
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert_eq!((identity.pds.as_deref(), identity.source), (Some(NEW_PDS), Source::Mirror));
    assert!(identity.is_from_mirror());
    assert_eq!(world.store.plc_log(&did).await.unwrap().len(), 2);
    let findings = world.findings(&did).await;
    assert_eq!(kinds(&findings), ["plc-log-shorter"]);
    assert_eq!(findings[0].subject, world.plc_url());

    world.publish(&long);
    world.clock.pass(HOUR);
    assert_eq!(world.resolve(did.as_str()).await.unwrap().source, Source::PlcLog);
    assert!(world.findings(&did).await.is_empty(), "all is well again");
}

#[tokio::test]
async fn another_history_never_replaces_the_mirror_and_is_kept_as_evidence() {
    let base = History::new("alice.test");
    let ours = base.clone().then(1, |data| data.set_pds(NEW_PDS));
    let theirs = base.then(1, |data| data.set_pds("https://evil.example.com")).then(2, |_| ());
    let (world, did) = world_with(&ours).await;
    world.resolve(did.as_str()).await.unwrap();
    world.publish(&theirs);
    for _ in 0..3 {
        world.clock.pass(HOUR);
        let identity = world.resolve(did.as_str()).await.unwrap();
        assert_eq!((identity.pds.as_deref(), identity.source), (Some(NEW_PDS), Source::Mirror));
    }
    assert_eq!(world.store.plc_log(&did).await.unwrap().len(), 2);
    assert_eq!(kinds(&world.findings(&did).await), ["plc-fork"]);
    let evidence = world.evidence(&did).await;
    assert_eq!(evidence.len(), 1, "the same contradiction is kept once");
    assert_eq!(evidence[0].kind, "plc-fork");
    let kept = p2pds_identity::plc::parse_audit(evidence[0].data.as_ref().unwrap()).unwrap();
    assert_eq!(kept, theirs.0, "the other history itself");
}

#[tokio::test]
async fn operations_of_tomorrow_are_not_taken_over() {
    // Whoever postdates an operation makes every honest later one look as if it came too early.
    let log = History::new("alice.test");
    let (world, did) = world_with(&log).await;
    world.publish(&log.clone().then(1001, |data| data.set_pds(NEW_PDS)));
    let error = world.resolve(did.as_str()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::FutureLog { .. }), "{error}");
    assert!(error.to_string().contains("clock"), "{error}");
    assert!(world.store.plc_log(&did).await.unwrap().is_empty());

    let (world, did) = world_with(&log).await;
    world.resolve(did.as_str()).await.unwrap();
    world.publish(&log.then(1002, |data| data.set_pds(NEW_PDS)));
    world.clock.pass(HOUR);
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert_eq!(identity.pds.as_deref(), Some("https://pds.example.com"));
    assert!(identity.stale.is_some());
    assert_eq!(world.store.plc_log(&did).await.unwrap().len(), 1);
    assert_eq!(kinds(&world.findings(&did).await), ["plc-log-broken"]);
    // When its time has come it is as good as any other.
    world.clock.pass(2 * HOUR);
    assert_eq!(world.resolve(did.as_str()).await.unwrap().pds.as_deref(), Some(NEW_PDS));
    assert!(world.findings(&did).await.is_empty());
}

#[tokio::test]
async fn a_recovery_is_accepted_and_noted() {
    let stolen = History::new("alice.test").then(1, |data| data.set_pds("https://thief.example.com"));
    let (world, did) = world_with(&stolen).await;
    world.resolve(did.as_str()).await.unwrap();
    let recovered = stolen.clone().fork_from(0, 1, 20, |data| data.set_pds(NEW_PDS));
    world.publish(&recovered);
    world.clock.pass(HOUR);
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert_eq!((identity.pds.as_deref(), identity.source), (Some(NEW_PDS), Source::PlcLog));
    let evidence = world.evidence(&did).await;
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0].kind, "plc-nullified");
    assert!(evidence[0].detail.contains(&stolen.0[1].cid.to_string()));
    assert_eq!(world.store.plc_log(&did).await.unwrap().iter().filter(|r| r.nullified).count(), 1);
}

#[tokio::test]
async fn a_log_that_breaks_the_rules_is_not_believed() {
    let log = History::new("alice.test").then(1, |data| data.set_pds(NEW_PDS));
    let did = log.did();
    let mut forged = log.clone();
    forged.0[1].nullified = true;
    let mut unsigned = log.clone().then(2, |_| ());
    unsigned = unsigned.fork_from(2, 42, 3, |data| data.set_pds("https://evil.example.com"));
    let other = History::of_seed("alice.test", 10);

    let world = World::new().await;
    for bad in [&forged, &unsigned] {
        world.publish(bad);
        world.directory.forget(&did.as_str().parse().unwrap());
        let error = world.resolve(did.as_str()).await.unwrap_err();
        assert!(matches!(error, DirectoryError::Log { .. }), "{error}");
    }
    let foreign = p2pds_identity::plc::write_audit(&other.0);
    for body in [String::from_utf8(foreign).unwrap().as_str(), "[]", "{}", "", "[[[[[["] {
        world.plc_answers(&did, 200, body);
        world.directory.forget(&did.as_str().parse().unwrap());
        let error = world.resolve(did.as_str()).await.unwrap_err();
        assert!(matches!(error, DirectoryError::Log { .. }), "{body}: {error}");
    }
    assert!(world.store.plc_log(&did).await.unwrap().is_empty(), "nothing of it was stored");
}

#[tokio::test]
async fn a_directory_that_turns_bad_does_not_hide_what_was_known() {
    let log = History::new("alice.test");
    let (world, did) = world_with(&log).await;
    world.resolve(did.as_str()).await.unwrap();
    let mut forged = log.clone().then(1, |data| data.set_pds("https://evil.example.com"));
    forged.0[0].nullified = true;
    world.publish(&forged);
    world.clock.pass(HOUR);
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert_eq!(identity.pds.as_deref(), Some("https://pds.example.com"));
    assert!(identity.stale.unwrap().contains("not believed"));
    assert_eq!(kinds(&world.findings(&did).await), ["plc-log-broken"]);
}

#[tokio::test]
async fn a_bare_document_counts_only_where_no_log_was_ever_seen() {
    let log = History::new("alice.test");
    let did = log.did();
    let (world, _) = world_with(&log).await;
    let evil = serde_json::json!({
        "id": did.as_str(),
        "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://evil.example.com"}],
    });
    world.page("plc.test", &format!("/{did}"), 200, evil.to_string());
    world.plc_answers(&did, 404, "{}");
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert_eq!((identity.source, identity.plc.is_none()), (Source::PlcDocument, true));
    assert!(!identity.source.is_verified());

    world.publish(&log);
    world.clock.pass(Duration::from_secs(29));
    assert_eq!(world.resolve(did.as_str()).await.unwrap().source, Source::PlcDocument);
    world.clock.pass(Duration::from_secs(1));
    assert_eq!(
        world.resolve(did.as_str()).await.unwrap().source,
        Source::PlcLog,
        "a makeshift is soon replaced"
    );

    world.plc_answers(&did, 404, "{}");
    world.clock.pass(HOUR);
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert_eq!((identity.source, identity.pds.as_deref()), (Source::Mirror, Some("https://pds.example.com")));
    assert_eq!(kinds(&world.findings(&did).await), ["plc-log-broken"]);
}

#[tokio::test]
async fn nobody_knows_it() {
    let world = World::new().await;
    let did = History::new("alice.test").did();
    let error = world.resolve(did.as_str()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::DidNotFound { .. }), "{error}");
    for _ in 0..1000 {
        assert_eq!(world.resolve(did.as_str()).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(world.log_requests(&did), 1, "and is not asked for again and again");
    assert_eq!(
        world.resolve("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme").await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[tokio::test]
async fn a_deleted_account_is_told_apart_and_its_log_is_kept() {
    let log = History::new("alice.test");
    let (world, did) = world_with(&log).await;
    world.resolve(did.as_str()).await.unwrap();
    world.publish(&log.clone().tombstone(5));
    world.clock.pass(HOUR);
    let error = world.resolve(did.as_str()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Tombstoned { .. }), "{error}");
    assert_eq!(world.store.plc_log(&did).await.unwrap().len(), 2);
    assert!(matches!(world.directory.stored(&did).await, Err(DirectoryError::Tombstoned { .. })));

    world.publish(&log.tombstone(5).fork_from(0, 1, 20, |_| ()));
    world.clock.pass(HOUR);
    assert_eq!(world.resolve(did.as_str()).await.unwrap().source, Source::PlcLog, "revived within 72 hours");
}

#[tokio::test]
async fn silence_is_bridged_for_a_day_even_over_a_restart() {
    let log = History::new("alice.test");
    let (world, did) = world_with(&log).await;
    world.prove_by_dns("alice.test", &did);
    let before = world.resolve(did.as_str()).await.unwrap();
    assert!(before.handle.verified().is_some());
    world.plc_answers(&did, 503, "");
    world.page("plc.test", &format!("/{did}"), 503, "");
    world.clock.pass(2 * HOUR);
    for directory in [world.directory.clone(), world.restarted()] {
        let identity = directory.resolve(&did.as_str().parse().unwrap()).await.unwrap();
        assert_eq!((&identity.pds, &identity.signing_key), (&before.pds, &before.signing_key));
        assert_eq!(identity.handle, before.handle);
        assert!(identity.stale.is_some());
    }
    world.clock.pass(22 * HOUR);
    let error = world.restarted().resolve(&did.as_str().parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let stored = world.directory.stored(&did).await.unwrap().unwrap();
    assert_eq!((stored.source, &stored.pds), (Source::Mirror, &before.pds), "the mirror itself does not age");
    assert_eq!(stored.handle, before.handle);
    assert!(world.findings(&did).await.is_empty(), "silence is no contradiction");
}

#[tokio::test]
async fn many_at_once_are_one_request() {
    let log = History::new("alice.test");
    let (world, did) = world_with(&log).await;
    let directory = Arc::new(world.directory.clone());
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let (directory, who) = (Arc::clone(&directory), did.as_str().parse().unwrap());
            tokio::spawn(async move { directory.resolve(&who).await.unwrap().did })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), did);
    }
    assert_eq!(world.log_requests(&did), 1);
}

#[tokio::test]
async fn a_log_that_is_too_long_is_not_read() {
    let world = World::new().await;
    let did = History::new("alice.test").did();
    world.plc_answers(&did, 200, &" ".repeat(8 * 1024 * 1024 + 1));
    let error = world.resolve(did.as_str()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limited, "{error}");
}
