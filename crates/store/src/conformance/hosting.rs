//! Batches, opened repos, logins, and blobs that wait for a record.

use p2pds_repo::mst::empty_root;
use p2pds_syntax::ErrorKind;

use super::blobs::{list, naming, sorted};
use super::commits::{change, cid, commit};
use super::{Factory, Rig, blob, did, head, rev, row};
use crate::view::block_on;
use crate::{
    Account, AccountPatch, Applied, BATCH_UNITS, BlobFilter, BlobState, Change, Login, LoginPatch, Origin,
    Role, StoreError, Unit, Version,
};

pub(super) fn run(factory: Factory<'_>) {
    a_batch_happens_whole_or_not_at_all(factory);
    a_repo_is_opened_in_one_step(factory);
    a_role_is_changed(factory);
    logins_come_and_go(factory);
    handles_and_addresses_are_unique_among_the_hosted(factory);
    a_purged_login_is_gone_at_once(factory);
    uploaded_blobs_wait_for_a_record(factory);
    a_withheld_blob_counts_for_nothing(factory);
}

fn login(n: u8) -> Login {
    Login {
        did: did(n),
        email: format!("{n}@mail.example"),
        email_confirmed_at: None,
        password: format!("$argon2id${n}"),
        created_at: i64::from(n),
        deactivated_at: None,
        delete_after: None,
        takedown: None,
        invites_disabled: false,
        invited_by: Some("host-example-abcde".into()),
        signing_key: vec![n, 1, 2],
        signing_did_key: format!("did:key:z{n}"),
    }
}

fn account(n: u8) -> Unit {
    let mut account = Account::new(did(n), Origin::Network, 1);
    account.handle = Some(format!("user{n}.host.example"));
    Unit::AddAccount(Box::new(account))
}

fn open(n: u8, at: u64) -> Unit {
    Unit::OpenRepo {
        did: did(n),
        head: Box::new(head(&did(n), rev(at), empty_root())),
        role: Role::Hosted,
        at: 77,
    }
}

fn put(n: u8) -> Unit {
    Unit::PutLogin(Box::new(login(n)))
}

fn batch(n: u8, units: Vec<Unit>) -> Unit {
    Unit::Batch { did: did(n), units }
}

fn a_batch_happens_whole_or_not_at_all(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    // All that a sign-up is, with what does not fit at its end.
    let refused = rig.apply(batch(0, vec![account(0), open(0, 1), put(0), open(0, 2)]));
    assert!(matches!(refused, Err(StoreError::HeadMoved { .. })), "{refused:?}");
    assert_eq!(block_on(rig.store.account(&did(0))).unwrap(), None);
    assert_eq!(block_on(rig.store.login_by_email("0@mail.example")).unwrap(), None);
    let write = commit(&did(0), rev(1), rev(2), vec![change("a.b.c/1", None, Some("one"))]);
    let Applied::Batch(answers) = rig.ok(batch(0, vec![account(0), open(0, 1), put(0), write])) else {
        panic!()
    };
    assert!(matches!(answers[..], [Applied::Done, Applied::Opened(_), Applied::Done, Applied::Done]));
    assert_eq!((rig.account(&did(0)).hosted, rig.account(&did(0)).records), (true, 1));
    assert_eq!(rig.ok(batch(0, vec![])), Applied::Batch(vec![]));
    let node = Unit::PutSetting { name: "a".into(), value: Some("b".into()) };
    rig.ok(batch(0, vec![node]));
    assert_eq!(block_on(rig.store.setting("a")).unwrap().as_deref(), Some("b"), "with one of the node");
    let wrong = [
        ("another account", batch(0, vec![put(1)])),
        ("a batch within", batch(0, vec![batch(0, vec![])])),
        ("too many", batch(0, vec![put(0); BATCH_UNITS + 1])),
        ("a bad unit within", batch(0, vec![Unit::SetRole { did: did(0), role: Role::Staging }])),
    ];
    for (what, unit) in wrong {
        assert_eq!(rig.apply(unit).unwrap_err().kind(), ErrorKind::Invalid, "{what}");
    }
}

fn a_repo_is_opened_in_one_step(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    assert_eq!(rig.apply(open(0, 1)).unwrap_err().kind(), ErrorKind::NotFound);
    rig.add(&did(0));
    let other = Unit::OpenRepo {
        did: did(0),
        head: Box::new(head(&did(0), rev(1), cid("some root"))),
        role: Role::Hosted,
        at: 0,
    };
    assert_eq!(rig.apply(other).unwrap_err().kind(), ErrorKind::Conflict, "it has no records");
    let Applied::Opened(id) = rig.ok(open(0, 1)) else { panic!() };
    let live = rig.live(&did(0));
    assert_eq!((live.id, live.role, live.rev, live.records), (id, Role::Hosted, rev(1), 0));
    assert_eq!(live.head, Some(head(&did(0), rev(1), empty_root())));
    let log = block_on(rig.store.commits(&did(0), None, 9)).unwrap();
    assert_eq!(log.iter().map(|c| (c.head.rev, c.seen_at)).collect::<Vec<_>>(), [(rev(1), Some(77))]);
    assert!(matches!(rig.apply(open(0, 2)), Err(StoreError::HeadMoved { .. })));
    // It is a repo like any other: what is staged empty looks the same.
    rig.archive(&did(1), rev(1), &[]);
    let buckets = |n| block_on(rig.store.buckets(rig.live(&did(n)).id, true)).unwrap();
    assert_eq!(buckets(0), buckets(1));
    rig.ok(commit(&did(0), rev(1), rev(2), vec![change("a.b.c/1", None, Some("one"))]));
    assert_eq!(rig.state(id, None).len(), 1);
    // And it is replaced like any other.
    let (repo, root) = rig.stage(&did(0), rev(3), &[row("a.b.c/2", "two")]);
    let flip = Unit::Flip {
        did: did(0),
        repo,
        expect: Some(rev(2)),
        head: Box::new(head(&did(0), rev(3), root)),
        role: Role::Hosted,
        accept_older: false,
        at: 0,
    };
    let Applied::Batch(answers) = rig.ok(batch(0, vec![flip])) else { panic!() };
    assert_eq!(answers, [Applied::Flipped { replaced: Some(id) }]);
    assert_eq!(rig.live(&did(0)).role, Role::Hosted);
}

fn a_role_is_changed(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    let set = |role| rig.apply(Unit::SetRole { did: did(0), role });
    assert_eq!(set(Role::Hosted).unwrap_err().kind(), ErrorKind::Conflict, "there is no repo");
    let (repo, root) = rig.stage(&did(0), rev(1), &[row("a.b.c/1", "one")]);
    rig.flip(&did(0), repo, None, head(&did(0), rev(1), root)).unwrap();
    let before = (rig.live(&did(0)).head, rig.state(repo, None));
    for role in [Role::Hosted, Role::Hosted, Role::Archived] {
        set(role).unwrap();
        assert_eq!(rig.live(&did(0)).role, role);
    }
    assert_eq!((rig.live(&did(0)).head, rig.state(repo, None)), before);
}

fn logins_come_and_go(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    assert_eq!(rig.apply(put(0)).unwrap_err().kind(), ErrorKind::NotFound, "the account comes first");
    for n in [2, 0, 1] {
        rig.ok(account(n));
        assert!(!rig.account(&did(n)).hosted);
        rig.ok(put(n));
        assert!(rig.account(&did(n)).hosted);
    }
    let store = &rig.store;
    assert_eq!(block_on(store.login(&did(1))).unwrap(), Some(login(1)), "it comes back as it was put");
    assert_eq!(block_on(store.login(&did(7))).unwrap(), None);
    assert_eq!(block_on(store.login_by_email("2@mail.example")).unwrap(), Some(login(2)));
    assert_eq!(block_on(store.login_by_email("")).unwrap(), None);
    assert_eq!(block_on(store.login_by_handle("user0.host.example")).unwrap(), Some(login(0)));
    assert_eq!(block_on(store.logins(None, 2)).unwrap(), [login(0), login(1)]);
    assert_eq!(block_on(store.logins(Some(&did(1)), 2)).unwrap(), [login(2)]);
    let patch = LoginPatch {
        email: Some("new@mail.example".into()),
        email_confirmed_at: Some(Some(5)),
        password: Some("$argon2id$new".into()),
        deactivated_at: Some(Some(6)),
        delete_after: Some(Some(7)),
        takedown: Some(Some("mod-1".into())),
        invites_disabled: Some(true),
        signing_key: Some((vec![9], "did:key:z9".into())),
    };
    rig.ok(Unit::PatchLogin { did: did(1), patch: Box::new(patch.clone()) });
    let mut wanted = login(1);
    patch.apply(&mut wanted);
    assert_eq!(block_on(store.login(&did(1))).unwrap(), Some(wanted.clone()));
    rig.ok(Unit::PatchLogin { did: did(1), patch: Box::default() });
    assert_eq!(block_on(store.login(&did(1))).unwrap(), Some(wanted), "an empty patch changes nothing");
    assert_eq!(block_on(store.logins_to_delete(6, 9)).unwrap(), []);
    assert_eq!(block_on(store.logins_to_delete(7, 9)).unwrap(), [did(1)]);
    rig.ok(Unit::DropLogin { did: did(1) });
    rig.ok(Unit::DropLogin { did: did(1) });
    assert_eq!((block_on(store.login(&did(1))).unwrap(), rig.account(&did(1)).hosted), (None, false));
    let none = rig.apply(Unit::PatchLogin { did: did(1), patch: Box::default() });
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Conflict);
    let shown =
        format!("{:?}{:?}", put(2), Unit::PatchLogin { did: did(1), patch: Box::new(patch_of("hash")) });
    assert!(!shown.contains("argon2") && !shown.contains("hash"), "secrets are not printed: {shown}");
}

fn patch_of(password: &str) -> LoginPatch {
    LoginPatch { password: Some(password.into()), ..LoginPatch::default() }
}

fn handles_and_addresses_are_unique_among_the_hosted(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let handle = |n: u8, handle: Option<&str>| {
        let patch = AccountPatch { handle: Some(handle.map(Into::into)), ..AccountPatch::default() };
        rig.apply(Unit::PatchAccount { did: did(n), patch: Box::new(patch) })
    };
    for n in 0..3 {
        rig.ok(account(n));
    }
    // Archived accounts may say what they like.
    handle(1, Some("user0.host.example")).unwrap();
    rig.ok(put(0));
    assert_eq!(rig.apply(put(1)), Err(StoreError::Taken("handle")));
    assert_eq!(block_on(rig.store.login(&did(1))).unwrap(), None, "and nothing was changed");
    handle(1, Some("other.host.example")).unwrap();
    rig.ok(put(1));
    assert_eq!(handle(1, Some("user0.host.example")), Err(StoreError::Taken("handle")));
    handle(2, Some("user0.host.example")).unwrap();
    let mut same = login(2);
    same.email = login(1).email;
    handle(2, None).unwrap();
    assert_eq!(rig.apply(Unit::PutLogin(Box::new(same))), Err(StoreError::Taken("e-mail address")));
    let patch = LoginPatch { email: Some(login(0).email), ..LoginPatch::default() };
    let taken = rig.apply(Unit::PatchLogin { did: did(1), patch: Box::new(patch) });
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Conflict);
    // Several may have none.
    for n in [1, 2] {
        rig.ok(Unit::PutLogin(Box::new(Login { email: String::new(), ..login(n) })));
    }
    rig.ok(Unit::DropLogin { did: did(0) });
    handle(1, Some("user0.host.example")).unwrap();
}

fn a_purged_login_is_gone_at_once(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in 0..2 {
        rig.ok(account(n));
        rig.ok(put(n));
    }
    rig.ok(Unit::PurgeBegin { did: did(0), basis: "asked".into(), at: 1 });
    assert_eq!(block_on(rig.store.login(&did(0))).unwrap(), None);
    assert_eq!(block_on(rig.store.logins(None, 9)).unwrap(), [login(1)]);
    // Its name and address are free.
    rig.ok(account(2));
    let patch = AccountPatch { handle: Some(Some("user0.host.example".into())), ..AccountPatch::default() };
    rig.ok(Unit::PatchAccount { did: did(2), patch: Box::new(patch) });
    rig.ok(Unit::PutLogin(Box::new(Login { email: login(0).email, ..login(2) })));
    block_on(crate::view::purge(&*rig.store, &did(0), "asked", 2)).unwrap();
    assert_eq!(block_on(rig.store.accounts(None, 9)).unwrap().len(), 2);
    assert_eq!(block_on(rig.store.check_structure()).unwrap(), Vec::<String>::new());
}

fn uploaded_blobs_wait_for_a_record(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[]);
    let upload = |n: u8, at: i64| {
        rig.ok(Unit::PutBlob {
            did: did(0),
            cid: blob(n, 0).cid,
            size: Some(50),
            mime: Some("image/jpeg".into()),
            state: BlobState::Temporary { at },
        });
    };
    upload(1, 100);
    upload(2, 200);
    let counters = || {
        let a = rig.account(&did(0));
        (a.blobs_held, a.blobs_missing, a.blob_bytes)
    };
    assert_eq!(counters(), (0, 0, 0), "they count for nothing");
    for filter in [BlobFilter::Held, BlobFilter::Missing, BlobFilter::Unreferenced, BlobFilter::Due(i64::MAX)]
    {
        assert_eq!(list(&rig, filter), [], "{filter:?}");
    }
    assert_eq!(list(&rig, BlobFilter::Temporary), sorted(&[1, 2]));
    let old = |before| {
        let found = block_on(rig.store.temporary_blobs(before, 9)).unwrap();
        found.into_iter().map(|(of, row)| (of, row.cid)).collect::<Vec<_>>()
    };
    assert_eq!(old(100), []);
    assert_eq!(old(101), [(did(0), blob(1, 0).cid)]);
    assert_eq!(old(999), [(did(0), blob(1, 0).cid), (did(0), blob(2, 0).cid)]);
    let record = naming("a.b.c/1", &[1]);
    let version = Version { cid: record.cid, body: record.body.clone(), blobs: record.blobs.clone() };
    rig.ok(commit(&did(0), rev(1), rev(2), vec![Change { key: record.key, old: None, new: Some(version) }]));
    let row = block_on(rig.store.blob(&did(0), &blob(1, 0).cid)).unwrap().unwrap();
    assert_eq!(row.state, BlobState::Held, "with the record that names it it is held");
    assert_eq!(
        (row.size, row.mime.as_str()),
        (50, "image/jpeg"),
        "as it was uploaded, not as the record says"
    );
    assert_eq!(counters(), (1, 0, 50));
    assert_eq!(old(999), [(did(0), blob(2, 0).cid)]);
    rig.ok(Unit::DropBlob { did: did(0), cid: blob(2, 0).cid });
    assert_eq!(list(&rig, BlobFilter::All), sorted(&[1]));
    assert_eq!(counters(), (1, 0, 50));
}

fn a_withheld_blob_counts_for_nothing(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[naming("a.b.c/1", &[1])]);
    let put = |state| {
        rig.ok(Unit::PutBlob { did: did(0), cid: blob(1, 0).cid, size: Some(60), mime: None, state });
    };
    put(BlobState::Held);
    assert_eq!(rig.account(&did(0)).blob_bytes, 60);
    put(BlobState::Quarantined { reference: "mod-7".into() });
    let counters = || {
        let a = rig.account(&did(0));
        (a.blobs_held, a.blobs_missing, a.blob_bytes)
    };
    assert_eq!(counters(), (0, 0, 0));
    assert_eq!(list(&rig, BlobFilter::Held), []);
    assert_eq!(list(&rig, BlobFilter::Quarantined), sorted(&[1]));
    let row = block_on(rig.store.blob(&did(0), &blob(1, 0).cid)).unwrap().unwrap();
    assert_eq!(row.state, BlobState::Quarantined { reference: "mod-7".into() });
    // A record that names it does not free it.
    let again = naming("a.b.c/2", &[1]);
    let version = Version { cid: again.cid, body: again.body.clone(), blobs: again.blobs.clone() };
    rig.ok(commit(&did(0), rev(1), rev(2), vec![Change { key: again.key, old: None, new: Some(version) }]));
    assert_eq!(list(&rig, BlobFilter::Quarantined), sorted(&[1]));
    put(BlobState::Held);
    assert_eq!((counters(), list(&rig, BlobFilter::Held)), ((1, 0, 60), sorted(&[1])));
}
