//! Accounts.

use p2pds_syntax::ErrorKind;

use super::{Factory, Rig, did, rev, row};
use crate::view::block_on;
use crate::{Account, AccountPatch, AccountStatus, Keep, Origin, Serve, Unit, VerifiedState};

pub(super) fn run(factory: Factory<'_>) {
    added_once_and_patched(factory);
    the_time_of_a_withdrawal_is_kept(factory);
    unknown_accounts_are_refused(factory);
    listed_in_order_of_their_dids(factory);
}

fn added_once_and_patched(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let mut account = Account::new(did(0), Origin::File, 5);
    account.handle = Some("a.example".into());
    account.quota = Some(10);
    rig.ok(Unit::AddAccount(Box::new(account.clone())));
    assert_eq!(rig.account(&did(0)), account, "an account comes back as it was added");
    rig.ok(Unit::AddAccount(Box::new(Account::new(did(0), Origin::Network, 9))));
    assert_eq!(rig.account(&did(0)), account, "adding it again changes nothing");

    let patch = AccountPatch {
        status: Some(AccountStatus::Takendown),
        handle: Some(None),
        serve: Some(Serve::Peers),
        serve_basis: Some(Some("consent".into())),
        verified: Some(VerifiedState::Verified),
        last_sync_error: Some(Some("host unreachable".into())),
        last_verify_ok: Some(Some(true)),
        paused: Some(true),
        quota: Some(None),
        priority: Some(-3),
        keep: Some(Keep::All),
        keep_basis: Some(Some("asked for by its owner".into())),
        ..AccountPatch::default()
    };
    rig.ok(Unit::PatchAccount { did: did(0), patch: Box::new(patch.clone()) });
    patch.apply(&mut account);
    assert_eq!(rig.account(&did(0)), account, "a patch changes what it names and nothing else");
    for status in AccountStatus::ALL {
        let patch = AccountPatch { status: Some(status), ..AccountPatch::default() };
        rig.ok(Unit::PatchAccount { did: did(0), patch: Box::new(patch) });
        assert_eq!(rig.account(&did(0)).status, status, "every status is kept");
        assert_eq!(AccountStatus::from_word(status.as_str()), Some(status));
    }
}

fn the_time_of_a_withdrawal_is_kept(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.add(&did(0));
    let hear = |status: Option<AccountStatus>, status_at: Option<i64>| {
        let patch = AccountPatch { status, status_at, ..AccountPatch::default() };
        rig.ok(Unit::PatchAccount { did: did(0), patch: Box::new(patch) });
        rig.account(&did(0)).withdrawn_at
    };
    assert_eq!(hear(Some(AccountStatus::Deactivated), Some(5)), None, "deactivated is not withdrawn");
    assert_eq!(hear(Some(AccountStatus::Deleted), Some(7)), Some(7));
    assert_eq!(hear(Some(AccountStatus::Deleted), Some(9)), Some(7), "heard again, the first time counts");
    assert_eq!(hear(None, Some(11)), Some(7), "other patches leave it alone");
    assert_eq!(hear(Some(AccountStatus::Active), Some(12)), None, "an account that is back is not withdrawn");
    assert_eq!(hear(Some(AccountStatus::Deleted), None), None, "no time is made up");
    assert_eq!(hear(None, Some(15)), Some(15), "it can be supplied later");
}

fn unknown_accounts_are_refused(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let patch = Unit::PatchAccount { did: did(0), patch: Box::default() };
    assert_eq!(rig.apply(patch).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(block_on(rig.store.account(&did(0))).unwrap(), None, "absent is not an error");
    assert!(block_on(rig.store.live_repo(&did(0))).unwrap().is_none());
}

fn listed_in_order_of_their_dids(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in [3, 1, 2, 0] {
        rig.add(&did(n));
    }
    let first = block_on(rig.store.accounts(None, 3)).unwrap();
    let dids: Vec<_> = first.iter().map(|a| a.did.clone()).collect();
    assert_eq!(dids, [did(0), did(1), did(2)]);
    let rest = block_on(rig.store.accounts(Some(&did(2)), 3)).unwrap();
    assert_eq!(rest.len(), 1);
    let repo = rig.archive(&did(1), rev(1), &[row("a.b.c/x", "x")]);
    let account = rig.account(&did(1));
    assert_eq!((account.rev, account.records), (Some(repo.rev), 1), "the store keeps rev and counters");
    assert_eq!(account.record_bytes, repo.record_bytes);
    let stats = block_on(rig.store.stats()).unwrap();
    assert_eq!((stats.accounts, stats.records), (4, 1));
}
