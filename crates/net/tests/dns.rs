//! DNS: rebinding, mixed answers, TXT records, failures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use p2pds_net::{Client, GetOptions, NetConfig, NetError, Reach};
use p2pds_syntax::ErrorKind;
use support::dns::{Failure, Server};

const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(93, 184, 215, 14));
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PRIVATE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn development(dns: &Server) -> Client {
    Client::new(NetConfig { nameservers: vec![dns.addr()], ..NetConfig::development() }).unwrap()
}

/// The address that was checked is the address that is connected to: there is one lookup per
/// connection, and each is filtered.
#[tokio::test]
async fn a_name_that_changes_its_address_gets_no_second_connection() {
    let hits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&hits);
    let addr = support::raw(move |stream, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        support::say(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
    })
    .await;
    let dns = Server::start().unwrap();
    let client = development(&dns);
    dns.set_address_sequence("rebind.test", &[&[LOOPBACK], &[PRIVATE], &[PUBLIC]]);
    let url = format!("http://rebind.test:{}/", addr.port());

    let first = client.get(&url, &GetOptions::metadata()).await.unwrap();
    assert_eq!(first.bytes(10).await.unwrap(), "ok");
    assert_eq!(dns.address_questions("rebind.test"), 1);
    for asked in [2, 3] {
        let error = client.get(&url, &GetOptions::metadata()).await.unwrap_err();
        assert!(matches!(error, NetError::Refused { .. }), "{error:?}");
        assert_eq!(dns.address_questions("rebind.test"), asked);
    }
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn public_then_private_is_refused_at_the_second_answer() {
    let dns = Server::start().unwrap();
    let client = support::strict(dns.addr());
    dns.set_address_sequence("rebind.example", &[&[PUBLIC], &[LOOPBACK]]);
    let resolver = client.resolver();
    assert_eq!(resolver.addresses("rebind.example", Reach::Public).await.unwrap(), [PUBLIC]);
    assert_eq!(
        resolver.addresses("rebind.example", Reach::Public).await.unwrap_err().kind(),
        ErrorKind::Denied
    );
    // By now the connection's own lookup gets the private answer, whatever anyone saw before.
    let error = client.get("https://rebind.example/", &GetOptions::metadata()).await.unwrap_err();
    assert!(matches!(error, NetError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_public_part_is_used() {
    let dns = Server::start().unwrap();
    let client = support::strict(dns.addr());
    let v6: IpAddr = "2606:4700::1111".parse().unwrap();
    dns.set_addresses("mixed.example", &[LOOPBACK, PUBLIC, PRIVATE, "::1".parse().unwrap(), v6]);
    let mut allowed = client.resolver().addresses("mixed.example", Reach::Public).await.unwrap();
    allowed.sort();
    assert_eq!(allowed, [PUBLIC, v6]);
    assert_eq!(client.resolver().addresses("mixed.example", Reach::Loopback).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_number_of_addresses_is_limited() {
    let dns = Server::start().unwrap();
    let many: Vec<IpAddr> = (0..50).map(|i| IpAddr::from([8, 8, 8, i])).collect();
    dns.set_addresses("many.example", &many);
    let allowed =
        support::strict(dns.addr()).resolver().addresses("many.example", Reach::Public).await.unwrap();
    assert_eq!(allowed.len(), 16);
}

#[tokio::test]
async fn text_records() {
    let dns = Server::start().unwrap();
    let client = support::strict(dns.addr());
    let long = "x".repeat(700);
    dns.set_txt("_atproto.alice.test", &["did=did:plc:a", "other", &long, ""]);
    let mut texts = client.txt("_atproto.alice.test").await.unwrap();
    texts.sort();
    assert_eq!(texts, ["", "did=did:plc:a", "other", &long]);
    assert_eq!(client.txt("_ATPROTO.alice.test.").await.unwrap().len(), 4);

    dns.set_txt("_atproto.alice.test", &["did=did:plc:b"]);
    assert_eq!(client.txt("_atproto.alice.test").await.unwrap(), ["did=did:plc:b"], "a change is seen");

    dns.set_addresses("only.address.test", &[PUBLIC]);
    for absent in ["nobody.test", "only.address.test"] {
        assert!(client.txt(absent).await.unwrap().is_empty(), "{absent}");
    }
}

#[tokio::test]
async fn an_answer_too_long_for_udp_comes_over_tcp() {
    let dns = Server::start().unwrap();
    let texts: Vec<String> = (0..150).map(|i| format!("{i}-{}", "y".repeat(200))).collect();
    dns.set_txt("big.test", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let got = support::strict(dns.addr()).txt("big.test").await.unwrap();
    assert_eq!(got.len(), 100, "and is cut at the limit");
    assert!(got.iter().all(|t| texts.contains(t)));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let dns = Server::start().unwrap();
    let config = NetConfig {
        nameservers: vec![dns.addr()],
        dns_timeout: std::time::Duration::from_millis(200),
        ..NetConfig::default()
    };
    let client = Client::new(config).unwrap();
    let options = GetOptions { retries: 0, ..GetOptions::metadata() };

    let gone = client.get("https://nobody.example/", &options).await.unwrap_err();
    assert!(matches!(&gone, NetError::NoSuchHost { host } if host == "nobody.example"), "{gone:?}");
    assert_eq!(gone.kind(), ErrorKind::NotFound);

    for failure in [Failure::ServFail, Failure::Silence] {
        dns.set_failure("broken.example", Some(failure));
        let broken = client.get("https://broken.example/", &options).await.unwrap_err();
        assert!(matches!(broken, NetError::Dns { .. }), "{failure:?}: {broken:?}");
        let broken = client.txt("broken.example").await.unwrap_err();
        assert!(matches!(broken, NetError::Dns { .. }), "{failure:?}: {broken:?}");
        assert!(broken.is_transient());
    }
}

#[tokio::test]
async fn names_that_are_no_names_are_errors() {
    let dns = Server::start().unwrap();
    let client = support::strict(dns.addr());
    let long = "a".repeat(300);
    for bad in ["a..b", &long, "\0"] {
        assert!(client.txt(bad).await.is_err() || client.txt(bad).await.unwrap().is_empty(), "{bad:?}");
    }
}

#[tokio::test]
async fn a_thousand_names_of_one_machine_are_one_machine() {
    let addr = support::serve(Router::new().route("/", get(|| async { vec![1_u8; 100] }))).await;
    let dns = Server::start().unwrap();
    let url = |n: u64| format!("http://h{n}.many.test:{}/", addr.port());
    for n in 0..40 {
        dns.set_addresses(&format!("h{n}.many.test"), &[LOOPBACK]);
    }
    let config = NetConfig {
        nameservers: vec![dns.addr()],
        per_address_concurrency: 3,
        per_address_burst: 30.0,
        per_address_rate: 0.001,
        ..NetConfig::development()
    };
    let client = Client::new(config).unwrap();
    let mut held = Vec::new();
    for n in 0..3 {
        held.push(client.get(&url(n), &GetOptions::metadata()).await.unwrap());
    }
    let short = GetOptions { deadline: std::time::Duration::from_millis(200), ..GetOptions::metadata() };
    let error = client.get(&url(3), &short).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { .. }), "three at a time: {error:?}");
    drop(held);
    for n in 3..30 {
        assert_eq!(client.get(&url(n), &GetOptions::metadata()).await.unwrap().status(), 200);
    }
    let error = client.get(&url(30), &GetOptions::metadata()).await.unwrap_err();
    assert!(matches!(&error, NetError::RateLimited { host, .. } if host == "h30.many.test"), "{error:?}");
    assert_eq!(dns.address_questions("h0.many.test"), 1, "the connection uses the answer that was counted");
}
