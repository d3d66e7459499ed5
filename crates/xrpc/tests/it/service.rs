//! Tokens of accounts that are elsewhere: their keys are looked up, once more after a change, and not for everybody who
//! asks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use p2pds_crypto::jwt::sign;
use p2pds_crypto::{Curve, PrivateKey, PublicKey, Signer};
use p2pds_directory::DirectoryConfig;
use p2pds_host::keys::Keys;
use p2pds_host::{Host, HostDeps};
use p2pds_net::{Client, NetConfig};
use p2pds_syntax::Did;
use p2pds_testkit::directory::Directory;
use p2pds_testkit::madeup::MadeUp;
use p2pds_xrpc::{Auth, Method, Xrpc, XrpcConfig, XrpcError, authenticate, method};
use serde_json::{Value, json};

use crate::hosting::{Node, config, did};
use crate::house::called;

const CREATE: &str = "com.atproto.server.createAccount";

fn door(node: &Node, moderator: Option<&str>) -> Xrpc {
    let moderation_service = moderator.map(|did| Did::parse(did).unwrap());
    let config = XrpcConfig { moderation_service, ..XrpcConfig::default() };
    Xrpc::new(node.host.reading().clone(), config).with_host(Some(node.host.clone()))
}

/// A token of this issuer for a method, with some claims changed.
fn token(node: &Node, key: &dyn Signer, lxm: &str, change: Value) -> String {
    let now = node.clock.fetch_add(1, Ordering::Relaxed);
    let mut claims = json!({
        "aud": "did:web:pds.test", "iat": now / 1_000_000, "exp": now / 1_000_000 + 60, "lxm": lxm, "jti": now.to_string(),
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    sign(key, "JWT", None, claims.as_object().unwrap()).unwrap()
}

async fn shown(door: &Xrpc, method: &Method, token: &str) -> Result<Auth, XrpcError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    authenticate(door, method, called(&headers)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_from_elsewhere_signs_up_with_his_did() {
    let directory = Directory::start().unwrap();
    let alice = MadeUp::new(71, "https://old.example");
    directory.publish(&alice.plc_log);
    let node = Node::beside(&directory.url, Duration::from_secs(60));
    let (door, create) = (door(&node, None), method(CREATE).unwrap());
    let asked = |directory: &Directory| directory.asked(&format!("/{}/log/audit", alice.did));
    let by_alice = json!({ "iss": alice.did });
    let got = shown(&door, create, &token(&node, alice.key(), CREATE, by_alice.clone())).await.unwrap();
    assert_eq!(got.did().map(Did::as_str), Some(alice.did.as_str()));
    assert_eq!(asked(&directory), 1);
    // The same again costs no question.
    assert!(shown(&door, create, &token(&node, alice.key(), CREATE, by_alice.clone())).await.is_ok());
    assert_eq!(asked(&directory), 1);
    // Whoever signs with another key costs one more, and one only however often he tries.
    let thief = PrivateKey::from_entropy(Curve::K256, [3; 32]);
    for _ in 0..30 {
        let refused =
            shown(&door, create, &token(&node, &thief, CREATE, by_alice.clone())).await.unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.name), (401, "BadJwtSignature"));
    }
    assert!(asked(&directory) <= 2, "{} questions", asked(&directory));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changed_is_asked_for_again() {
    let directory = Directory::start().unwrap();
    let mut alice = MadeUp::new(72, "https://old.example");
    directory.publish(&alice.plc_log);
    let node = Node::beside(&directory.url, Duration::ZERO);
    let (door, create) = (door(&node, None), method(CREATE).unwrap());
    let by_alice = json!({ "iss": alice.did });
    assert!(shown(&door, create, &token(&node, alice.key(), CREATE, by_alice.clone())).await.is_ok());
    let old = PrivateKey::from_bytes(Curve::K256, &alice.key().to_secret_bytes()).unwrap();
    alice.change_identity("new", "https://new.example");
    directory.publish(&alice.plc_log);
    assert!(shown(&door, create, &token(&node, alice.key(), CREATE, by_alice.clone())).await.is_ok());
    let refused = shown(&door, create, &token(&node, &old, CREATE, by_alice)).await.unwrap_err();
    assert_eq!(refused.name, "BadJwtSignature", "the old key is good for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_may_not_upload() {
    let directory = Directory::start().unwrap();
    let alice = MadeUp::new(73, "https://old.example");
    directory.publish(&alice.plc_log);
    let node = Node::beside(&directory.url, Duration::from_secs(60));
    let door = door(&node, None);
    let upload = method("com.atproto.repo.uploadBlob").unwrap();
    let given = token(&node, alice.key(), upload.nsid, json!({ "iss": alice.did }));
    let refused = shown(&door, upload, &given).await.unwrap_err();
    assert_eq!(refused.name, "AccountNotFound", "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_resolve_is_refused() {
    let directory = Directory::start().unwrap();
    let node = Node::beside(&directory.url, Duration::from_secs(60));
    let (door, create) = (door(&node, None), method(CREATE).unwrap());
    let key = PrivateKey::from_entropy(Curve::P256, [3; 32]);
    for issuer in [
        "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa",
        "did:web:127.0.0.1",
        "did:web:169.254.169.254",
        "did:web:localhost%3A80",
        "did:web:nobody.invalid",
        "did:key:zDnaembgSGUhZULN2Caob4HLJPaxBh92N7rtH21TErzqf8HQo",
        "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa#atproto_labeler",
        "alice.test",
        "",
    ] {
        let refused =
            shown(&door, create, &token(&node, &key, CREATE, json!({ "iss": issuer }))).await.unwrap_err();
        assert!([401, 502].contains(&refused.status.as_u16()), "{issuer}: {refused:?}");
    }
}

/// Whoever shows a token makes this host look up its issuer: nothing on this machine or its network is asked for that.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_here_is_reached_by_an_issuer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let node = Node::new();
    let net = Client::new(NetConfig::default()).unwrap();
    let plc = DirectoryConfig { plc_url: format!("http://127.0.0.1:{port}"), ..DirectoryConfig::default() };
    let time = std::sync::Arc::clone(&node.clock);
    let host = Host::new(
        HostDeps {
            store: node.store.clone(),
            blobs: node.host.blobs().clone(),
            directory: std::sync::Arc::new(p2pds_directory::Directory::new(
                net.clone(),
                node.store.clone(),
                plc,
            )),
            net,
            reading: node.host.reading().clone(),
            clock: std::sync::Arc::new(move || time.load(Ordering::Relaxed)),
            keys: std::sync::Arc::new(Keys::in_memory().unwrap()),
        },
        config(),
    );
    let door = Xrpc::new(host.reading().clone(), XrpcConfig::default()).with_host(Some(host.clone()));
    let key = PrivateKey::from_entropy(Curve::K256, [3; 32]);
    let hosts = [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.1",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "127.0.0.1.nip.io.invalid",
        "metadata.google.internal",
    ];
    let names = hosts.iter().flat_map(|host| [format!("did:web:{host}"), format!("did:web:{host}%3A{port}")]);
    let create = method(CREATE).unwrap();
    for issuer in names.chain(["did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".to_owned()]) {
        let given = token(&node, &key, CREATE, json!({ "iss": issuer }));
        assert!(shown(&door, create, &given).await.is_err(), "{issuer}");
        assert!(listener.accept().is_err(), "{issuer} led here");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_moderation_service_signs_with_its_labels_key() {
    let directory = Directory::start().unwrap();
    let mut ozone = MadeUp::new(74, "https://mod.example");
    let label = PrivateKey::from_entropy(Curve::P256, [4; 32]);
    ozone.operate(|operation| {
        operation["verificationMethods"]["atproto_label"] = json!(label.public_key().to_did_key());
    });
    directory.publish(&ozone.plc_log);
    let node = Node::beside(&directory.url, Duration::from_secs(60));
    node.account(&did(1)).await;
    let door = door(&node, Some(&ozone.did));
    let info = method("com.atproto.admin.getAccountInfo").unwrap();
    let ask = async |key: &dyn Signer, issuer: &str| {
        shown(&door, info, &token(&node, key, info.nsid, json!({ "iss": issuer }))).await
    };
    let labeler = format!("{}#atproto_labeler", ozone.did);
    let right = Auth::Moderator(Did::parse(&ozone.did).unwrap());
    assert_eq!(ask(&label, &labeler).await.unwrap(), right);
    assert_eq!(ask(ozone.key(), &ozone.did).await.unwrap(), right);
    for (key, issuer, name) in [
        (&label as &dyn Signer, ozone.did.as_str(), "BadJwtSignature"),
        (ozone.key(), &labeler, "BadJwtSignature"),
        (&label, &format!("{}#atproto", ozone.did), "BadJwtIss"),
        (&label, did(1).as_str(), "UntrustedIss"),
    ] {
        assert_eq!(ask(key, issuer).await.unwrap_err().name, name, "{issuer}");
    }
    // The moderators' methods only, and not the operator's.
    let delete = method("com.atproto.admin.deleteAccount").unwrap();
    let given = token(&node, &label, delete.nsid, json!({ "iss": labeler }));
    assert!(shown(&door, delete, &given).await.is_err());
}

/// What this host gives out is what others check: its own receiver takes it, and its signature is the account's.
#[tokio::test]
async fn tokens_given_out_are_good_at_their_audience() {
    let node = Node::new();
    let key: PublicKey = node.account(&did(1)).await;
    let host = &node.host;
    let given =
        host.service_token(&did(1), "did:web:pds.test", Some("com.example.method"), None).await.unwrap();
    let read = p2pds_crypto::jwt::Unverified::parse(&given, &[p2pds_crypto::jwt::Algorithm::Es256k]).unwrap();
    assert!(read.verify_key(&key).is_ok() && read.typ().as_deref() == Some("jwt") && read.kid().is_none());
    let claims = read.claims();
    let life = claims.seconds("exp").unwrap().unwrap() - claims.seconds("iat").unwrap().unwrap();
    assert_eq!(
        (life, claims.need("aud"), claims.need("lxm")),
        (60, Ok("did:web:pds.test"), Ok("com.example.method"))
    );
    assert!(host.verify_service(&given, "com.example.method", None).await.is_ok());
    assert_eq!(host.verify_service(&given, "com.example.method", None).await.unwrap_err().name, "BadJwt");
    let other =
        host.service_token(&did(1), "did:web:pds.test", Some("com.example.method"), None).await.unwrap();
    assert_ne!(given, other, "each has an identifier of its own");
    assert_eq!(
        host.service_token(&did(9), "did:web:x.test", None, None).await.unwrap_err().name,
        "AccountNotFound"
    );
}
