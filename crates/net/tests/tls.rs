//! TLS: certificates are checked, and what is checked is the name that was asked for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use p2pds_net::{Client, GetOptions, NetConfig, NetError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

/// A certificate authority made for one test.
struct Authority(Issuer<'static, KeyPair>, Vec<u8>);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self(Issuer::new(params, key), der)
    }

    /// A server for `names` on a free port.
    async fn serve(&self, names: &[&str], version: &'static SupportedProtocolVersion) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0_u8; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            }
        });
        addr
    }
}

fn client(roots: &[&Authority]) -> Client {
    let extra_roots = roots.iter().map(|a| a.1.clone()).collect();
    Client::new(NetConfig { extra_roots, ..NetConfig::development() }).unwrap()
}

async fn ask(client: &Client, host: &str, addr: SocketAddr) -> Result<(), NetError> {
    let options = GetOptions { retries: 0, ..GetOptions::metadata() };
    let answer = client.get(&format!("https://{host}:{}/", addr.port()), &options).await?;
    assert_eq!(answer.bytes(10).await.unwrap(), "ok");
    Ok(())
}

fn complaint(outcome: Result<(), NetError>) -> String {
    match outcome {
        Err(NetError::Connect { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted() {
    let authority = Authority::new();
    let client = client(&[&authority]);
    for version in [&TLS12, &TLS13] {
        let addr = authority.serve(&["localhost"], version).await;
        ask(&client, "localhost", addr).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let addr = Authority::new().serve(&["localhost"], &TLS13).await;
    for client in [client(&[]), client(&[&Authority::new()])] {
        let complaint = complaint(ask(&client, "localhost", addr).await);
        assert!(complaint.contains("certificate"), "{complaint}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let addr = authority.serve(&["pds.example"], &TLS13).await;
    for host in ["localhost", "127.0.0.1"] {
        let complaint = complaint(ask(&client(&[&authority]), host, addr).await);
        assert!(complaint.contains("certificate"), "{complaint}");
    }
}

#[test]
fn a_root_that_is_no_certificate_is_refused_at_the_start() {
    let config = NetConfig { extra_roots: vec![b"nonsense".to_vec()], ..NetConfig::default() };
    assert!(matches!(Client::new(config).unwrap_err(), NetError::Setup { .. }));
}
