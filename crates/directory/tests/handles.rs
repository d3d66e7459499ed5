//! Handles: both ways of proof, both directions, and what each failure says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::time::Duration;

use p2pds_directory::{DirectoryError, HandleState};
use p2pds_syntax::{Did, ErrorKind, Handle};
use support::dns::Failure;
use support::{History, World};

const WELL_KNOWN: &str = "/.well-known/atproto-did";

fn handle(text: &str) -> Handle {
    Handle::parse(text).unwrap()
}

/// An account whose document claims alice.test.
async fn alice() -> (World, Did) {
    let world = World::new().await;
    let log = History::new("alice.test");
    world.publish(&log);
    (world, log.did())
}

#[tokio::test]
async fn by_dns() {
    let (world, did) = alice().await;
    world.prove_by_dns("alice.test", &did);
    for who in ["alice.test", "ALICE.test", did.as_str()] {
        let identity = world.resolve(who).await.unwrap();
        assert_eq!(identity.did, did);
        assert_eq!(identity.handle, HandleState::Verified { handle: handle("alice.test") });
        assert_eq!(identity.stale, None);
    }
    assert_eq!(world.asked("alice.test", WELL_KNOWN), 0, "HTTPS is not asked when DNS knows");
    assert_eq!(world.dns.txt_questions("_atproto.alice.test"), 1);
    assert_eq!(world.log_requests(&did), 1);
}

#[tokio::test]
async fn by_https() {
    let (world, did) = alice().await;
    world.page("alice.test", WELL_KNOWN, 200, format!("  {did}\r\n"));
    assert_eq!(world.resolve("alice.test").await.unwrap().did, did);

    world.page("bob.test", "/elsewhere", 200, did.as_str());
    world.page("bob.test", WELL_KNOWN, 302, "/elsewhere");
    assert_eq!(
        world.directory.resolve_handle(&handle("bob.test")).await.unwrap(),
        did,
        "redirects are followed"
    );
}

#[tokio::test]
async fn dns_wins() {
    let (world, did) = alice().await;
    world.prove_by_dns("alice.test", &did);
    world.page("alice.test", WELL_KNOWN, 200, "did:plc:somebodyelse234567890123");
    assert_eq!(world.resolve("alice.test").await.unwrap().did, did);
}

#[tokio::test]
async fn https_bridges_broken_dns_and_is_otherwise_no_verdict() {
    let (world, did) = alice().await;
    world.dns.set_failure("_atproto.alice.test", Some(Failure::ServFail));
    let error = world.resolve("alice.test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    world.clock.pass(Duration::from_secs(30));
    world.page("alice.test", WELL_KNOWN, 200, did.as_str());
    assert_eq!(world.resolve("alice.test").await.unwrap().did, did);
}

#[tokio::test]
async fn several_different_records_are_a_failure_even_if_https_is_right() {
    let (world, did) = alice().await;
    world.page("alice.test", WELL_KNOWN, 200, did.as_str());
    world
        .dns
        .set_txt("_atproto.alice.test", &[&format!("did={did}"), "did=did:plc:ewvi7nxzyoun6zhxrhs64oiz"]);
    let error = world.resolve("alice.test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("more than one account"), "{error}");

    world.clock.pass(Duration::from_secs(30));
    let twice = format!("did={did}");
    world.dns.set_txt("_atproto.alice.test", &[&twice, "v=spf1 -all", &twice]);
    assert_eq!(world.resolve("alice.test").await.unwrap().did, did, "the same twice is no contradiction");
}

#[tokio::test]
async fn a_handle_without_proof_is_not_found() {
    let (world, _) = alice().await;
    for (number, body) in ["", "<!doctype html><title>Welcome", "did:", "not a did"].iter().enumerate() {
        let name = format!("nobody{number}.test");
        world.page(&name, WELL_KNOWN, 200, *body);
        let error = world.resolve(&name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains(&format!("_atproto.{name}")), "says what to set: {error}");
    }
    world.page("nobody.test", WELL_KNOWN, 404, "");
    assert_eq!(world.resolve("nobody.test").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.resolve("no-such-host.test").await.unwrap_err().kind(), ErrorKind::NotFound);
    world.page("huge.test", WELL_KNOWN, 200, vec![b'x'; 5000]);
    assert_eq!(world.resolve("huge.test").await.unwrap_err().kind(), ErrorKind::NotFound);
    world.dns.set_addresses("refusing.test", &["127.9.9.9".parse().unwrap()]);
    let error = world.resolve("refusing.test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "a host that is down may be up again: {error}");
    world.page("broken.test", WELL_KNOWN, 503, "");
    assert_eq!(world.resolve("broken.test").await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn reserved_domains_are_not_asked_for() {
    let (world, _) = alice().await;
    for name in ["printer.local", "a.localhost", "handle.invalid", "x.onion", "y.internal", "z.example"] {
        let error = world.resolve(name).await.unwrap_err();
        assert!(matches!(error, DirectoryError::ReservedDomain { .. }), "{name}: {error}");
        assert_eq!(world.dns.txt_questions(&format!("_atproto.{name}")), 0);
    }
}

#[tokio::test]
async fn a_handle_that_the_account_does_not_claim_is_refused_and_the_did_is_told() {
    let (world, did) = alice().await;
    world.prove_by_dns("alice.test", &did);
    world.prove_by_dns("mallory.test", &did);
    let error = world.resolve("mallory.test").await.unwrap_err();
    match &error {
        DirectoryError::HandleMismatch { handle: asked, did: led_to, claimed } => {
            assert_eq!(
                (asked, led_to, claimed.as_ref()),
                (&handle("mallory.test"), &did, Some(&handle("alice.test")))
            );
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains(did.as_str()), "{error}");
}

#[tokio::test]
async fn a_claim_that_does_not_lead_back_is_shown_and_the_account_still_resolves() {
    let (world, did) = alice().await;
    let identity = world.resolve(did.as_str()).await.unwrap();
    assert!(
        matches!(&identity.handle, HandleState::Unresolvable { claimed, .. } if *claimed == handle("alice.test"))
    );
    assert_eq!(identity.handle.verified(), None);
    assert_eq!(identity.pds.as_deref(), Some("https://pds.example.com"));

    let other = History::of_seed("bob.test", 10);
    world.publish(&other);
    world.prove_by_dns("bob.test", &did);
    let identity = world.resolve(other.did().as_str()).await.unwrap();
    assert_eq!(identity.handle, HandleState::Mismatch { claimed: handle("bob.test"), resolves_to: did });
}

#[tokio::test]
async fn a_new_handle_is_noticed_although_the_old_document_is_remembered() {
    let (world, did) = alice().await;
    world.prove_by_dns("alice.test", &did);
    world.resolve("alice.test").await.unwrap();
    world.publish(&History::new("alice.test").then(1, |data| data.set_handle(&handle("alice2.test"))));
    world.prove_by_dns("alice2.test", &did);
    world.clock.pass(Duration::from_secs(61));
    let identity = world.resolve("alice2.test").await.unwrap();
    assert_eq!(identity.handle, HandleState::Verified { handle: handle("alice2.test") });
    assert_eq!(
        world.resolve("alice.test").await.unwrap_err().kind(),
        ErrorKind::Invalid,
        "the old one is gone"
    );
}

#[tokio::test]
async fn a_person_may_insist() {
    let (world, did) = alice().await;
    assert_eq!(world.resolve("alice.test").await.unwrap_err().kind(), ErrorKind::NotFound);
    world.prove_by_dns("alice.test", &did);
    assert_eq!(world.resolve("alice.test").await.unwrap_err().kind(), ErrorKind::NotFound, "remembered");
    world.directory.forget(&"alice.test".parse().unwrap());
    assert_eq!(world.resolve("alice.test").await.unwrap().did, did);
}
