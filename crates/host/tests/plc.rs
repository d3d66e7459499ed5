//! Operations on identities and a directory that does not always answer; signing keys that are exchanged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

#[path = "plc/directory.rs"]
mod directory;
mod shared;

use std::path::Path;
use std::sync::{Arc, Mutex};

use directory::{Mood, Plc, readable};
use p2pds_crypto::{Curve, PrivateKey, PublicKey, Signer as _};
use p2pds_host::accounts::By;
use p2pds_host::keys::{Fresh, GivenKeys, Keys};
use p2pds_host::write::{Write, WriteOptions};
use p2pds_identity::plc::{Unsigned, validate_log};
use p2pds_store::{Account, Login, Origin, Store, Unit};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{Did, ErrorKind, Handle};
use shared::{Node, config, nsid, post};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// A key that an owner keeps.
fn own_key() -> PrivateKey {
    PrivateKey::from_entropy(Curve::K256, [9; 32])
}

/// Keys in a directory, with the rotation key that all hosts here have.
fn keys(dir: &Path) -> Keys {
    let given = GivenKeys { plc_rotation_hex: Some(Zeroizing::new("5f".repeat(32))), jwt_secret: None };
    Keys::open(&dir.join("keys"), &given, Fresh::Make).unwrap()
}

fn node(plc: &Plc, store: Option<Arc<dyn Store>>) -> Node {
    let dir = TempDir::new().unwrap();
    let store = store.unwrap_or_else(|| Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap()));
    let keys = keys(dir.path());
    let config = p2pds_host::HostConfig { plc_url: plc.url.clone(), ..config() };
    Node::with_keys(dir, store, config, keys)
}

/// A hosted account with an identity in the directory.
async fn account(node: &Node, name: &str) -> Did {
    let host = &node.host;
    let key = host.keys().new_signing_key().unwrap();
    let handle = Handle::parse(&format!("{name}.pds.test")).unwrap();
    let owner = own_key().public_key().to_did_key();
    let (did, operation) = host.new_identity(&handle, &key.public_key(), Some(&owner)).unwrap();
    host.submit_plc(&did, &operation).await.unwrap();
    let opened = host.open_repo(&did, &key).unwrap();
    let login = Login {
        did: did.clone(),
        email: String::new(),
        email_confirmed_at: None,
        password: String::new(),
        created_at: host.now(),
        deactivated_at: None,
        delete_after: None,
        takedown: None,
        invites_disabled: false,
        invited_by: None,
        signing_key: host.keys().wrap(&key, &did).unwrap(),
        signing_did_key: key.public_key().to_did_key(),
    };
    let row = Account { handle: Some(handle.to_string()), ..Account::new(did.clone(), Origin::Network, 1) };
    let units =
        vec![Unit::AddAccount(Box::new(row)), Unit::PutLogin(Box::new(login)), opened.repo, opened.commit];
    node.store.apply(Unit::Batch { did: did.clone(), units }).await.unwrap();
    did
}

fn write() -> Vec<Write> {
    vec![Write::Create { collection: nsid("app.bsky.feed.post"), rkey: None, record: post("words") }]
}

#[tokio::test]
async fn an_identity_is_the_hash_of_its_first_operation_and_the_owners_key_comes_first() {
    let plc = Plc::start();
    let node = node(&plc, None);
    let did = account(&node, "alice").await;
    let entries = plc.log(&did);
    assert!(readable(&entries));
    let data = validate_log(&did, &entries).unwrap().data().unwrap();
    let host_key = node.host.keys().plc_rotation().public_key().to_did_key();
    assert_eq!(data.rotation_keys, [own_key().public_key().to_did_key(), host_key.clone()]);
    assert_eq!(data.also_known_as, ["at://alice.pds.test"]);
    assert_eq!(data.pds().as_deref(), Some("http://pds.test"));
    // A key that is given twice stands once, and one that is none is refused.
    let (handle, key) = (Handle::parse("bob.pds.test").unwrap(), own_key().public_key());
    let (_, twice) = node.host.new_identity(&handle, &key, Some(&host_key)).unwrap();
    assert_eq!(twice.data().unwrap().rotation_keys, [host_key]);
    assert_eq!(
        node.host.new_identity(&handle, &key, Some("did:key:zno")).unwrap_err().name,
        "InvalidRequest"
    );
}

#[tokio::test]
async fn an_operation_is_there_once_however_the_directory_answers() {
    let plc = Plc::start();
    let node = node(&plc, None);
    let did = account(&node, "alice").await;
    let rename = |name: &str| {
        let handle = Handle::parse(&format!("{name}.pds.test")).unwrap();
        move |data: &mut p2pds_identity::plc::Data| data.set_handle(&handle)
    };

    plc.next([Mood::Hush]);
    assert!(node.host.update_plc(&did, rename("a1")).await.unwrap());
    assert_eq!((plc.posts(), plc.log(&did).len()), (1, 2), "it was there, so it was not sent again");

    plc.next([Mood::Busy, Mood::Busy]);
    assert!(node.host.update_plc(&did, rename("a2")).await.unwrap());
    assert_eq!((plc.posts(), plc.log(&did).len()), (3, 3));

    plc.next([Mood::Busy, Mood::Busy, Mood::Busy]);
    let error = node.host.update_plc(&did, rename("a3")).await.unwrap_err();
    assert_eq!((error.name, plc.posts(), plc.log(&did).len()), ("UpstreamFailure", 3, 3));

    plc.next([Mood::TooOften]);
    let error = node.host.update_plc(&did, rename("a3")).await.unwrap_err();
    assert_eq!((error.kind(), plc.posts(), plc.log(&did).len()), (ErrorKind::Limited, 1, 3));
    assert!(error.retry_after.is_some());
}

#[tokio::test]
async fn who_was_overtaken_builds_on_top_and_what_changes_nothing_is_not_sent() {
    let plc = Plc::start();
    let node = node(&plc, None);
    let did = account(&node, "alice").await;
    // The owner moves a service in with his own key at the same moment.
    let log = validate_log(&did, &plc.log(&did)).unwrap();
    let service =
        p2pds_identity::plc::Service { kind: "Feed".into(), endpoint: "https://feed.example".into() };
    let mut data = log.data().unwrap();
    data.services.insert("feed".into(), service);
    let owners = Unsigned::update(log.head(), data).sign(&own_key()).unwrap();
    plc.next([Mood::Overtaken(owners)]);
    let handle = Handle::parse("a1.pds.test").unwrap();
    assert!(node.host.update_plc(&did, |data| data.set_handle(&handle)).await.unwrap());
    let data = validate_log(&did, &plc.log(&did)).unwrap().data().unwrap();
    assert_eq!(data.also_known_as, ["at://a1.pds.test"]);
    assert!(data.services.contains_key("feed"), "what the owner did is still there");
    plc.next([]);
    assert!(!node.host.update_plc(&did, |data| data.set_handle(&handle)).await.unwrap());
    assert_eq!(plc.posts(), 0);
    // Refused for good: said once, in the directory's words or ours, and not tried again.
    let error = node.host.update_plc(&did, |data| data.rotation_keys.clear()).await.unwrap_err();
    assert_eq!((error.name, plc.posts()), ("InvalidRequest", 0), "{error}");
}

#[tokio::test]
async fn a_directory_that_forgot_what_it_said_is_not_built_upon() {
    let plc = Plc::start();
    let node = node(&plc, None);
    let did = account(&node, "alice").await;
    let handle = Handle::parse("a1.pds.test").unwrap();
    node.host.update_plc(&did, |data| data.set_handle(&handle)).await.unwrap();
    node.host.plc_log_now(&did).await.unwrap();
    let forgetful = Plc::start();
    {
        let mut entries = plc.log(&did);
        entries.pop();
        forgetful.put(&did, entries);
    }
    let other = self::node(&forgetful, Some(Arc::clone(&node.store)));
    let error = other.host.update_plc(&did, |data| data.set_pds("https://x.example")).await.unwrap_err();
    assert_eq!((error.name, forgetful.posts()), ("UpstreamFailure", 0), "{error}");
}

/// Keys of the commits in the order of their revs, each checked against its signature.
async fn keys_of_commits(node: &Node, did: &Did) -> Vec<String> {
    let commits = node.store.commits(did, None, 1_000).await.unwrap();
    for row in &commits {
        let head = &row.head;
        let unsigned = p2pds_repo::commit::Unsigned { did: did.clone(), data: head.data, rev: head.rev };
        let key = PublicKey::from_did_key(&head.key).unwrap();
        assert!(key.verify(&unsigned.encode(), &head.sig).is_ok(), "{}", head.rev);
    }
    commits.into_iter().map(|row| row.head.key).collect()
}

#[tokio::test]
async fn a_new_key_signs_everything_after_the_document_names_it() {
    let plc = Plc::start();
    let node = node(&plc, None);
    let did = account(&node, "alice").await;
    let old = node.store.login(&did).await.unwrap().unwrap().signing_did_key;
    // Where the repo stands when the operation arrives.
    let (store, who, seen) = (Arc::clone(&node.store), did.clone(), Arc::new(Mutex::new(None)));
    let note = Arc::clone(&seen);
    plc.state.lock().unwrap().witness = Some(Box::new(move || {
        let repo = p2pds_store::view::block_on(store.live_repo(&who)).unwrap().unwrap();
        note.lock().unwrap().replace(repo.rev);
    }));
    let writes = (0..30).map(|_| node.host.write(&did, write(), WriteOptions::default()));
    let (rotated, written) =
        futures::join!(node.host.rotate_signing_key(&By::Operator, &did), futures::future::join_all(writes));
    let new = rotated.unwrap();
    assert_ne!(old, new);
    let written = written.into_iter().filter(Result::is_ok).count();
    assert!(written > 0);
    node.host.write(&did, write(), WriteOptions::default()).await.unwrap();

    let at = seen.lock().unwrap().take().unwrap();
    let commits = node.store.commits(&did, None, 1_000).await.unwrap();
    for row in &commits {
        let expected = if row.head.rev <= at { &old } else { &new };
        assert_eq!(&row.head.key, expected, "{} and the document changed after {at}", row.head.rev);
    }
    assert!(keys_of_commits(&node, &did).await.contains(&new));
    let data = validate_log(&did, &plc.log(&did)).unwrap().data().unwrap();
    assert_eq!(data.signing_key(), Some(new.as_str()));
    assert_eq!(node.store.login(&did).await.unwrap().unwrap().signing_did_key, new);
    assert_eq!(node.store.reserved_key_for(&did).await.unwrap(), None);
}

#[tokio::test]
async fn an_interrupted_exchange_goes_on_with_the_key_that_the_document_has() {
    let plc = Plc::start();
    let node = node(&plc, None);
    let did = account(&node, "alice").await;
    let old = node.store.login(&did).await.unwrap().unwrap().signing_did_key;
    // The directory takes it and is not heard of again.
    plc.next([Mood::HushAndDark]);
    let error = node.host.rotate_signing_key(&By::Operator, &did).await.unwrap_err();
    assert_eq!(error.name, "UpstreamFailure");
    assert_eq!(node.store.login(&did).await.unwrap().unwrap().signing_did_key, old);
    plc.next([]);
    let named = validate_log(&did, &plc.log(&did)).unwrap().data().unwrap();
    let new = node.host.rotate_signing_key(&By::Operator, &did).await.unwrap();
    assert_eq!(named.signing_key(), Some(new.as_str()));
    assert_eq!((plc.posts(), plc.log(&did).len()), (0, 2), "nothing more was sent");
    assert_eq!(keys_of_commits(&node, &did).await.last(), Some(&new));
}

#[tokio::test]
async fn a_lost_node_key_costs_a_new_signing_key_and_nothing_else() {
    let plc = Plc::start();
    let node = node(&plc, None);
    let did = account(&node, "alice").await;
    let first = node.host.write(&did, write(), WriteOptions::default()).await.unwrap();
    // The same database, another node.key.
    let other = self::node(&plc, Some(Arc::clone(&node.store)));
    let error = other.host.write(&did, write(), WriteOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message.contains("signing key"), "{error}");
    let new = other.host.rotate_signing_key(&By::Operator, &did).await.unwrap();
    let written = other.host.write(&did, write(), WriteOptions::default()).await.unwrap();
    assert!(written.rev > first.rev);
    assert_eq!(keys_of_commits(&other, &did).await.last(), Some(&new));
}
