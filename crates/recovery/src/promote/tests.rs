//! A promotion that is interrupted after each of its steps, and in the middle of the one that cannot be taken back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use p2pds_archive::{Archive, Progress};
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_directory::plc_rows;
use p2pds_host::Host;
use p2pds_host::write::{Validate, Write, WriteOptions};
use p2pds_identity::plc::{Data, Log, Operation};
use p2pds_ipld::cbor::Value;
use p2pds_store::{Account, AccountPatch, EventKind, Login, Origin, Role, Store, Unit, VerifiedState};
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::{Did, ErrorKind, Nsid};

use super::journal::{Journal, Step};
use super::{PromoteOptions, Promoted, Registry, RotationKey, plan, steps::Promotion};
use crate::drill::host::{Pretended, Scratch};
use crate::error::{RecoveryError, RecoveryResult};
use crate::{Recovery, ScratchStore};

/// Microseconds since 1970 at which the tests begin.
const NOW: i64 = 1_795_000_000_000_000;

/// A directory that can fail once: before it takes an operation, or after.
struct Shaky {
    inner: Pretended,
    /// 1: fails before; 2: takes it, and then does not answer.
    mood: AtomicU8,
}

#[async_trait]
impl Registry for Shaky {
    async fn log(&self, did: &Did) -> RecoveryResult<Arc<Log>> {
        self.inner.log(did).await
    }

    async fn submit(&self, did: &Did, operation: &Operation) -> RecoveryResult<()> {
        let silence = RecoveryError::Said { kind: ErrorKind::Unavailable, words: "no answer".to_owned() };
        match self.mood.swap(0, Ordering::Relaxed) {
            1 => Err(silence),
            2 => self.inner.submit(did, operation).await.and(Err(silence)),
            _ => self.inner.submit(did, operation).await,
        }
    }
}

/// An archived account with a few records, its identity, and the owner's key.
struct Scene {
    _dir: tempfile::TempDir,
    scratch: Scratch,
    registry: Shaky,
    key: PrivateKey,
    did: Did,
    rev: String,
}

fn open() -> ScratchStore {
    Arc::new(|dir: &Path| {
        let options = Options { ballast: 0, ..Options::default() };
        Ok(Arc::new(SqliteStore::open(dir, options)?) as Arc<dyn Store>)
    })
}

async fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let scratch = Scratch::open_at(&open(), || NOW, &dir.path().join("host")).unwrap();
    let host = &scratch.host;
    let old = PrivateKey::from_entropy(Curve::P256, [9; 32]);
    let mut data = Data { rotation_keys: vec!["did:key:replaced".to_owned()], ..Data::default() };
    data.also_known_as.push("at://alice.example.com".to_owned());
    data.set_pds("https://old.invalid");
    data.set_signing_key(&old.public_key());
    let (inner, key) = Pretended::new(&data, NOW - 1_000_000_000).unwrap();
    let log = inner.now();
    let did = log.did().clone();
    let store = host.store();
    store.apply(Unit::AddAccount(Box::new(Account::new(did.clone(), Origin::Network, NOW)))).await.unwrap();
    let opened = host.open_repo(&did, &old).unwrap();
    let login = Login {
        did: did.clone(),
        email: String::new(),
        email_confirmed_at: None,
        password: "!".to_owned(),
        created_at: NOW,
        deactivated_at: None,
        delete_after: None,
        takedown: None,
        invites_disabled: false,
        invited_by: None,
        signing_key: host.keys().wrap(&old, &did).unwrap(),
        signing_did_key: old.public_key().to_did_key(),
    };
    let units = vec![opened.repo, Unit::PutLogin(Box::new(login))];
    store.apply(Unit::Batch { did: did.clone(), units }).await.unwrap();
    for n in 0..5 {
        let record = Value::map([("text", Value::Text(format!("post {n}")))]);
        let write =
            Write::Create { collection: Nsid::parse("com.example.post").unwrap(), rkey: None, record };
        let options = WriteOptions { validate: Validate::Skip, ..WriteOptions::default() };
        host.write(&did, vec![write], options).await.unwrap();
    }
    // From here on it is an archived one, as if it had been fetched from elsewhere.
    let patch = AccountPatch {
        handle: Some(Some("alice.example.com".to_owned())),
        pds: Some(Some("https://old.invalid".to_owned())),
        verified: Some(VerifiedState::Verified),
        ..AccountPatch::default()
    };
    let units = vec![
        Unit::SetRole { did: did.clone(), role: Role::Archived },
        Unit::DropLogin { did: did.clone() },
        Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
        Unit::PutPlcLog { did: did.clone(), ops: plc_rows(&log), fetched_at: NOW },
        Unit::EraseEvents { did: did.clone() },
    ];
    store.apply(Unit::Batch { did: did.clone(), units }).await.unwrap();
    host.forget_account(&did).await;
    let rev = store.live_repo(&did).await.unwrap().unwrap().rev.to_string();
    let registry = Shaky { inner, mood: AtomicU8::new(0) };
    Scene { _dir: dir, scratch, registry, key, did, rev }
}

impl Scene {
    fn key(&self) -> RotationKey {
        RotationKey::of(PrivateKey::from_bytes(Curve::K256, &self.key.to_secret_bytes()).unwrap())
    }

    fn archive(&self) -> &Archive {
        &self.scratch.archive
    }

    fn host(&self) -> &Host {
        &self.scratch.host
    }

    async fn promote(&self, key: Option<RotationKey>) -> RecoveryResult<Promoted> {
        let options = PromoteOptions::default();
        Recovery::new(self.archive().clone())
            .promote_with(
                self.host(),
                &self.registry,
                &self.did,
                &options,
                key,
                "alice.example.com",
                &Progress::none(),
            )
            .await
    }

    /// The state that every promotion ends in.
    async fn check_end(&self, what: &str) {
        let store = self.host().store();
        let login = store.login(&self.did).await.unwrap().unwrap();
        assert_eq!(login.deactivated_at, None, "{what}");
        let repo = store.live_repo(&self.did).await.unwrap().unwrap();
        let head = repo.head.unwrap();
        assert_eq!((repo.role, &head.key), (Role::Hosted, &login.signing_did_key), "{what}");
        assert!(head.rev.to_string() > self.rev && repo.records == 5, "{what}");
        let log = self.registry.inner.now();
        let data = log.data().unwrap();
        assert_eq!(log.entries().len(), 2, "{what}: one operation");
        assert_eq!(data.signing_key(), Some(login.signing_did_key.as_str()), "{what}");
        assert_eq!(data.pds().as_ref(), Some(&self.host().config().public_url), "{what}");
        assert_eq!(data.rotation_keys.first(), Some(&self.key.public_key().to_did_key()), "{what}");
        assert!(Journal::read(store, &self.did).await.unwrap().is_none(), "{what}");
        let events = store.events_after(0, 100, usize::MAX).await.unwrap();
        let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
        let told = [EventKind::Identity, EventKind::Account, EventKind::Commit, EventKind::Sync];
        assert!(kinds.ends_with(&told), "{what}: {kinds:?}");
        let times = |kind| kinds.iter().filter(|found| **found == kind).count();
        assert_eq!((times(EventKind::Identity), times(EventKind::Sync)), (1, 1), "{what}: said once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_after_each_step_it_ends_in_the_same_state() {
    for stop in ["never", "signed", "hosted", "submitted", "before the directory", "after the directory"] {
        let scene = scene().await;
        let none = Progress::none();
        let promotion = Promotion {
            archive: scene.archive(),
            host: scene.host(),
            registry: &scene.registry,
            progress: &none,
        };
        let options = PromoteOptions::default();
        let made =
            plan::plan(scene.archive(), scene.host(), &scene.registry, &scene.did, &options).await.unwrap();
        assert!(made.is_ready(), "{made}");
        if stop != "never" {
            let key = scene.key();
            let mut journal = promotion.begin(&made, &options, Some(&key)).await.unwrap();
            if stop != "signed" {
                promotion.host_it(&mut journal).await.unwrap();
            }
            match stop {
                "submitted" => {
                    promotion.submit(&mut journal, &options, None).await.unwrap();
                    assert_eq!(journal.step, Step::Submitted);
                }
                "before the directory" | "after the directory" => {
                    let mood = if stop.starts_with("before") { 1 } else { 2 };
                    scene.registry.mood.store(mood, Ordering::Relaxed);
                    promotion.submit(&mut journal, &options, None).await.unwrap_err();
                }
                _ => {}
            }
        }
        // What was in memory is gone; the user's key is not asked for again.
        scene.host().forget_account(&scene.did).await;
        let key = (stop == "never").then(|| scene.key());
        let done = scene.promote(key).await.unwrap();
        assert!(!done.already, "{stop}");
        scene.check_end(stop).await;
        assert!(scene.promote(None).await.unwrap().already, "{stop}");
        scene.check_end(stop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_said_and_nothing_is_changed() {
    let scene = scene().await;
    let why = |error: RecoveryError| error.to_string();
    assert!(why(scene.promote(None).await.unwrap_err()).contains("rotation key"));
    let other = RotationKey::of(PrivateKey::from_entropy(Curve::K256, [1; 32]));
    assert!(why(scene.promote(Some(other)).await.unwrap_err()).contains("none of the identity's"));
    assert!(scene.host().store().login(&scene.did).await.unwrap().is_none());
    assert!(Journal::read(scene.host().store(), &scene.did).await.unwrap().is_none());
    assert_eq!(scene.registry.inner.now().entries().len(), 1);

    // Given up half-way, it is an archived account as before.
    scene.registry.mood.store(1, Ordering::Relaxed);
    scene.promote(Some(scene.key())).await.unwrap_err();
    let none = Progress::none();
    let promotion = Promotion {
        archive: scene.archive(),
        host: scene.host(),
        registry: &scene.registry,
        progress: &none,
    };
    let journal = Journal::read(scene.host().store(), &scene.did).await.unwrap().unwrap();
    promotion.cancel(&journal).await.unwrap();
    let repo = scene.host().store().live_repo(&scene.did).await.unwrap().unwrap();
    assert_eq!((repo.role, repo.rev.to_string()), (Role::Archived, scene.rev.clone()));
    assert!(scene.host().store().login(&scene.did).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_changed_meanwhile_is_not_overwritten() {
    let scene = scene().await;
    scene.registry.mood.store(1, Ordering::Relaxed);
    scene.promote(Some(scene.key())).await.unwrap_err();
    // Somebody with a rotation key was faster.
    let log = scene.registry.inner.now();
    let other = log.update(|data| data.also_known_as.push("https://example.com/alice".to_owned())).unwrap();
    let operation = other.sign(&scene.key).unwrap();
    scene.registry.inner.submit(&scene.did, &operation).await.unwrap();
    let refused = scene.promote(None).await.unwrap_err().to_string();
    assert!(refused.contains("was changed after") && refused.contains("signed anew"), "{refused}");
    let options = PromoteOptions { force: true, ..PromoteOptions::default() };
    let recovery = Recovery::new(scene.archive().clone());
    recovery
        .promote_with(
            scene.host(),
            &scene.registry,
            &scene.did,
            &options,
            Some(scene.key()),
            "alice.example.com",
            &Progress::none(),
        )
        .await
        .unwrap();
    let data = scene.registry.inner.now().data().unwrap();
    assert!(data.also_known_as.contains(&"https://example.com/alice".to_owned()), "what came between stays");
    assert_eq!(data.pds().as_ref(), Some(&scene.host().config().public_url));
}
