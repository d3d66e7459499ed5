use std::path::Path;

use p2pds_host::accounts::{By, EraseJob, Subject};
use p2pds_host::jobs::Job as _;
use p2pds_host::write::{Write, WriteOptions};
use p2pds_store::events::EventKind;
use p2pds_store::hosting::{ReportClosed, ReportRow, close_report, keep_report};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::Did;
use serde_json::json;

use crate::shared::{Node, did, nsid, post, rkey};
use crate::{DAY, PASSWORD, add, code, later, log_in, with_account};

/// Files that hold a text.
fn holding(dir: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, text, found);
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(format!("{text} in {}", path.display()));
        }
    }
}

async fn report(node: &Node, by: Option<&Did>, about: &Did, words: &str) {
    let row = ReportRow {
        id: 0,
        at: node.host.now(),
        by: by.cloned(),
        contact: "canary-contact@mail.example".to_owned(),
        did: Some(about.clone()),
        subject: about.to_string(),
        cid: None,
        kind: "other".to_owned(),
        words: words.to_owned(),
        closed: None,
    };
    assert!(keep_report(&*node.store, row).await.unwrap().is_some());
}

async fn write(node: &Node, did: &p2pds_syntax::Did, text: &str) {
    let write = Write::Create {
        collection: nsid("app.bsky.feed.post"),
        rkey: Some(rkey("3jzfcijpj2z2a")),
        record: post(text),
    };
    node.host.write(did, vec![write], WriteOptions::default()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_account() {
    let node = Node::new();
    let (gone, stays) = (add(&node, 1).await, add(&node, 2).await);
    let text = "canary-of-a-post-xyzzy-0123456789";
    write(&node, &gone, text).await;
    write(&node, &stays, "something of somebody else that stays").await;
    let tokens = log_in(&node, gone.as_str(), PASSWORD).await.unwrap().tokens;
    node.host.create_app_password(&gone, "canary-app-password", false).await.unwrap();
    let preference = json!({ "$type": "app.bsky.x", "canary-preference": true });
    node.host.put_preferences(&gone, "app.bsky", true, &[preference]).await.unwrap();
    let subject = Subject::Record(gone.clone(), "app.bsky.feed.post/3jzfcijpj2z2a".parse().unwrap());
    node.host.take_down(&By::Admin, &subject, Some("canary-reference")).await.unwrap();
    report(&node, Some(&gone), &stays, "canary-report-sent").await;
    report(&node, Some(&stays), &gone, "canary-report-about").await;
    let closed = ReportClosed { at: node.host.now(), note: "canary-report-note".to_owned() };
    assert!(close_report(&*node.store, 1, "operator", closed).await.unwrap());
    node.host.request_account_delete(&gone).await.unwrap();
    let token = code(&node, "delete-account").await;

    let delete = |password: &'static str, token: &str| {
        let (host, did, token) = (node.host.clone(), gone.clone(), token.to_owned());
        async move { host.delete_account(&did, password, &token, "192.0.2.1").await.map_err(|error| error.name) }
    };
    assert_eq!(delete("wrong password", &token).await, Err("AuthenticationRequired"));
    assert_eq!(delete(PASSWORD, "AAAAA-AAAAA").await, Err("InvalidToken"));
    assert_eq!(delete(PASSWORD, &token).await, Ok(()));
    assert!(node.store.login(&gone).await.unwrap().is_none());
    assert!(node.host.verify_access(&tokens.access).await.is_err());
    assert!(log_in(&node, gone.as_str(), PASSWORD).await.is_err());
    EraseJob.round(&node.host).await.unwrap();

    let events = node.store.events_after(0, 100, 1 << 20).await.unwrap();
    let of_gone: Vec<_> = events.iter().filter(|event| event.did == gone).collect();
    assert_eq!(of_gone.len(), 1, "its events are gone");
    assert_eq!(of_gone[0].kind, EventKind::Account, "but for the one that says so");
    assert!(events.iter().any(|event| event.did == stays));
    node.store.close().await.unwrap();
    let mut found = Vec::new();
    for canary in [
        text,
        "user1@mail.example",
        "canary-app-password",
        "canary-preference",
        "canary-reference",
        "canary-report-sent",
        "canary-report-about",
        "canary-report-note",
        "canary-contact",
        "confirm that this address",
    ] {
        holding(node.dir.path(), canary, &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
    let store = SqliteStore::open(node.dir.path(), Options::default()).unwrap();
    let other = Node::over(tempfile::TempDir::new().unwrap(), std::sync::Arc::new(store));
    assert!(other.store.live_repo(&stays).await.unwrap().is_some());
    let left = other.store.closed_reports(9).await.unwrap();
    assert_eq!(
        (left.len(), &left[0].by, left[0].subject.as_str()),
        (1, &None, stays.as_str()),
        "without who sent it"
    );
    assert!(other.store.open_reports(0, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deletion_that_was_cut_off_goes_on() {
    let (node, did) = with_account().await;
    write(&node, &did, "canary-cut-off-0123456789abcdef").await;
    node.host.admin_delete_account(&By::Operator, &did).await.unwrap();
    node.store.close().await.unwrap();
    let store = std::sync::Arc::new(SqliteStore::open(node.dir.path(), Options::default()).unwrap());
    let again = Node::over(node.dir, store);
    EraseJob.round(&again.host).await.unwrap();
    let purge = again.store.purges(1).await.unwrap().remove(0);
    assert!(purge.ended_at.is_some() && purge.basis == "hosted account deleted by operator");
    EraseJob.round(&again.host).await.unwrap();
    again.host.erase(&did).await.unwrap();
    let acts = again.host.audits(Some(&did), None, 9).await.unwrap();
    assert_eq!(acts[0].what, "deleteAccount", "that it was done is kept");
    assert_eq!(again.store.purges(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_deactivated_account_is_deleted_when_its_owner_said() {
    let (node, did) = with_account().await;
    // A time that has passed is no way to delete at once, without password or code.
    let at = node.host.now() - DAY;
    node.host.deactivate_account(&did, Some(at)).await.unwrap();
    let view = node.host.account_view(&did).await.unwrap();
    assert_eq!((view.active, view.status), (false, Some("deactivated")));
    EraseJob.round(&node.host).await.unwrap();
    assert!(node.store.login(&did).await.unwrap().is_some());
    later(&node, 2 * DAY);
    EraseJob.round(&node.host).await.unwrap();
    assert!(node.store.login(&did).await.unwrap().is_some());
    later(&node, DAY);
    EraseJob.round(&node.host).await.unwrap();
    assert!(node.store.login(&did).await.unwrap().is_none());
    let kinds: Vec<_> =
        node.store.events_after(0, 9, 1 << 20).await.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Account]);
    assert_eq!(node.host.audits(Some(&did), None, 9).await.unwrap()[0].who, "node");
}

#[tokio::test]
async fn what_is_taken_down_is_said_and_shown_again() {
    let (node, account) = with_account().await;
    write(&node, &account, "a post that somebody reports").await;
    let path = "app.bsky.feed.post/3jzfcijpj2z2a";
    let record = Subject::Record(account.clone(), path.parse().unwrap());
    node.host.take_down(&By::Admin, &record, Some("case 7")).await.unwrap();
    let status = node.host.subject_status(&record).await.unwrap();
    assert_eq!(status.takedown.as_deref(), Some("case 7"));
    assert!(status.cid.is_some() && node.host.is_taken_down(&account, path).await.unwrap());
    node.host.restore(&By::Admin, &record).await.unwrap();
    assert_eq!(node.host.subject_status(&record).await.unwrap().takedown, None);
    let absent = Subject::Record(account.clone(), "app.bsky.feed.post/none".parse().unwrap());
    assert_eq!(node.host.subject_status(&absent).await.unwrap_err().name, "NotFound");
    let nobody = Subject::Account(did(99));
    assert_eq!(node.host.take_down(&By::Admin, &nobody, None).await.unwrap_err().name, "NotFound");
    let subject = Subject::Account(account.clone());
    let before = node.store.last_seq().await.unwrap();
    node.host.take_down(&By::Admin, &subject, None).await.unwrap();
    node.host.restore(&By::Admin, &subject).await.unwrap();
    assert_eq!(node.store.last_seq().await.unwrap(), before + 2, "an event each time");
}
