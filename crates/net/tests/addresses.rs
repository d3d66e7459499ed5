//! The address table: every spelling of an address that is not the public
//! internet, on every way by which a request can be made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use p2pds_net::{Client, GetOptions, NetError, Reach};
use p2pds_syntax::ErrorKind;

/// Hosts of URLs that must not be contacted.
const HOSTS: &[&str] = &[
    // Loopback in all its spellings.
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "2130706433",
    "127.0.0.1.",
    "127.255.255.254",
    "１２７.０.０.１",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    // This network, private networks, carrier-grade NAT.
    "0.0.0.0",
    "0",
    "0.1.2.3",
    "10.0.0.1",
    "10.1",
    "0xa.1",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.257",
    "0xc0.0xa8.0.1",
    "3232235521",
    "100.64.0.1",
    "100.127.255.255",
    "[::]",
    "[::ffff:10.0.0.1]",
    "[::ffff:192.168.0.1]",
    // Link-local and the metadata services of clouds.
    "169.254.169.254",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "2852039166",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[fe80::1]",
    "[fe80::a9fe:a9fe]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "192.0.0.192",
    // IPv4 inside IPv6.
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[::8.8.8.8]",
    "[::ffff:8.8.8.8]",
    "[::ffff:0:127.0.0.1]",
    // Unique local, site local, multicast, broadcast.
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff0e::1]",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "0xffffffff",
    "4294967295",
    // Documentation, benchmarking, protocol assignments, discard.
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.0.0.1",
    "192.88.99.1",
    "[2001:db8::1]",
    "[3fff::1]",
    "[2001:2::1]",
    "[100::1]",
    "[5f00::1]",
    // Not a public name, not an address at all.
    "intranet",
    "256.1.1.1",
    "1.2.3.4.5",
    "0x100000000",
    "[::1%25lo]",
    "[fe80::1%25eth0]",
    "[::",
    "",
];

/// Addresses that must not be believed when DNS gives them.
const ANSWERS: &[&str] = &[
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "100.64.1.1",
    "169.254.169.254",
    "192.0.0.192",
    "192.0.2.5",
    "198.51.100.5",
    "203.0.113.5",
    "198.18.5.5",
    "192.88.99.5",
    "224.0.0.251",
    "240.1.1.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "2001:2::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::fb",
    "ff0e::1",
    "::ffff:0:7f00:1",
];

/// The outcome of each way of making a request to `url`.
async fn every_way(client: &Client, url: &str) -> Vec<(&'static str, NetError)> {
    let options = GetOptions::metadata();
    let base = url.trim_end_matches('/');
    let nsid = "com.atproto.sync.getRepo";
    let json = serde_json::json!({});
    let outcomes = [
        ("get", client.get(url, &options).await.map(|_| ())),
        ("stream", client.get(url, &GetOptions::stream(u64::MAX, options.deadline)).await.map(|_| ())),
        ("get_json", client.get_json::<serde_json::Value>(url, &options).await.map(|_| ())),
        ("post_json", client.post_json(url, &json, &options).await.map(|_| ())),
        ("xrpc_get", client.xrpc_get(base, nsid, &[("did", "x")], &options).await.map(|_| ())),
        ("xrpc_json", client.xrpc_json::<serde_json::Value>(base, nsid, &[], &options).await.map(|_| ())),
        ("xrpc_post", client.xrpc_post(base, nsid, &json, &options).await.map(|_| ())),
        ("xrpc_upload", client.xrpc_upload(base, nsid, "x/y", "z".into(), &options).await.map(|_| ())),
    ];
    outcomes.into_iter().map(|(way, outcome)| (way, outcome.unwrap_err())).collect()
}

fn refused(error: &NetError) -> bool {
    matches!(error, NetError::Refused { .. } | NetError::BadUrl { .. })
}

/// A DNS server that would notice a question, and a client that asks it.
fn watched() -> (support::dns::Server, Client) {
    let dns = support::dns::Server::start().unwrap();
    let client = support::strict(dns.addr());
    (dns, client)
}

#[tokio::test]
async fn no_spelling_is_contacted_in_any_way() {
    assert!(HOSTS.len() >= 90);
    let (_dns, client) = watched();
    for host in HOSTS {
        for url in [format!("https://{host}/"), format!("https://{host}:80/"), format!("http://{host}/")] {
            for (way, error) in every_way(&client, &url).await {
                assert!(refused(&error), "{way} {url}: {error:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_answer_of_dns_is_believed_in_any_way() {
    assert!(ANSWERS.len() >= 40);
    let (dns, client) = watched();
    for (number, answer) in ANSWERS.iter().enumerate() {
        let name = format!("n{number}.evil.example");
        dns.set_addresses(&name, &[answer.parse().unwrap()]);
        for (way, error) in every_way(&client, &format!("https://{name}/")).await {
            assert!(matches!(error, NetError::Refused { .. }), "{way} {answer}: {error:?}");
            assert_eq!(error.kind(), ErrorKind::Denied);
        }
        let direct = client.resolver().addresses(&name, Reach::Public).await.unwrap_err();
        assert!(matches!(direct, NetError::Refused { .. }), "{answer}: {direct:?}");
    }
}

#[tokio::test]
async fn no_redirect_leads_there() {
    let hits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&hits);
    let routes = Router::new().route(
        "/to/{host}",
        get(move |Path(host): Path<usize>| async move {
            counted.fetch_add(1, Ordering::SeqCst);
            let location = format!("https://{}/", HOSTS[host]).into_bytes();
            (StatusCode::FOUND, [("location", axum::http::HeaderValue::from_bytes(&location).unwrap())])
                .into_response()
        }),
    );
    let addr = support::serve(routes).await;
    let client = support::local();
    // Those that the development setting allows are this machine; they are not refused here, and
    // `target.rs` tests them without the setting.
    let mut tried = 0;
    for (number, host) in HOSTS.iter().enumerate() {
        let direct = client.get(&format!("https://{host}/"), &GetOptions::metadata().no_redirects()).await;
        if direct.as_ref().is_err_and(|e| !refused(e)) {
            let text = host.to_ascii_lowercase();
            assert!(
                text.contains("localhost")
                    || text.starts_with("127")
                    || text.starts_with("0x7f")
                    || text.starts_with("017")
                    || *host == "[::1]"
                    || text == "2130706433"
                    || text.starts_with("[0:0")
                    || text.starts_with("%31")
                    || text.starts_with('１'),
                "{host} is allowed in development: {direct:?}"
            );
            continue;
        }
        tried += 1;
        let error =
            client.get(&format!("http://{addr}/to/{number}"), &GetOptions::metadata()).await.unwrap_err();
        assert!(refused(&error) || matches!(error, NetError::Redirect { .. }), "{host}: {error:?}");
    }
    assert!(tried >= 70, "{tried}");
    assert_eq!(hits.load(Ordering::SeqCst), tried);
}

#[tokio::test]
async fn development_reaches_this_machine_and_no_other_private_network() {
    let addr = support::serve(Router::new().route("/", get(|| async { "here" }))).await;
    let port = addr.port();
    let dns = support::dns::Server::start().unwrap();
    let config =
        p2pds_net::NetConfig { nameservers: vec![dns.addr()], ..p2pds_net::NetConfig::development() };
    let client = Client::new(config).unwrap();
    dns.set_addresses("pds.test", &[IpAddr::from([127, 0, 0, 1])]);
    for host in ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "pds.test", "x.localhost"] {
        let answer = client.get(&format!("http://{host}:{port}/"), &GetOptions::metadata()).await.unwrap();
        assert_eq!(answer.bytes(10).await.unwrap(), "here", "{host}");
    }
    for (number, answer) in ANSWERS.iter().enumerate() {
        let ip: IpAddr = answer.parse().unwrap();
        if ip.is_loopback() {
            continue;
        }
        let name = format!("n{number}.test");
        dns.set_addresses(&name, &[ip]);
        let error = client.get(&format!("http://{name}:{port}/"), &GetOptions::metadata()).await.unwrap_err();
        assert!(matches!(error, NetError::Refused { .. }), "{answer}: {error:?}");
        let error =
            client.get(&format!("http://{}/", SocketAddr::new(ip, port)), &GetOptions::metadata()).await;
        assert!(refused(&error.unwrap_err()), "{answer}");
    }
}
