//! Reports: for the operator of the host where no service takes them, and passed on where one does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method as Http;
use p2pds_host::accounts::{By, Subject};
use p2pds_host::sessions::AppPassword;
use p2pds_ipld::json;
use p2pds_store::hosting::{MOST_OPEN, ReportRow, ReportsUnit, keep_report};
use p2pds_store::{HostingUnit, Unit};
use p2pds_syntax::{Did, Nsid};
use p2pds_xrpc::proxy::{ProxyConfig, Service};
use p2pds_xrpc::{Xrpc, XrpcConfig, router};
use serde_json::{Value, json};

use crate::apps::Apps;
use crate::hosting::{Node, did};
use crate::house::{Door, Reply};
use crate::methods::catalog;

const NSID: &str = "com.atproto.moderation.createReport";
const CID: &str = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

fn door(node: &Node, proxy: ProxyConfig) -> Door {
    let config = XrpcConfig { rate_limits: false, proxy, ..XrpcConfig::default() };
    let xrpc = Xrpc::new(node.host.reading().clone(), config).with_host(Some(node.host.clone()));
    Door::over(router(Arc::new(xrpc)))
}

async fn token(node: &Node, number: u32) -> String {
    let session = node.host.new_session(&did(number), None::<AppPassword>, false).unwrap();
    node.store.apply(session.unit).await.unwrap();
    format!("Bearer {}", session.tokens.access.as_str())
}

async fn report(door: &Door, token: &str, more: &[(&str, &str)], body: &Value) -> Reply {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend((!token.is_empty()).then_some(("authorization", token)));
    headers.extend_from_slice(more);
    door.send_body(Http::POST, &format!("/xrpc/{NSID}"), &headers, Body::from(body.to_string())).await
}

fn account(of: &Did) -> Value {
    json!({ "$type": "com.atproto.admin.defs#repoRef", "did": of })
}

fn spam(subject: &Value) -> Value {
    json!({ "reasonType": "com.atproto.moderation.defs#reasonSpam", "subject": subject })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_they_are_for_the_operator() {
    let node = Node::new();
    for number in [1, 2] {
        node.account(&did(number)).await;
    }
    let (door, token, catalog) = (door(&node, ProxyConfig::default()), token(&node, 1).await, catalog());
    let fits = |reply: &Reply| {
        assert_eq!(reply.status, 200, "{reply:?}");
        let value = json::from_json(&reply.json()).unwrap();
        if let Some(catalog) = &catalog {
            catalog.validate_output(&Nsid::parse(NSID).unwrap(), &value).unwrap();
        }
        reply.json()
    };

    let whole = report(&door, &token, &[], &spam(&account(&did(2)))).await;
    let said = fits(&whole);
    let at = said["createdAt"].as_str().unwrap();
    assert_eq!(
        said,
        json!({
            "id": 1, "reasonType": "com.atproto.moderation.defs#reasonSpam", "subject": account(&did(2)),
            "reportedBy": did(1), "createdAt": at,
        })
    );
    let uri = format!("at://{}/app.bsky.feed.post/3kaaaaaaaaa2a", did(2));
    let record = json!({ "$type": "com.atproto.repo.strongRef", "uri": uri, "cid": CID });
    let mut wordy = spam(&record);
    wordy["reason"] = "1\u{301}".repeat(2_000).into();
    wordy["modTool"] = json!({ "name": "test" });
    let said = fits(&report(&door, &token, &[], &wordy).await);
    assert_eq!((&said["id"], &said["reason"], &said["subject"]), (&json!(2), &wordy["reason"], &record));

    let kept = node.store.open_reports(0, 9).await.unwrap();
    let brief: Vec<_> = kept
        .iter()
        .map(|row| {
            (row.by.clone(), row.did.clone(), row.subject.as_str(), row.cid.as_deref(), row.words.len())
        })
        .collect();
    let whose = did(2);
    assert_eq!(
        brief,
        [
            (Some(did(1)), Some(did(2)), whose.as_str(), None, 0),
            (Some(did(1)), Some(did(2)), uri.as_str(), Some(CID), 6_000),
        ]
    );

    // Whoever was taken down may complain.
    node.host.take_down(&By::Operator, &Subject::Account(did(2)), None).await.unwrap();
    let session = node.host.new_session(&did(2), None::<AppPassword>, true).unwrap();
    node.store.apply(session.unit).await.unwrap();
    let down = format!("Bearer {}", session.tokens.access.as_str());
    let appeal =
        json!({ "reasonType": "com.atproto.moderation.defs#reasonAppeal", "subject": account(&did(2)) });
    fits(&report(&door, &down, &[], &appeal).await);

    let long = |count: usize| {
        let mut body = spam(&account(&did(2)));
        body["reason"] = "a".repeat(count).into();
        body
    };
    for (wrong, why) in [
        (long(2_001), "2000 graphemes"),
        (json!({ "subject": account(&did(2)) }), "\"reasonType\""),
        (json!({ "reasonType": "x" }), "\"subject\""),
        (json!({ "reasonType": "", "subject": account(&did(2)) }), "reasonType"),
        (spam(&json!({ "did": did(2) })), "\"$type\""),
        (spam(&json!({ "$type": "com.atproto.admin.defs#repoRef", "did": "alice" })), "valid did"),
        (spam(&json!({ "$type": "com.atproto.repo.strongRef", "uri": "https://x", "cid": CID })), "at-uri"),
        (spam(&json!({ "$type": "com.atproto.repo.strongRef", "uri": uri })), "\"cid\""),
        (spam(&json!({ "$type": "com.atproto.repo.strongRef", "uri": uri, "cid": "x" })), "cid"),
        (spam(&json!({ "$type": "chat.bsky.convo.defs#messageRef", "did": did(2) })), "account or a record"),
    ] {
        let reply = report(&door, &token, &[], &wrong).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, "InvalidRequest"), "{wrong}");
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(why), "{wrong}: {message}");
    }
    let plain = [("authorization", token.as_str()), ("content-type", "text/plain")];
    let body = Body::from(spam(&account(&did(2))).to_string());
    assert_eq!(door.send_body(Http::POST, &format!("/xrpc/{NSID}"), &plain, body).await.status, 400);
    assert_eq!(report(&door, "", &[], &spam(&account(&did(2)))).await.status, 401, "nobody");
    assert_eq!(node.store.report_counts().await.unwrap().open, 3, "nothing that was refused is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_list_says_so_by_name() {
    let node = Node::new();
    node.account(&did(1)).await;
    let (door, token) = (door(&node, ProxyConfig::default()), token(&node, 1).await);
    let row = |n: i64| ReportRow {
        id: 0,
        at: n,
        by: None,
        contact: String::new(),
        did: None,
        subject: "alice.example".to_owned(),
        cid: None,
        kind: "other".to_owned(),
        words: String::new(),
        closed: None,
    };
    let mut waiting = Vec::new();
    for n in 1..MOST_OPEN {
        let put = ReportsUnit::Put { row: Box::new(row(i64::try_from(n).unwrap())), most: MOST_OPEN };
        waiting.push(node.store.apply(Unit::Hosting(Box::new(HostingUnit::Reports(put)))));
        // As many as the store lets wait.
        if waiting.len() == 50 {
            for applied in futures::future::join_all(waiting.drain(..)).await {
                applied.unwrap();
            }
        }
    }
    for applied in futures::future::join_all(waiting).await {
        applied.unwrap();
    }
    assert_eq!(report(&door, &token, &[], &spam(&account(&did(1)))).await.status, 200, "the last one");
    let reply = report(&door, &token, &[], &spam(&account(&did(1)))).await;
    assert_eq!((reply.status, reply.error().as_str()), (503, "ReportsFull"), "{reply:?}");
    assert_eq!(keep_report(&*node.store, row(1)).await.unwrap(), None);
    assert_eq!(node.store.report_counts().await.unwrap().open, 10_000);
}

/// A moderation service that keeps what it was sent.
async fn service() -> (Arc<Mutex<Vec<(String, Vec<u8>)>>>, String) {
    type Sent = Arc<Mutex<Vec<(String, Vec<u8>)>>>;
    async fn answer(State(sent): State<Sent>, request: Request) -> axum::Json<Value> {
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        sent.lock().unwrap().push((path, body.to_vec()));
        axum::Json(json!({ "id": 77 }))
    }
    let sent = Sent::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(answer).with_state(Arc::clone(&sent));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (sent, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_service_they_are_passed_on_and_not_kept() {
    let node = Node::new();
    node.account(&did(1)).await;
    let token = token(&node, 1).await;
    let (sent, url) = service().await;
    let reports = Some(Service { did: Did::parse("did:web:mod.example.com").unwrap(), url });
    let proxied = door(&node, ProxyConfig { reports, ..ProxyConfig::default() });
    let body = spam(&account(&did(1)));
    let reply = report(&proxied, &token, &[], &body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "id": 77 })), "{reply:?}");
    assert_eq!(*sent.lock().unwrap(), [(format!("/xrpc/{NSID}"), body.to_string().into_bytes())]);
    // Named by the caller, also where none is chosen here: that service, or nobody.
    let alone = door(&node, ProxyConfig::default());
    let named = [("atproto-proxy", "did:web:other.invalid#atproto_labeler")];
    let reply = report(&alone, &token, &named, &body).await;
    assert_eq!((reply.status, reply.error().as_str()), (400, "InvalidRequest"), "{reply:?}");
    assert_eq!(node.store.report_counts().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_need_what_they_needed() {
    let apps = Apps::new(1, XrpcConfig::default()).await;
    let path = format!("/xrpc/{NSID}");
    let body = || spam(&account(&did(1)));
    let none = apps.sign_in(1, "atproto").await;
    assert_eq!(apps.post(&none, &path, body()).await.error(), "ScopeMissingError");
    let one = apps.sign_in(1, &format!("atproto rpc:{NSID}?aud=*")).await;
    assert_eq!(apps.post(&one, &path, body()).await.status, 200);
    let open = apps.node.store.open_reports(0, 9).await.unwrap();
    let by: BTreeSet<_> = open.into_iter().map(|row| row.by).collect();
    assert_eq!(by, BTreeSet::from([Some(did(1))]));
}
