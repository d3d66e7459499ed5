//! did:web: the word of its host, within limits, and never of a private one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::sync::Arc;

use p2pds_directory::{Directory, DirectoryConfig, DirectoryError, HandleState, Source};
use p2pds_net::{Client, NetConfig, NetError};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{Did, ErrorKind};
use support::World;

const DOC: &str = "/.well-known/did.json";

fn document(did: &str, pds: &str) -> serde_json::Value {
    serde_json::json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "alsoKnownAs": ["at://alice.test"],
        "verificationMethod": [{
            "id": format!("{did}#atproto"), "type": "Multikey", "controller": did,
            "publicKeyMultibase": "zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        }],
        "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": pds}],
    })
}

#[tokio::test]
async fn a_host_speaks_for_itself() {
    let world = World::new().await;
    let did = "did:web:alice.test";
    world.page("alice.test", DOC, 200, document(did, "https://pds.example.com").to_string());
    world.prove_by_dns("alice.test", &Did::parse(did).unwrap());
    for who in [did, "alice.test"] {
        let identity = world.resolve(who).await.unwrap();
        assert_eq!(identity.source, Source::Web);
        assert_eq!(identity.pds.as_deref(), Some("https://pds.example.com"));
        assert!(identity.signing_key.is_some() && identity.plc.is_none());
        assert!(matches!(identity.handle, HandleState::Verified { .. }));
    }
    let stored = world.directory.stored(&Did::parse(did).unwrap()).await.unwrap().unwrap();
    assert_eq!((stored.source, stored.pds.as_deref()), (Source::Web, Some("https://pds.example.com")));
}

#[tokio::test]
async fn documents_that_cannot_be_used() {
    let world = World::new().await;
    let did = "did:web:alice.test";
    let huge = format!("{{\"id\":\"{did}\",\"x\":\"{}\"}}", "y".repeat(256 * 1024));
    for (body, kind) in [
        ("{}".to_owned(), ErrorKind::Invalid),
        ("not json".to_owned(), ErrorKind::Invalid),
        (document("did:web:mallory.test", "https://pds.example.com").to_string(), ErrorKind::Invalid),
        (huge, ErrorKind::Limited),
        ("[".repeat(100_000), ErrorKind::Invalid),
    ] {
        world.page("alice.test", DOC, 200, body);
        world.directory.forget(&did.parse().unwrap());
        let error = world.resolve(did).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    world.page("alice.test", "/other", 200, document(did, "https://pds.example.com").to_string());
    world.page("alice.test", DOC, 302, "/other");
    world.directory.forget(&did.parse().unwrap());
    assert!(world.resolve(did).await.is_err(), "redirects are not followed");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_told() {
    let world = World::new().await;
    let did = "did:web:alice.test";
    let mut broken = document(did, "https://pds.example.com");
    broken["verificationMethod"][0]["publicKeyMultibase"] = "zQ3nonsense".into();
    world.page("alice.test", DOC, 200, broken.to_string());
    let identity = world.resolve(did).await.unwrap();
    assert!(identity.signing_key.is_none() && identity.key_problem.is_some());
}

#[tokio::test]
async fn hosts_that_do_not_exist_or_do_not_know() {
    let world = World::new().await;
    world.page("alice.test", DOC, 404, "");
    world.page("bob.test", DOC, 503, "");
    for (did, kind) in [
        ("did:web:alice.test", ErrorKind::NotFound),
        ("did:web:nobody.test", ErrorKind::NotFound),
        ("did:web:bob.test", ErrorKind::Unavailable),
        ("did:web:alice.test:path", ErrorKind::Invalid),
        ("did:web:alice.test%3A8080", ErrorKind::Invalid),
    ] {
        let error = world.resolve(did).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{did}: {error}");
    }
}

/// The identity fetches are on the one client: no private address is contacted, whoever names it.
#[tokio::test]
async fn without_the_development_setting_nothing_private_is_asked() {
    let dns = support::dns::Server::start().unwrap();
    let store = Arc::new(SqliteStore::open(":memory:", Options::default()).unwrap());
    let net = NetConfig { nameservers: vec![dns.addr()], ..NetConfig::default() };
    let client = Client::new(net).unwrap();
    for (number, address) in
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"]
            .iter()
            .enumerate()
    {
        let host = format!("n{number}.evil.com");
        dns.set_addresses(&host, &[address.parse().unwrap()]);
        let config = DirectoryConfig { plc_url: format!("https://{host}"), ..DirectoryConfig::default() };
        let directory = Directory::new(client.clone(), store.clone(), config);
        let web = directory.resolve(&format!("did:web:{host}").parse().unwrap()).await.unwrap_err();
        let plc = directory.resolve(&"did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap()).await.unwrap_err();
        for error in [web, plc] {
            assert!(
                matches!(error, DirectoryError::Net { source: NetError::Refused { .. }, .. }),
                "{address}: {error}"
            );
        }
        let handle = directory.resolve(&host.parse().unwrap()).await.unwrap_err();
        assert!(handle.to_string().contains("was not contacted"), "{address}: {handle}");
    }
    let directory = Directory::new(client, store, DirectoryConfig::default());
    for did in ["did:web:localhost", "did:web:localhost%3A3000"] {
        let error = directory.resolve(&did.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, DirectoryError::Net { source: NetError::Refused { .. }, .. }), "{error}");
    }
}
