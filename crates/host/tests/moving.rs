//! Accounts that this node has archived, and whose owners move here: what becomes of the archived repo, whichever way it
//! ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod shared;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream;
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_host::accounts::{By, Deleted, EraseJob, NewAccount};
use p2pds_host::jobs::Job as _;
use p2pds_host::write::{Write, WriteOptions};
use p2pds_host::{ArchiveSide, HostError, HostResult, PROMOTION};
use p2pds_ipld::car::{write_header, write_section};
use p2pds_repo::commit::Unsigned;
use p2pds_repo::mst::{EMPTY_NODE, empty_root};
use p2pds_store::events::EventKind;
use p2pds_store::{
    AccountPatch, AccountStatus, LoginPatch, MOVED_BACK, Repo, Role, Store, Unit, VerifiedState, WorkerRow,
};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{Did, Tid};
use shared::{Node, did, nsid, post, rkey};

/// What the archive is asked for, in order.
#[derive(Clone, Default)]
struct Beside(Arc<Mutex<Vec<&'static str>>>);

struct Held(Beside);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push("released");
    }
}

#[async_trait::async_trait]
impl ArchiveSide for Beside {
    async fn hold(&self, _: &Did) -> Box<dyn std::any::Any + Send> {
        self.0.lock().unwrap().push("held");
        Box::new(Held(self.clone()))
    }

    fn changed_hands(&self, _: &Did) {
        self.0.lock().unwrap().push("changed hands");
    }
}

/// A node that has archived an account with one post, and heard that it is suspended at its host.
struct Scene {
    node: Node,
    did: Did,
    archive: Beside,
    /// What is archived.
    repo: Repo,
}

impl Scene {
    async fn new() -> Self {
        // Its document is this host's own to serve, so that nobody has to be asked.
        let (node, did) = (Node::new(), Did::parse("did:web:pds.test").unwrap());
        node.account(&did).await;
        let write = Write::Create {
            collection: nsid("app.bsky.feed.post"),
            rkey: Some(rkey("3jzfcijpj2z2a")),
            record: post("archived"),
        };
        node.host.write(&did, vec![write], WriteOptions::default()).await.unwrap();
        let patch = AccountPatch {
            status: Some(AccountStatus::Suspended),
            handle: Some(Some("old.example".to_owned())),
            verified: Some(VerifiedState::Verified),
            ..AccountPatch::default()
        };
        let units = vec![
            Unit::SetRole { did: did.clone(), role: Role::Archived },
            Unit::DropLogin { did: did.clone() },
            Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
        ];
        node.store.apply(Unit::Batch { did: did.clone(), units }).await.unwrap();
        node.host.forget_account(&did).await;
        let archive = Beside::default();
        node.host.set_archive(Arc::new(archive.clone()));
        let repo = node.store.live_repo(&did).await.unwrap().unwrap();
        Self { node, did, archive, repo }
    }

    async fn create(&self, requester: Option<&Did>, by: By) -> HostResult<()> {
        let asked = NewAccount {
            handle: "mover.pds.test".to_owned(),
            email: Some("mover@mail.example".to_owned()),
            password: Some("a long password".to_owned()),
            invite_code: None,
            recovery_key: None,
            did: Some(self.did.clone()),
            requester: requester.cloned(),
            by,
        };
        self.node.host.create_account(asked).await.map(|_| ())
    }

    async fn moving_in(&self) {
        self.create(Some(&self.did), By::Owner).await.unwrap();
    }

    /// A CAR of an empty repo by a key that the account has here from now on.
    async fn import(&self) {
        let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
        let wrapped = self.node.host.keys().wrap(&key, &self.did).unwrap();
        let signing_key = Some((wrapped, key.public_key().to_did_key()));
        let patch = Box::new(LoginPatch { signing_key, ..LoginPatch::default() });
        self.node.store.apply(Unit::PatchLogin { did: self.did.clone(), patch }).await.unwrap();
        self.node.host.forget_account(&self.did).await;
        let rev = Tid::from_micros(1_700_000_000_000_000, 1);
        let commit = Unsigned { did: self.did.clone(), rev, data: empty_root() }.sign(&key).unwrap();
        let mut car = Vec::new();
        write_header(&mut car, &[commit.cid()]);
        write_section(&mut car, &commit.cid(), &commit.encode());
        write_section(&mut car, &empty_root(), &EMPTY_NODE);
        let body = stream::iter([Ok(Bytes::from(car))]);
        assert!(self.node.host.import_repo(&self.did, body).await.unwrap().changed);
    }

    /// The same node after a restart, with a disk on which nothing can be reserved.
    async fn on_a_full_disk(self) -> Self {
        let Self { node: Node { host, store, dir, .. }, did, archive, repo } = self;
        let at = host.now();
        drop((host, store));
        let ballast = dir.path().join("ballast");
        std::fs::remove_file(&ballast).unwrap();
        std::fs::create_dir(&ballast).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
        let node = Node::over(dir, store);
        node.clock.store(at, Ordering::Relaxed);
        // The keys of the restarted node are others.
        let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
        let signing_key = Some((node.host.keys().wrap(&key, &did).unwrap(), key.public_key().to_did_key()));
        let patch = Box::new(LoginPatch { signing_key, ..LoginPatch::default() });
        node.store.apply(Unit::PatchLogin { did: did.clone(), patch }).await.unwrap();
        Self { node, did, archive, repo }
    }

    async fn given_back(&self) -> Repo {
        let account = self.node.store.account(&self.did).await.unwrap().unwrap();
        assert_eq!((account.hosted, account.status), (false, AccountStatus::Suspended));
        assert_eq!(account.handle.as_deref(), Some("old.example"));
        assert!(self.node.store.login(&self.did).await.unwrap().is_none());
        assert!(
            self.node.store.app_passwords(&self.did).await.unwrap().is_empty(),
            "nobody else's key stays"
        );
        assert!(self.node.store.preferences(&self.did).await.unwrap().is_empty());
        assert!(self.node.store.purges(9).await.unwrap().is_empty(), "nothing is erased");
        let mut repos = self.node.store.repos(Some(&self.did)).await.unwrap();
        assert_eq!(repos.len(), 1);
        assert_eq!(repos[0].role, Role::Archived);
        repos.remove(0)
    }
}

fn name(result: HostResult<()>) -> &'static str {
    let HostError { name, .. } = result.expect_err("this must be refused");
    name
}

#[tokio::test]
async fn an_archived_account_moves_in_with_what_is_archived() {
    let scene = Scene::new().await;
    assert_eq!(name(scene.create(None, By::Owner).await), "AuthenticationRequired");
    assert_eq!(name(scene.create(Some(&did(2)), By::Owner).await), "AuthenticationRequired");
    assert_eq!(name(scene.create(None, By::Operator).await), "IncompatibleDidDoc");
    assert!(scene.node.store.login(&scene.did).await.unwrap().is_none());
    scene.archive.0.lock().unwrap().clear();

    scene.moving_in().await;
    assert_eq!(*scene.archive.0.lock().unwrap(), ["held", "changed hands", "changed hands", "released"]);
    let account = scene.node.store.account(&scene.did).await.unwrap().unwrap();
    assert_eq!((account.hosted, account.status), (true, AccountStatus::Deactivated));
    assert_eq!(account.handle.as_deref(), Some("mover.pds.test"));
    let repo = scene.node.store.live_repo(&scene.did).await.unwrap().unwrap();
    assert_eq!((repo.id, repo.role, &repo.head), (scene.repo.id, Role::Hosted, &scene.repo.head));
    assert_eq!(name(scene.create(Some(&scene.did), By::Owner).await), "InvalidRequest", "a second time");
}

#[tokio::test]
async fn a_promotion_under_way_is_not_disturbed() {
    let scene = Scene::new().await;
    let row = WorkerRow {
        name: format!("{PROMOTION}:{}", scene.did),
        did: Some(scene.did.clone()),
        state: String::new(),
        done: 0,
        total: 0,
        notes: "{}".to_owned(),
        last_error: None,
        next_run: None,
        updated_at: 0,
    };
    scene.node.store.apply(Unit::PutWorker(row)).await.unwrap();
    assert_eq!(name(scene.create(Some(&scene.did), By::Owner).await), "IncompatibleDidDoc");
}

#[tokio::test]
async fn a_move_that_is_given_up_costs_the_archive_nothing() {
    let scene = Scene::new().await;
    scene.moving_in().await;
    scene.node.host.create_app_password(&scene.did, "left behind", false).await.unwrap();
    let preference = serde_json::json!({ "$type": "app.bsky.x", "y": true });
    scene.node.host.put_preferences(&scene.did, "app.bsky", true, &[preference]).await.unwrap();
    let told = scene.node.store.events_after(0, 100, 1 << 20).await.unwrap().len();
    let by = By::Operator;
    assert_eq!(scene.node.host.admin_delete_account(&by, &scene.did).await.unwrap(), Deleted::GivenBack);
    let repo = scene.given_back().await;
    assert_eq!((repo.id, &repo.head), (scene.repo.id, &scene.repo.head), "what was archived, as it was");
    let acts = scene.node.host.audits(Some(&scene.did), None, 9).await.unwrap();
    assert_eq!(acts[0].what, "giveBack");
    assert_eq!(scene.node.store.events_after(0, 100, 1 << 20).await.unwrap().len(), told);

    // Once more, and after that it is the owner's to delete.
    scene.moving_in().await;
    scene.node.store.apply(Unit::DropWorker { name: format!("moving-in:{}", scene.did) }).await.unwrap();
    assert_eq!(scene.node.host.admin_delete_account(&by, &scene.did).await.unwrap(), Deleted::Erased);
    assert!(scene.node.store.account(&scene.did).await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_imported_by_somebody_who_gave_up_does_not_count() {
    let scene = Scene::new().await;
    scene.moving_in().await;
    scene.import().await;
    assert_eq!(scene.node.store.live_repo(&scene.did).await.unwrap().unwrap().records, 0);
    // Not even whoever has a session can put that off.
    scene.node.host.deactivate_account(&scene.did, None).await.unwrap();
    let week = 7 * 24 * 3_600 * 1_000_000_i64;
    scene.node.clock.fetch_add(week, Ordering::Relaxed);
    EraseJob.round(&scene.node.host).await.unwrap();
    let repo = scene.given_back().await;
    let account = scene.node.store.account(&scene.did).await.unwrap().unwrap();
    assert_eq!(account.verified, VerifiedState::Unverified, "nobody vouches for it");
    let head = repo.head.unwrap();
    assert_eq!(head.key, "", "what the account's own host shows takes its place");
    assert!(head.rev > scene.repo.rev, "and the archived state is history");
    assert_eq!(repo.line, scene.repo.line);
    let note = scene.node.store.worker(&format!("{MOVED_BACK}:{}", scene.did)).await.unwrap().unwrap();
    assert!(note.updated_at >= shared::START + week, "the archive keeps that for a window from now on");
    let events = scene.node.store.events_after(0, 100, 1 << 20).await.unwrap();
    let told = events.iter().filter(|event| event.kind == EventKind::Account).count();
    assert_eq!(told, 1, "that it was deactivated; nothing of a deletion");
}

#[tokio::test]
async fn a_handle_that_somebody_has_by_now_and_an_unreadable_note_stop_nobody_elses_deletion() {
    let scene = Scene::new().await;
    scene.moving_in().await;
    let (store, other, stuck, gone) = (&scene.node.store, did(2), did(3), did(4));
    for did in [&other, &stuck, &gone] {
        scene.node.account(did).await;
    }
    let due = scene.node.clock.load(Ordering::Relaxed);
    for did in [&stuck, &gone] {
        let patch = LoginPatch {
            deactivated_at: Some(Some(due)),
            delete_after: Some(Some(due + i64::from(*did == gone))),
            ..LoginPatch::default()
        };
        store.apply(Unit::PatchLogin { did: did.clone(), patch: Box::new(patch) }).await.unwrap();
    }
    let row = store.worker(&format!("moving-in:{}", scene.did)).await.unwrap().unwrap();
    let unreadable = WorkerRow {
        name: format!("moving-in:{stuck}"),
        did: Some(stuck.clone()),
        notes: "?".to_owned(),
        ..row
    };
    store.apply(Unit::PutWorker(unreadable)).await.unwrap();
    // Whoever is hosted here has the handle that the archived account had.
    let patch = AccountPatch { handle: Some(Some("old.example".to_owned())), ..AccountPatch::default() };
    store.apply(Unit::PatchAccount { did: other.clone(), patch: Box::new(patch) }).await.unwrap();
    let week = 7 * 24 * 3_600 * 1_000_000_i64;
    scene.node.clock.fetch_add(week, Ordering::Relaxed);
    EraseJob.round(&scene.node.host).await.unwrap();
    assert!(store.login(&stuck).await.unwrap().is_some(), "it waits for the operator");
    assert!(store.account(&gone).await.unwrap().is_none(), "erased all the same");
    let account = store.account(&scene.did).await.unwrap().unwrap();
    assert_eq!((account.hosted, account.handle.as_deref()), (false, Some("old.example")));
    let found = store.login_by_handle("old.example").await.unwrap().unwrap();
    assert_eq!(found.did, other, "who is hosted here keeps the handle");
}

#[tokio::test]
async fn a_move_is_given_up_on_a_full_disk_too() {
    let scene = Scene::new().await;
    scene.moving_in().await;
    scene.import().await;
    let preference = serde_json::json!({ "$type": "app.bsky.x", "y": true });
    scene.node.host.put_preferences(&scene.did, "app.bsky", true, &[preference]).await.unwrap();
    let scene = scene.on_a_full_disk().await;
    scene.node.host.create_app_password(&scene.did, "no room", false).await.expect_err("the disk is full");
    let by = By::Operator;
    assert_eq!(scene.node.host.admin_delete_account(&by, &scene.did).await.unwrap(), Deleted::GivenBack);
    scene.given_back().await;
}

/// How many more may wait for the account.
async fn room(node: &Node, did: &Did) -> usize {
    let mut waiting = Vec::new();
    while let Ok(lock) = node.host.account_lock(did).await {
        waiting.push(lock);
    }
    waiting.len()
}

#[tokio::test]
async fn what_was_checked_for_an_activation_is_what_is_activated() {
    let scene = Scene::new().await;
    scene.moving_in().await;
    let lock = scene.node.host.account_lock(&scene.did).await.unwrap();
    let held = lock.hold().await;
    let free = room(&scene.node, &scene.did).await;
    let (host, did) = (scene.node.host.clone(), scene.did.clone());
    let activation = tokio::spawn(async move { host.activate_account(&did).await });
    while room(&scene.node, &scene.did).await == free {
        tokio::task::yield_now().await;
    }
    // It was checked, and waits; meanwhile the account gets another key.
    let key = PrivateKey::from_entropy(Curve::K256, [9; 32]);
    let wrapped = scene.node.host.keys().wrap(&key, &scene.did).unwrap();
    let signing_key = Some((wrapped, key.public_key().to_did_key()));
    let patch = Box::new(LoginPatch { signing_key, ..LoginPatch::default() });
    scene.node.store.apply(Unit::PatchLogin { did: scene.did.clone(), patch }).await.unwrap();
    drop(held);
    assert_eq!(name(activation.await.unwrap()), "InvalidSwap");
    let login = scene.node.store.login(&scene.did).await.unwrap().unwrap();
    assert!(login.deactivated_at.is_some(), "it is not active");
    scene.node.host.activate_account(&scene.did).await.unwrap();
}

#[tokio::test]
async fn a_deactivation_is_no_later_than_a_move_that_began_while_it_waited() {
    let scene = Scene::new().await;
    scene.moving_in().await;
    let worker = format!("moving-in:{}", scene.did);
    let row = scene.node.store.worker(&worker).await.unwrap().unwrap();
    scene.node.store.apply(Unit::DropWorker { name: worker }).await.unwrap();
    let lock = scene.node.host.account_lock(&scene.did).await.unwrap();
    let held = lock.hold().await;
    let free = room(&scene.node, &scene.did).await;
    let (host, did) = (scene.node.host.clone(), scene.did.clone());
    let deactivation = tokio::spawn(async move { host.deactivate_account(&did, None).await });
    while room(&scene.node, &scene.did).await == free {
        tokio::task::yield_now().await;
    }
    scene.node.store.apply(Unit::PutWorker(row)).await.unwrap();
    drop(held);
    deactivation.await.unwrap().unwrap();
    let login = scene.node.store.login(&scene.did).await.unwrap().unwrap();
    assert!(login.delete_after.is_some(), "it goes back when its time is over");
}

#[tokio::test]
async fn nobody_is_activated_on_what_nobody_vouches_for() {
    let scene = Scene::new().await;
    let patch = AccountPatch { verified: Some(VerifiedState::Unverified), ..AccountPatch::default() };
    let unit = Unit::PatchAccount { did: scene.did.clone(), patch: Box::new(patch) };
    scene.node.store.apply(unit).await.unwrap();
    scene.moving_in().await;
    let refused = scene.node.host.activate_account(&scene.did).await.unwrap_err();
    assert!(refused.message.contains("importRepo"), "{refused}");
    scene.import().await;
    let account = scene.node.store.account(&scene.did).await.unwrap().unwrap();
    assert_eq!(account.verified, VerifiedState::Verified);
    scene.node.host.activate_account(&scene.did).await.unwrap();
    // From here on it is an account as any other.
    assert_eq!(
        scene.node.host.admin_delete_account(&By::Operator, &scene.did).await.unwrap(),
        Deleted::Erased
    );
}

#[tokio::test]
async fn nobodys_password_erases_the_copy_before_its_owner_could_take_the_account_back() {
    let scene = Scene::new().await;
    let (node, did) = (&scene.node, &scene.did);
    scene.moving_in().await;
    node.host.activate_account(did).await.unwrap();
    let activated = node.clock.load(Ordering::Relaxed);
    let delete = async || {
        node.host.request_account_delete(did).await.unwrap();
        let mails = node.host.mail_list(100).await.unwrap();
        let row = mails.into_iter().filter(|row| row.kind == "delete-account").max_by_key(|row| row.id);
        let words = node.host.mail_show(row.unwrap().id).await.unwrap().unwrap().words.unwrap();
        let token = words.text.lines().find_map(|line| line.strip_prefix("    ")).unwrap().to_owned();
        node.host.delete_account(did, "a long password", &token, "192.0.2.1").await.unwrap();
    };
    delete().await;
    let login = node.store.login(did).await.unwrap().unwrap();
    let window = 72 * 3_600 * 1_000_000_i64;
    assert!(login.deactivated_at.is_some());
    assert!(login.delete_after.is_some_and(|at| at <= activated + window && at > activated + window - 1_000));
    assert!(node.store.sessions(did, 9).await.unwrap().is_empty(), "as with any deletion");
    EraseJob.round(&node.host).await.unwrap();
    assert!(node.store.live_repo(did).await.unwrap().is_some());
    // Whoever is its owner comes back.
    node.host.activate_account(did).await.unwrap();
    let noted = format!("moved-in:{did}");
    assert!(node.store.worker(&noted).await.unwrap().is_some());
    node.clock.store(activated + window - 60_000_000, Ordering::Relaxed);
    delete().await;
    node.clock.store(activated + window, Ordering::Relaxed);
    EraseJob.round(&node.host).await.unwrap();
    assert!(node.store.account(did).await.unwrap().is_none(), "then it is deleted");
}

#[tokio::test]
async fn in_the_end_it_is_an_account_like_any_other() {
    let scene = Scene::new().await;
    let (node, did) = (&scene.node, &scene.did);
    scene.moving_in().await;
    node.host.activate_account(did).await.unwrap();
    let (noted, window) = (format!("moved-in:{did}"), 72 * 3_600 * 1_000_000_i64);
    let activated = node.store.worker(&noted).await.unwrap().unwrap().updated_at;
    node.clock.store(activated + window - 60_000_000, Ordering::Relaxed);
    EraseJob.round(&node.host).await.unwrap();
    assert!(node.store.worker(&noted).await.unwrap().is_some());
    node.clock.store(activated + window, Ordering::Relaxed);
    EraseJob.round(&node.host).await.unwrap();
    assert!(node.store.worker(&noted).await.unwrap().is_none());
    assert!(node.store.account(did).await.unwrap().is_some());
}
