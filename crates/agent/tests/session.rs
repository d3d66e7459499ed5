//! Sessions and writes against a scripted host: what it may do wrong, and what must not leave the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use p2pds_agent::{Agent, AgentError, Secret};
use p2pds_ipld::Cid;
use p2pds_net::{Client, NetConfig};
use p2pds_syntax::{Did, RecordPath};
use serde_json::{Value, json};

const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

/// What the host does, and what it was sent.
#[derive(Default)]
struct Host {
    /// Whose sessions it opens.
    did: String,
    /// The access token that counts, and the one for renewals.
    access: u32,
    refresh: u32,
    /// `uploadBlob` answers this CID.
    blob: Option<Cid>,
    /// `putRecord` answers this error.
    refusal: Option<&'static str>,
    /// Everything is redirected there.
    redirect: Option<String>,
    seen: Vec<Seen>,
}

/// One request.
struct Seen {
    method: String,
    kind: Option<String>,
    body: Vec<u8>,
}

type Shared = Arc<Mutex<Host>>;

async fn start() -> (String, Shared) {
    let shared: Shared = Arc::new(Mutex::new(Host { did: DID.to_owned(), ..Host::default() }));
    let app = Router::new().route("/xrpc/{nsid}", any(answer)).with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, shared)
}

async fn answer(
    State(host): State<Shared>,
    Path(nsid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut host = host.lock().unwrap();
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap().to_owned());
    let (token, kind) = (text(header::AUTHORIZATION), text(header::CONTENT_TYPE));
    let method = nsid.rsplit('.').next().unwrap().to_owned();
    host.seen.push(Seen { method: method.clone(), kind, body: body.to_vec() });
    if let Some(to) = &host.redirect {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to.clone())]).into_response();
    }
    let fail = |status: u16, error: &str| {
        let body = axum::Json(json!({"error": error, "message": "said so"}));
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    let ok = |value: Value| axum::Json(value).into_response();
    let session = |host: &Host| {
        ok(json!({
            "did": host.did, "handle": "a.test",
            "accessJwt": format!("access-{}", host.access), "refreshJwt": format!("refresh-{}", host.refresh),
        }))
    };
    match method.as_str() {
        "createSession" => {
            let given: Value = serde_json::from_slice(&body).unwrap();
            if given["password"] != "abcd-efgh" {
                return fail(401, "AuthenticationRequired");
            }
            session(&host)
        }
        "refreshSession" if token.as_deref() == Some(&format!("Bearer refresh-{}", host.refresh)) => {
            host.refresh += 1;
            session(&host)
        }
        "refreshSession" => fail(400, "ExpiredToken"),
        _ if token.as_deref() != Some(&format!("Bearer access-{}", host.access)) => fail(400, "ExpiredToken"),
        "putRecord" => match host.refusal {
            Some(error) => fail(400, error),
            None => ok(json!({"uri": "at://x/a.b.c/d", "cid": Cid::of_cbor(b"record").to_string()})),
        },
        "uploadBlob" => {
            let cid = host.blob.unwrap_or_else(|| Cid::of_raw(&body));
            ok(
                json!({"blob": {"$type": "blob", "ref": {"$link": cid.to_string()}, "mimeType": "x/y", "size": 1}}),
            )
        }
        _ => fail(501, "MethodNotImplemented"),
    }
}

fn client() -> Client {
    Client::new(NetConfig::development()).unwrap()
}

async fn login(url: &str, password: &str) -> Result<Agent, AgentError> {
    Agent::login(client(), url, &Did::parse(DID).unwrap(), &Secret::new(password)).await
}

fn path() -> RecordPath {
    RecordPath::parse("a.b.c/d").unwrap()
}

#[tokio::test]
async fn a_session_is_renewed_once_when_it_expires() {
    let (url, host) = start().await;
    let mut agent = login(&url, "abcd-efgh\n").await.unwrap();
    agent.put_record(&path(), &json!({"a": 1}), None).await.unwrap();
    // The access token ends, as they do after minutes.
    host.lock().unwrap().seen.clear();
    host.lock().unwrap().access += 1;
    agent.put_record(&path(), &json!({"a": 1}), None).await.unwrap();
    let seen = std::mem::take(&mut host.lock().unwrap().seen);
    let methods: Vec<&str> = seen.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["putRecord", "refreshSession", "putRecord"]);
    assert!(seen[1].body.is_empty(), "a renewal has no body");
    // When the host does not renew either, that is said, and nothing goes round in circles.
    host.lock().unwrap().access += 1;
    host.lock().unwrap().refresh += 1;
    let expired = agent.put_record(&path(), &json!({"a": 1}), None).await.unwrap_err();
    assert!(matches!(&expired, AgentError::Expired { .. }), "{expired}");
    assert_eq!(host.lock().unwrap().seen.len(), 2);
}

#[tokio::test]
async fn what_the_host_says_no_to_is_said_in_words() {
    let (url, host) = start().await;
    let refused = login(&url, "wrong").await.unwrap_err();
    assert!(matches!(refused, AgentError::Login { .. }), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("wrong\""), "{refused:?}");
    host.lock().unwrap().did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".to_owned();
    let other = login(&url, "abcd-efgh").await.unwrap_err();
    assert!(matches!(other, AgentError::OtherAccount { .. }), "{other}");
    host.lock().unwrap().did = DID.to_owned();
    let mut agent = login(&url, "abcd-efgh").await.unwrap();
    assert!(!format!("{agent:?}").contains("access-"), "{agent:?}");
    host.lock().unwrap().refusal = Some("InvalidSwap");
    let moved = agent.put_record(&path(), &json!({}), None).await.unwrap_err();
    assert!(matches!(moved, AgentError::Moved { .. }), "{moved}");
    host.lock().unwrap().refusal = Some("InvalidRequest");
    let refused = agent.put_record(&path(), &json!({}), None).await.unwrap_err();
    assert!(matches!(refused, AgentError::Host { .. }), "{refused}");
}

#[tokio::test]
async fn a_blob_must_come_out_with_its_own_hash_and_a_plain_type() {
    let (url, host) = start().await;
    let mut agent = login(&url, "abcd-efgh").await.unwrap();
    let bytes = Bytes::from_static(b"picture");
    let cid = Cid::of_raw(&bytes);
    agent.upload_blob(&cid, "image/png", bytes.clone()).await.unwrap();
    agent.upload_blob(&cid, "image/png\r\nx: y", bytes.clone()).await.unwrap();
    let kinds: Vec<String> = {
        let host = host.lock().unwrap();
        let uploads = host.seen.iter().filter(|seen| seen.method == "uploadBlob");
        uploads.map(|seen| seen.kind.clone().unwrap()).collect()
    };
    assert_eq!(kinds, ["image/png", "application/octet-stream"]);
    host.lock().unwrap().blob = Some(Cid::of_raw(b"something else"));
    let wrong = agent.upload_blob(&cid, "image/png", bytes).await.unwrap_err();
    assert!(matches!(wrong, AgentError::Answer { .. }), "{wrong}");
}

#[tokio::test]
async fn no_redirect_sees_a_password_or_a_token() {
    let (thief_url, thief) = start().await;
    let (url, host) = start().await;
    let mut agent = login(&url, "abcd-efgh").await.unwrap();
    host.lock().unwrap().redirect = Some(format!("{thief_url}/xrpc/com.atproto.repo.putRecord"));
    assert!(agent.put_record(&path(), &json!({}), None).await.is_err());
    assert!(agent.get_record(&path()).await.is_err());
    assert!(agent.renew().await.is_err());
    assert!(login(&url, "abcd-efgh").await.is_err());
    assert_eq!(thief.lock().unwrap().seen.len(), 0);
}
